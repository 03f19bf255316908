//! Processes as tests need them: plausible, and every number of them fixed.

use super::{Event, Moment, Store};
use shared::{
    clock::Timestamp,
    id::UserId,
    model::PoolStats,
    protocol::admin::{
        Action, Alert, CloseCount, ConnectionRow, ConnectionState, Hello, Histogram, LookAt, Message, Metric,
        NamedCount, NodeInfo, NodeStatus, ProcessStats, Role, Sample, Severity, SocketStats, State, Stats, Tick,
        VERSION, View,
    },
};
use std::time::Duration;
use uuid::Uuid;

/// 2026-11-22 12:04:00 UTC, when every sample process began.
const BEGAN: i64 = 1_795_349_040_000_000;

/// The moment so many seconds after every process began, by the servers' clock.
pub(crate) fn clock(second: u64) -> Timestamp {
    Timestamp::from_micros(BEGAN) + Duration::from_secs(second)
}

fn info(name: &str) -> NodeInfo {
    NodeInfo {
        name: name.into(),
        version: "1.0.0".into(),
        environment: "development".into(),
        pid: 4_711,
        started_at: clock(0),
        socket_limit: 20_000,
        engine: "memory".into(),
        store: "sqlite".into(),
    }
}

/// A process that answers every view and can do everything.
pub(crate) fn hello(name: &str) -> Hello {
    Hello {
        proto: VERSION,
        cluster: "development".into(),
        node: info(name),
        server_time: clock(0),
        tick_ms: 1_000,
        operator: "amy".into(),
        role: Role::Admin,
        views: View::ALL.map(|view| view.name().to_owned()).into(),
        actions: Action::NAMES.map(str::to_owned).into(),
        rules: Vec::new(),
        nodes: vec![NodeStatus { info: info(name), seen_at: clock(0), ..NodeStatus::default() }],
    }
}

/// The numbers of the second: the same every second, but for connections, which grow.
fn sample(second: u64) -> Sample {
    let mut sample = Sample::default();
    let connections = 4_800.0 + f64::from(u32::try_from(second).unwrap());
    for (metric, value) in [
        (Metric::Connections, connections),
        (Metric::Authenticated, connections - 13.0),
        (Metric::ConnectionShare, 0.24),
        (Metric::OpenedPerS, 12.0),
        (Metric::ClosedPerS, 7.0),
        (Metric::FramesInPerS, 1_800.0),
        (Metric::FramesOutPerS, 21_100.0),
        (Metric::SlowConnections, 1.0),
        (Metric::DroppedPerS, 0.0),
        (Metric::RequestsPerS, 100.0),
        (Metric::RequestsInFlight, 3.0),
        (Metric::ErrorShare, 0.01),
        (Metric::LatencyP50Ms, 1.2),
        (Metric::LatencyP95Ms, 18.0),
        (Metric::LatencyP99Ms, 24.0),
        (Metric::CpuCores, 0.43),
        (Metric::RssBytes, 100_663_296.0),
        (Metric::OpenFds, 4_900.0),
        (Metric::FdShare, 0.245),
        (Metric::Tasks, 4_850.0),
        (Metric::LoopLagMs, 0.4),
        (Metric::OnlineUsers, 4_100.0),
        (Metric::Rooms, 412.0),
    ] {
        sample.node.set(metric, value);
    }
    for (pool, in_use, share, waiting, gets, timeouts, p95) in
        [("sqlite-read", 2.0, 0.25, 0.0, 611.0, 0.0, 0.9), ("sqlite-write", 1.0, 1.0, 17.0, 120.0, 1.0, 212.0)]
    {
        let values = sample.pools.entry(pool.to_owned()).or_default();
        values.set(Metric::PoolInUse, in_use);
        values.set(Metric::PoolSaturation, share);
        values.set(Metric::PoolWaiting, waiting);
        values.set(Metric::PoolGetsPerS, gets);
        values.set(Metric::PoolTimeoutsPerS, timeouts);
        values.set(Metric::PoolWaitP95Ms, p95);
        values.set(Metric::PoolChurnPerMin, 2.0);
        values.set(Metric::PoolFaultsPerS, 0.0);
    }
    sample
}

/// The tick `second` seconds after the process began.
pub(crate) fn tick(node: &str, second: u64) -> Tick {
    let count = |name: &str, count| NamedCount { name: name.into(), count };
    Tick {
        node: node.into(),
        seq: second,
        at: clock(second),
        uptime_ms: second * 1_000,
        state: State::Running,
        sample: sample(second),
        process: ProcessStats {
            rss_bytes: 96 << 20,
            cpu_ms: 430 * second,
            threads: 5,
            open_fds: 4_900,
            max_fds: 20_000,
            tasks: 4_850,
            loop_lag_us: 400,
        },
        pools: pools(second),
        stats: Stats {
            sockets: SocketStats {
                authenticated: 4_800,
                anonymous: 13,
                closed: vec![CloseCount { code: 1001, reason: "normal".into(), count: 1_000 + 7 * second }],
                ..SocketStats::default()
            },
            errors: vec![count("db_timeout", 41), count("rate_limited", 7)],
            ..Stats::default()
        },
        consoles: 1,
        ..Tick::default()
    }
}

fn pools(second: u64) -> Vec<PoolStats> {
    vec![
        PoolStats {
            name: "sqlite-read".into(),
            max_size: 8,
            connections: 4,
            idle: 2,
            in_use: 2,
            gets: 611 * second,
            waits: Histogram::default(),
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
            created: 2,
            closed_broken: 1,
            errors: 1,
            last_error: Some("database is locked \u{1b}[31m".into()),
            ..PoolStats::default()
        },
    ]
}

/// A pool of a node waits, since the twentieth second.
pub(crate) fn alert(node: &str) -> Alert {
    Alert {
        id: format!("pool_waiting:sqlite-write@{node}"),
        rule: "pool_waiting".into(),
        severity: Severity::Critical,
        node: node.into(),
        of: Some("sqlite-write".into()),
        metric: Some(Metric::PoolWaiting),
        value: 17.0,
        threshold: 10.0,
        since: clock(20),
        text: "callers wait for a database connection".into(),
        look_at: Some(LookAt { screen: "pools".into(), filter: "wait>0".into() }),
        ..Alert::default()
    }
}

/// An open socket.
pub(crate) fn connection(node: &str, number: u64, name: &str, queue: u64) -> ConnectionRow {
    ConnectionRow {
        id: format!("c_{number:x}"),
        node: node.into(),
        user: Some(UserId(Uuid::from_u128(number.into()))),
        name: Some(name.into()),
        device: Some("web".into()),
        address: "203.0.113.7:51544".into(),
        state: if queue > 100 { ConnectionState::Slow } else { ConnectionState::Ready },
        age_s: 15_120,
        rtt_ms: Some(95),
        queue,
        sent: 81_204,
        received: 2_011,
        rooms: 14,
        ..ConnectionRow::default()
    }
}

/// A store that has listened to `names` for `seconds`.
pub(crate) fn listened(names: &[&str], seconds: u64) -> (Store, Moment) {
    let mut store = Store::default();
    for second in 0..=seconds {
        let now = Moment::from_secs(second);
        for name in names {
            if second == 0 {
                store.apply(Event::said(name, Message::Hello(Box::new(hello(name)))), now);
            }
            store.apply(Event::said(name, Message::Tick(Box::new(tick(name, second + 1)))), now);
        }
    }
    (store, Moment::from_secs(seconds))
}
