//! `typing`: a great many typing events in one room. They are stored nowhere, so the server's memory must not know
//! how many there were. Each user sends a handful, then waits for the answer to a ping: nobody runs ahead.

use super::{Bench, check_opened, progress};
use crate::{
    cli::TypingArgs,
    client::{ClientError, Dialect, Socket},
    curve::Curve,
    frames,
    numbers::{float, micros_each, rate},
    report::Report,
};
use anyhow::Context as _;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Typing events between two pings.
const HANDFUL: u64 = 20;

/// What the users share.
#[derive(Debug, Default)]
struct Board {
    begun: AtomicU64,
    sent: AtomicU64,
    heard: AtomicU64,
    problems: Mutex<BTreeMap<String, u64>>,
}

pub(super) async fn run(args: &TypingArgs, bench: &Bench) -> anyhow::Result<Report> {
    bench.crowd.check(args.users)?;
    let server = bench.server().context("the memory measured is the server's: --spawn or --server-pid")?.clone();
    let mut report = bench.report("typing");
    report.parameter("users", args.users);
    report.parameter("events", args.events);
    let room = (bench.crowd.dialect == Dialect::Pitchey).then_some(args.room.as_str());
    let opened = bench.crowd.open(0..args.users, room).await;
    check_opened(&mut report, &opened, args.users)?;
    progress(format_args!("{} typing events", args.events));
    let (board, over, start) = (Arc::new(Board::default()), CancellationToken::new(), Instant::now());
    let before = bench.measure()?;
    let users: Vec<_> = opened
        .members
        .into_iter()
        .map(|member| {
            let user = user(member.socket, args.room.clone(), args.events, Arc::clone(&board));
            bench.life.tracker().spawn(user)
        })
        .collect();
    let everybody = async {
        for user in users {
            user.await.context("a user's task failed")?;
        }
        over.cancel();
        anyhow::Ok(())
    };
    let (curve, ended) = tokio::join!(Curve::draw(&server, &over, || board.sent.load(Relaxed)), everybody);
    ended?;
    let (usage, harness) = bench.measure()?.since(&before);
    let sent = board.sent.load(Relaxed);
    report.figure("typing_events_sent", float(sent));
    report.figure("typing_events_per_second", rate(sent, start.elapsed()));
    report.figure("typing_events_heard", float(board.heard.load(Relaxed)));
    report.figure("server_cpu_us_per_typing_event", usage.as_ref().and_then(|usage| micros_each(usage.cpu, sent)));
    report.check("all were sent", args.events, sent, sent >= args.events);
    let problems = board.problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
    report.check("no errors, no closes", "none", format!("{problems:?}"), problems.is_empty());
    report.memory(&curve, args.most_growth);
    report.usage(usage, harness, bench.threads);
    Ok(report)
}

async fn user(mut socket: Socket, room: String, events: u64, board: Arc<Board>) {
    match type_on(&mut socket, &room, events, &board).await {
        Ok(()) => socket.close().await,
        Err(error) => {
            *board.problems.lock().unwrap_or_else(PoisonError::into_inner).entry(error.kind()).or_default() += 1;
        }
    }
}

async fn type_on(socket: &mut Socket, room: &str, events: u64, board: &Board) -> Result<(), ClientError> {
    let typing = frames::typing(room);
    let mut mark = 0;
    while board.begun.fetch_add(HANDFUL, Relaxed) < events {
        for _ in 0..HANDFUL {
            socket.queue(typing.clone()).await?;
        }
        mark += 1;
        socket.say(frames::ping(mark)).await?;
        loop {
            let text = socket.hear().await?;
            if frames::pong(&text) == Some(mark) {
                board.sent.fetch_add(HANDFUL, Relaxed);
                break;
            }
            if text.starts_with(r#"{"type":"typing""#) {
                board.heard.fetch_add(1, Relaxed);
            } else if text.starts_with(r#"{"type":"error""#) {
                return Err(ClientError::Answer { code: "typing".into(), message: text.to_string() });
            }
        }
    }
    Ok(())
}
