//! What is aimed at: an address on this machine, and nothing else.
//!
//! A load generator is a weapon when it is pointed elsewhere by a typing error, so the refusal sits where the
//! address is read. Many source addresses (all of 127.0.0.0/8 is ours) keep local ports from running out and give
//! every simulated user an address of its own, as in life, so that limits per address do not hide the rest.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

/// The platform under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// Path of the WebSocket endpoint.
    pub(crate) ws_path: String,
}

/// Why a text is no target.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTarget {
    #[error("{0:?} is not host:port, http(s)://host:port or ws(s)://host:port/path")]
    Form(String),
    #[error("refusing to aim at {0}: only this machine (127.0.0.0/8, ::1, localhost) may be load-tested")]
    NotLoopback(String),
}

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let tls = match scheme {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return Err(BadTarget::Form(text.to_owned())),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let addr = resolve(authority).ok_or_else(|| {
            let foreign = authority.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port));
            if foreign { BadTarget::NotLoopback(authority.to_owned()) } else { BadTarget::Form(text.to_owned()) }
        })?;
        if !addr.ip().is_loopback() {
            return Err(BadTarget::NotLoopback(authority.to_owned()));
        }
        let ws_path = if path.len() > 1 { path.to_owned() } else { "/ws".to_owned() };
        Ok(Self { addr, tls, ws_path })
    }
}

/// The WebSocket endpoint of a server of our own.
pub(crate) fn at(addr: SocketAddr) -> Target {
    Target { addr, tls: false, ws_path: "/ws".to_owned() }
}

/// Reads an address without asking any resolver: a name could lead anywhere.
fn resolve(authority: &str) -> Option<SocketAddr> {
    match authority.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?))),
        None => authority.parse().ok(),
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// Local addresses to connect from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources {
    /// How many clients share one address.
    per_address: usize,
    /// False for IPv6, which has one loopback address only.
    many: bool,
}

impl Sources {
    /// Addresses for clients of `target`, `per_address` clients on each.
    pub(crate) fn new(target: &Target, per_address: usize) -> Self {
        Self { per_address: per_address.max(1), many: target.addr.is_ipv4() }
    }

    /// The address client number `index` connects from; none lets the kernel choose.
    pub(crate) fn of(self, index: usize) -> Option<IpAddr> {
        // From 127.1.0.1 on: 127.0.0.1 stays for people, and 16 million addresses follow before 127 is used up.
        let nth = u32::try_from(index / self.per_address).ok()?;
        let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
        self.many.then(|| IpAddr::V4(Ipv4Addr::from(first + nth % 0x00fe_0000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_this_machine_is_refused() {
        for foreign in
            ["http://192.0.2.1:80", "example.com:80", "ws://10.0.0.1:8001/ws", "0.0.0.0:8001", "[2001:db8::1]:80"]
        {
            let refused = matches!(foreign.parse::<Target>(), Err(BadTarget::NotLoopback(_)));
            assert!(refused, "{foreign}: {:?}", foreign.parse::<Target>());
        }
        // A name that merely starts like ours must not be looked up either.
        assert!("localhost.example.com:80".parse::<Target>().is_err());
        assert!("127.0.0.1.example.com:80".parse::<Target>().is_err());
        assert!("https://127.0.0.1:80@example.com:80".parse::<Target>().is_err());
    }

    #[test]
    fn the_usual_spellings_are_understood() {
        for (text, addr, path) in [
            ("127.0.0.1:8001", "127.0.0.1:8001", "/ws"),
            ("http://localhost:8001", "127.0.0.1:8001", "/ws"),
            ("http://localhost:8001/", "127.0.0.1:8001", "/ws"),
            ("ws://127.0.0.5:9/other", "127.0.0.5:9", "/other"),
            ("[::1]:8001", "[::1]:8001", "/ws"),
            ("https://127.0.0.1:8001", "127.0.0.1:8001", "/ws"),
            ("wss://localhost:8001/ws", "127.0.0.1:8001", "/ws"),
        ] {
            let tls = text.starts_with("wss:") || text.starts_with("https:");
            let expected = Target { addr: addr.parse().unwrap(), tls, ws_path: path.into() };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert!(matches!("".parse::<Target>(), Err(BadTarget::Form(_))));
        assert!(matches!("ftp://127.0.0.1:1".parse::<Target>(), Err(BadTarget::Form(_))));
    }

    #[test]
    fn clients_are_spread_over_local_addresses() {
        let sources = Sources::new(&"127.0.0.1:1".parse().unwrap(), 50);
        let used: std::collections::BTreeSet<_> = (0..10_000).filter_map(|index| sources.of(index)).collect();
        assert_eq!(used.len(), 200);
        assert!(used.iter().all(IpAddr::is_loopback));
    }
}
