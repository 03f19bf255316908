//! `fanout`: one room, many sockets. Every message must reach everybody once and in order; the CPU the server's
//! process spent, divided by the deliveries, is what each one cost.
//!
//! Closed loop by default: at most `--in-flight` publishes are under way, and one is done when *everybody* has it,
//! so that no reader falls behind and the figure is the same for every server. With `--rate` the loop is open and
//! latency counts from when a publish was due.

use super::{Bench, check_opened, progress};
use crate::{
    cli::{FanoutArgs, Traffic},
    client::{ClientError, Dialect, Socket},
    crowd::Member,
    frames::{self, Mark},
    histogram::{Latency, Summary},
    ledger::{Faults, Ledger},
    numbers::{float, micros_each, nanos, rate},
    pacer::Pacer,
    process::Usage,
    report::Report,
};
use anyhow::ensure;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long the last deliveries may take after the last publish.
const LAST_DELIVERIES: Duration = Duration::from_secs(5);

/// What one measured stretch found.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) deliveries: u64,
    pub(super) server: Option<Usage>,
    harness: Option<Usage>,
    wall: Duration,
    board: Arc<Board>,
    faults: Faults,
    /// Scripts that Redis carried out meanwhile, if it is ours.
    redis: Option<u64>,
    /// Connections of Redis that are subscribed to the room.
    subscriptions: Option<i64>,
}

/// What all sockets of a run share.
#[derive(Debug)]
struct Board {
    origin: Instant,
    latency: Latency,
    lag: Latency,
    deliveries: AtomicU64,
    members: u32,
    /// Whose turn it is to publish next. They rotate, so that none comes near the platform's limit of frames a second
    /// alone; one shared semaphore would favour whoever has fewer deliveries to read.
    turn: AtomicUsize,
    lanes: Vec<Lane>,
    problems: Mutex<BTreeMap<String, u64>>,
    /// No more publishes; deliveries are still heard.
    enough: CancellationToken,
    /// Everybody leaves.
    over: CancellationToken,
}

/// One publisher's messages under way.
#[derive(Debug)]
struct Lane {
    /// A permit for each message this publisher may send now.
    free: Semaphore,
    /// How many have got message `number % slots.len()`: as many as may be under way, for all of them could be this
    /// publisher's. Empty in an open loop.
    slots: Box<[AtomicU32]>,
    sent: AtomicU64,
}

/// What lets a publisher send its next message.
#[derive(Debug)]
enum Trigger {
    Delivered,
    Due(Pacer),
}

pub(super) async fn run(args: &FanoutArgs, bench: &Bench) -> anyhow::Result<Report> {
    let mut report = bench.report("fanout");
    describe(&mut report, &args.traffic);
    let outcome = measure(&args.traffic, bench, &mut report).await?;
    conclude(&mut report, &outcome, bench);
    Ok(report)
}

/// Writes the traffic's parameters down.
pub(super) fn describe(report: &mut Report, traffic: &Traffic) {
    report.parameter("subscribers", traffic.subscribers);
    let in_flight = if traffic.rate.is_some() { "open loop".into() } else { traffic.in_flight.to_string() };
    report.parameter("in_flight", in_flight);
    report.parameter("publishers", publishers(traffic));
    report.parameter("payload_bytes", traffic.payload);
    if let Some(rate) = traffic.rate {
        report.parameter("publishes_per_second", rate);
    }
}

fn publishers(traffic: &Traffic) -> usize {
    traffic.publishers.unwrap_or(100).min(traffic.subscribers)
}

