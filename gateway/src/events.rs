//! `GET /events`: the protocol as Server-Sent Events, for clients behind proxies that break WebSockets.
//!
//! The same connection as a socket's runs over a pipe into the response's body, so whatever holds for sockets holds
//! here: limits, revocation, drain, slow readers, presence. What differs is how it begins, since an event stream's
//! client cannot say anything later:
//!
//! * it is the session cookie's owner (if the page is ours: an allowed `Origin`, or the browser's word that it is the
//!   same), or the `Authorization: Bearer` token's; nobody, where strangers may stay; else it is refused;
//! * `rooms` and `watch` (lists, comma-separated) and `device` stand in the query;
//! * `Last-Event-ID` (or `lastEventId` in the query, for clients that cannot set a header) says what it has. What it has
//!   of its inbox is acknowledged.
//!
//! A refusal is an HTTP status: an `EventSource` then gives up, where a stream that ends makes it come back.

use crate::{
    connection::{
        Stream,
        event_id::{EventId, MOST_ROOMS},
        event_stream::{Carrier, EventStream, event_stream},
        opening::Asked,
        rendering::Rendering,
    },
    drain::random_below,
    handshake::{self, Greeting, Refused},
    node::Node,
    upgrade::Admitted,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version, header};
use percent_encoding::percent_decode_str;
use shared::model::Identity;
use std::{net::IpAddr, str::FromStr, sync::Arc};

/// Where it is.
pub const PATH: &str = "/events";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// nginx and those who learned from it hold an answer back until it is whole, or a buffer is full, unless told not to.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// When the clients of a node that vanished without a word come back, in milliseconds: at least, and up to as much
/// again as the second.
const BACK_AFTER_MS: u64 = 1_000;
const BACK_SPREAD_MS: u64 = 4_000;

/// Lets a client in and begins its stream.
pub(crate) async fn admit<B>(
    node: &Arc<Node>,
    request: &Request<B>,
    address: IpAddr,
    carrier: Carrier,
) -> Result<Response<EventStream>, Refused> {
    if request.method() != Method::GET {
        return Err(Refused::NotGet);
    }
    let mut asked = read(node, request)?;
    let device = handshake::device(request.uri().query().unwrap_or_default())?;
    if handshake::comes_from_elsewhere(node, request.headers()) {
        return Err(Refused::ForbiddenOrigin);
    }
    let admitted = Admitted::take(node, address)?;
    let identity = identify(node, request.headers()).await?;
    if identity.is_none() && !node.config.allow_anonymous {
        return Err(Refused::Unauthenticated);
    }
    asked.after.keep(asked.rooms.iter());
    let user = identity.as_ref().map(|who| who.user_id);
    let rendering = Rendering::new(asked.after.clone(), user, BACK_AFTER_MS + random_below(BACK_SPREAD_MS));
    let (pipe, body) = event_stream(rendering, carrier);
    let greeting = Greeting { identity, device, events: Some(Box::new(asked)), ..Greeting::default() };
    let entrance = admitted.open(address, greeting);
    entrance.enter(Stream::Events(Box::new(pipe)), Bytes::new(), Bytes::new());
    Ok(response(request.version(), body))
}

fn response(version: Version, body: EventStream) -> Response<EventStream> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if version < Version::HTTP_2 {
        // The connection gave its place among the HTTP connections back.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What the request asks for.
fn read<B>(node: &Node, request: &Request<B>) -> Result<Asked, Refused> {
    let query = request.uri().query().unwrap_or_default();
    let limits = &node.config.limits;
    let rooms = list(query, "rooms", limits.rooms.min(MOST_ROOMS)).ok_or(Refused::BadRooms)?;
    let watch = list(query, "watch", limits.watches).ok_or(Refused::BadWatch)?;
    let after = last_event_id(request.headers(), query)?;
    Ok(Asked { rooms: rooms.into_iter().collect(), watch, after })
}

/// The items of a parameter, which may be given several times; `None` if one of them is wrong or they are too many.
fn list<T: FromStr>(query: &str, name: &str, most: usize) -> Option<Vec<T>> {
    let mut items = Vec::new();
    for value in values(query, name) {
        let value = percent_decode_str(value).decode_utf8().ok()?;
        for item in value.split(',').filter(|item| !item.is_empty()) {
            items.push(item.parse().ok()?);
        }
        if items.len() > most {
            return None;
        }
    }
    Some(items)
}

fn values<'a>(query: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    query.split('&').filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The header wins: a browser that reconnects keeps the address it first asked for.
fn last_event_id(headers: &HeaderMap, query: &str) -> Result<EventId, Refused> {
    let text = match headers.get(LAST_EVENT_ID) {
        Some(value) => value.to_str().map_err(|_| Refused::BadEventId)?,
        None => values(query, "lastEventId").next().unwrap_or_default(),
    };
    if text.is_empty() { Ok(EventId::default()) } else { text.parse().map_err(|_| Refused::BadEventId) }
}

/// Who the client is. A token in a header was put there on purpose and must be good; a cookie travels by itself, and
/// counts only if the page is known to be ours.
async fn identify(node: &Node, headers: &HeaderMap) -> Result<Option<Arc<Identity>>, Refused> {
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let token = authorization.to_str().ok().and_then(bearer).ok_or(Refused::Unauthenticated)?;
        return handshake::identify(node, token.trim()).await?.ok_or(Refused::Unauthenticated).map(Some);
    }
    let same_page = headers.get(FETCH_SITE).is_some_and(|site| site == "same-origin");
    match handshake::session_cookie(node, headers) {
        // Any origin that is here was found on the allow-list.
        Some(token) if same_page || headers.contains_key(header::ORIGIN) => handshake::identify(node, &token).await,
        _ => Ok(None),
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::protocol::RoomName;

    #[test]
    fn lists_are_read_escaped_or_not_and_given_several_times() {
        let rooms = |query| list::<RoomName>(query, "rooms", 3).map(|rooms| format!("{rooms:?}"));
        assert_eq!(rooms("x=1&rooms=public%3Aa%2Cpublic:b").as_deref(), Some("[public:a, public:b]"));
        assert_eq!(rooms("rooms=public:a&rooms=public:b,").as_deref(), Some("[public:a, public:b]"));
        assert_eq!(rooms("").as_deref(), Some("[]"));
        for bad in ["rooms=lobby", "rooms=%ff", "rooms=public:a,public:b,public:c,public:d"] {
            assert_eq!(rooms(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_header_wins_over_the_query_and_an_empty_id_is_none() {
        let with = |value: &'static str| HeaderMap::from_iter([(LAST_EVENT_ID, HeaderValue::from_static(value))]);
        let query = "lastEventId=5.00000001";
        assert_eq!(last_event_id(&with("7.00000001"), query).unwrap().to_string(), "7.00000001");
        assert_eq!(last_event_id(&HeaderMap::new(), query).unwrap().to_string(), "5.00000001");
        assert_eq!(last_event_id(&with(""), query), Ok(EventId::default()));
        assert_eq!(last_event_id(&with("x"), query), Err(Refused::BadEventId));
    }
}
