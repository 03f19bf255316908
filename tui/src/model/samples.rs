//! Processes as tests need them: plausible, and every number of them fixed.

use super::{Event, Moment, Store, What};
use shared::{
    clock::Timestamp,
    model::PoolStats,
    protocol::admin::{
        CloseCount, Hello, Histogram, HttpStats, NamedCount, NodeInfo, ProcessStats, SocketStats, State, Stats, Tick,
        VERSION,
    },
};
use std::time::Duration;

/// 2026-11-22 12:04:00 UTC, when every sample process began.
const BEGAN: i64 = 1_795_349_040_000_000;

pub(crate) fn hello(name: &str) -> Hello {
    let node = NodeInfo {
        name: name.into(),
        version: "1.0.0".into(),
        environment: "development".into(),
        pid: 4_711,
        started_at: Timestamp::from_micros(BEGAN),
        socket_limit: 20_000,
        ..NodeInfo::default()
    };
    let server_time = Timestamp::from_micros(BEGAN);
    Hello { proto: VERSION, node, server_time, tick_ms: 1_000, ..Hello::default() }
}

/// The tick `second` seconds after the process began: every counter has grown by the same each second.
pub(crate) fn tick(second: u64) -> Tick {
    let count = |name: &str, count| NamedCount { name: name.into(), count };
    let mut durations = Histogram::default();
    durations.counts[2] = 90 * second;
    durations.counts[5] = 10 * second;
    Tick {
        node: "api".into(),
        seq: second,
        at: Timestamp::from_micros(BEGAN) + Duration::from_secs(second),
        uptime_ms: second * 1_000,
        state: State::Running,
        process: ProcessStats {
            rss_bytes: 96 << 20,
            cpu_ms: 430 * second,
            threads: 5,
            open_fds: 4_900,
            max_fds: 20_000,
            tasks: 4_850,
            loop_lag_us: 400,
        },
        pools: vec![
            PoolStats {
                name: "sqlite-read".into(),
                max_size: 8,
                connections: 4,
                idle: 2,
                in_use: 2,
                gets: 611 * second,
                wait_p50_us: 40,
                wait_p95_us: 900,
                created: 4,
                ..PoolStats::default()
            },
            PoolStats {
                name: "sqlite-write".into(),
                max_size: 1,
                connections: 1,
                in_use: 1,
                waiting: 17,
                gets: 120 * second,
                timeouts: second,
                wait_p50_us: 38_000,
                wait_p95_us: 212_000,
                created: 2,
                closed_broken: 1,
                errors: 1,
                last_error: Some("database is locked \u{1b}[31m".into()),
                ..PoolStats::default()
            },
        ],
        stats: Stats {
            http: HttpStats {
                in_flight: 3,
                by_class: [0, 98 * second, 0, second, second],
                durations,
                ..HttpStats::default()
            },
            sockets: SocketStats {
                authenticated: 4_800,
                anonymous: 13,
                accepted: 6_000 + 12 * second,
                closed: vec![CloseCount { code: 1001, reason: "normal".into(), count: 1_000 + 7 * second }],
                frames_in: 1_800 * second,
                frames_out: 21_100 * second,
                ..SocketStats::default()
            },
            errors: vec![count("db_timeout", 41), count("rate_limited", 7)],
            ..Stats::default()
        },
        consoles: 1,
        ..Tick::default()
    }
}

/// A store that has listened to `names` for `seconds`.
pub(crate) fn listened(names: &[&str], seconds: u64) -> (Store, Moment) {
    let mut store = Store::default();
    for second in 0..=seconds {
        let now = Moment::from_secs(second);
        for name in names {
            if second == 0 {
                store.apply(Event { node: (*name).into(), what: What::Hello(Box::new(hello(name))) }, now);
            }
            store.apply(Event { node: (*name).into(), what: What::Tick(Box::new(tick(second + 1))) }, now);
        }
        store.sample(now);
    }
    (store, Moment::from_secs(seconds))
}
