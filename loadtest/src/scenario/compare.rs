//! `compare-fanout`: the gateway beside the plain baseline server, alternating in one run, so that whatever else the
//! machine does hits both alike. Compared are the medians of the server's CPU per delivery.

use super::{Bench, fanout, progress};
use crate::{
    cli::CompareArgs, client::Dialect, numbers::median, process::ChildServer, report::Report, target::Sources,
};
use anyhow::{Context as _, bail};
use std::time::Duration;
use tokio::time::timeout;

/// How long the baseline server may take to start.
const STARTING: Duration = Duration::from_secs(10);

pub(super) async fn run(args: &CompareArgs, gateway: &Bench) -> anyhow::Result<Report> {
    let server = gateway.server().context("--server-pid is needed: the CPU compared is the server's")?;
    let mut report = gateway.report("compare-fanout");
    fanout::describe(&mut report, &args.traffic);
    report.parameter("rounds", args.rounds);
    report.parameter("gateway_pid", server.pid());
    if cfg!(debug_assertions) {
        report.note("debug build: the baseline is unoptimised, the ratio means nothing");
    }
    let (_child, baseline) = start_baseline(gateway).await?;

    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        for (name, bench, costs) in [("baseline", &baseline, &mut plain), ("gateway", gateway, &mut ours)] {
            let mut one = bench.report("fanout");
            let outcome = fanout::measure(&args.traffic, bench, &mut one).await.with_context(|| name.to_owned())?;
            let cost = outcome.cost().context("no deliveries")?;
            progress(format_args!(
                "round {round}: {name} {cost:.3} µs per delivery, {} deliveries",
                outcome.deliveries
            ));
            report.figure(format!("{name}_us_per_delivery_round_{round}"), cost);
            outcome.checks(&mut report);
            costs.push(cost);
        }
    }
    let (Some(ours), Some(plain)) = (median(&ours), median(&plain)) else { bail!("no rounds") };
    report.figure("baseline_us_per_delivery_median", plain);
    report.figure("gateway_us_per_delivery_median", ours);
    report.figure("ratio", ours / plain);
    let (wanted, seen) = (format!("≤ {} × baseline", args.max_ratio), format!("{:.3} ×", ours / plain));
    report.check("cost of a delivery", wanted, seen, ours <= args.max_ratio * plain);
    Ok(report)
}

/// Starts the baseline server as a process of its own, so that its CPU is its own.
async fn start_baseline(model: &Bench) -> anyhow::Result<(ChildServer, Bench)> {
    let starting = tokio::task::spawn_blocking(|| {
        let mut child = ChildServer::own(&["baseline", "--threads", &baseline_threads()])?;
        let line = child.line()?;
        Ok::<_, std::io::Error>((child, line))
    });
    let (child, line) = timeout(STARTING, starting).await.context("the baseline server did not start")???;
    let target: crate::target::Target =
        line.strip_prefix("listening ").with_context(|| format!("the baseline server said {line:?}"))?.parse()?;
    let crowd = crate::crowd::Crowd {
        sources: Sources::new(&target, 50),
        targets: vec![target],
        dialect: Dialect::Baseline,
        tokens: Vec::new(),
        ramp: model.crowd.ramp,
    };
    let bench = Bench {
        crowd,
        servers: vec![child.process()],
        life: model.life.clone(),
        threads: model.threads,
        started: super::Started::Nothing,
    };
    Ok((child, bench))
}

/// As many threads as the gateway has by default.
fn baseline_threads() -> String {
    std::thread::available_parallelism().map_or(1, usize::from).to_string()
}
