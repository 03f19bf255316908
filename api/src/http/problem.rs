//! An [`ApiError`] on the wire, in one of two shapes of the same facts: the documents' envelope, or RFC 9457
//! `application/problem+json` for clients whose `Accept` prefers it.

use super::{ApiError, Body, RequestId, error::chain, full, response};
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Value, json};
use shared::clock::Timestamp;

/// What a rendering needs to know beside the error.
pub(super) struct Scene<'a> {
    pub(super) request: &'a HeaderMap,
    pub(super) path: &'a str,
    pub(super) id: &'a RequestId,
    pub(super) now: Timestamp,
    /// Whether the cause may be shown (development only).
    pub(super) candid: bool,
}

/// The answer that tells the client.
pub(super) fn render(error: &ApiError, scene: &Scene<'_>) -> Response<Body> {
    let prefers_problem = prefers_problem(scene.request);
    let body = if prefers_problem { problem(error, scene) } else { envelope(error, scene) };
    let media = if prefers_problem { "application/problem+json" } else { "application/json" };
    let mut answer = Response::new(full(body.to_string()));
    *answer.status_mut() = error.status();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(header::VARY, HeaderValue::from_static("accept"));
    if let Some(wait) = error.retry_after() {
        // Whole seconds, rounded up: "0" would invite an immediate retry.
        headers.insert(header::RETRY_AFTER, HeaderValue::from(response::ceil_secs(wait).max(1)));
    }
    match error {
        ApiError::MethodNotAllowed(allow) => _ = headers.insert(header::ALLOW, allow.clone()),
        ApiError::Unauthorized(_) => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pitchey\""));
        }
        // What is left of the body will not be read: the connection cannot be used again.
        ApiError::PayloadTooLarge { .. } | ApiError::BodyTimeout => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        ApiError::RateLimited(standing) => standing.write(headers),
        _ => {}
    }
    answer
}

fn envelope(error: &ApiError, scene: &Scene<'_>) -> Value {
    let mut body = json!({
        "success": false,
        "error": { "code": error.code(), "message": error.message() },
        "meta": { "timestamp": scene.now, "requestId": scene.id.as_str() },
    });
    if let Some(details) = details(error, scene) {
        body["error"]["details"] = details;
    }
    body
}

fn problem(error: &ApiError, scene: &Scene<'_>) -> Value {
    let mut body = json!({
        "type": format!("urn:pitchey:error:{}", error.code().to_ascii_lowercase()),
        "title": error.status().canonical_reason(),
        "status": error.status().as_u16(),
        "detail": error.message(),
        "instance": scene.path,
        "code": error.code(),
        "requestId": scene.id.as_str(),
    });
    match details(error, scene) {
        Some(Value::Array(fields)) => body["errors"] = Value::Array(fields),
        Some(other) => body["details"] = other,
        None => {}
    }
    body
}

fn details(error: &ApiError, scene: &Scene<'_>) -> Option<Value> {
    match error {
        ApiError::Validation { fields, .. } if !fields.is_empty() => Some(json!(fields)),
        ApiError::WrongPortal(portals) => Some(json!({ "portals": portals })),
        ApiError::RateLimited(standing) => {
            Some(json!({ "retryAfter": response::ceil_secs(standing.retry_after()).max(1) }))
        }
        _ if scene.candid => error.cause().map(|cause| json!({ "error": chain(cause) })),
        _ => None,
    }
}

