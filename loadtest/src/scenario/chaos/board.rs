//! What everybody of a run shares: the phase it is in, what was accepted and what has arrived so far, and which event is
//! at which position.

use super::verdict::Breaches;
use crate::{frames::Mark, histogram::Latency, tally::Tally};
use shared::{
    id::UserId,
    protocol::{Epoch, Position},
};
use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// How often somebody looks whether what is waited for has happened.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Nobody's number.
const NOWHERE: usize = usize::MAX;

/// What users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Connect, and enter their room.
    Gathering,
    /// Each writes one letter: from then on neighbours share a conversation and may watch each other.
    Introductions,
    /// Talk.
    Talking,
    /// Write nothing new; what is on its way arrives.
    Settling,
    /// Look once more how their neighbour is.
    Looking,
    /// Leave.
    Over,
}

/// The board.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) origin: Instant,
    pub(super) run: u64,
    phase: watch::Sender<Phase>,
    people: Vec<Person>,
    rooms: Vec<Mutex<Room>>,
    /// Close codes.
    pub(super) closes: Tally,
    /// Connections that did not come to be.
    pub(super) refusals: Tally,
    /// `error` frames by code.
    pub(super) errors: Tally,
    /// From when a user wrote something until the server had accepted it.
    pub(super) accepted: Latency,
    /// From when a user wrote a letter until it was in the other's hands.
    pub(super) letters: Latency,
    /// From when a user wrote an event until another had it.
    pub(super) events: Latency,
}

/// One user, as the others see it.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) user: OnceLock<UserId>,
    /// The gateway it is on.
    node: AtomicUsize,
    /// Whether it is in its room.
    at_home: AtomicUsize,
    /// Messages of its own that are not answered.
    pub(super) waiting: AtomicUsize,
    pub(super) events_accepted: AtomicU64,
    /// When each of its letters was acknowledged, on the run's clock.
    acknowledged: Mutex<Vec<Duration>>,
    /// When each letter of the one before it arrived.
    arrived: Mutex<Vec<(u64, Duration)>>,
    place: Mutex<Option<Position>>,
    /// When its watcher was told that it is offline.
    offline: Mutex<Option<Instant>>,
    /// Its look in the last phase is answered.
    looked: AtomicUsize,
}

#[derive(Debug, Default)]
struct Room {
    contents: HashMap<Position, (usize, u64)>,
    positions: HashMap<(Epoch, usize, u64), u64>,
    /// Where the event accepted last is.
    top: Option<Position>,
}

impl Board {
    pub(super) fn new(users: usize, rooms: usize) -> Self {
        let person = |_| Person {
            user: OnceLock::new(),
            node: AtomicUsize::new(NOWHERE),
            at_home: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            events_accepted: AtomicU64::new(0),
            acknowledged: Mutex::default(),
            arrived: Mutex::default(),
            place: Mutex::default(),
            offline: Mutex::default(),
            looked: AtomicUsize::new(0),
        };
        Self {
            origin: Instant::now(),
            run: uuid::Uuid::now_v7().as_u64_pair().1,
            phase: watch::Sender::new(Phase::Gathering),
            people: (0..users).map(person).collect(),
            rooms: (0..rooms).map(|_| Mutex::default()).collect(),
            closes: Tally::default(),
            refusals: Tally::default(),
            errors: Tally::default(),
            accepted: Latency::default(),
            letters: Latency::default(),
            events: Latency::default(),
        }
    }

    pub(super) fn people(&self) -> &[Person] {
        &self.people
    }

    /// The one who writes to `index`.
    pub(super) fn before(&self, index: usize) -> usize {
        (index + self.people.len() - 1) % self.people.len()
    }

