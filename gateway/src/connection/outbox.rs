//! The half of a connection that everyone else may touch.
//!
//! One task owns the socket; whoever wants something of it leaves a note here and wakes it. Nothing waits and nothing
//! grows without bound:
//!
//! * room and inbox frames are not queued at all: the connection reads them from the topics' logs, a wake is enough;
//! * ephemeral frames have one slot per key, the latest wins (of presence, the highest version), and wait here until the
//!   socket takes them. Presence has at most as many keys as the connection watches users; of typing, beyond
//!   [`TYPING_SLOTS`], the oldest is dropped;
//! * requests (close, ping, leave a room) are flags and a list of at most [`REVOKED`] rooms; more of them mean all.

use super::tally::{Tallied, Tally};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use shared::{
    id::{SessionId, UserId},
    model::Identity,
    protocol::{CloseReason, RoomKind, RoomName},
};
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
    },
    task::Waker,
};

/// Typing frames that may wait. An old one is worthless, so dropping it loses nothing; presence is announced only when
/// it changes, so a dropped one would be wrong until the next change.
pub(crate) const TYPING_SLOTS: usize = 64;

/// Rooms a connection is put out of at a time. Beyond that it is put out of all that can be revoked, and enters those
/// that it still may.
const REVOKED: usize = 100;

/// What an ephemeral frame is about: a newer one of the same key replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EphemeralKey {
    Typing(RoomName, UserId),
    Presence(UserId),
}

/// A frame that is worth something for a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ephemeral {
    pub(crate) key: EphemeralKey,
    /// Presence comes from signals and from look-ups, which may overtake each other: a lower version never replaces a
    /// higher one. Typing has none: the latest wins.
    pub(crate) v: u64,
    pub(crate) frame: Bytes,
}

/// A request to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CloseRequest {
    pub(crate) reason: CloseReason,
    /// Sent with `bye`: when the client should come back.
    pub(crate) retry_after_ms: u64,
}

/// Rooms the connection's user may no longer be in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// These, each once.
    Rooms(Vec<RoomName>),
    /// Too many to name.
    Every,
}

impl Default for Revoked {
    fn default() -> Self {
        Self::Rooms(Vec::new())
    }
}

impl Revoked {
    /// Whether the room is among them. Nobody is ever put out of a public room.
    pub(crate) fn covers(&self, room: &RoomName) -> bool {
        match self {
            Self::Rooms(rooms) => rooms.contains(room),
            Self::Every => room.kind() != RoomKind::Public,
        }
    }

    /// Adds what another one says.
    pub(crate) fn merge(&mut self, other: Self) {
        match other {
            Self::Rooms(rooms) => rooms.into_iter().for_each(|room| self.add(room)),
            Self::Every => *self = Self::Every,
        }
    }

    fn add(&mut self, room: RoomName) {
        match self {
            Self::Every => {}
            Self::Rooms(rooms) if rooms.contains(&room) => {}
            Self::Rooms(rooms) if rooms.len() < REVOKED => rooms.push(room),
            Self::Rooms(_) => *self = Self::Every,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Rooms(rooms) if rooms.is_empty())
    }
}

/// What was left for the connection since it last looked.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) close: Option<CloseRequest>,
    pub(crate) ping: bool,
    pub(crate) revoked: Revoked,
}

