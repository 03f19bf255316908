//! Before a socket is one: method, headers, subprotocol, origin, cookie, device, limits.
//!
//! What is wrong with the *request* is answered in HTTP. What is wrong with the *client* (a foreign origin, a protocol
//! version we do not speak) is answered on the socket with `bye` and a close code, because a browser's script can read
//! a close code but not the status of a failed upgrade, and would try again for ever.

use crate::{connection::opening::Asked, node::Node};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use shared::{
    model::Identity,
    protocol::{
        CloseReason, SUBPROTOCOL,
        command::{DEVICE_RULE, is_device},
    },
};
use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Whatever else leads here speaks the protocol; this path sends back what it gets.
const ECHO_PATH: &str = "/ws/echo";

/// What the upgrade found out about the client.
#[derive(Default)]
pub(crate) struct Greeting {
    /// Who the cookie says the client is.
    pub(crate) identity: Option<Arc<Identity>>,
    /// The cookie instead, not looked up yet: the client's first frame will be an `auth` with its positions, and `ready`
    /// waits for that.
    pub(crate) cookie: Option<String>,
    /// The socket only sends back what it gets.
    pub(crate) echo: bool,
    /// The device named in the URL.
    pub(crate) device: Option<String>,
    /// Close with this as soon as the socket is open.
    pub(crate) refused: Option<CloseReason>,
    /// The client listens to an event stream, and this is what it asked for.
    pub(crate) events: Option<Box<Asked>>,
}

/// Why an upgrade is refused in HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not an upgrade request.
    NotWebSocket(&'static str),
    /// Another version of RFC 6455.
    Version,
    /// The echo route is off.
    NoEcho,
    /// Something in the URL.
    BadDevice,
    /// Of an event stream: not a list of rooms, or too long a one.
    BadRooms,
    /// Of an event stream: not a list of users, or too long a one.
    BadWatch,
    /// Of an event stream: not one of our ids.
    BadEventId,
    /// Of an event stream: nobody we know, and strangers are not let in.
    Unauthenticated,
    /// Of an event stream: the page is not on the allow-list.
    ForbiddenOrigin,
    /// The session that came with the request cannot be checked right now.
    Unavailable,
    /// Neither GET nor a preflight.
    NotGet,
    /// The node ends.
    Draining,
    /// The node is full, or upgrades come too fast.
    Overloaded,
    /// The process is near its memory ceiling.
    ShortOfMemory,
    /// The address has too many sockets.
    TooManyFromAddress,
}

impl Refused {
    /// The label under which it is counted.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::NotWebSocket(_) => "not_websocket",
            Self::Version => "version",
            Self::NoEcho => "path",
            Self::BadDevice => "device",
            Self::BadRooms => "rooms",
            Self::BadWatch => "watch",
            Self::BadEventId => "event_id",
            Self::Unauthenticated => "unauthenticated",
            Self::ForbiddenOrigin => "origin",
            Self::Unavailable => "unavailable",
            Self::NotGet => "method",
            Self::Draining => "draining",
            Self::Overloaded => "overload",
            Self::ShortOfMemory => "memory",
            Self::TooManyFromAddress => "limit",
        }
    }

    /// Counts and logs it: the one place for both. A flood of refusals must not fill the log of a node in trouble.
    pub(crate) fn note(self, node: &Node, address: IpAddr) -> Self {
        node.metrics.refused(self.label());
        tracing::debug!(reason = self.label(), %address, "refused");
        self
    }

    /// The answer.
    pub(crate) fn response(self) -> Response<&'static str> {
        let (status, text) = match self {
            Self::NotWebSocket(what) => (StatusCode::UPGRADE_REQUIRED, what),
            Self::Version => (StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version must be 13"),
            Self::NoEcho => (StatusCode::NOT_FOUND, "not found"),
            Self::BadDevice => (StatusCode::BAD_REQUEST, DEVICE_RULE),
            Self::BadRooms => (StatusCode::BAD_REQUEST, "rooms is a list of room names, and not too long a one"),
            Self::BadWatch => (StatusCode::BAD_REQUEST, "watch is a list of user ids, and not too long a one"),
            Self::BadEventId => (StatusCode::BAD_REQUEST, "Last-Event-ID is not an id of this server"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "log in first"),
            Self::ForbiddenOrigin => (StatusCode::FORBIDDEN, CloseReason::ForbiddenOrigin.text()),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "your session cannot be checked right now"),
            Self::NotGet => (StatusCode::METHOD_NOT_ALLOWED, "GET only"),
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, "this node is draining"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "this node is full"),
            Self::ShortOfMemory => (StatusCode::SERVICE_UNAVAILABLE, "this node is short of memory"),
            Self::TooManyFromAddress => (StatusCode::TOO_MANY_REQUESTS, "too many sockets from this address"),
        };
        let mut response = Response::new(text);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        match status {
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, OPTIONS"));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response
    }
}

