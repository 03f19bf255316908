//! Reading a JSON body strictly: unknown fields are refused (by the DTOs' `deny_unknown_fields`), wrong types are
//! named by field, and nothing that a database cannot store gets through.

use super::{ApiError, FieldError, complaint};
use http::{HeaderMap, header};
use serde::de::{DeserializeOwned, IgnoredAny};

/// The body as a `T`.
pub(super) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, ApiError> {
    check_type(headers)?;
    let text = std::str::from_utf8(body).map_err(|_| ApiError::bad_request("The body is not valid UTF-8"))?;
    if text.trim().is_empty() {
        return Err(ApiError::bad_request("The body is empty; send a JSON object"));
    }
    if escapes_nul(text) {
        return Err(ApiError::bad_request("The body contains the character U+0000"));
    }
    if !text.trim_start().starts_with('{') {
        // serde would take a list for a struct, field by field.
        let json = serde_json::from_str::<IgnoredAny>(text);
        return Err(json.map_or_else(|error| malformed(&error), |_| ApiError::bad_request("Send a JSON object")));
    }
    let mut input = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut input).map_err(|error| explain(&error, text))?;
    input.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// JSON in UTF-8, not compressed; anything else is 415.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let plain = headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity");
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json);
    if plain && json { Ok(()) } else { Err(ApiError::UnsupportedMediaType) }
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    json && utf8
}

/// Whether a string in this JSON means U+0000, which PostgreSQL's text cannot hold. A backslash only occurs inside
/// strings, so following the escapes is enough.
fn escapes_nul(text: &str) -> bool {
    let mut bytes = text.as_bytes();
    while let Some(at) = bytes.iter().position(|byte| *byte == b'\\') {
        let escape = &bytes[at + 1..];
        if escape.starts_with(b"u0000") {
            return true;
        }
        // The escaped character may be a backslash itself: step over it.
        bytes = escape.get(1..).unwrap_or_default();
    }
    false
}

fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::bad_request(format!("The body is not valid JSON (line {}, column {})", error.line(), error.column()))
}

fn explain(error: &serde_path_to_error::Error<serde_json::Error>, text: &str) -> ApiError {
    let inner = error.inner();
    // A number where a name should be is a syntax error to `serde_json`; a look at the whole text tells.
    if !inner.is_data() && serde_json::from_str::<IgnoredAny>(text).is_err() {
        return malformed(inner);
    }
    let said = inner.to_string();
    let path = error.path().to_string();
    // A missing or unknown field is reported at its parent: the message names it.
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|prefix| said.strip_prefix(prefix)?.split('`').next());
    let field = match (named, path.as_str()) {
        (Some(name), "." | "?") => name.to_owned(),
        (Some(name), parent) if parent.rsplit('.').next() != Some(name) => format!("{parent}.{name}"),
        (_, ".") => String::new(),
        (_, path) => path.to_owned(),
    };
    ApiError::fields(vec![FieldError { field, message: complaint::of(&said) }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Form {
        #[expect(dead_code, reason = "only its type matters")]
        first_name: String,
        #[expect(dead_code, reason = "only its type matters")]
        #[serde(default)]
        ids: Vec<u32>,
        #[expect(dead_code, reason = "only its type matters")]
        #[serde(default)]
        inner: Option<Inner>,
        #[expect(dead_code, reason = "only its type matters")]
        #[serde(default)]
        portal: Option<shared::model::Portal>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its type matters")]
        a: bool,
    }

    fn headers(content_type: &'static str) -> HeaderMap {
        [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect()
    }

    fn said(body: &[u8]) -> String {
        match read::<Form>(&headers("application/json"), body) {
            Ok(_) => "fine".into(),
            Err(error) => match error.field_errors() {
                [FieldError { field, message }] => format!("{field}: {message}"),
                _ => error.message().into_owned(),
            },
        }
    }

    #[test]
    fn wrong_types_and_names_are_reported_by_field() {
        assert_eq!(said(br#"{"firstName":"a","ids":[1]}"#), "fine");
        assert_eq!(said(br#"{"firstName":5}"#), "firstName: must be a string");
        assert_eq!(said(br#"{"firstName":"a","ids":[1,-2]}"#), "ids[1]: must be a whole number and not negative");
        assert_eq!(said(br#"{"firstName":"a","portal":5}"#), "portal: is not valid");
        assert_eq!(said(br#"{"ids":[]}"#), "firstName: is missing");
        assert_eq!(said(br#"{"firstName":"a","role":"admin"}"#), "role: is not a field of this request");
        assert_eq!(said(br#"{"firstName":"a","inner":{"a":true,"b":1}}"#), "inner.b: is not a field of this request");
        assert_eq!(said(br#"{"firstName":"a","firstName":"b"}"#), "firstName: is given twice");
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        assert_eq!(said(b"{\"firstName\":"), "The body is not valid JSON (line 1, column 13)");
        assert_eq!(said(b"{\"firstName\":\"a\"} trailing"), "The body is not valid JSON (line 1, column 19)");
        assert_eq!(said(b"{\"firstName\":\"\xff\"}"), "The body is not valid UTF-8");
        assert_eq!(said(b" "), "The body is empty; send a JSON object");
        assert_eq!(said(b"no"), "The body is not valid JSON (line 1, column 2)");
        for other in ["[]", "[\"a\"]", "\"a\"", "5", "null"] {
            assert_eq!(said(other.as_bytes()), "Send a JSON object", "{other}");
        }
        assert!(said("[".repeat(100_000).as_bytes()).starts_with("The body is not valid JSON"));
    }

    #[test]
    fn a_nul_is_refused_however_it_is_written_and_its_spelling_is_not() {
        assert_eq!(said(br#"{"firstName":"a\u0000"}"#), "The body contains the character U+0000");
        assert_eq!(said(br#"{"firstName":"a\\u0000"}"#), "fine");
        assert_eq!(said(br#"{"firstName":"a\\\u0000"}"#), "The body contains the character U+0000");
    }

    #[test]
    fn only_json_in_utf8_is_read() {
        for fine in ["application/json", "Application/JSON; charset=UTF-8", "application/merge-patch+json"] {
            assert!(check_type(&headers(fine)).is_ok(), "{fine}");
        }
        for wrong in ["text/plain", "application/json; charset=latin1", "application/x-www-form-urlencoded", ""] {
            assert!(check_type(&headers(wrong)).is_err(), "{wrong}");
        }
        assert!(check_type(&HeaderMap::new()).is_err());
    }
}
