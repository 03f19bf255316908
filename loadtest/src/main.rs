//! `pitchey-loadtest`: simulated users who measure what Pitchey promises.
//!
//! ```text
//!  cli ──▶ scenario ──▶ crowd (opens N sockets, paced) ──▶ client (one WebSocket) ──▶ the platform under test
//!              │                                                                          │
//!              ├──▶ histogram, ledger   what arrived, how late, what is missing           │
//!              └──▶ process             CPU and memory of the server, from /proc ◀────────┘
//!          report: table, JSON, exit code
//! ```
//!
//! Rules every scenario keeps: only loopback is aimed at; everything is bounded in time and count; latency counts
//! from the intended send time; a child ends with the harness; nothing is reported that was not measured.
//!
//! Exit codes: 0 all checks held, 1 a check was missed, 2 the run could not be done, 130 interrupted.

mod baseline;
mod cli;
mod client;
mod crowd;
mod curve;
mod fleet;
mod frames;
mod histogram;
mod http;
mod ledger;
mod numbers;
mod pacer;
mod platform;
mod process;
mod report;
mod scenario;
mod tally;
mod target;
mod transport;

use anyhow::Context as _;
use clap::Parser as _;
use shared::lifecycle::Lifecycle;
use std::{process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// How long tasks get to close their sockets after a run; then they are dropped.
const CLOSING: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match runtime(cli.threads).and_then(|runtime| runtime.block_on(run(cli))) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("pitchey-loadtest: {problem:#}");
            ExitCode::from(2)
        }
    }
}

/// One thread by default: the servers under test share the machine, and one thread costs less than two that meet.
fn runtime(threads: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().context("failed to start the runtime")
}

async fn run(cli: cli::Cli) -> anyhow::Result<ExitCode> {
    let life = Lifecycle::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let outcome = tokio::select! {
        outcome = scenario::run(cli, &life) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
        _ = terminate.recv() => Ok(ExitCode::from(130)),
    };
    life.shutdown(CLOSING).await;
    outcome
}
