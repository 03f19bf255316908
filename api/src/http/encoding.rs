//! Which encoding the compression layer is told about: gzip or nothing.
//!
//! tower-http answers 406 to a client that rules out every encoding, and does so after the handler has run: a change
//! would be committed and reported as refused. RFC 9110 lets a server send the plain form instead, so that is what such
//! a client gets.

use super::{Body, empty};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;

/// Replaces `Accept-Encoding` by what we make of it.
pub(crate) fn settle(headers: &mut HeaderMap) {
    if takes_gzip(headers) {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    } else {
        headers.remove(header::ACCEPT_ENCODING);
    }
}

/// The answer to HEAD: what GET would be answered, once compression has had its say on it, without the body.
pub(crate) fn head(mut answer: Response<Body>) -> Response<Body> {
    let bodiless = matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(length) = answer.body().size_hint().exact().filter(|_| !bodiless) {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *answer.body_mut() = empty();
    answer
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32)));
        coding.eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_name_it_and_nobody_is_refused() {
        let settled = |text: &'static str| {
            let mut headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]);
            settle(&mut headers);
            headers.get(header::ACCEPT_ENCODING).cloned()
        };
        for takes in ["gzip", "br, gzip;q=0.5", "deflate, GZIP"] {
            assert_eq!(settled(takes).unwrap(), "gzip", "{takes}");
        }
        for plain in ["br", "*;q=0", "gzip;q=0, identity;q=0", "identity;q=0"] {
            assert_eq!(settled(plain), None, "{plain}");
        }
    }
}
