//! Conditional requests: strong tags, `If-None-Match` (spare me what I have) and `If-Match` (change only what I saw).
//!
//! A tag names the `data` of an answer. `meta` (a timestamp and the request's id) differs each time and is not part of
//! the representation.

use super::ApiError;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

/// A strong entity tag, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// From the bytes themselves: 128 bits of SHA-256, so that no two contents share one.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..16])))
    }

    /// From a row's version, for things that are changed with `If-Match`.
    pub fn version(version: i64) -> Self {
        Self(format!("\"v{version}\""))
    }

    /// From the bytes and the version of the row they show: the tag changes with everything that is shown, and
    /// [`if_match`] reads only the version from it. So a like never refuses the author's next save.
    pub fn versioned(version: i64, bytes: &[u8]) -> Self {
        let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..16]);
        Self(format!("\"v{version}.{digest}\""))
    }

    /// Whether the client has this already (`If-None-Match`, compared weakly as RFC 9110 says).
    pub(super) fn spares(&self, headers: &HeaderMap) -> bool {
        tags(headers, &header::IF_NONE_MATCH).any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.0)
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let value = HeaderValue::try_from(&self.0).expect("base64url and digits are legal in a header");
        headers.insert(header::ETAG, value);
        // "Ask again each time": the tag makes asking cheap, and a shared cache must not keep it.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    }
}

/// What a change expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `If-Match: *`: whatever is there.
    Any,
    /// This version of the row; the update's `where version = $n` decides.
    Version(i64),
}

/// Reads `If-Match`: 428 if it is missing, 412 if it names nothing that [`ETag::version`] or
/// [`ETag::versioned`] ever made.
pub fn if_match(headers: &HeaderMap) -> Result<Expected, ApiError> {
    let mut seen = tags(headers, &header::IF_MATCH).peekable();
    if seen.peek().is_none() {
        return Err(ApiError::PreconditionRequired);
    }
    // Several tags mean "one of these"; the highest is the only one that can still be current.
    let versions = seen.map(|tag| if tag == "*" { Some(Expected::Any) } else { parse(tag).map(Expected::Version) });
    versions
        .flatten()
        .max_by_key(|expected| match expected {
            Expected::Any => i64::MAX,
            Expected::Version(version) => *version,
        })
        .ok_or(ApiError::PreconditionFailed)
}

fn parse(tag: &str) -> Option<i64> {
    let tag = tag.strip_prefix("\"v")?.strip_suffix('"')?;
    tag.split_once('.').map_or(tag, |(version, _)| version).parse().ok()
}

fn tags<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',').map(str::trim)).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: header::HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn tags_are_compared_as_lists_and_weakly() {
        let tag = ETag::version(7);
        for has in ["\"v7\"", "W/\"v7\"", "\"v6\", \"v7\"", "*"] {
            assert!(tag.spares(&given(header::IF_NONE_MATCH, has)), "{has}");
        }
        assert!(!tag.spares(&given(header::IF_NONE_MATCH, "\"v8\"")) && !tag.spares(&HeaderMap::new()));
    }

    #[test]
    fn a_change_must_say_which_version_it_saw() {
        let expects = |value| if_match(&given(header::IF_MATCH, value));
        assert_eq!(expects("\"v3\"").unwrap(), Expected::Version(3));
        assert_eq!(expects("\"v3\", \"v4\"").unwrap(), Expected::Version(4));
        assert_eq!(expects("*").unwrap(), Expected::Any);
        // Weak tags never match strongly.
        assert!(matches!(expects("W/\"v3\""), Err(ApiError::PreconditionFailed)));
        assert!(matches!(if_match(&HeaderMap::new()), Err(ApiError::PreconditionRequired)));
    }

    #[test]
    fn different_bytes_have_different_tags() {
        assert_ne!(ETag::of(b"a"), ETag::of(b"b"));
        assert_eq!(ETag::of(b"a"), ETag::of(b"a"));
    }
}
