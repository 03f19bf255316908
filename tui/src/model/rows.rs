//! Nodes and pools as rows: with the same fields, filters and sort orders as the lists that come from the server.

use super::{Freshness, Node, Picture};
use crate::theme::Level;
use shared::{
    model::PoolStats,
    protocol::admin::{Field, Kind, Metric, NodeInfo, Row, State, Tick, Value},
};
use std::time::Duration;

const fn field(name: &'static str, kind: Kind, help: &'static str) -> Field {
    Field { name, kind, help }
}

/// One node at one moment.
#[derive(Clone, Debug)]
pub(crate) struct NodeRow {
    /// Its name.
    pub(crate) name: String,
    /// Who it is.
    pub(crate) info: NodeInfo,
    /// How old what is known of it is.
    pub(crate) freshness: Freshness,
    /// Whether it takes new work.
    pub(crate) state: State,
    /// How far its clock is ahead of that of the node that tells, in milliseconds.
    pub(crate) clock_ahead_ms: i64,
    /// Since the process began; none before anything was heard.
    pub(crate) uptime: Option<Duration>,
    /// Since it was heard.
    pub(crate) seen: Option<Duration>,
    /// What it said last.
    pub(crate) tick: Option<Box<Tick>>,
    /// Its numbers at the moment, in the order of [`NodeRow::METRICS`].
    values: [Option<f64>; NodeRow::METRICS.len()],
}

impl NodeRow {
    /// The numbers a row has.
    const METRICS: [Metric; 20] = [
        Metric::Connections,
        Metric::OpenedPerS,
        Metric::ClosedPerS,
        Metric::FramesInPerS,
        Metric::FramesOutPerS,
        Metric::BytesInPerS,
        Metric::BytesOutPerS,
        Metric::DroppedPerS,
        Metric::SlowConnections,
        Metric::RequestsPerS,
        Metric::ErrorShare,
        Metric::LatencyP95Ms,
        Metric::LoopLagMs,
        Metric::CpuCores,
        Metric::RssBytes,
        Metric::OpenFds,
        Metric::FdShare,
        Metric::Tasks,
        Metric::ConsoleCores,
        Metric::ConsoleBytesPerS,
    ];

    pub(super) fn of(picture: &Picture<'_>, node: &Node) -> Self {
        let past = picture.at;
        let back = past.zip(node.tick()).map(|(at, tick)| tick.at.since(at)).unwrap_or_default();
        let uptime = node.tick().map(|tick| Duration::from_millis(tick.uptime_ms).saturating_sub(back));
        Self {
            name: node.name().to_owned(),
            info: node.info().clone(),
            freshness: if past.is_some() { Freshness::Live } else { node.freshness(picture.now) },
            state: node.state(),
            clock_ahead_ms: node.clock_ahead_ms(),
            uptime,
            seen: node.age(picture.now),
            tick: node.tick().cloned().map(Box::new),
            values: Self::METRICS.map(|metric| picture.of(node, metric, None)),
        }
    }

    /// One of its numbers.
    pub(crate) fn get(&self, metric: Metric) -> Option<f64> {
        let at = Self::METRICS.iter().position(|known| *known == metric)?;
        self.values[at]
    }

    /// What it is, in a word.
    pub(crate) fn status(&self) -> &'static str {
        match (self.freshness, self.state) {
            (Freshness::Waiting, _) => "waiting",
            (Freshness::Stale(_), _) | (_, State::Lost) => "? lost",
            (Freshness::Live, State::Draining) => "draining",
            (Freshness::Live, State::Running) => "running",
        }
    }

    /// How bad it is.
    pub(crate) fn level(&self) -> Level {
        if !matches!(self.freshness, Freshness::Live) || self.state == State::Lost {
            return Level::Crit;
        }
        let number = |metric| self.get(metric).unwrap_or(0.0);
        let draining = if self.state == State::Draining { Level::Warn } else { Level::Good };
        Level::of(number(Metric::ErrorShare), 0.005, 0.02)
            .max(Level::of(number(Metric::LoopLagMs), 20.0, 100.0))
            .max(Level::of(number(Metric::FdShare), 0.7, 0.9))
            .max(draining)
    }
}