/// Opens the crowd, publishes, measures, and sends everybody home.
pub(super) async fn measure(traffic: &Traffic, bench: &Bench, report: &mut Report) -> anyhow::Result<Outcome> {
    bench.crowd.check(traffic.subscribers)?;
    progress(format_args!("opening {} sockets at {}", traffic.subscribers, bench.aimed_at()));
    let room = (bench.crowd.dialect == Dialect::Pitchey).then_some(traffic.room.as_str());
    let opened = bench.crowd.open(0..traffic.subscribers, room).await;
    check_opened(report, &opened, traffic.subscribers)?;
    ensure!(opened.failed() == 0, "a fan-out needs everybody: {}", opened.reasons());

    let board = Arc::new(Board::new(traffic, opened.members.len())?);
    let (tracker, faults) = (TaskTracker::new(), Arc::new(Mutex::new(Faults::default())));
    for member in opened.members {
        let user = user(member, Arc::clone(&board), traffic.clone(), bench.crowd.dialect, Arc::clone(&faults));
        tracker.spawn(Box::pin(user));
    }
    tracker.close();
    // Dropped when the run is cut short: nobody stays behind.
    let _over = board.over.clone().drop_guard();

    sleep(traffic.warmup).await;
    progress(format_args!("measuring for {:?}", traffic.duration));
    let redis_before = redis_commands(bench).await?;
    let (before, started, seen) = (bench.measure()?, Instant::now(), board.deliveries.load(Relaxed));
    board.latency.reset();
    board.lag.reset();
    sleep(traffic.duration).await;
    let (server, harness) = bench.measure()?.since(&before);
    let (wall, deliveries) = (started.elapsed(), board.deliveries.load(Relaxed) - seen);
    let redis = redis_commands(bench).await?.zip(redis_before).map(|(now, before)| now - before);
    let subscriptions = match bench.fleet() {
        Some(fleet) => fleet.subscriptions(&traffic.room).await?,
        None => None,
    };
    board.enough.cancel();
    board.last_deliveries().await;
    board.over.cancel();
    tracker.wait().await;
    let faults = *faults.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome { deliveries, server, harness, wall, board, faults, redis, subscriptions })
}

/// Scripts that the fleet's Redis has carried out so far.
async fn redis_commands(bench: &Bench) -> anyhow::Result<Option<u64>> {
    match bench.fleet() {
        Some(fleet) => fleet.scripts().await,
        None => Ok(None),
    }
}

/// Turns what was found into figures and checks.
pub(super) fn conclude(report: &mut Report, outcome: &Outcome, bench: &Bench) {
    let Outcome { deliveries, server, harness, wall, board, .. } = outcome;
    if let (Some(fleet), Some(scripts), Some(subscriptions)) = (bench.fleet(), outcome.redis, outcome.subscriptions) {
        let each = float(scripts) * f64::from(outcome.board.members) / float((*deliveries).max(1));
        let calm = format!("{each:.2}");
        report.check("Redis commands for one publish", "1 (and a few of the processes' own)", calm, each <= 1.2);
        let nodes = fleet.gateways().len();
        let seen = subscriptions;
        report.check(
            "subscriptions of the room in Redis",
            format!("{nodes}, one a node"),
            seen,
            i64::try_from(nodes) == Ok(seen),
        );
    }
    report.figure("deliveries_per_second", rate(*deliveries, *wall));
    report.figure("publishes_per_second", outcome.publishes_per_second());
    report.figure("server_cpu_us_per_delivery", outcome.cost());
    report.latency("delivery", &board.latency);
    report.latency("harness_lag", &board.lag);
    outcome.checks(report);
    report.usage(*server, *harness, bench.threads);
}

impl Outcome {
    /// CPU of the server for each delivery, in microseconds.
    pub(super) fn cost(&self) -> Option<f64> {
        self.server.as_ref().and_then(|usage| micros_each(usage.cpu, self.deliveries))
    }

    /// How many messages reached everybody in a second.
    pub(super) fn publishes_per_second(&self) -> f64 {
        rate(self.deliveries / u64::from(self.board.members), self.wall)
    }

    /// From when a message was due until a subscriber had it.
    pub(super) fn latency(&self) -> Option<Summary> {
        self.board.latency.summary()
    }

    /// What must hold of any fan-out.
    pub(super) fn checks(&self, report: &mut Report) {
        let problems = self.board.problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
        report.check("messages were delivered", "some", self.deliveries, self.deliveries > 0);
        report.check("nothing lost, doubled or reordered", "nothing", format!("{:?}", self.faults), self.faults.none());
        report.check("no errors, no closes", "none", format!("{problems:?}"), problems.is_empty());
    }
}

impl Board {
    fn new(traffic: &Traffic, members: usize) -> anyhow::Result<Self> {
        let publishers = publishers(traffic).min(members);
        // An open loop has no budget, and nothing to count.
        let budget = if traffic.rate.is_some() { 0 } else { traffic.in_flight };
        let lanes = (0..publishers).map(|_| Lane {
            free: Semaphore::new(0),
            slots: (0..budget).map(|_| AtomicU32::new(0)).collect(),
            sent: AtomicU64::new(0),
        });
        let board = Self {
            origin: Instant::now(),
            latency: Latency::default(),
            lag: Latency::default(),
            deliveries: AtomicU64::new(0),
            members: u32::try_from(members)?,
            turn: AtomicUsize::new(0),
            lanes: lanes.collect(),
            problems: Mutex::default(),
            enough: CancellationToken::new(),
            over: CancellationToken::new(),
        };
        (0..budget).for_each(|_| board.next_turn());
        Ok(board)
    }

