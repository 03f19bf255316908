//! The state as plain lines: no colours, no box characters, nothing a terminal would obey.

use crate::{
    figures::{bytes, clock, count, measure, millis, percent, plain, rate, span, whole},
    model::{NodeRow, Picture, PoolRow},
};
use shared::protocol::admin::{Alert, AlertState, Metric};
use std::fmt::Write as _;

/// Everything, as text.
pub(super) fn print(picture: &Picture<'_>) -> String {
    let mut out = String::new();
    write(&mut out, picture).expect("a string takes any text");
    out
}

fn write(out: &mut String, picture: &Picture<'_>) -> std::fmt::Result {
    let store = picture.store;
    let known = |metric, show: fn(f64) -> String| picture.total(metric).map_or_else(|| "?".to_owned(), show);
    let at = picture.clock().map(clock).unwrap_or_default();
    writeln!(out, "cluster   {}/{} nodes heard  {at}", store.live(picture.now), store.nodes().len())?;
    writeln!(
        out,
        "sockets   {} open ({} signed in) of {}, +{}/s -{}/s",
        known(Metric::Connections, counted),
        known(Metric::Authenticated, counted),
        count(picture.socket_limit()),
        known(Metric::OpenedPerS, rate),
        known(Metric::ClosedPerS, rate)
    )?;
    writeln!(
        out,
        "messages  {}/s in, {}/s out",
        known(Metric::FramesInPerS, rate),
        known(Metric::FramesOutPerS, rate)
    )?;
    writeln!(
        out,
        "api       {}/s, {} errors, p95 {}, {} in flight",
        known(Metric::RequestsPerS, rate),
        known(Metric::ErrorShare, percent),
        known(Metric::LatencyP95Ms, |ms| millis(whole(ms * 1e3))),
        known(Metric::RequestsInFlight, counted)
    )?;
    for row in picture.nodes() {
        write_node(out, &row)?;
    }
    for row in picture.pools() {
        write_pool(out, &row)?;
    }
    for alert in picture.alerts(false) {
        write_alert(out, alert)?;
    }
    Ok(())
}

fn counted(value: f64) -> String {
    count(whole(value))
}

fn write_node(out: &mut String, row: &NodeRow) -> std::fmt::Result {
    write!(out, "node      {}  {}", plain(&row.name), row.status())?;
    let known = |metric, show: fn(f64) -> String| row.get(metric).map_or_else(|| "-".to_owned(), show);
    if let Some(up) = row.uptime {
        write!(
            out,
            "  {} sockets, cpu {}, rss {}, up {}, lag {}, files {}",
            known(Metric::Connections, counted),
            known(Metric::CpuCores, percent),
            known(Metric::RssBytes, |value| bytes(whole(value))),
            span(up),
            known(Metric::LoopLagMs, |ms| millis(whole(ms * 1e3))),
            known(Metric::OpenFds, counted)
        )?;
    }
    writeln!(out, ", version {}, pid {}", plain(&row.info.version), row.info.pid)
}

fn write_pool(out: &mut String, row: &PoolRow) -> std::fmt::Result {
    write!(
        out,
        "pool      {}@{}  {}/{} in use ({}{}), {} waiting",
        plain(&row.pool.name),
        plain(&row.node),
        whole(row.in_use),
        row.pool.max_size,
        percent(row.saturation),
        row.level().sign(),
        whole(row.waiting)
    )?;
    let known = |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(|| "?".to_owned(), show);
    write!(
        out,
        ", {}/s asked, wait p95 {}, {}/s given up",
        known(row.gets, rate),
        known(row.p95_ms, |ms| millis(whole(ms * 1e3))),
        known(row.timeouts, rate)
    )?;
    match &row.pool.last_error {
        Some(error) => writeln!(out, ", last error: {}", plain(error)),
        None => writeln!(out),
    }
}

fn write_alert(out: &mut String, alert: &Alert) -> std::fmt::Result {
    let state = if alert.state == AlertState::Firing { "firing" } else { "over" };
    let number = |value| alert.metric.map_or_else(String::new, |metric| measure(value, metric.unit()));
    writeln!(
        out,
        "alert     {} {state}  {}@{}  {} (bound {}) since {}  {}",
        alert.severity.name(),
        plain(alert.of.as_deref().unwrap_or(&alert.rule)),
        plain(&alert.node),
        number(alert.value),
        number(alert.threshold),
        clock(alert.since),
        plain(&alert.text)
    )
}
