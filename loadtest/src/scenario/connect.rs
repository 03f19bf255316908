//! `connect`: what it costs the server to let a user in. The same crowd connects, signs in and leaves again, several
//! times: the first time its sessions and devices are news, from then on the caches know them, as in a storm of
//! reconnects after a node's end. `--ramp` decides whether it is a storm or a stream.

use super::{Bench, progress};
use crate::{
    cli::ConnectArgs,
    crowd::Member,
    histogram::Latency,
    numbers::{median, micros_each, rate},
    process::Usage,
    report::Report,
};
use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

pub(super) async fn run(args: &ConnectArgs, bench: &Bench) -> anyhow::Result<Report> {
    bench.crowd.check(args.users)?;
    let server = bench.server().context("the CPU measured is the server's: --spawn or --server-pid")?;
    let mut report = bench.report("connect");
    report.parameter("users", args.users);
    report.parameter("rounds", args.rounds);
    let (latency, mut opening, mut closing) = (Latency::default(), Vec::new(), Vec::new());
    let mut last = (None, None);
    for round in 1..=args.rounds {
        let (before, started) = (bench.measure()?, Instant::now());
        let opened = bench.crowd.open(0..args.users, None).await;
        last = bench.measure()?.since(&before);
        let took = started.elapsed();
        let seen = opened.members.len();
        report.check(format!("users connected in round {round}"), args.users, seen, seen == args.users);
        opened.members.iter().for_each(|member| latency.record(member.took));
        let cost = each(last.0.as_ref(), seen)?.context("nobody got in")?;
        progress(format_args!("round {round}: {cost:.1} µs per connect, {:.0} a second", rate(seen as u64, took)));
        if round == 1 {
            report.figure("server_cpu_us_per_connect_first", cost);
        } else {
            opening.push(cost);
        }
        let before = server.snapshot()?;
        join_all(opened.members.into_iter().map(|Member { socket, .. }| socket.close())).await;
        // The server forgets a connection a moment after its client does.
        sleep(args.settle).await;
        closing.extend(each(Some(&server.snapshot()?.since(&before)), seen)?);
    }
    report.figure("server_cpu_us_per_connect_again", median(&opening));
    report.figure("server_cpu_us_per_close", median(&closing));
    report.latency("connected and ready", &latency);
    let (server, harness) = last;
    report.usage(server, harness, bench.threads);
    Ok(report)
}

fn each(usage: Option<&Usage>, count: usize) -> anyhow::Result<Option<f64>> {
    let count = u64::try_from(count)?;
    Ok(usage.and_then(|usage| micros_each(usage.cpu, count)))
}
