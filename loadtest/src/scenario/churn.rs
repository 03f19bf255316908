//! `churn`: users come, enter a room, leave again, half of them without a word, as fast as they can or at a given
//! rate. What is measured is the server's memory: it must not grow with the number of connections there have been.

use super::Bench;
use crate::{
    cli::ChurnArgs,
    client::{ClientError, Dialect},
    crowd::{Crowd, Member},
    curve::Curve,
    numbers::{float, micros_each, rate},
    pacer::Pacer,
    report::Report,
};
use anyhow::{Context as _, ensure};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the users share.
#[derive(Debug, Default)]
struct Board {
    begun: AtomicU64,
    done: AtomicU64,
    problems: Mutex<BTreeMap<String, u64>>,
}

pub(super) async fn run(args: &ChurnArgs, bench: &Bench) -> anyhow::Result<Report> {
    bench.crowd.check(args.users)?;
    let server = bench.server().context("the memory measured is the server's: --spawn or --server-pid")?.clone();
    let mut report = bench.report("churn");
    report.parameter("users", args.users);
    report.parameter("cycles", args.cycles);
    if let Some(per_second) = args.rate {
        report.parameter("cycles_per_second", per_second);
    }
    let (board, over, start) = (Arc::new(Board::default()), CancellationToken::new(), Instant::now());
    let before = bench.measure()?;
    let users = (0..args.users).map(|index| {
        let (board, crowd) = (Arc::clone(&board), bench.crowd.clone());
        let pacer = args.rate.map(|rate| Pacer::share(start, rate, index, args.users));
        bench.life.tracker().spawn(user(index, args.cycles, crowd, board, pacer))
    });
    let users: Vec<_> = users.collect();
    let everybody = async {
        for user in users {
            user.await.context("a user's task failed")?;
        }
        over.cancel();
        anyhow::Ok(())
    };
    let (curve, ended) = tokio::join!(Curve::draw(&server, &over, || board.done.load(Relaxed)), everybody);
    ended?;
    let (usage, harness) = bench.measure()?.since(&before);
    let done = board.done.load(Relaxed);
    ensure!(done > 0, "not one cycle worked");
    report.figure("cycles_done", float(done));
    report.figure("cycles_per_second", rate(done, start.elapsed()));
    report.figure("server_cpu_us_per_cycle", usage.as_ref().and_then(|usage| micros_each(usage.cpu, done)));
    let problems = board.problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
    report.check("every cycle worked", "no problems", format!("{problems:?}"), problems.is_empty());
    report.memory(&curve, args.most_growth);
    report.usage(usage, harness, bench.threads);
    Ok(report)
}

async fn user(index: usize, cycles: u64, crowd: Crowd, board: Arc<Board>, mut pacer: Option<Pacer>) {
    loop {
        if let Some(pacer) = &mut pacer {
            pacer.next().await;
        }
        let cycle = board.begun.fetch_add(1, Relaxed);
        if cycle >= cycles {
            return;
        }
        if let Err(error) = once(index, cycle, &crowd).await {
            *board.problems.lock().unwrap_or_else(PoisonError::into_inner).entry(error.kind()).or_default() += 1;
        }
        board.done.fetch_add(1, Relaxed);
    }
}

async fn once(index: usize, cycle: u64, crowd: &Crowd) -> Result<(), ClientError> {
    let room = (crowd.dialect == Dialect::Pitchey).then_some("public:lobby");
    let Member { socket, .. } = crowd.one(index, room).await?;
    if cycle.is_multiple_of(2) {
        socket.close().await;
    }
    // Else the socket is dropped: the server finds out by itself.
    Ok(())
}
