//! `ping`: round trips on many sockets. At a fixed rate each counts from when its ping was due; without one every
//! socket pings again as soon as it has its pong, which is what a ping-pong costs a busy server.

use super::{Bench, check_opened, progress};
use crate::{
    cli::PingArgs,
    client::{ClientError, Socket},
    crowd::Member,
    frames,
    histogram::Latency,
    numbers::{micros_each, nanos, rate},
    pacer::Pacer,
    report::Report,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long the last pongs may take after the last ping.
const LAST_PONGS: Duration = Duration::from_secs(5);

/// What all sockets share.
#[derive(Debug)]
struct Board {
    origin: Instant,
    rtt: Latency,
    /// How late the harness itself was.
    lag: Latency,
    pings: AtomicU64,
    pongs: AtomicU64,
    closed: Mutex<BTreeMap<String, u64>>,
    /// No more pings; pongs are still heard.
    enough: CancellationToken,
}

pub(super) async fn run(args: &PingArgs, bench: &Bench) -> anyhow::Result<Report> {
    bench.crowd.check(args.users)?;
    let mut report = bench.report("ping");
    report.parameter("users", args.users);
    report.parameter("pings_per_second", args.rate.map_or("closed loop".into(), serde_json::Value::from));
    progress(format_args!("opening {} sockets", args.users));
    let opened = bench.crowd.open(0..args.users, None).await;
    check_opened(&mut report, &opened, args.users)?;

    let board = Arc::new(Board {
        origin: Instant::now(),
        rtt: Latency::default(),
        lag: Latency::default(),
        pings: AtomicU64::new(0),
        pongs: AtomicU64::new(0),
        closed: Mutex::default(),
        enough: CancellationToken::new(),
    });
    progress(format_args!("pings for {:?}", args.duration));
    let before = bench.measure()?;
    let users = opened.members.len();
    for (part, member) in opened.members.into_iter().enumerate() {
        let pacer = args.rate.map(|rate| Pacer::share(board.origin, rate, part, users));
        bench.life.tracker().spawn(user(member, pacer, Arc::clone(&board), bench.life.soft().clone()));
    }
    sleep(args.duration).await;
    let (server, harness) = bench.measure()?.since(&before);
    board.enough.cancel();
    last_pongs(&board).await;
    conclude(&mut report, &board, args.duration, server.as_ref().map(|usage| usage.cpu));
    report.usage(server, harness, bench.threads);
    Ok(report)
}

fn conclude(report: &mut Report, board: &Board, measured: Duration, cpu: Option<Duration>) {
    let (sent, answered) = (board.pings.load(Relaxed), board.pongs.load(Relaxed));
    report.figure("pongs_per_second", rate(answered, measured));
    report.figure("server_cpu_us_per_ping", cpu.and_then(|cpu| micros_each(cpu, answered)));
    report.latency("rtt", &board.rtt);
    report.latency("harness_lag", &board.lag);
    report.check("every ping is answered", sent, answered, sent == answered && sent > 0);
    let closed = board.closed.lock().unwrap_or_else(PoisonError::into_inner).clone();
    report.check("sockets stay open", "none closed", format!("{closed:?}"), closed.is_empty());
}

async fn last_pongs(board: &Board) {
    let until = Instant::now() + LAST_PONGS;
    while board.pongs.load(Relaxed) < board.pings.load(Relaxed) && Instant::now() < until {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn user(member: Member, mut pacer: Option<Pacer>, board: Arc<Board>, stop: CancellationToken) {
    let mut socket = member.socket;
    let pinging = async {
        match &mut pacer {
            Some(pacer) => ping_and_listen(&mut socket, pacer, &board).await,
            None => ping_after_pong(&mut socket, &board).await,
        }
    };
    let outcome = tokio::select! {
        outcome = pinging => outcome,
        () = stop.cancelled() => Ok(()),
    };
    match outcome {
        Ok(()) => socket.close().await,
        Err(error) => {
            let mut closed = board.closed.lock().unwrap_or_else(PoisonError::into_inner);
            *closed.entry(error.kind()).or_default() += 1;
        }
    }
}

impl Board {
    /// Counts the frame if it is a pong.
    fn hear(&self, text: &str) -> bool {
        let Some(at) = frames::pong(text) else { return false };
        self.rtt.record(self.origin.elapsed().saturating_sub(Duration::from_nanos(at)));
        self.pongs.fetch_add(1, Relaxed);
        true
    }
}

async fn ping_after_pong(socket: &mut Socket, board: &Board) -> Result<(), ClientError> {
    while !board.enough.is_cancelled() {
        // Counted before it is sent: a pong must never be ahead of its ping.
        board.pings.fetch_add(1, Relaxed);
        socket.say(frames::ping(nanos(board.origin.elapsed()))).await?;
        while !board.hear(&socket.hear().await?) {}
    }
    Ok(())
}

async fn ping_and_listen(socket: &mut Socket, pacer: &mut Pacer, board: &Board) -> Result<(), ClientError> {
    loop {
        tokio::select! {
            text = socket.hear() => {
                board.hear(&text?);
            }
            due = pacer.next(), if !board.enough.is_cancelled() => {
                let now = Instant::now();
                board.lag.record(now - due);
                let from = Pacer::counted_from(due, now) - board.origin;
                socket.say(frames::ping(nanos(from))).await?;
                board.pings.fetch_add(1, Relaxed);
            }
        }
    }
}
