//! Who may ask: nothing that came through a web page, and nobody without the token.
//!
//! Pure: headers in, verdict out. The order matters: what a page could have caused is refused before the token is
//! looked at, so that a page learns nothing from the answer.

use crate::{
    config::origin,
    protocol::admin::{OPERATOR_HEADER, Role},
    secret::{TokenHash, constant_time_eq},
};
use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN},
};
use std::net::IpAddr;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Their name, for the audit log.
    pub(super) operator: String,
    /// What they may do.
    pub(super) role: Role,
    /// Where they ask from.
    pub(super) address: IpAddr,
}

/// Longest name an operator may give themselves.
const NAME_BYTES: usize = 64;

impl Caller {
    /// The owner of the process, who read its token file; their name is what their console says.
    pub(super) fn owner(headers: &HeaderMap, address: IpAddr) -> Self {
        let named = headers.get(OPERATOR_HEADER).and_then(|value| value.to_str().ok()).map(str::trim);
        let plain =
            |name: &&str| !name.is_empty() && name.len() <= NAME_BYTES && name.bytes().all(|b| b.is_ascii_graphic());
        Self { operator: named.filter(plain).unwrap_or("local").to_owned(), role: Role::Admin, address }
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A web page caused it.
    Page,
    /// It names a host that is not this machine: a rebound name, or a proxy that has no business here.
    Host,
    /// No token, or not ours.
    Token,
}

/// Whether the request can have been caused by a web page, or came under a foreign name.
pub(super) fn check_origin(headers: &HeaderMap, uri: &Uri, port: u16) -> Result<(), Refusal> {
    // Browsers add these by themselves, and no page can take them away. `none` is a person typing the address.
    let from_page = |value: &HeaderValue| value.as_bytes() != b"none";
    if headers.contains_key(ORIGIN) || headers.get("sec-fetch-site").is_some_and(from_page) {
        return Err(Refusal::Page);
    }
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Refusal::Host) };
    let ours = |authority: &str| match origin::split_port(&authority.to_ascii_lowercase()) {
        Some((host, named)) => named.unwrap_or(80) == port && origin::is_loopback(host),
        None => false,
    };
    let uri_is_ours = uri.authority().is_none_or(|authority| ours(authority.as_str()));
    if uri_is_ours && host.to_str().is_ok_and(ours) { Ok(()) } else { Err(Refusal::Host) }
}

/// Whether the request bears the token. Hashes are compared, in constant time: neither the token's text nor its length
/// can be guessed from how long the answer takes.
pub(super) fn check_token(headers: &HeaderMap, expected: &TokenHash) -> Result<(), Refusal> {
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match presented {
        Some(token) if constant_time_eq(TokenHash::of(token).as_bytes(), expected.as_bytes()) => Ok(()),
        _ => Err(Refusal::Token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Token;

    fn origin_of(headers: &[(&'static str, &str)], uri: &str) -> Result<(), Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        check_origin(&map, &uri.parse().unwrap(), 8002)
    }

    #[test]
    fn loopback_names_with_our_port_are_ours() {
        for host in ["127.0.0.1:8002", "localhost:8002", "LOCALHOST:8002", "[::1]:8002"] {
            assert_eq!(origin_of(&[("host", host)], "/metrics"), Ok(()), "{host}");
        }
        assert_eq!(origin_of(&[("host", "localhost:8002"), ("sec-fetch-site", "none")], "/metrics"), Ok(()));
    }

    #[test]
    fn rebound_names_other_ports_and_unclear_hosts_are_refused() {
        let foreign = [
            "evil.example:8002",
            "localhost.evil.example:8002",
            "127.0.0.1",
            "127.0.0.1:80",
            "",
            "a b",
            "10.0.0.1:8002",
        ];
        for host in foreign {
            assert_eq!(origin_of(&[("host", host)], "/metrics"), Err(Refusal::Host), "{host}");
        }
        assert_eq!(origin_of(&[], "/metrics"), Err(Refusal::Host));
        assert_eq!(origin_of(&[("host", "localhost:8002"), ("host", "evil:8002")], "/"), Err(Refusal::Host));
        assert_eq!(origin_of(&[("host", "localhost:8002")], "http://evil.example/metrics"), Err(Refusal::Host));
    }

    #[test]
    fn whatever_a_page_caused_is_refused_even_from_our_own_origin() {
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "http://127.0.0.1:8002"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert_eq!(
                origin_of(&[("host", "127.0.0.1:8002"), (name, value)], "/"),
                Err(Refusal::Page),
                "{name} {value}"
            );
        }
    }

    #[test]
    fn an_operators_name_is_what_they_say_unless_it_is_no_name() {
        let named = |name: &[u8]| {
            let headers =
                HeaderMap::from_iter([(OPERATOR_HEADER.parse().unwrap(), HeaderValue::from_bytes(name).unwrap())]);
            Caller::owner(&headers, [127, 0, 0, 1].into()).operator
        };
        assert_eq!(named(b"amy"), "amy");
        for name in ["", " ", "two words", "\u{fc}ml\u{e4}ut", &"x".repeat(65)] {
            assert_eq!(named(name.as_bytes()), "local", "{name}");
        }
        assert_eq!(Caller::owner(&HeaderMap::new(), [127, 0, 0, 1].into()).role, Role::Admin);
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::generate();
        let check = |value: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            check_token(&headers, &token.hash())
        };
        assert_eq!(check(&format!("Bearer {}", token.expose())), Ok(()));
        assert_eq!(check(&format!("bearer {}", token.expose())), Ok(()));
        let wrong = [
            "",
            "Bearer ",
            "Bearer x",
            token.expose(),
            &format!("Basic {}", token.expose()),
            &format!("Bearer {}x", token.expose()),
        ];
        for value in wrong {
            assert_eq!(check(value), Err(Refusal::Token));
        }
        assert_eq!(check_token(&HeaderMap::new(), &token.hash()), Err(Refusal::Token));
    }
}