/// The shared half of a connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Unique on this node.
    pub(crate) number: u64,
    /// The node's second in which it was opened.
    pub(crate) opened_at: u32,
    /// The client's address.
    pub(crate) address: IpAddr,
    /// What it has sent and received.
    pub(crate) tally: Tally,
    waker: AtomicWaker,
    /// Set from the first wake to the connection's next turn, so that a thousand frames cost one wake.
    woken: AtomicBool,
    /// Set when `notes` holds something: an ordinary turn takes no lock.
    noted: AtomicBool,
    notes: Mutex<Option<Box<Notes>>>,
    /// Set when `ephemeral` holds something.
    fleeting: AtomicBool,
    ephemeral: Mutex<Vec<Ephemeral>>,
    /// Who the connection acts for, once known.
    who: OnceLock<Arc<Identity>>,
    /// What the client calls itself, if it does.
    device: OnceLock<Box<str>>,
    /// The rooms it is in.
    rooms: Mutex<Box<[RoomName]>>,
    /// The operator who closes it.
    closed_by: OnceLock<Box<str>>,
    /// Set when it says goodbye.
    pub(crate) closing: AtomicBool,
    /// The last ping's way there and back; `u32::MAX` before the first.
    rtt_ms: AtomicU32,
    /// Set when the connection no longer stands for its user.
    pub(crate) left: AtomicBool,
    /// Whether the user is away, as far as this connection goes.
    pub(crate) away: AtomicBool,
    /// The node's second in which the connection last heard from the client.
    pub(crate) heard_at: AtomicU32,
    /// The node's second since which the socket takes nothing; 0 while it does.
    pub(crate) stalled_since: AtomicU32,
    /// The node's second by which the connection must be authenticated; `u32::MAX` when it is, or need not be.
    pub(crate) authenticate_by: AtomicU32,
    /// When the session ends, in microseconds since 1970; `i64::MAX` without a session.
    pub(crate) expires_at: AtomicI64,
}

impl Outbox {
    pub(crate) fn new(number: u64, now: u32, authenticate_by: u32) -> Self {
        Self {
            number,
            opened_at: now,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            tally: Tally::default(),
            waker: AtomicWaker::new(),
            woken: AtomicBool::new(false),
            noted: AtomicBool::new(false),
            notes: Mutex::default(),
            fleeting: AtomicBool::new(false),
            ephemeral: Mutex::default(),
            who: OnceLock::new(),
            device: OnceLock::new(),
            rooms: Mutex::default(),
            closed_by: OnceLock::new(),
            closing: AtomicBool::new(false),
            rtt_ms: AtomicU32::new(u32::MAX),
            left: AtomicBool::new(false),
            away: AtomicBool::new(false),
            heard_at: AtomicU32::new(now),
            stalled_since: AtomicU32::new(0),
            authenticate_by: AtomicU32::new(authenticate_by),
            expires_at: AtomicI64::new(i64::MAX),
        }
    }

    /// The same, from this address.
    pub(crate) fn at(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Who the connection acts for, as they were when it proved that.
    pub(crate) fn identity(&self) -> Option<&Arc<Identity>> {
        self.who.get()
    }

    /// Who the connection acts for.
    pub(crate) fn user(&self) -> Option<UserId> {
        self.who.get().map(|who| who.user_id)
    }

    /// The session it came with.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.who.get().map(|who| who.session_id)
    }

    /// The connection proved who it is; the first word stands.
    pub(crate) fn acts_for(&self, who: &Arc<Identity>) {
        self.who.get_or_init(|| Arc::clone(who));
    }

    /// What the client calls itself, if it does.
    pub(crate) fn device(&self) -> Option<&str> {
        self.device.get().map(AsRef::as_ref)
    }

