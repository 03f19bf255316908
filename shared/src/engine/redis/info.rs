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
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("");
        let number = |name: &str| field(name).trim().parse().unwrap_or(0);
        Self {
            version: field("redis_version").trim().to_owned(),
            used_memory_bytes: number("used_memory"),
            max_memory_bytes: number("maxmemory"),
            connected_clients: number("connected_clients"),
            pubsub_clients: subscribers.lines().filter(|line| !line.trim().is_empty()).count() as u64,
            keyspace_hits: number("keyspace_hits"),
            keyspace_misses: number("keyspace_misses"),
            evicted_keys: number("evicted_keys"),
            commands_per_second: number("instantaneous_ops_per_sec"),
        }
    }
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
}