/// Whether there is something at this path: the echo is switched on for tests only.
pub(crate) fn find<B>(node: &Node, request: &Request<B>) -> Result<(), Refused> {
    if node.config.echo || request.uri().path() != ECHO_PATH { Ok(()) } else { Err(Refused::NoEcho) }
}

/// Checks the request's form (RFC 6455 §4.2.1) and returns the answer that accepts it.
pub(crate) fn accept<B>(request: &Request<B>) -> Result<Response<&'static str>, Refused> {
    let headers = request.headers();
    if request.method() != Method::GET || request.version() < Version::HTTP_11 {
        return Err(Refused::NotWebSocket("a WebSocket starts with GET and HTTP/1.1"));
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") || !has_token(headers, &header::UPGRADE, "websocket") {
        return Err(Refused::NotWebSocket("this address speaks WebSocket: ask for an upgrade"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refused::Version);
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16))
        .ok_or(Refused::NotWebSocket("Sec-WebSocket-Key must be 16 bytes in base64"))?;

    let mut response = Response::new("");
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 fits a header");
    let answer = response.headers_mut();
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if has_token(headers, &header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        // Only ever our own name: another entry may be a bearer token somebody smuggled in.
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(response)
}

/// Finds out who the client is. The store is asked only when the session cache does not know; if neither answers the
/// client is told to come back, since a socket that knows nobody would be of no use to it.
pub(crate) async fn greet<B>(node: &Node, request: &Request<B>) -> Result<Greeting, Refused> {
    if request.uri().path() == ECHO_PATH {
        // Nobody acts for anybody there: no cookie is looked at, and no origin matters.
        return Ok(Greeting { echo: true, ..Greeting::default() });
    }
    let headers = request.headers();
    let query = request.uri().query().unwrap_or_default();
    let device = device(query)?;
    let refused = if speaks_another_version(headers) {
        Some(CloseReason::ProtocolVersion)
    } else if comes_from_elsewhere(node, headers) {
        Some(CloseReason::ForbiddenOrigin)
    } else {
        None
    };
    // Cookies travel by themselves: without an Origin nobody answers for the page that opened the socket.
    let trusted = refused.is_none() && headers.contains_key(header::ORIGIN);
    let cookie = session_cookie(node, headers).filter(|_| trusted);
    let mut greeting = Greeting { device, refused, ..Greeting::default() };
    match cookie {
        Some(token) if query.split('&').any(|pair| pair == "resume=1") => greeting.cookie = Some(token),
        Some(token) => greeting.identity = identify(node, &token).await?,
        None => {}
    }
    Ok(greeting)
}

/// Who presents this session token. If that cannot be said right now the client is told to come back.
pub(crate) async fn identify(node: &Node, token: &str) -> Result<Option<Arc<Identity>>, Refused> {
    node.ops.authenticate(token).await.map_err(|problem| {
        tracing::warn!(%problem, "failed to check the session that came with a request");
        Refused::Unavailable
    })
}

