//! Whose address a request comes from, when our own proxies stand in between.
//!
//! `X-Forwarded-For` is walked from the right, because only the entries our proxies appended can be believed: with
//! `TRUSTED_PROXIES=n` the client is the n-th from the right. With 0 the header is ignored.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The header's name.
pub const HEADER: &str = "x-forwarded-for";

/// The client's address, by the header's values; the peer's own if they are fewer than they should be (somebody went
/// around a proxy).
pub fn client_address<'a>(peer: IpAddr, lists: impl Iterator<Item = &'a str>, trusted_proxies: u8) -> IpAddr {
    let hops: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    let wanted = usize::from(trusted_proxies);
    let forwarded = (wanted > 0).then(|| hops.len().checked_sub(wanted)).flatten().and_then(|at| parse(hops[at]));
    forwarded.unwrap_or(peer).to_canonical()
}

/// What an address is counted under: one IPv6 customer has a whole /64, so counting single addresses would be no limit.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// An address, with or without port and brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(forwarded: &[&'static str], proxies: u8) -> String {
        client_address("10.0.0.9".parse().unwrap(), forwarded.iter().copied(), proxies).to_string()
    }

    #[test]
    fn ipv6_addresses_of_one_network_count_as_one() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:7.7.7.7"), "7.7.7.7");
        assert_eq!(network("127.0.0.1"), "127.0.0.1");
    }

    #[test]
    fn only_what_our_own_proxies_appended_is_believed() {
        assert_eq!(seen(&["1.1.1.1, 2.2.2.2"], 0), "10.0.0.9");
        assert_eq!(seen(&["6.6.6.6, 2.2.2.2"], 1), "2.2.2.2");
        assert_eq!(seen(&["6.6.6.6", "2.2.2.2, 10.0.0.1"], 2), "2.2.2.2");
        assert_eq!(seen(&["2.2.2.2"], 2), "10.0.0.9");
        assert_eq!(seen(&["rubbish"], 1), "10.0.0.9");
        assert_eq!(seen(&["[2001:db8::1]:443"], 1), "2001:db8::1");
        assert_eq!(seen(&["::ffff:7.7.7.7"], 1), "7.7.7.7");
    }
}
