//! Private servers, started from the machine's own programs: Redis (alone, under Sentinel, as a Cluster), PostgreSQL, and
//! a proxy that cuts and stalls what goes through it. Tests of every crate and the load test's fleets stand on them.
//!
//! Every server has a folder and a loopback port of its own, and ends with the process that started it, however that
//! ends. Nothing here knows the platform: no store, no engine.

mod certificates;
mod postgres;
pub mod process;
mod proxy;
pub mod redis;

pub use certificates::Certificates;
pub use postgres::PostgresServer;
pub use process::Port;
pub use proxy::{Proxy, Traffic};
pub use redis::{RedisCluster, RedisOptions, RedisSentinel, RedisServer};

/// Where the machine looks for programs.
fn search_path() -> String {
    #[expect(clippy::disallowed_methods, reason = "where programs are, not how the platform behaves")]
    std::env::var("PATH").unwrap_or_default()
}
