//! Numbers about the database, as the metrics, the health report and the console read them. No driver's types.

use crate::protocol::admin::Histogram;
use serde::{Deserialize, Serialize};

/// One pool of database connections, at one moment. Counters count from the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolStats {
    /// `postgres`, `sqlite-write` or `sqlite-read`.
    pub name: String,
    /// Most connections that may be open.
    pub max_size: u32,
    /// Connections open now.
    pub connections: u32,
    /// Open and waiting for work.
    pub idle: u32,
    /// Open and working.
    pub in_use: u32,
    /// Callers waiting for a connection.
    pub waiting: u32,
    /// Requests for a connection.
    pub gets: u64,
    /// Requests that were given up after the wait timeout.
    pub timeouts: u64,
    /// Requests that found a connection at once, by bb8's count.
    pub direct: u64,
    /// Requests that got one after a wait, by bb8's count.
    pub waited: u64,
    /// All waits together in microseconds, by bb8's count. It counts too little: a wait begins anew with each wake-up
    /// that finds no connection.
    pub wait_total_us: u64,
    /// Requests that wait by bb8's own count, which drifts upwards for ever when callers give up: beside `waiting`, to
    /// show the drift.
    pub pending: u64,
    /// Half of the requests waited less than this, in microseconds.
    pub wait_p50_us: u64,
    /// 95 % of the requests waited less than this, in microseconds.
    pub wait_p95_us: u64,
    /// All waits, for percentiles over a stretch of time.
    pub waits: Histogram,
    /// The longest wait, in microseconds.
    pub wait_max_us: u64,
    /// Longest wait before a request is given up, in milliseconds.
    pub wait_limit_ms: u64,
    /// Connections opened.
    pub created: u64,
    /// Connections closed because their work was cut off.
    pub closed_broken: u64,
    /// Connections closed because they did not answer a ping.
    pub closed_invalid: u64,
    /// Connections closed because of their age.
    pub closed_max_lifetime: u64,
    /// Connections closed because nobody needed them.
    pub closed_idle: u64,
    /// Failures to open or check a connection.
    pub errors: u64,
    /// The last such failure.
    pub last_error: Option<String>,
    /// How long ago that was, in seconds.
    pub last_error_s: Option<u64>,
}

/// How long one kind of database work takes: from a connection at hand to its end, waiting not included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementStats {
    /// The name given to `Store::read` or `Store::tx`.
    pub name: String,
    /// How often it ran.
    pub count: u64,
    /// How often it failed, refusals by a business rule included.
    pub errors: u64,
    /// Median duration in microseconds.
    pub p50_us: u64,
    /// 95th percentile in microseconds.
    pub p95_us: u64,
    /// 99th percentile in microseconds.
    pub p99_us: u64,
    /// Longest in microseconds.
    pub max_us: u64,
    /// All of them together in microseconds.
    pub total_us: u64,
}
