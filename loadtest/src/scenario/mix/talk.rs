//! The WebSocket half of a user: pings, types, writes durable messages to the next user in a ring, and keeps a
//! ledger of what the previous one wrote.

use crate::{
    client::{ClientError, Socket},
    crowd::Member,
    frames::{self, Letter, Mark},
    histogram::Latency,
    ledger::{Faults, Ledger},
    numbers::{nanos, rate},
    pacer::Pacer,
    report::Report,
    tally::Tally,
};
use shared::id::UserId;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long the last messages may take to their inboxes.
const LAST_LETTERS: Duration = Duration::from_secs(5);

/// What all users share.
#[derive(Debug)]
pub(super) struct Talking {
    origin: Instant,
    run: u64,
    room: String,
    /// The users, in the order of the ring: number `n` writes to number `n + 1`.
    ring: Vec<Option<UserId>>,
    /// Messages written by each that were acknowledged.
    written: Vec<AtomicU64>,
    arrived: AtomicU64,
    frames: AtomicU64,
    pings: Latency,
    acks: Latency,
    inboxes: Latency,
    faults: Mutex<Faults>,
    problems: Tally,
    /// Everybody leaves.
    pub(super) over: CancellationToken,
}

impl Talking {
    pub(super) fn new(members: &[Member], room: &str) -> Self {
        Self {
            origin: Instant::now(),
            run: uuid::Uuid::now_v7().as_u64_pair().1,
            room: room.to_owned(),
            ring: members.iter().map(|member| member.user).collect(),
            written: members.iter().map(|_| AtomicU64::new(0)).collect(),
            arrived: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            pings: Latency::default(),
            acks: Latency::default(),
            inboxes: Latency::default(),
            faults: Mutex::default(),
            problems: Tally::default(),
            over: CancellationToken::new(),
        }
    }

    fn written(&self) -> u64 {
        self.written.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Waits until what was written has arrived, but not for ever.
    pub(super) async fn last_letters(&self) {
        let until = Instant::now() + LAST_LETTERS;
        while self.arrived.load(Relaxed) < self.written() && Instant::now() < until {
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Adds latencies, counts and verdicts.
    pub(super) fn conclude(&self, report: &mut Report, measured: Duration) {
        report.figure("messages_per_second", rate(self.written(), measured));
        report.figure("websocket_frames_received_per_second", rate(self.frames.load(Relaxed), measured));
        report.latency("ping", &self.pings);
        report.latency("message to ack", &self.acks);
        report.latency("message to inbox", &self.inboxes);
        let faults = *self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let (written, problems) = (self.written(), self.problems.counts());
        report.check("messages were written", "some", written, written > 0);
        report.check("no message lost, doubled or reordered", "nothing", format!("{faults:?}"), faults.none());
        report.check("no WebSocket error or close", "none", format!("{problems:?}"), problems.is_empty());
    }
}

/// One user's own state.
struct Talker {
    place: usize,
    socket: Socket,
    step: usize,
    /// When the messages that are not acknowledged yet were due, oldest first.
    unacknowledged: VecDeque<Instant>,
    number: u64,
    taken: Option<u64>,
    ledger: Ledger,
}

/// Number `place` of the ring: talks until it is enough, then listens until it is over.
pub(super) async fn user(
    member: Member,
    place: usize,
    mut pacer: Pacer,
    talking: Arc<Talking>,
    enough: CancellationToken,
) {
    let mut talker = Talker {
        place,
        socket: member.socket,
        step: place,
        unacknowledged: VecDeque::new(),
        number: 0,
        taken: None,
        ledger: Ledger::default(),
    };
    if let Err(error) = talker.run(&mut pacer, &talking, &enough).await {
        talking.problems.add(error.kind());
    }
    let before = (place + talking.ring.len() - 1) % talking.ring.len();
    let faults = talker.ledger.close(talking.written[before].load(Relaxed));
    *talking.faults.lock().unwrap_or_else(PoisonError::into_inner) += faults;
    talker.socket.close().await;
}

impl Talker {
    async fn run(
        &mut self,
        pacer: &mut Pacer,
        talking: &Talking,
        enough: &CancellationToken,
    ) -> Result<(), ClientError> {
        loop {
            tokio::select! {
                biased;
                () = talking.over.cancelled() => return Ok(()),
                text = self.socket.hear() => self.heard(&text?, talking),
                due = pacer.next(), if !enough.is_cancelled() => self.act(due, talking).await?,
            }
        }
    }

    /// In turn: ping, type, write, and take over what arrived.
    async fn act(&mut self, due: Instant, talking: &Talking) -> Result<(), ClientError> {
        let from = Pacer::counted_from(due, Instant::now());
        let at = nanos(from - talking.origin);
        self.step += 1;
        match self.step % 4 {
            0 => self.socket.say(frames::ping(at)).await,
            1 => self.socket.say(frames::typing(&talking.room)).await,
            2 => self.write(from, at, talking).await,
            _ => match self.taken.take() {
                Some(pos) => self.socket.say(frames::ack(pos)).await,
                None => self.socket.say(frames::ping(at)).await,
            },
        }
    }

    async fn write(&mut self, from: Instant, at: u64, talking: &Talking) -> Result<(), ClientError> {
        let Some(to) = talking.ring[(self.place + 1) % talking.ring.len()] else { return Ok(()) };
        let mark = Mark { sender: self.place, number: self.number, at };
        self.number += 1;
        self.unacknowledged.push_back(from);
        self.socket.say(frames::message(&to.to_string(), &Letter { run: talking.run, mark }.body())).await
    }

    fn heard(&mut self, text: &str, talking: &Talking) {
        talking.frames.fetch_add(1, Relaxed);
        if let Some(pos) = frames::inbox_position(text) {
            self.taken = Some(pos);
            self.letter(text, talking);
        } else if let Some(at) = frames::pong(text) {
            talking.pings.record(since(talking, at));
        } else if text.starts_with(r#"{"type":"ack""#) {
            // Answers to one socket's messages come in their order.
            if let Some(from) = self.unacknowledged.pop_front() {
                talking.acks.record(from.elapsed());
                talking.written[self.place].fetch_add(1, Relaxed);
            }
        } else if text.starts_with(r#"{"type":"error""#) || text.starts_with(r#"{"type":"bye""#) {
            talking.problems.add(text.chars().take(160).collect::<String>());
        }
    }

    fn letter(&mut self, text: &str, talking: &Talking) {
        let before = (self.place + talking.ring.len() - 1) % talking.ring.len();
        let Some(Letter { run, mark }) = Letter::find(text) else { return };
        if run == talking.run && mark.sender == before {
            self.ledger.arrived(mark.number);
            talking.arrived.fetch_add(1, Relaxed);
            talking.inboxes.record(since(talking, mark.at));
        }
    }
}

fn since(talking: &Talking, at: u64) -> Duration {
    talking.origin.elapsed().saturating_sub(Duration::from_nanos(at))
}
