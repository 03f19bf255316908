//! Nodes and pools.

use super::{Cells, Column, Listed, left, number, right, text};
use crate::{
    figures::{bytes, count, percent, rate, span, whole},
    model::{Freshness, NodeRow, PoolRow},
    theme::Level,
};
use shared::protocol::admin::Metric;

/// A figure of a node; marked when it is old.
fn figure(row: &NodeRow, metric: Metric, show: fn(f64) -> String) -> String {
    let old = if row.freshness == Freshness::Live { "" } else { "~" };
    row.get(metric).map_or_else(|| "-".to_owned(), |value| format!("{old}{}", show(value)))
}

fn counted(value: f64) -> String {
    count(whole(value))
}

fn sized(value: f64) -> String {
    bytes(whole(value))
}

fn millis(value: f64) -> String {
    crate::figures::millis(whole(value * 1e3))
}

impl Listed for NodeRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("NODE", "node", 12, |r, _| format!("{}{}", text(&r.name), r.level().sign())),
        left("STATE", "state", 8, |r, _| r.status().to_owned()),
        right("CONNS", "conns", 7, |r, _| figure(r, Metric::Connections, counted)),
        right("IN/s", "in", 6, |r, _| figure(r, Metric::FramesInPerS, rate)),
        right("OUT/s", "out", 6, |r, _| figure(r, Metric::FramesOutPerS, rate)),
        right("ERR%", "errors", 6, |r, _| figure(r, Metric::ErrorShare, percent)),
        right("P95", "p95", 6, |r, _| figure(r, Metric::LatencyP95Ms, millis)),
        right("CPU", "cpu", 5, |r, _| figure(r, Metric::CpuCores, percent)),
        right("RSS", "rss", 5, |r, _| figure(r, Metric::RssBytes, sized)),
        right("UP", "up", 6, |r, _| r.uptime.map_or_else(|| "-".to_owned(), span)),
        right("SEEN", "seen", 5, |r, _| match (r.freshness, r.seen) {
            (Freshness::Live, _) => "now".to_owned(),
            (_, Some(age)) => span(age),
            (_, None) => "-".to_owned(),
        }),
        right("API/s", "rps", 6, |r, _| figure(r, Metric::RequestsPerS, rate)),
        right("LAG", "lag", 6, |r, _| figure(r, Metric::LoopLagMs, millis)),
        right("FILES", "fds", 7, |r, _| figure(r, Metric::OpenFds, counted)),
        right("TASKS", "tasks", 7, |r, _| figure(r, Metric::Tasks, counted)),
        right("DROP/s", "drops", 6, |r, _| figure(r, Metric::DroppedPerS, rate)),
        left("VERSION", "version", 8, |r, _| text(&r.info.version)),
    ];

    fn level(&self, _: &Cells) -> Level {
        self.level()
    }
}

impl Listed for PoolRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("POOL", "pool", 13, |r, _| text(&r.pool.name)),
        left("NODE", "node", 11, |r, _| text(&r.node)),
        right("USE/MAX", "inuse", 8, |r, _| {
            format!("{}{}/{}", if r.stale { "~" } else { "" }, whole(r.in_use), r.pool.max_size)
        }),
        right("USE%", "use", 6, |r, _| format!("{}{}", percent(r.saturation), r.level().sign())),
        right("WAIT", "wait", 5, |r, _| whole(r.waiting).to_string()),
        right("GET/s", "gets", 6, |r, _| number(r.gets, rate)),
        right("P95", "p95", 6, |r, _| number(r.p95_ms, millis)),
        right("T/O/s", "timeouts", 5, |r, _| number(r.timeouts, rate)),
        right("CHURN/m", "churn", 7, |r, _| number(r.churn, counted)),
        right("IDLE", "", 5, |r, _| r.pool.idle.to_string()),
    ];

    fn level(&self, _: &Cells) -> Level {
        self.level()
    }
}
