//! One file per scenario. Each opens its users with [`Crowd`], does its one thing, and hands back a [`Report`].
//!
//! # Adding a scenario
//!
//! 1. A file here with `pub(super) async fn run(args, bench) -> anyhow::Result<Report>`.
//! 2. Its options in `cli.rs`, bounded, and its line in [`run`].
//! 3. Its command and the place of its figures in `loadtest/README.md`.
//! 4. A test that runs it small against [`crate::baseline`] or checks its arithmetic.

mod compare;
mod fanout;
mod idle;
mod mix;
mod ping;

use crate::{
    baseline,
    cli::{Aim, Cli, Command},
    client::Dialect,
    crowd::{self, Crowd, Opened},
    process::{Process, Snapshot, Usage},
    report::Report,
    target::Sources,
};
use anyhow::Context as _;
use shared::lifecycle::Lifecycle;
use std::{process::ExitCode, time::Duration};
use tokio::time::timeout;

/// What every scenario works with.
#[derive(Debug)]
pub(crate) struct Bench {
    crowd: Crowd,
    server: Option<Process>,
    life: Lifecycle,
    threads: usize,
}

/// Runs what the command line asks for.
pub(crate) async fn run(cli: Cli, life: &Lifecycle) -> anyhow::Result<ExitCode> {
    let Cli { command, threads, json } = cli;
    let bench = |aim: &Aim, per_address| Bench::new(aim, per_address, threads, life.clone());
    let report = match command {
        Command::Baseline(args) => return baseline::run(&args, life).await.map(|()| ExitCode::SUCCESS),
        Command::Ping(args) => bounded(args.duration, ping::run(&args, &bench(&args.aim, 50)?)).await?,
        Command::Idle(args) => bounded(args.hold + args.settle * 3, idle::run(&args, &bench(&args.aim, 50)?)).await?,
        Command::Fanout(args) => {
            let longest = args.traffic.warmup + args.traffic.duration;
            bounded(longest, fanout::run(&args, &bench(&args.aim, 50)?)).await?
        }
        Command::CompareFanout(args) => {
            let pairs = u32::try_from(args.rounds * 2)?;
            let longest = (args.traffic.warmup + args.traffic.duration + Duration::from_mins(1)) * pairs;
            bounded(longest, compare::run(&args, &bench(&args.aim, 50)?)).await?
        }
        // One address a user, as in life: REST is limited per address too.
        Command::Mix(args) => bounded(args.duration, mix::run(&args, &bench(&args.aim, 1)?)).await?,
    };
    report.finish(json.as_deref())
}

/// Ends a scenario that does not end by itself: what it was asked to take, and ten minutes for its crowd.
async fn bounded(longest: Duration, scenario: impl Future<Output = anyhow::Result<Report>>) -> anyhow::Result<Report> {
    let most = longest + Duration::from_mins(10);
    timeout(most, Box::pin(scenario)).await.with_context(|| format!("the run did not end within {most:?}"))?
}

impl Bench {
    fn new(aim: &Aim, per_address: usize, threads: usize, life: Lifecycle) -> anyhow::Result<Self> {
        let tokens = aim.tokens.as_deref().map(crowd::read_tokens).transpose()?.unwrap_or_default();
        let crowd = Crowd {
            sources: Sources::new(&aim.url, aim.per_address.unwrap_or(per_address)),
            target: aim.url.clone(),
            dialect: if aim.baseline { Dialect::Baseline } else { Dialect::Pitchey },
            tokens,
            ramp: aim.ramp,
        };
        let server = aim.server_pid.map(Process::new);
        if let Some(server) = &server {
            server.snapshot().with_context(|| format!("failed to read process {} (--server-pid)", server.pid()))?;
        }
        Ok(Self { crowd, server, life, threads })
    }

    /// An empty report that knows where this bench aims.
    fn report(&self, scenario: &'static str) -> Report {
        let mut report = Report::new(scenario, self.crowd.target.addr);
        report.parameter("ramp_per_second", self.crowd.ramp);
        report.parameter("harness_threads", self.threads);
        report.parameter("signed_in", !self.crowd.tokens.is_empty());
        report
    }

    /// What server and harness have used so far.
    fn measure(&self) -> anyhow::Result<Measure> {
        let server = self.server.as_ref().map(Process::snapshot).transpose();
        Ok(Measure {
            server: server.context("failed to read the server's process: has it ended?")?,
            harness: Process::own().snapshot().ok(),
        })
    }
}

/// One reading of both processes.
#[derive(Debug)]
struct Measure {
    server: Option<Snapshot>,
    harness: Option<Snapshot>,
}

impl Measure {
    /// What was used since `earlier`: server, harness.
    fn since(&self, earlier: &Self) -> (Option<Usage>, Option<Usage>) {
        let between = |now: &Option<Snapshot>, before: &Option<Snapshot>| {
            now.as_ref().zip(before.as_ref()).map(|(now, before)| now.since(before))
        };
        (between(&self.server, &earlier.server), between(&self.harness, &earlier.harness))
    }
}

/// Notes in the report how many of `wanted` users got in; fails when nobody did.
fn check_opened(report: &mut Report, opened: &Opened, wanted: usize) -> anyhow::Result<()> {
    let seen = opened.members.len();
    let why = if opened.failed() == 0 { String::new() } else { format!(" ({})", opened.reasons()) };
    anyhow::ensure!(seen > 0, "nobody got in{why}");
    report.check("users connected", wanted, format!("{seen}{why}"), seen == wanted);
    Ok(())
}

/// A line of progress on standard error: plain, because it is as often read in a log as on a screen.
fn progress(text: impl std::fmt::Display) {
    eprintln!("… {text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use tokio::net::TcpListener;

    /// Runs a scenario against a baseline server inside this process.
    async fn against_baseline(arguments: &str) -> ExitCode {
        let life = Lifecycle::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = listener.local_addr().unwrap().to_string();
        let server = life.clone();
        life.tracker().spawn(async move {
            tokio::select! {
                () = baseline::serve(&listener, &server) => {}
                () = server.soft().cancelled() => {}
            }
        });
        let pid = std::process::id().to_string();
        let words = arguments.split(' ').chain(["--baseline", "--url", &url, "--server-pid", &pid]);
        let cli = Cli::try_parse_from(std::iter::once("pitchey-loadtest").chain(words)).unwrap();
        let outcome = run(cli, &life).await.unwrap();
        life.shutdown(Duration::from_secs(5)).await;
        outcome
    }

    #[tokio::test]
    async fn every_ping_of_a_small_run_is_answered() {
        let outcome = against_baseline("ping --users 5 --rate 200 --duration 300ms --ramp 1000").await;
        assert_eq!(outcome, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_closed_fan_out_reaches_everybody_once_and_in_order() {
        let arguments =
            "fanout --subscribers 8 --in-flight 5 --publishers 2 --duration 300ms --warmup 50ms --ramp 1000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn an_open_fan_out_reaches_everybody_once_and_in_order() {
        let arguments = "fanout --subscribers 8 --rate 300 --publishers 3 --duration 300ms --warmup 50ms --ramp 1000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn idle_sockets_are_held_and_counted() {
        let arguments = "idle --from 5 --users 20 --hold 100ms --settle 50ms --ramp 1000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure_and_not_an_empty_report() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let words = ["x", "ping", "--users", "2", "--duration", "100ms", "--url", &free];
        let error = run(Cli::try_parse_from(words).unwrap(), &Lifecycle::new()).await.unwrap_err();
        assert!(error.to_string().contains("nobody got in"), "{error:#}");
    }
}
