//! `Idempotency-Key`: how a client says "this is the same request again".
//!
//! Here the header is only read. What a key guards decides where it is remembered: a message keeps it for ever as its
//! id (shared with the WebSocket's `message.id`), payments and the like keep key, fingerprint and answer for a day.

use super::ApiError;
use http::HeaderMap;
use uuid::Uuid;

const NAME: &str = "idempotency-key";

/// The key, if there is one: a UUID, plain or as the draft's quoted string. Anything else is 400.
pub fn key(headers: &HeaderMap) -> Result<Option<Uuid>, ApiError> {
    let Some(value) = headers.get(NAME) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
    Uuid::try_parse(text).map(Some).map_err(|_| ApiError::field("Idempotency-Key", "must be a UUID"))
}

/// The same where a key is demanded.
pub fn required_key(headers: &HeaderMap) -> Result<Uuid, ApiError> {
    key(headers)?.ok_or_else(|| ApiError::field("Idempotency-Key", "is required"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn keys_are_uuids_with_or_without_quotes() {
        let read = |text: &'static str| {
            key(&[(HeaderName::from_static(NAME), HeaderValue::from_static(text))].into_iter().collect())
        };
        let id = "0190b4c2-0000-7000-8000-000000000001";
        assert_eq!(read(id).unwrap().unwrap().to_string(), id);
        assert_eq!(read("\"0190b4c2-0000-7000-8000-000000000001\"").unwrap().unwrap().to_string(), id);
        assert!(read("once").is_err() && key(&HeaderMap::new()).unwrap().is_none());
        assert!(required_key(&HeaderMap::new()).is_err());
    }
}