impl Row for NodeRow {
    const FIELDS: &'static [Field] = &[
        field("node", Kind::Text, "its name"),
        field("state", Kind::Text, "running, draining, waiting or lost"),
        field("version", Kind::Text, "its release"),
        field("conns", Kind::Number, "open sockets"),
        field("in", Kind::Number, "frames from clients a second"),
        field("out", Kind::Number, "writes to clients a second"),
        field("drops", Kind::Number, "ephemeral frames dropped a second"),
        field("rps", Kind::Number, "REST answers a second"),
        field("errors", Kind::Share, "5xx of all answers, over a minute"),
        field("p95", Kind::Seconds, "95th percentile of REST durations"),
        field("lag", Kind::Seconds, "how late timers are woken"),
        field("cpu", Kind::Number, "CPU cores used"),
        field("rss", Kind::Bytes, "resident memory"),
        field("fds", Kind::Number, "open files and sockets"),
        field("tasks", Kind::Number, "tasks alive"),
        field("up", Kind::Seconds, "since the process began"),
        field("seen", Kind::Seconds, "since it was heard"),
    ];

    fn value(&self, field: usize) -> Value<'_> {
        let number = |metric| Value::number(self.get(metric));
        let millis = |metric| Value::number(self.get(metric).map(|ms| ms / 1e3));
        let seconds = |time: Option<Duration>| Value::number(time.map(|time| time.as_secs_f64()));
        match field {
            0 => Value::text(&self.name),
            1 => Value::text(self.status().trim_start_matches("? ")),
            2 => Value::text(&self.info.version),
            3 => number(Metric::Connections),
            4 => number(Metric::FramesInPerS),
            5 => number(Metric::FramesOutPerS),
            6 => number(Metric::DroppedPerS),
            7 => number(Metric::RequestsPerS),
            8 => number(Metric::ErrorShare),
            9 => millis(Metric::LatencyP95Ms),
            10 => millis(Metric::LoopLagMs),
            11 => number(Metric::CpuCores),
            12 => number(Metric::RssBytes),
            13 => number(Metric::OpenFds),
            14 => number(Metric::Tasks),
            15 => seconds(self.uptime),
            16 => seconds(self.seen),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.name.clone()
    }
}

/// One pool of one node at one moment.
#[derive(Clone, Debug)]
pub(crate) struct PoolRow {
    /// Whose.
    pub(crate) node: String,
    /// What the pool said last; its counters are those of now even when rewound.
    pub(crate) pool: PoolStats,
    /// Whether the numbers are old.
    pub(crate) stale: bool,
    /// Connections working.
    pub(crate) in_use: f64,
    /// How full it is, 0 to 1.
    pub(crate) saturation: f64,
    /// Callers that wait.
    pub(crate) waiting: f64,
    /// Connections asked for a second.
    pub(crate) gets: Option<f64>,
    /// Asked for in vain, a second.
    pub(crate) timeouts: Option<f64>,
    /// 95th percentile of a minute's waits, in milliseconds.
    pub(crate) p95_ms: Option<f64>,
    /// Closed as broken or invalid, a second.
    pub(crate) faults: Option<f64>,
    /// Opened or closed in the last minute.
    pub(crate) churn: Option<f64>,
}

impl PoolRow {
    pub(super) fn all(picture: &Picture<'_>, node: &Node) -> Vec<Self> {
        let pools = node.tick().map(|tick| tick.pools.as_slice()).unwrap_or_default();
        let stale = picture.at.is_none() && node.freshness(picture.now) != Freshness::Live;
        let row = |pool: &PoolStats| {
            let get = |metric| picture.of(node, metric, Some(&pool.name));
            Self {
                node: node.name().to_owned(),
                pool: pool.clone(),
                stale,
                in_use: get(Metric::PoolInUse).unwrap_or(0.0),
                saturation: get(Metric::PoolSaturation).unwrap_or(0.0),
                waiting: get(Metric::PoolWaiting).unwrap_or(0.0),
                gets: get(Metric::PoolGetsPerS),
                timeouts: get(Metric::PoolTimeoutsPerS),
                p95_ms: get(Metric::PoolWaitP95Ms),
                faults: get(Metric::PoolFaultsPerS),
                churn: get(Metric::PoolChurnPerMin),
            }
        };
        pools.iter().map(row).collect()
    }

    /// How bad it is. A pool of one is always empty or full: only waiting tells whether it is short.
    pub(crate) fn level(&self) -> Level {
        let waiting = Level::of(self.waiting, 1.0, 11.0);
        let faults = Level::of(self.faults.unwrap_or(0.0) * 1e3, 1.0, 1e9);
        let timeouts = Level::of(self.timeouts.unwrap_or(0.0), 1e-3, 1.0);
        let full = if self.pool.max_size > 1 { Level::of(self.saturation, 0.7, 0.9) } else { Level::Good };
        waiting.max(faults).max(timeouts).max(full)
    }
}

impl Row for PoolRow {
    const FIELDS: &'static [Field] = &[
        field("pool", Kind::Text, "its name"),
        field("node", Kind::Text, "whose"),
        field("use", Kind::Share, "connections working of the most that may be open"),
        field("inuse", Kind::Number, "connections working"),
        field("wait", Kind::Number, "callers that wait"),
        field("gets", Kind::Number, "connections asked for a second"),
        field("p95", Kind::Seconds, "95th percentile of a minute's waits"),
        field("timeouts", Kind::Number, "asked for in vain a second"),
        field("churn", Kind::Number, "opened or closed in the last minute"),
        field("worst", Kind::Number, "2 critical, 1 warning, 0 well; then how full"),
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::text(&self.pool.name),
            1 => Value::text(&self.node),
            2 => Value::Number(self.saturation),
            3 => Value::Number(self.in_use),
            4 => Value::Number(self.waiting),
            5 => Value::number(self.gets),
            6 => Value::number(self.p95_ms.map(|ms| ms / 1e3)),
            7 => Value::number(self.timeouts),
            8 => Value::number(self.churn),
            9 => Value::Number(f64::from(self.level() as u8) + self.saturation.min(1.0) / 2.0),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        format!("{}@{}", self.pool.name, self.node)
    }
}