/// Whether the node takes one more socket; on success the address is counted and must be released.
pub(crate) fn admit(node: &Node, address: IpAddr) -> Result<IpAddr, Refused> {
    if node.draining.load(Ordering::Acquire) || node.lifecycle.stopping() {
        return Err(Refused::Draining);
    }
    if node.shedding.sheds_upgrades() {
        return Err(Refused::ShortOfMemory);
    }
    if node.registry.len() >= node.config.limits.connections || !node.admit_handshake() {
        return Err(Refused::Overloaded);
    }
    node.registry.admit_address(address, node.config.limits.connections_per_ip).ok_or(Refused::TooManyFromAddress)
}

/// Whether a page that is not on the allow-list sent this.
pub(crate) fn comes_from_elsewhere(node: &Node, headers: &HeaderMap) -> bool {
    let allowed = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| node.http.allows_origin(origin));
    headers.get_all(header::ORIGIN).iter().any(|origin| !allowed(origin))
}

/// The session cookie's token.
pub(crate) fn session_cookie(node: &Node, headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(cookie::Cookie::split_parse)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == node.cookie)
        .map(|cookie| cookie.value().to_owned())
}

/// The device named in the query.
pub(crate) fn device(query: &str) -> Result<Option<String>, Refused> {
    let Some(name) = query.split('&').find_map(|pair| pair.strip_prefix("device=")) else { return Ok(None) };
    // A device's characters need no percent-encoding, so nothing is decoded.
    if is_device(name) { Ok(Some(name.to_owned())) } else { Err(Refused::BadDevice) }
}

/// A client that lists versions of our protocol, but not this one. One that lists none, or only foreign names, gets
/// this version without an echo.
fn speaks_another_version(headers: &HeaderMap) -> bool {
    let ours = |name: &HeaderName, prefix: &str| tokens(headers, name).any(|token| token.starts_with(prefix));
    ours(&header::SEC_WEBSOCKET_PROTOCOL, "pitchey.")
        && !has_token(headers, &header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Request<()> {
        let builder = Request::get("/ws")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "WebSocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        change(builder).body(()).unwrap()
    }

    #[test]
    fn the_rfcs_own_example_is_accepted_with_the_rfcs_own_answer() {
        let response = accept(&request(|r| r)).unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
    }

    #[test]
    fn only_our_protocol_is_ever_echoed() {
        let asked = request(|r| r.header("sec-websocket-protocol", "bearer.abc, pitchey.v1"));
        assert_eq!(accept(&asked).unwrap().headers()["sec-websocket-protocol"], "pitchey.v1");
        assert!(!speaks_another_version(asked.headers()));
        assert!(speaks_another_version(request(|r| r.header("sec-websocket-protocol", "pitchey.v2")).headers()));
        assert!(!speaks_another_version(request(|r| r.header("sec-websocket-protocol", "graphql-ws")).headers()));
    }

    #[test]
    fn a_request_that_is_no_upgrade_is_told_what_is_missing() {
        let plain = Request::get("/ws").body(()).unwrap();
        assert_eq!(accept(&plain).unwrap_err().response().status(), 426);
        let mut short_key = request(|r| r);
        short_key.headers_mut().insert("sec-websocket-key", HeaderValue::from_static("c2hvcnQ="));
        assert!(matches!(accept(&short_key), Err(Refused::NotWebSocket(_))));
        let mut old = request(|r| r);
        old.headers_mut().insert("sec-websocket-version", HeaderValue::from_static("8"));
        assert_eq!(accept(&old).unwrap_err(), Refused::Version);
    }

    #[test]
    fn a_device_comes_from_the_query_or_is_refused() {
        assert_eq!(device("x=1&device=d_1.a-b").unwrap().as_deref(), Some("d_1.a-b"));
        assert_eq!(device("").unwrap(), None);
        assert_eq!(device("device="), Err(Refused::BadDevice));
        assert_eq!(device("device=a%20b"), Err(Refused::BadDevice));
    }
}
