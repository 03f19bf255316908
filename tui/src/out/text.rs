//! The state as plain lines: no colours, no box characters, nothing a terminal would obey.

use crate::{
    figures::{bytes, count, latency, millis, percent, plain, rate, span},
    model::{Freshness, Moment, Node, PoolRow, Store},
};
use std::{fmt::Write as _, time::Duration};

/// Everything, as text.
pub(super) fn print(store: &Store, now: Moment) -> String {
    let mut out = String::new();
    write(&mut out, store, now).expect("a string takes any text");
    out
}

fn write(out: &mut String, store: &Store, now: Moment) -> std::fmt::Result {
    let sum = store.cluster(now);
    let per_second = |value: f64| if sum.has_rates { rate(value) } else { "?".to_owned() };
    writeln!(out, "cluster   {}/{} nodes heard", store.live(now), store.nodes().len())?;
    writeln!(
        out,
        "sockets   {} open ({} signed in) of {}, +{}/s -{}/s",
        count(sum.sockets),
        count(sum.authenticated),
        count(sum.socket_limit),
        per_second(sum.opened),
        per_second(sum.closed)
    )?;
    writeln!(out, "messages  {}/s in, {}/s out", per_second(sum.frames_in), per_second(sum.frames_out))?;
    let p95 = sum.minute.p95().map_or_else(|| "-".to_owned(), latency);
    let errors = percent(sum.minute.error_share());
    writeln!(out, "api       {}/s, {errors} errors, p95 {p95}, {} in flight", per_second(sum.requests), sum.in_flight)?;
    for node in store.nodes() {
        write_node(out, node, now)?;
    }
    for row in store.pools(now) {
        write_pool(out, &row)?;
    }
    for error in &sum.errors {
        writeln!(out, "error     {} × {}", count(error.count), plain(&error.name))?;
    }
    Ok(())
}

fn write_node(out: &mut String, node: &Node, now: Moment) -> std::fmt::Result {
    let state = match (node.freshness(now), node.tick()) {
        (Freshness::Live, Some(tick)) => format!("{:?}", tick.state).to_lowercase(),
        (Freshness::Stale(age), _) => format!("lost for {}", span(age)),
        _ => "not heard".to_owned(),
    };
    write!(out, "node      {}  {state}", plain(node.name()))?;
    if let Some(tick) = node.tick() {
        let cpu = node.rates().map_or_else(|| "?".to_owned(), |rates| percent(rates.cores));
        let process = &tick.process;
        let up = span(Duration::from_millis(tick.uptime_ms));
        write!(
            out,
            "  {} sockets, cpu {cpu}, rss {}, up {up}",
            count(tick.stats.sockets.open()),
            bytes(process.rss_bytes)
        )?;
        write!(
            out,
            ", lag {}, files {}/{}",
            millis(process.loop_lag_us),
            count(process.open_fds),
            count(process.max_fds)
        )?;
    }
    if let Some(hello) = node.hello() {
        write!(out, ", version {}, pid {}", plain(&hello.node.version), hello.node.pid)?;
    }
    writeln!(out)
}

fn write_pool(out: &mut String, row: &PoolRow<'_>) -> std::fmt::Result {
    let (pool, rates) = (row.pool, row.rates.unwrap_or_default());
    let (name, node) = (plain(&pool.name), plain(row.node.name()));
    write!(
        out,
        "pool      {name}@{node}  {}/{} in use ({}{})",
        pool.in_use,
        pool.max_size,
        percent(row.saturation()),
        row.level().sign()
    )?;
    write!(out, ", {} idle, {} waiting, {}/s asked", pool.idle, pool.waiting, rate(rates.gets))?;
    write!(out, ", wait p95 {}, {}/s given up", millis(pool.wait_p95_us), rate(rates.timeouts))?;
    match &pool.last_error {
        Some(error) => writeln!(out, ", last error: {}", plain(error)),
        None => writeln!(out),
    }
}
