//! `latency`: how long a delivery takes when the server is half busy. First a closed loop finds the rate at which the
//! fan-out is saturated, then an open loop publishes at a share of it, each latency counted from when it was due.

use super::{Bench, fanout, progress};
use crate::{
    cli::{LatencyArgs, Traffic},
    report::Report,
};
use anyhow::Context as _;

pub(super) async fn run(args: &LatencyArgs, bench: &Bench) -> anyhow::Result<Report> {
    let mut report = bench.report("latency");
    fanout::describe(&mut report, &args.traffic);
    report.parameter("share_of_saturated_rate", args.share);
    let saturated = fanout::measure(&args.traffic, bench, &mut report).await?;
    saturated.checks(&mut report);
    let most = saturated.publishes_per_second();
    progress(format_args!("saturated at {most:.0} publishes a second"));
    report.figure("saturated_publishes_per_second", most);
    let rate = most * args.share;
    let traffic = Traffic { rate: Some(rate), ..args.traffic.clone() };
    let half = fanout::measure(&traffic, bench, &mut report).await?;
    let p99 = half.latency().context("nothing was delivered")?.p99_us / 1e3;
    let (wanted, seen) = (format!("at most {:?}", args.max_p99), format!("{p99:.2} ms"));
    fanout::conclude(&mut report, &half, bench);
    report.check("99 of 100 deliveries", wanted, seen, p99 <= args.max_p99.as_secs_f64() * 1e3);
    Ok(report)
}
