//! `idle`: what a connection costs that does nothing but stay. Memory is a slope between two counts, so that what
//! the server needs anyway does not count; CPU is measured while all of them are held.

use super::{Bench, progress};
use crate::{
    cli::IdleArgs,
    crowd::{Member, Opened},
    numbers::{float, float_len, micros_each},
    report::Report,
};
use anyhow::{Context as _, ensure};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(super) async fn run(args: &IdleArgs, bench: &Bench) -> anyhow::Result<Report> {
    ensure!(args.from < args.users, "--from must be below --users: the cost is the slope between the two");
    bench.crowd.check(args.users)?;
    let server = bench.server().context("--server-pid is needed: memory and CPU are the server's")?;
    let mut report = bench.report("idle");
    report.parameter("from", args.from);
    report.parameter("users", args.users);
    let lost = Arc::new(AtomicU64::new(0));

    let empty = server.snapshot()?;
    let mut opened = open_and_hold(bench, 0..args.from, &lost).await;
    sleep(args.settle).await;
    let low = server.snapshot()?;
    let first = opened.count;
    let rest = open_and_hold(bench, args.from..args.users, &lost).await;
    opened.count += rest.count;
    opened.report.failures.extend(rest.report.failures);
    sleep(args.settle).await;
    let high = server.snapshot()?;
    report.check("users connected", args.users, opened.count, opened.count == args.users);
    ensure!(opened.count > first, "no second group of connections: no slope ({})", opened.report.reasons());

    let added = float_len(opened.count - first);
    report.figure("rss_mib_empty", float(empty.rss_bytes) / 1_048_576.0);
    report.figure("rss_mib_first", float(low.rss_bytes) / 1_048_576.0);
    report.figure("rss_mib_all", float(high.rss_bytes) / 1_048_576.0);
    report.figure("kib_per_connection", (float(high.rss_bytes) - float(low.rss_bytes)) / 1_024.0 / added);
    let connecting = high.since(&low);
    let connects = u64::try_from(rest.count)?;
    report.figure("server_cpu_us_per_connect", micros_each(connecting.cpu, connects));

    progress(format_args!("holding {} idle connections for {:?}", opened.count, args.hold));
    let before = bench.measure()?;
    sleep(args.hold).await;
    let (server, harness) = bench.measure()?.since(&before);
    report.figure("idle_cpu_percent_of_a_core", server.as_ref().map(|usage| usage.cores() * 100.0));
    let lost = lost.load(Relaxed);
    report.check("idle sockets stay open", 0, lost, lost == 0);
    report.usage(server, harness, bench.threads);
    Ok(report)
}

struct Held {
    count: usize,
    report: Opened,
}

async fn open_and_hold(bench: &Bench, range: std::ops::Range<usize>, lost: &Arc<AtomicU64>) -> Held {
    progress(format_args!("opening sockets {}..{}", range.start, range.end));
    let mut opened = bench.crowd.open(range, None).await;
    let members = std::mem::take(&mut opened.members);
    let count = members.len();
    for member in members {
        bench.life.tracker().spawn(hold(member, Arc::clone(lost), bench.life.soft().clone()));
    }
    Held { count, report: opened }
}

/// Reads, so that pings are answered; counts itself as lost when the server ends it.
async fn hold(mut member: Member, lost: Arc<AtomicU64>, stop: CancellationToken) {
    let ended = tokio::select! {
        () = async { while member.socket.hear().await.is_ok() {} } => true,
        () = stop.cancelled() => false,
    };
    if ended {
        lost.fetch_add(1, Relaxed);
    }
}
