//! What a handler gives back. A [`Reply`] is data and headers; the pipeline wraps it into the envelope
//! `{success, data, meta}` and answers conditional requests, so that no handler can forget either.

use super::{ApiError, Body, RequestId, empty, etag::ETag, full};
use cookie::Cookie;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::{Serialize, ser::SerializeMap as _};
use serde_json::value::RawValue;
use shared::clock::Timestamp;
use std::time::Duration;

/// What every handler returns.
pub type Outcome = Result<Reply, ApiError>;

/// A successful answer on its way out.
#[derive(Debug)]
#[must_use]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
    meta: Vec<(&'static str, Box<RawValue>)>,
    next: Option<String>,
    etag: Option<ETag>,
}

#[derive(Debug)]
enum Content {
    /// Wrapped into the envelope; `extra` stands beside `data` for clients of the old platform.
    Enveloped { data: Box<RawValue>, extra: Vec<(&'static str, Box<RawValue>)> },
    /// Sent as it is.
    Raw(Response<Body>),
    /// No body.
    Nothing,
}

fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("answers are structs, lists and maps with text keys")
}

impl Reply {
    fn new(status: StatusCode, content: Content) -> Self {
        Self { status, headers: HeaderMap::new(), content, meta: Vec::new(), next: None, etag: None }
    }

    /// 200 with data.
    pub fn ok<T: Serialize + ?Sized>(data: &T) -> Self {
        Self::with_status(StatusCode::OK, data)
    }

    /// 201 with the new thing and where it is.
    pub fn created<T: Serialize + ?Sized>(location: &str, data: &T) -> Self {
        Self::with_status(StatusCode::CREATED, data).header(header::LOCATION, location)
    }

    /// Any status with data; `success` follows the status.
    pub fn with_status<T: Serialize + ?Sized>(status: StatusCode, data: &T) -> Self {
        Self::new(status, Content::Enveloped { data: raw(data), extra: Vec::new() })
    }

    /// 204.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, Content::Nothing)
    }

    /// 200 with one page of a list: `data` is `{<name>: items, "nextCursor": …}`, and `Link: rel="next"` is set.
    pub fn list<T: Serialize>(name: &'static str, items: &[T], next: Option<String>) -> Self {
        struct Page<'a, T>(&'static str, &'a [T], &'a Option<String>);
        impl<T: Serialize> Serialize for Page<'_, T> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry(self.0, self.1)?;
                map.serialize_entry("nextCursor", self.2)?;
                map.end()
            }
        }
        Self::ok(&Page(name, items, &next)).next_page(next)
    }

    /// Sets `Link: rel="next"`, for a page whose data is more than a list.
    pub fn next_page(mut self, next: Option<String>) -> Self {
        self.next = next;
        self
    }

    /// An answer outside the envelope: health reports, files, upgrades.
    pub fn raw(response: Response<Body>) -> Self {
        Self::new(response.status(), Content::Raw(response))
    }

    /// A field beside `data`, where the documents' clients expect one (`/api/genres`).
    pub fn beside<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        if let Content::Enveloped { extra, .. } = &mut self.content {
            extra.push((name, raw(value)));
        }
        self
    }

    /// A field of `meta` beside `timestamp` and `requestId` (`pagination`, for one).
    pub fn meta<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        self.meta.push((name, raw(value)));
        self
    }

    /// Sets a header. The value comes from us: an illegal one is a bug, and is left out in release.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::try_from(value) {
            Ok(value) => _ = self.headers.insert(name, value),
            Err(error) => debug_assert!(false, "{name}: {error}"),
        }
        self
    }

    /// Adds a cookie.
    pub fn cookie(mut self, cookie: &Cookie<'_>) -> Self {
        let value = HeaderValue::try_from(cookie.to_string()).expect("cookies are built from ASCII parts");
        self.headers.append(header::SET_COOKIE, value);
        self
    }

    /// The tag of this representation; with it, `If-None-Match` is answered 304, and a client may keep the answer
    /// privately as long as it asks again each time.
    pub fn etag(mut self, etag: ETag) -> Self {
        self.etag = Some(etag);
        self
    }

    /// A tag made from the data itself.
    pub fn etag_from_data(self) -> Self {
        let Content::Enveloped { data, .. } = &self.content else { return self };
        let etag = ETag::of(data.get().as_bytes());
        self.etag(etag)
    }

    /// A tag made from the data and from the version of the row it shows, so that it can come back in `If-Match`.
    pub fn etag_from_version(self, version: i64) -> Self {
        let Content::Enveloped { data, .. } = &self.content else { return self };
        let etag = ETag::versioned(version, data.get().as_bytes());
        self.etag(etag)
    }

    /// Onto the wire.
    pub(super) fn render(self, asked: &Asked<'_>, id: &RequestId, now: Timestamp) -> Response<Body> {
        let Self { status, headers, content, meta, next, etag } = self;
        if let Some(tag) = etag.as_ref().filter(|tag| tag.spares(asked.headers)) {
            return not_modified(tag, content, headers);
        }
        let mut answer = match content {
            Content::Raw(mut response) => {
                response.headers_mut().extend(headers);
                if let Some(etag) = etag {
                    etag.write(response.headers_mut());
                }
                return response;
            }
            Content::Nothing => Response::new(empty()),
            Content::Enveloped { data, extra } => {
                let envelope =
                    Envelope { success: status.is_success(), data: &data, extra: &extra, meta: &meta, id, now };
                let body = serde_json::to_vec(&envelope).expect("an envelope of raw JSON serialises");
                let mut response = Response::new(full(body));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
        };
        *answer.status_mut() = status;
        answer.headers_mut().extend(headers);
        if let Some(next) = next {
            let link = HeaderValue::try_from(asked.link(&next)).expect("an address and base64url are ASCII");
            answer.headers_mut().insert(header::LINK, link);
        }
        if let Some(etag) = etag {
            etag.write(answer.headers_mut());
        }
        answer
    }
}