    /// One more publish may begin: by whoever's turn it is.
    fn next_turn(&self) {
        let lane = self.turn.fetch_add(1, Relaxed) % self.lanes.len();
        self.lanes[lane].free.add_permits(1);
    }

    /// One socket has one message.
    fn delivered(&self, mark: Mark) {
        self.latency.record(self.origin.elapsed().saturating_sub(Duration::from_nanos(mark.at)));
        self.deliveries.fetch_add(1, Relaxed);
        let Some(lane) = self.lanes.get(mark.sender).filter(|lane| !lane.slots.is_empty()) else { return };
        let slot = usize::try_from(mark.number).unwrap_or(usize::MAX) % lane.slots.len();
        if lane.slots[slot].fetch_add(1, Relaxed) + 1 == self.members {
            lane.slots[slot].store(0, Relaxed);
            self.next_turn();
        }
    }

    fn sent(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.sent.load(Relaxed)).sum()
    }

    async fn last_deliveries(&self) {
        let until = Instant::now() + LAST_DELIVERIES;
        while self.deliveries.load(Relaxed) < self.sent() * u64::from(self.members) && Instant::now() < until {
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn problem(&self, kind: String) {
        *self.problems.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }
}

impl Trigger {
    /// Waits until the next message may go; returns when it was due. Cancel-safe.
    async fn next(&mut self, lane: &Lane) -> Instant {
        match self {
            Self::Delivered => {
                // Never closed: the lane outlives its publisher.
                if let Ok(permit) = lane.free.acquire().await {
                    permit.forget();
                }
                Instant::now()
            }
            Self::Due(pacer) => pacer.next().await,
        }
    }
}

async fn user(member: Member, board: Arc<Board>, traffic: Traffic, dialect: Dialect, faults: Arc<Mutex<Faults>>) {
    let Member { index, mut socket, .. } = member;
    let mut ledgers = vec![Ledger::default(); board.lanes.len()];
    let outcome = if index < board.lanes.len() {
        publish(&mut socket, index, &board, &traffic, dialect, &mut ledgers).await
    } else {
        listen(&mut socket, &board, &mut ledgers).await
    };
    if let Err(error) = outcome {
        board.problem(error.kind());
    }
    let mut total = Faults::default();
    for (ledger, lane) in ledgers.into_iter().zip(&board.lanes) {
        total += ledger.close(lane.sent.load(Relaxed));
    }
    *faults.lock().unwrap_or_else(PoisonError::into_inner) += total;
    socket.close().await;
}

async fn listen(socket: &mut Socket, board: &Board, ledgers: &mut [Ledger]) -> Result<(), ClientError> {
    let over = board.over.cancelled();
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            text = socket.hear() => take(&text?, board, ledgers),
            () = &mut over => return Ok(()),
        }
    }
}

async fn publish(
    socket: &mut Socket,
    index: usize,
    board: &Board,
    traffic: &Traffic,
    dialect: Dialect,
    ledgers: &mut [Ledger],
) -> Result<(), ClientError> {
    let lane = &board.lanes[index];
    let mut trigger = traffic
        .rate
        .map_or(Trigger::Delivered, |rate| Trigger::Due(Pacer::share(board.origin, rate, index, board.lanes.len())));
    loop {
        tokio::select! {
            biased;
            () = board.over.cancelled() => return Ok(()),
            text = socket.hear() => take(&text?, board, ledgers),
            due = trigger.next(lane), if !board.enough.is_cancelled() => {
                let now = Instant::now();
                board.lag.record(now - due);
                let at = nanos(Pacer::counted_from(due, now) - board.origin);
                // Counted before it is sent: a delivery must never be ahead of its count.
                let number = lane.sent.fetch_add(1, Relaxed);
                let payload = Mark { sender: index, number, at }.payload(traffic.payload);
                socket.say(match dialect {
                    Dialect::Pitchey => frames::send(&traffic.room, &payload),
                    Dialect::Baseline => payload,
                }).await?;
            }
        }
    }
}

fn take(text: &str, board: &Board, ledgers: &mut [Ledger]) {
    if let Some(mark) = Mark::find(text) {
        if let Some(ledger) = ledgers.get_mut(mark.sender) {
            ledger.arrived(mark.number);
        }
        board.delivered(mark);
    } else if text.starts_with(r#"{"type":"error""#) || text.starts_with(r#"{"type":"bye""#) {
        board.problem(text.chars().take(160).collect());
    }
}
