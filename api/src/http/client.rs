//! Whose address a request comes from, when our own proxies stand in between.
//!
//! `X-Forwarded-For` is walked from the right, because only the entries our proxies appended can be believed: with
//! `TRUSTED_PROXIES=n` the client is the n-th from the right. With 0 the header is ignored.

use http::HeaderMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const FORWARDED: &str = "x-forwarded-for";

/// The client's address; the peer's own if the header is shorter than it should be (somebody went around a proxy).
pub fn address(peer: IpAddr, headers: &HeaderMap, trusted_proxies: u8) -> IpAddr {
    let lists = headers.get_all(FORWARDED).into_iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
    let wanted = usize::from(trusted_proxies);
    let forwarded = (wanted > 0).then(|| hops.len().checked_sub(wanted)).flatten().and_then(|at| parse(hops[at]));
    forwarded.unwrap_or(peer).to_canonical()
}

/// What one address is counted under: IPv6 by /64, which is what one customer gets, so that nobody has 2^64 of them.
pub fn bucket(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            format!("{}/64", Ipv6Addr::from(network))
        }
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
    use http::{HeaderName, HeaderValue};

    fn seen(forwarded: &[&'static str], proxies: u8) -> String {
        let name = HeaderName::from_static(FORWARDED);
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(&name, HeaderValue::from_static(value));
        }
        address("10.0.0.9".parse().unwrap(), &headers, proxies).to_string()
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

    #[test]
    fn ipv6_addresses_of_one_network_share_a_bucket() {
        let key = |text: &str| bucket(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::"));
        assert_ne!(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
        assert_eq!(key("127.0.0.1"), "127.0.0.1");
    }
}