/// The request, as far as rendering its answer needs it.
pub(super) struct Asked<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) uri: &'a http::Uri,
}

impl Asked<'_> {
    /// The same address with another cursor.
    fn link(&self, cursor: &str) -> String {
        let kept = self.uri.query().unwrap_or_default().split('&').filter(|pair| {
            !pair.is_empty() && !pair.starts_with("cursor=") // the rest of the query stays as it came
        });
        let query: Vec<&str> = kept.collect();
        let separator = if query.is_empty() { "" } else { "&" };
        format!("<{}?{}{separator}cursor={cursor}>; rel=\"next\"", self.uri.path(), query.join("&"))
    }
}

struct Envelope<'a> {
    success: bool,
    data: &'a RawValue,
    extra: &'a [(&'static str, Box<RawValue>)],
    meta: &'a [(&'static str, Box<RawValue>)],
    id: &'a RequestId,
    now: Timestamp,
}

impl Serialize for Envelope<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Meta<'a>(&'a Envelope<'a>);
        impl Serialize for Meta<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("timestamp", &self.0.now)?;
                map.serialize_entry("requestId", self.0.id.as_str())?;
                self.0.meta.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("success", &self.success)?;
        map.serialize_entry("data", self.data)?;
        self.extra.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.serialize_entry("meta", &Meta(self))?;
        map.end()
    }
}

/// What a 200 would have said, without what describes its body.
fn not_modified(etag: &ETag, content: Content, headers: HeaderMap) -> Response<Body> {
    let mut answer = Response::new(empty());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    if let Content::Raw(response) = content {
        *answer.headers_mut() = response.into_parts().0.headers;
        answer.headers_mut().remove(header::CONTENT_TYPE);
    }
    answer.headers_mut().extend(headers);
    etag.write(answer.headers_mut());
    answer
}

/// Whole seconds, rounded up.
pub(super) fn ceil_secs(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn shown(reply: Reply, headers: &HeaderMap, uri: &'static str) -> (Response<()>, String) {
        let uri = http::Uri::from_static(uri);
        let id = RequestId::fixed("r-1");
        let answer = reply.render(&Asked { headers, uri: &uri }, &id, Timestamp::from_micros(0));
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, ()), String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn lists_carry_their_next_page_in_body_and_link() {
        let reply = Reply::list("genres", &["Drama"], Some("abc".into())).beside("genres", &["Drama"]);
        let (answer, body) = shown(reply, &HeaderMap::new(), "/api/genres?limit=1&cursor=old").await;
        insta::assert_snapshot!(body, @r#"{"success":true,"data":{"genres":["Drama"],"nextCursor":"abc"},"genres":["Drama"],"meta":{"timestamp":"1970-01-01T00:00:00.000000Z","requestId":"r-1"}}"#);
        assert_eq!(answer.headers()[header::LINK], r#"</api/genres?limit=1&cursor=abc>; rel="next""#);
    }

    #[tokio::test]
    async fn a_client_that_has_the_representation_is_spared_it() {
        let reply = || Reply::ok(&serde_json::json!({"a": 1})).etag_from_data();
        let (first, _) = shown(reply(), &HeaderMap::new(), "/").await;
        let seen = first.headers()[header::ETAG].clone();
        let (again, body) = shown(reply(), &[(header::IF_NONE_MATCH, seen)].into_iter().collect(), "/").await;
        assert_eq!((again.status(), body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        assert_eq!(again.headers()[header::ETAG], first.headers()[header::ETAG]);
    }
}
