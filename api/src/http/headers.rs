//! The headers every answer carries, errors and health included.

use http::{HeaderMap, HeaderValue, header};

/// JSON needs nothing: if a browser is ever made to show it as a page, the page can do nothing.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// The page's own files need each other, and the socket.
pub(crate) const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                               connect-src 'self' ws: wss:; frame-ancestors 'none'";
/// Two years, as the preload list asks.
const HSTS: &str = "max-age=63072000; includeSubDomains";

/// Adds them; what an answer set itself stays. `production` adds HSTS: on a developer's `localhost` it would break
/// every other project on that name.
pub(super) fn secure(headers: &mut HeaderMap, production: bool) {
    let mut put = |name, value| _ = headers.entry(name).or_insert(HeaderValue::from_static(value));
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::CONTENT_SECURITY_POLICY, API_POLICY);
    put(header::REFERRER_POLICY, "no-referrer");
    put(header::X_FRAME_OPTIONS, "DENY");
    put(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(
        header::HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    if production {
        put(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
