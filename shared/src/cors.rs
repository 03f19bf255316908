//! Which other origins' pages may read our answers: those on the allow-list, echoed exactly, never `*`, since
//! the cookie travels along. tower-http's layer answers every OPTIONS request as a preflight, with 200; here a
//! preflight is what the Fetch standard says it is, answered 204, and a plain OPTIONS gets its `Allow` from the router.

use crate::config::HttpConfig;
use hyper::{
    HeaderMap, Method,
    header::{self, HeaderValue},
};

const REQUEST_HEADERS: &str =
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, x-request-id, traceparent";
const EXPOSED_HEADERS: &str =
    "etag, link, location, ratelimit, ratelimit-policy, retry-after, x-request-id, x-total-count, x-page, x-limit";
/// How long a browser may remember a preflight, in seconds; Chromium allows no more than two hours.
const MAX_AGE: &str = "7200";

/// Whether this is a preflight.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    method == Method::OPTIONS && asks && headers.contains_key(header::ORIGIN)
}

/// Adds what the origin may know to any answer; `methods` (the route's `Allow`) only to a preflight's.
pub fn write(http: &HttpConfig, request: &HeaderMap, methods: Option<&HeaderValue>, answer: &mut HeaderMap) {
    // Also without an origin: a cache must not hand one origin's answer to another.
    answer.append(header::VARY, HeaderValue::from_static("origin"));
    let allowed = |origin: &&HeaderValue| origin.to_str().is_ok_and(|origin| http.allows_origin(origin));
    let Some(origin) = request.get(header::ORIGIN).filter(allowed) else { return };
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    if let Some(methods) = methods {
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    } else {
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    }
}