/// Whether the client names problem+json and does not like plain JSON better.
fn prefers_problem(headers: &HeaderMap) -> bool {
    let (mut problem, mut plain) = (0.0_f32, 0.0_f32);
    for value in headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        for range in value.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            match media.as_str() {
                "application/problem+json" => problem = quality,
                "application/json" => plain = quality,
                _ => {}
            }
        }
    }
    problem > 0.0 && problem >= plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{
        FieldError,
        rate_limit::{Policy, Standing},
    };
    use shared::model::{Portal, Portals};
    use std::time::Duration;

    fn every_error() -> Vec<ApiError> {
        let field = FieldError { field: "email".into(), message: "must be an address".into() };
        let cause = || std::io::Error::other("pool of /var/lib/secret exhausted");
        vec![
            ApiError::fields(vec![field]),
            ApiError::bad_request("The cursor is not one of ours"),
            ApiError::unauthorized(),
            ApiError::InvalidCredentials,
            ApiError::EmailNotVerified,
            ApiError::WrongPortal(Portals::of([Portal::Creator, Portal::Investor])),
            ApiError::Forbidden("Only the owner may do this".into()),
            ApiError::NotFound("Pitch"),
            ApiError::MethodNotAllowed(HeaderValue::from_static("GET, HEAD, OPTIONS")),
            ApiError::BodyTimeout,
            ApiError::Conflict("It has changed in the meantime".into()),
            ApiError::AlreadyExists("There is one already".into()),
            ApiError::OperationNotAllowed("A published pitch cannot be published".into()),
            ApiError::PreconditionFailed,
            ApiError::PayloadTooLarge { limit: 1024 },
            ApiError::UnsupportedMediaType,
            ApiError::IdempotencyMismatch,
            ApiError::PreconditionRequired,
            ApiError::RateLimited(Standing::spent(Policy::new("login", 5, 60), Duration::from_millis(1_200))),
            ApiError::internal(cause()),
            ApiError::unavailable(cause()),
            ApiError::Timeout,
        ]
    }

    fn scene<'a>(headers: &'a HeaderMap, id: &'a RequestId, candid: bool) -> Scene<'a> {
        Scene { request: headers, path: "/api/x", id, now: Timestamp::from_micros(0), candid }
    }

    #[test]
    fn every_error_has_one_status_one_code_and_a_message_for_people() {
        let (headers, id) = (HeaderMap::new(), RequestId::fixed("r-1"));
        let lines: Vec<String> = every_error()
            .iter()
            .map(|error| {
                let body = envelope(error, &scene(&headers, &id, false));
                let details = body["error"].get("details").map_or_else(String::new, |details| format!(" {details}"));
                let wait = render(error, &scene(&headers, &id, false)).headers().get(header::RETRY_AFTER).cloned();
                let wait = wait.map_or_else(String::new, |wait| format!(" after {}s", wait.to_str().unwrap()));
                format!("{} {}: {}{details}{wait}", error.status().as_u16(), error.code(), error.message())
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        400 VALIDATION_ERROR: The request is not valid [{"field":"email","message":"must be an address"}]
        400 VALIDATION_ERROR: The cursor is not one of ours
        401 UNAUTHORIZED: Authentication required
        401 INVALID_CREDENTIALS: The e-mail address or the password is wrong
        403 EMAIL_NOT_VERIFIED: Please verify your e-mail address first
        403 WRONG_PORTAL: This account signs in at the creator or the investor portal {"portals":["creator","investor"]}
        403 FORBIDDEN: Only the owner may do this
        404 NOT_FOUND: Pitch not found
        405 METHOD_NOT_ALLOWED: This method is not allowed here
        408 REQUEST_TIMEOUT: The request took too long to arrive
        409 CONFLICT: It has changed in the meantime
        409 ALREADY_EXISTS: There is one already
        409 OPERATION_NOT_ALLOWED: A published pitch cannot be published
        412 PRECONDITION_FAILED: It has changed in the meantime; load it again
        413 PAYLOAD_TOO_LARGE: The body is larger than 1024 bytes
        415 UNSUPPORTED_MEDIA_TYPE: Send JSON: Content-Type must be application/json in UTF-8
        422 IDEMPOTENCY_MISMATCH: This Idempotency-Key was used for another request
        428 PRECONDITION_REQUIRED: Send If-Match with the version you have seen
        429 RATE_LIMIT_EXCEEDED: Too many requests; please wait {"retryAfter":2} after 2s
        500 INTERNAL_ERROR: An unexpected error occurred
        503 SERVICE_UNAVAILABLE: The service is busy; please try again after 1s
        504 TIMEOUT: The request took too long; please try again after 1s
        "#);
    }

    #[test]
    fn both_shapes_tell_the_same_facts_and_only_development_tells_the_cause() {
        let (headers, id) = (HeaderMap::new(), RequestId::fixed("r-1"));
        for error in every_error() {
            let plain = envelope(&error, &scene(&headers, &id, false));
            let problem = problem(&error, &scene(&headers, &id, false));
            assert_eq!(plain["error"]["code"], problem["code"]);
            assert_eq!(plain["error"]["message"], problem["detail"]);
            assert_eq!(problem["status"], error.status().as_u16());
            assert!(!plain.to_string().contains("secret") && !problem.to_string().contains("secret"));
            let candid = envelope(&error, &scene(&headers, &id, true));
            assert_eq!(candid["error"]["details"].get("error").is_some(), error.cause().is_some());
        }
    }

    #[test]
    fn problem_json_is_for_those_who_ask_for_it() {
        let accepts = |text: &'static str| {
            prefers_problem(&[(header::ACCEPT, HeaderValue::from_static(text))].into_iter().collect())
        };
        assert!(accepts("application/problem+json"));
        assert!(accepts("application/problem+json, application/json;q=0.9"));
        assert!(!accepts("application/json, application/problem+json;q=0.5"));
        assert!(!accepts("*/*") && !accepts("application/json") && !accepts("application/problem+json;q=0"));
    }
}
