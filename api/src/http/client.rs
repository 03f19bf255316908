//! Who is asking, by address.

use http::HeaderMap;
use shared::forwarded;
use std::net::IpAddr;

/// The client's address, with our own proxies in between.
pub fn address(peer: IpAddr, headers: &HeaderMap, trusted_proxies: u8) -> IpAddr {
    let lists = headers.get_all(forwarded::HEADER).into_iter().filter_map(|value| value.to_str().ok());
    forwarded::client_address(peer, lists, trusted_proxies)
}

/// What one address is counted under: IPv6 by /64, which is what one customer gets, so that nobody has 2^64 of them.
pub fn bucket(address: IpAddr) -> String {
    match forwarded::network(address) {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(network) => format!("{network}/64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_of_one_network_share_a_bucket() {
        let key = |text: &str| bucket(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::"));
        assert_ne!(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
        assert_eq!(key("127.0.0.1"), "127.0.0.1");
    }
}