    /// Whose cursor acks move: what the client calls itself, else its session's id.
    pub(crate) fn device_of(&self, who: &Identity) -> Cow<'_, str> {
        self.device().map_or_else(|| who.session_id.to_string().into(), Cow::from)
    }

    /// The client said what it calls itself; the first word stands.
    pub(crate) fn note_device(&self, device: &str) {
        self.device.get_or_init(|| device.into());
    }

    /// The rooms it is in.
    pub(crate) fn room_names(&self) -> Box<[RoomName]> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many rooms it is in.
    pub(crate) fn room_count(&self) -> usize {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// It joined or left rooms: these are left.
    pub(crate) fn note_rooms(&self, rooms: Box<[RoomName]>) {
        *self.rooms.lock().unwrap_or_else(PoisonError::into_inner) = rooms;
    }

    /// The operator who closes it.
    pub(crate) fn closed_by(&self) -> Option<&str> {
        self.closed_by.get().map(AsRef::as_ref)
    }

    /// The last ping's way there and back.
    pub(crate) fn rtt_ms(&self) -> Option<u32> {
        Some(self.rtt_ms.load(Ordering::Relaxed)).filter(|ms| *ms != u32::MAX)
    }

    /// A pong came, this long after its ping.
    pub(crate) fn note_rtt(&self, ms: u64) {
        self.rtt_ms.store(u32::try_from(ms).unwrap_or(u32::MAX - 1), Ordering::Relaxed);
    }

    /// What it has sent and received, and what waits for it right now.
    pub(crate) fn tallied(&self) -> Tallied {
        let tallied = self.tally.read();
        match self.stalled_since.load(Ordering::Relaxed) {
            0 => Tallied { queue: 0, queue_bytes: 0, ..tallied },
            _ => tallied,
        }
    }

    /// A topic has something new.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Leaves an ephemeral frame; returns false when an older one had to go for it.
    pub(crate) fn push_ephemeral(&self, frame: Ephemeral) -> bool {
        let kept_all = put(&mut self.ephemeral.lock().unwrap_or_else(PoisonError::into_inner), frame);
        if !kept_all {
            self.tally.note_dropped();
        }
        self.fleeting.store(true, Ordering::Release);
        self.wake();
        kept_all
    }

    /// Takes the ephemeral frames. Called when the socket has room for them: until then newer ones replace older ones.
    pub(crate) fn take_ephemeral(&self) -> Vec<Ephemeral> {
        if !self.fleeting.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *self.ephemeral.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the connection to close. The first reason stands.
    pub(crate) fn close(&self, reason: CloseReason, retry_after_ms: u64) {
        self.note(|notes| {
            notes.close.get_or_insert(CloseRequest { reason, retry_after_ms });
        });
    }

    /// The same in the name of an operator.
    pub(crate) fn close_for(&self, operator: &str, reason: CloseReason, retry_after_ms: u64) {
        self.closed_by.get_or_init(|| operator.into());
        self.close(reason, retry_after_ms);
    }

    /// The process ends now: no goodbye, whatever was asked before.
    pub(crate) fn abort(&self) {
        self.note(|notes| notes.close = Some(CloseRequest { reason: CloseReason::Gone, retry_after_ms: 0 }));
    }

    /// Asks the connection to ping its client.
    pub(crate) fn ping(&self) {
        self.note(|notes| notes.ping = true);
    }

    /// Tells the connection that its user may no longer be in a room.
    pub(crate) fn revoke_room(&self, room: &RoomName) {
        self.note(|notes| notes.revoked.add(room.clone()));
    }

    /// Begins a turn: what comes after this wakes again.
    pub(crate) fn begin_turn(&self, waker: &Waker) {
        self.waker.register(waker);
        // A read-modify-write, not a store: either it sees the wake that came before it, and with it what was
        // published, or that wake comes after it and wakes for real. A plain store could lose the wake.
        self.woken.swap(false, Ordering::AcqRel);
    }

    /// Takes what was left since the last time.
    pub(crate) fn take(&self) -> Option<Box<Notes>> {
        if !self.noted.swap(false, Ordering::AcqRel) {
            return None;
        }
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, change: impl FnOnce(&mut Notes)) {
        change(self.notes.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default());
        self.noted.store(true, Ordering::Release);
        self.wake();
    }
}

fn put(slots: &mut Vec<Ephemeral>, frame: Ephemeral) -> bool {
    if let Some(slot) = slots.iter_mut().find(|slot| slot.key == frame.key) {
        if slot.v <= frame.v {
            *slot = frame;
        }
        return true;
    }
    let typing = |slot: &Ephemeral| matches!(slot.key, EphemeralKey::Typing(..));
    let crowded = typing(&frame) && slots.iter().filter(|slot| typing(slot)).count() >= TYPING_SLOTS;
    if crowded && let Some(oldest) = slots.iter().position(typing) {
        slots.remove(oldest);
    }
    slots.push(frame);
    !crowded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn presence(user: UserId, v: u64, text: &'static str) -> Ephemeral {
        Ephemeral { key: EphemeralKey::Presence(user), v, frame: Bytes::from_static(text.as_bytes()) }
    }

    #[test]
    fn the_latest_ephemeral_frame_of_a_key_wins() {
        let (outbox, user) = (Outbox::new(1, 0, 0), UserId::new());
        outbox.push_ephemeral(presence(user, 17, "old"));
        outbox.push_ephemeral(presence(user, 18, "new"));
        assert_eq!(outbox.take_ephemeral(), vec![presence(user, 18, "new")]);
        assert!(outbox.take_ephemeral().is_empty());
    }

    #[test]
    fn a_presence_that_was_looked_up_before_the_latest_change_does_not_take_its_place() {
        let (outbox, user, other) = (Outbox::new(1, 0, 0), UserId::new(), UserId::new());
        outbox.push_ephemeral(presence(user, 18, "away"));
        outbox.push_ephemeral(presence(user, 17, "online"));
        outbox.push_ephemeral(presence(other, 3, "online"));
        outbox.push_ephemeral(presence(other, 3, "the same again"));
        assert_eq!(outbox.take_ephemeral(), vec![presence(user, 18, "away"), presence(other, 3, "the same again")]);
    }

    #[test]
    fn the_first_close_reason_stands() {
        let outbox = Outbox::new(1, 0, 0);
        outbox.close(CloseReason::SignedOut, 0);
        outbox.close(CloseReason::Drain, 5);
        assert_eq!(outbox.take().unwrap().close.unwrap().reason, CloseReason::SignedOut);
    }

    fn private_room() -> RoomName {
        RoomName::pitch(shared::id::PitchId::new())
    }

    #[test]
    fn rooms_that_are_revoked_faster_than_a_connection_looks_are_bounded_and_none_is_forgotten() {
        let outbox = Outbox::new(1, 0, 0);
        let rooms: Vec<RoomName> = (0..=REVOKED).map(|_| private_room()).collect();
        for room in rooms[..REVOKED].iter().chain(&rooms[..REVOKED]) {
            outbox.revoke_room(room);
        }
        let Notes { revoked, .. } = *outbox.take().unwrap();
        assert_eq!(revoked, Revoked::Rooms(rooms[..REVOKED].to_vec()));
        assert!(revoked.covers(&rooms[0]) && !revoked.covers(&rooms[REVOKED]));
        let mut all = revoked;
        all.merge(Revoked::Rooms(vec![rooms[REVOKED].clone()]));
        assert_eq!(all, Revoked::Every);
        assert!(all.covers(&rooms[0]) && all.covers(&private_room()));
        assert!(!all.covers(&"public:lobby".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn an_outbox_never_exceeds_its_bounds_and_never_drops_presence(users in prop::collection::vec((0_usize..200, any::<bool>()), 0..500)) {
            let outbox = Outbox::new(1, 0, 0);
            let ids: Vec<UserId> = (0..200).map(|_| UserId::new()).collect();
            let room: RoomName = "public:lobby".parse().unwrap();
            let mut watched = std::collections::HashSet::new();
            for (user, typing) in &users {
                let key = if *typing { EphemeralKey::Typing(room.clone(), ids[*user]) } else { EphemeralKey::Presence(ids[*user]) };
                outbox.push_ephemeral(Ephemeral { key, v: 0, frame: Bytes::new() });
                watched.extend((!typing).then_some(*user));
            }
            let held = outbox.take_ephemeral();
            let presence = held.iter().filter(|held| matches!(held.key, EphemeralKey::Presence(_))).count();
            prop_assert_eq!(presence, watched.len());
            prop_assert!(held.len() - presence <= TYPING_SLOTS);
        }
    }
}
