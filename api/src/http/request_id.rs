//! The name of one request: in the answer, in its log line, in what a user quotes to support.

use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

/// The header, in and out.
pub(super) const NAME: &str = "x-request-id";

/// Longest id we repeat; a client's own scheme fits.
const LONGEST: usize = 64;

/// An id that is safe to log and to send back. A cheap clone.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The client's, if it is one word of harmless characters; else a fresh one. Whatever else a client sends could
    /// forge log lines or headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(NAME).filter(|value| {
            let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
            !value.is_empty() && value.len() <= LONGEST && value.as_bytes().iter().all(harmless)
        });
        Self(
            given.cloned().unwrap_or_else(|| {
                HeaderValue::try_from(Uuid::now_v7().to_string()).expect("a UUID is legal in a header")
            }),
        )
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("only ASCII was let in")
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    #[cfg(test)]
    pub(super) fn fixed(text: &'static str) -> Self {
        Self(HeaderValue::from_static(text))
    }
}

/// The trace a request belongs to (W3C `traceparent`), for the log: 32 hex digits, or nothing.
pub(super) fn trace(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = value.split('-');
    let (_version, trace) = (parts.next()?, parts.next()?);
    let hex = trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    hex.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[test]
    fn a_clients_id_is_kept_only_if_it_is_harmless() {
        let of = |text: &[u8]| {
            let value = HeaderValue::from_bytes(text).unwrap();
            RequestId::of(&[(HeaderName::from_static(NAME), value)].into_iter().collect()).as_str().to_owned()
        };
        assert_eq!(of(b"web-1.a_B"), "web-1.a_B");
        for odd in [&b"a b"[..], b"<script>", b"", b"\xe9", "x".repeat(65).as_bytes()] {
            assert_eq!(of(odd).len(), 36, "{odd:?} is replaced by a UUID");
        }
    }

    #[test]
    fn a_trace_is_taken_over_only_in_its_own_form() {
        let of = |text: &'static str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("traceparent"), HeaderValue::from_static(text))]);
            trace(&headers).map(str::to_owned)
        };
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(), Some(id));
        assert_eq!(of("00-short-00f067aa0ba902b7-01"), None);
        assert_eq!(of("nonsense"), None);
    }
}
