//! Requests that a browser was tricked into (cross-site request forgery), for every method that changes something.
//!
//! Three fences, each enough for the browsers that honour it: the cookie is `SameSite=Lax`; bodies must be JSON, which
//! another site cannot send without a preflight; and here, `Sec-Fetch-Site` or else `Origin` must say that the request
//! comes from us or from the allow-list. Programs send neither header and are let through: they have no cookie jar
//! that another site could use. Login is fenced too: being signed in to an attacker's account is an attack.

use http::{HeaderMap, Method, header};
use shared::config::HttpConfig;

/// Whether the request may go on.
pub fn allows(method: &Method, headers: &HeaderMap, http: &HttpConfig) -> bool {
    // A token in a header was put there on purpose: browsers never attach one by themselves.
    if method.is_safe() || headers.contains_key(header::AUTHORIZATION) {
        return true;
    }
    let listed = || {
        let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
        origin.map(|origin| http.allows_origin(origin))
    };
    match headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => true,
        // Sibling domains are other sites to us: they must be listed like everybody else.
        Some(_) => listed().unwrap_or(false),
        None => listed().unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn posting(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let http = HttpConfig { allowed_origins: vec!["https://app.example.org".into()], ..HttpConfig::default() };
        allows(&Method::POST, &headers.collect(), &http)
    }

    #[test]
    fn other_sites_are_refused_and_programs_are_not() {
        assert!(posting(&[]), "curl");
        assert!(posting(&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:8001")]));
        assert!(posting(&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example.org")]));
        assert!(posting(&[("origin", "http://localhost:8001")]), "an older browser on our own page");
        assert!(!posting(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]));
        assert!(!posting(&[("sec-fetch-site", "same-site"), ("origin", "https://sibling.example.org")]));
        assert!(!posting(&[("sec-fetch-site", "cross-site")]));
        assert!(!posting(&[("origin", "null")]) && !posting(&[("origin", "https://evil.example")]));
        assert!(posting(&[("origin", "https://evil.example"), ("authorization", "Bearer x")]), "not a browser's doing");
    }
}
