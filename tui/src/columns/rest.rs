//! The REST side: endpoints, requests, errors, database work.

use super::{Cells, Column, Listed, clock, left, maybe, micros, number, right, short, text};
use crate::{
    figures::{count, latency, percent, rate},
    theme::Level,
    view::spark,
};
use shared::protocol::admin::{AffectedRow, EndpointRow, ErrorRow, RequestRow, StatementRow};

fn quantile(row: &EndpointRow, q: f64) -> String {
    row.durations.quantile(q).map_or_else(|| "-".to_owned(), latency)
}

fn trend(points: &[u32], cells: &Cells) -> String {
    spark(points.iter().map(|point| Some(f64::from(*point))), None, cells.unicode)
}

impl Listed for EndpointRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("ROUTE", "route", 30, |r, _| text(&r.route)),
        left("METHOD", "method", 6, |r, _| text(&r.method)),
        right("RPS", "rate", 6, |r, _| rate(r.rate)),
        right("P50", "p50", 6, |r, _| quantile(r, 0.5)),
        right("P95", "p95", 6, |r, _| quantile(r, 0.95)),
        right("P99", "p99", 6, |r, _| quantile(r, 0.99)),
        right("5XX", "server_errors", 6, |r, _| percent(r.share(5))),
        right("4XX", "client_errors", 6, |r, _| percent(r.share(4))),
        right("429/m", "limited", 5, |r, _| count(r.limited)),
        right("TOTAL", "total", 9, |r, _| count(r.total)),
        left("TREND", "", 30, |r, c| trend(&r.trend, c)),
    ];

    fn level(&self, _: &Cells) -> Level {
        let slow = self.durations.quantile(0.95).map_or(0.0, |time| time.as_secs_f64() * 1e3);
        Level::of(self.share(5), 0.005, 0.02).max(Level::of(slow, 250.0, 1_000.0))
    }
}

impl Listed for RequestRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("AT", "at", 9, |r, c| clock(r.at, c)),
        right("STATUS", "status", 6, |r, _| r.status.to_string()),
        right("TOOK", "duration", 8, |r, _| format!("{}ms", count(r.duration_ms))),
        left("METHOD", "method", 6, |r, _| text(&r.method)),
        left("ROUTE", "route", 28, |r, _| text(&r.route)),
        left("CODE", "code", 16, |r, _| maybe(r.code.as_deref())),
        left("NODE", "node", 11, |r, _| text(&r.node)),
        left("REQUEST", "request", 9, |r, c| short(&r.request_id, c)),
        left("USER", "user", 9, |r, c| r.user.map_or_else(|| "-".to_owned(), |user| short(&user.to_string(), c))),
    ];

    fn level(&self, _: &Cells) -> Level {
        if self.status >= 500 { Level::Crit } else { Level::Warn }
    }
}

impl Listed for ErrorRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("CODE", "code", 24, |r, _| text(&r.code)),
        right("COUNT", "count", 8, |r, _| count(r.count)),
        right("/s", "rate", 6, |r, _| rate(r.rate)),
        right("USERS", "users", 6, |r, _| format!("{}{}", count(r.users), if r.users_capped { "+" } else { "" })),
        left("NEW", "new", 5, |r, _| {
            if r.new {
                "NEW"
            } else if r.known {
                "known"
            } else {
                ""
            }
            .to_owned()
        }),
        left("TREND", "", 16, |r, c| trend(&r.trend[r.trend.len().saturating_sub(16)..], c)),
        left("LAST", "last", 9, |r, c| seen(r.last_at, c)),
        left("FIRST", "first", 9, |r, c| seen(r.first_at, c)),
        left("NODES", "nodes", 12, |r, _| text(&r.nodes.join(" "))),
        left("ROUTE", "route", 28, |r, _| maybe(r.route.as_deref())),
        left("REQUEST", "", 9, |r, c| r.request_id.as_deref().map_or_else(|| "-".to_owned(), |id| short(id, c))),
    ];

    fn level(&self, _: &Cells) -> Level {
        if self.new && !self.known { Level::Warn } else { Level::Good }
    }
}

/// A time, unless nobody took it.
fn seen(at: shared::clock::Timestamp, cells: &Cells) -> String {
    if at.as_micros() == 0 { "-".to_owned() } else { clock(at, cells) }
}

impl Listed for AffectedRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("USER", "user", 36, |r, _| r.user.to_string()),
        right("COUNT", "count", 8, |r, _| count(r.count)),
        left("LAST", "last", 9, |r, c| clock(r.last_at, c)),
        left("REQUEST", "request", 36, |r, _| maybe(r.request_id.as_deref())),
    ];

    fn level(&self, _: &Cells) -> Level {
        Level::Good
    }
}

impl Listed for StatementRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("WORK", "name", 28, |r, _| text(&r.name)),
        right("/s", "rate", 6, |r, _| rate(r.rate)),
        right("BUSY", "busy", 6, |r, _| number(Some(r.busy), |busy| format!("{busy:.2}"))),
        right("P50", "p50", 7, |r, _| micros(r.p50_us)),
        right("P95", "p95", 7, |r, _| micros(r.p95_us)),
        right("P99", "p99", 7, |r, _| micros(r.p99_us)),
        right("MAX", "max", 8, |r, _| micros(r.max_us)),
        right("ERRORS", "errors", 6, |r, _| count(r.errors)),
        right("COUNT", "count", 10, |r, _| count(r.count)),
    ];

    fn level(&self, _: &Cells) -> Level {
        let failed = if self.errors > 0 { Level::Warn } else { Level::Good };
        #[expect(clippy::cast_precision_loss, reason = "compared with a bound")]
        let p95 = self.p95_us as f64;
        failed.max(Level::of(p95, 250e3, 1e6))
    }
}
