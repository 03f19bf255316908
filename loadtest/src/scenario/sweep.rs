//! `sweep`: the fan-out again and again with more and more subscribers. One delivery must cost the same whether the
//! room has a hundred members or ten thousand.

use super::{Bench, fanout, progress};
use crate::{
    cli::{SweepArgs, Traffic},
    report::Report,
};
use anyhow::Context as _;

pub(super) async fn run(args: &SweepArgs, bench: &Bench) -> anyhow::Result<Report> {
    bench.server().context("the CPU measured is the server's: --spawn or --server-pid")?;
    let mut report = bench.report("sweep");
    fanout::describe(&mut report, &args.traffic);
    let mut costs = Vec::with_capacity(args.sizes.len());
    for subscribers in &args.sizes {
        let traffic = Traffic { subscribers: *subscribers, ..args.traffic.clone() };
        let outcome = fanout::measure(&traffic, bench, &mut report).await?;
        let cost = outcome.cost().context("no deliveries")?;
        progress(format_args!("{subscribers} subscribers: {cost:.3} µs per delivery"));
        report.figure(format!("us_per_delivery_{subscribers}_subscribers"), cost);
        outcome.checks(&mut report);
        costs.push(cost);
    }
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = costs.iter().copied().fold(0.0, f64::max);
    report.figure("dearest_over_cheapest", most / least);
    let (wanted, seen) = (format!("at most {} ×", args.max_ratio), format!("{:.2} ×", most / least));
    report.check("a delivery costs the same in any room", wanted, seen, most <= args.max_ratio * least);
    Ok(report)
}