    /// The one to whom `index` writes.
    pub(super) fn after(&self, index: usize) -> usize {
        (index + 1) % self.people.len()
    }

    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn begin(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// An event is at `pos`, says whoever got it: it must be what everybody else got there, and be nowhere else in this
    /// life of the room.
    pub(super) fn seen(&self, room: usize, pos: Position, mark: Mark, breaches: &mut Breaches) {
        let (mut room, content) = (lock(&self.rooms[room]), (mark.sender, mark.number));
        let known = *room.contents.entry(pos).or_insert(content);
        if known != content {
            breaches.note("two room events at one position", format!("{known:?} and {content:?} at {pos}"));
        }
        let first = *room.positions.entry((pos.epoch, mark.sender, mark.number)).or_insert(pos.seq);
        if first != pos.seq {
            breaches.note("room events published twice", format!("{content:?} at {first} and {pos}"));
        }
    }

    /// An event was accepted, at `pos`.
    pub(super) fn published(&self, room: usize, pos: Position, mark: Mark, breaches: &mut Breaches) {
        self.seen(room, pos, mark, breaches);
        let mut room = lock(&self.rooms[room]);
        if room.top.is_none_or(|top| top.epoch != pos.epoch || top.seq < pos.seq) {
            room.top = Some(pos);
        }
    }

    /// Everybody has everything: connected, nothing unanswered, every accepted letter arrived, every room at its top.
    fn is_settled(&self) -> bool {
        let everybody = self.people.iter().enumerate();
        everybody.into_iter().all(|(index, person)| {
            let letters = lock(&self.people[self.before(index)].acknowledged).len() <= lock(&person.arrived).len();
            let room = lock(&self.rooms[index % self.rooms.len()]).top;
            let place = *lock(&person.place);
            let up_to_date = room.is_none_or(|top| place.is_some_and(|at| at.epoch != top.epoch || at.seq >= top.seq));
            person.is_home() && person.waiting.load(Relaxed) == 0 && letters && up_to_date
        })
    }

    /// Waits until everybody has everything; how long that took, none if it did not come within `most`.
    pub(super) async fn settled(&self, most: Duration) -> Option<Duration> {
        self.until(most, || self.is_settled()).await
    }

    /// Waits until everybody is in.
    pub(super) async fn gathered(&self, most: Duration) -> Option<Duration> {
        self.until(most, || self.people.iter().all(Person::is_home)).await
    }

    /// Waits until everybody has seen in the last phase how their neighbour is.
    pub(super) async fn looked(&self, most: Duration) -> Option<Duration> {
        self.until(most, || self.people.iter().all(|person| person.looked.load(Relaxed) > 0)).await
    }

    /// Waits until the watchers of these users were told that they are offline.
    pub(super) async fn offline(&self, who: &[usize], most: Duration) -> Option<Duration> {
        self.until(most, || who.iter().all(|&index| lock(&self.people[index].offline).is_some())).await
    }

    async fn until(&self, most: Duration, done: impl Fn() -> bool) -> Option<Duration> {
        let start = Instant::now();
        while !done() {
            if start.elapsed() > most {
                return None;
            }
            sleep(LOOK_EVERY).await;
        }
        Some(start.elapsed())
    }

    /// How many are on each gateway.
    pub(super) fn on_nodes(&self, nodes: usize) -> Vec<usize> {
        (0..nodes).map(|node| self.people.iter().filter(|person| person.node.load(Relaxed) == node).count()).collect()
    }

    /// Letters and events that were accepted so far.
    pub(super) fn accepted_so_far(&self) -> u64 {
        let one = |person: &Person| person.events_accepted.load(Relaxed) + person.letters_accepted();
        self.people.iter().map(one).sum()
    }

    /// The longest that a letter took to arrive, counted from when it was accepted or, if that was later, from when the
    /// fault was over. Without those `except` says stayed away.
    pub(super) fn longest_way(&self, healed: Duration, except: impl Fn(usize) -> bool) -> Duration {
        let present = self.people.iter().enumerate().filter(|(index, _)| !except(*index));
        let late = present.flat_map(|(index, person)| {
            let acknowledged = lock(&self.people[self.before(index)].acknowledged).clone();
            let arrived = lock(&person.arrived).clone();
            arrived.into_iter().filter_map(move |(number, at)| {
                let accepted = *acknowledged.get(usize::try_from(number).ok()?)?;
                Some(at.saturating_sub(accepted.max(healed)))
            })
        });
        late.max().unwrap_or_default()
    }
}

impl Person {
    /// In, on a gateway and in its room.
    fn is_home(&self) -> bool {
        self.node.load(Relaxed) != NOWHERE && self.at_home.load(Relaxed) > 0
    }

    pub(super) fn is_on(&self, node: Option<usize>, in_room: bool) {
        self.node.store(node.unwrap_or(NOWHERE), Relaxed);
        self.at_home.store(usize::from(in_room), Relaxed);
    }

    pub(super) fn letters_accepted(&self) -> u64 {
        u64::try_from(lock(&self.acknowledged).len()).unwrap_or(u64::MAX)
    }

    /// Its next letter was acknowledged, at this time.
    pub(super) fn acknowledged(&self, at: Duration) {
        lock(&self.acknowledged).push(at);
    }

    /// Letter `number` of the one before it arrived, at this time.
    pub(super) fn arrived(&self, number: u64, at: Duration) {
        lock(&self.arrived).push((number, at));
    }

    pub(super) fn is_at(&self, place: Option<Position>) {
        *lock(&self.place) = place;
    }

    /// Its watcher was told that it is offline.
    pub(super) fn went_offline(&self) {
        lock(&self.offline).get_or_insert_with(Instant::now);
    }

    pub(super) fn offline_since(&self) -> Option<Instant> {
        *lock(&self.offline)
    }

    pub(super) fn has_looked(&self) {
        self.looked.store(1, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
