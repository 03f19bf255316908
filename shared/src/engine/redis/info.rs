//! What a server says about itself: a digest of `INFO`.

use serde::Serialize;

/// One server, at one moment. On a Cluster it is any one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// Its version.
    pub version: String,
    /// Memory it uses, in bytes.
    pub used_memory_bytes: u64,
    /// Memory it may use, in bytes; 0 without a limit.
    pub max_memory_bytes: u64,
    /// What it removes when memory is short.
    pub max_memory_policy: String,
    /// What speaks against the way it is set up, for whoever runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Open connections.
    pub connected_clients: u64,
    /// Connections that are subscribed to something.
    pub pubsub_clients: u64,
    /// Look-ups that found a key, since its start.
    pub keyspace_hits: u64,
    /// Look-ups that found none.
    pub keyspace_misses: u64,
    /// Keys it removed because memory was short.
    pub evicted_keys: u64,
    /// Commands a second, just now.
    pub commands_per_second: u64,
}

impl ServerInfo {
    /// Reads the answers to `INFO` and `CLIENT LIST TYPE PUBSUB`; what is missing there is zero.
    pub(super) fn read(text: &str, subscribers: &str) -> Self {
        let field = |name| field(text, name);
        let number = |name| field(name).parse().unwrap_or(0);
        Self {
            version: field("redis_version").to_owned(),
            used_memory_bytes: number("used_memory"),
            max_memory_bytes: number("maxmemory"),
            max_memory_policy: field(POLICY).to_owned(),
            advice: advice(text),
            connected_clients: number("connected_clients"),
            pubsub_clients: subscribers.lines().filter(|line| !line.trim().is_empty()).count() as u64,
            keyspace_hits: number("keyspace_hits"),
            keyspace_misses: number("keyspace_misses"),
            evicted_keys: number("evicted_keys"),
            commands_per_second: number("instantaneous_ops_per_sec"),
        }
    }
}

/// What speaks against the way a server is set up, by its answer to `INFO`.
///
/// `noeviction` is right: what does not fit is refused, and whoever is refused goes on without Redis. With `volatile-*`
/// what is evicted is asked of the store again, or (a room's history, a rate limit) begins anew. With `allkeys-*` parts of
/// the roster of who is present go too, which have no end of their own: users would stay online for ever or vanish.
pub(super) fn advice(text: &str) -> Option<String> {
    let policy = field(text, POLICY);
    policy.starts_with("allkeys-").then(|| {
        format!("maxmemory-policy is {policy}: it may evict half of who is present; use noeviction, or a volatile one")
    })
}

const POLICY: &str = "maxmemory_policy";

/// The value of a line of `INFO`; empty if it is missing.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("").trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_whole_names_and_tolerates_what_is_missing() {
        let info = ServerInfo::read(
            "# Memory\r\nused_memory_human:1M\r\nused_memory:1048576\r\nmaxmemory:0\r\n",
            "id=3 a\nid=4 b\n",
        );
        assert_eq!(info, ServerInfo { used_memory_bytes: 1_048_576, pubsub_clients: 2, ..ServerInfo::default() });
    }

    #[test]
    fn only_policies_that_evict_what_has_no_end_are_advised_against() {
        let advice_on = |policy: &str| advice(&format!("maxmemory:0\r\nmaxmemory_policy:{policy}\r\n"));
        for right in ["noeviction", "volatile-lru", "volatile-ttl", ""] {
            assert_eq!(advice_on(right), None, "{right}");
        }
        assert!(advice_on("allkeys-lfu").is_some_and(|advice| advice.contains("is allkeys-lfu:")));
    }
}
