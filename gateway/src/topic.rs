//! One topic on this node: its log, its members, and whether the node is subscribed to it.
//!
//! Lock order: `members` and `log` are never held together, and neither across an `.await`.

use crate::{
    connection::outbox::{Ephemeral, Outbox},
    filling::Filling,
    log::{Append, Cursor, Log, Pulled},
    slots::Slots,
};
use bytes::Bytes;
use shared::{
    engine::{self, EngineError},
    id::UserId,
    protocol::{Epoch, Position, RoomName},
};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, OnceCell};

/// One topic on this node.
pub(crate) struct Topic {
    key: engine::Topic,
    /// The log's head and generation, so that a connection sees without a lock that there is nothing new.
    head: AtomicU64,
    generation: AtomicU32,
    log: Mutex<Log>,
    members: Mutex<Members>,
    /// Set once the engine confirmed the subscription.
    subscribed: OnceCell<()>,
    /// Who fills the log from the engine; live frames are then left to them.
    pub(crate) filling: Filling,
    /// Somebody entered or left, and the other nodes have not heard of it.
    changed: AtomicBool,
    /// Rung when a closed topic has left the hub: whoever wants in then makes a new one.
    gone: Notify,
}

/// Where a reader goes on after it was told to reload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// What the client is told.
    pub(crate) at: Position,
    /// The same in the log.
    pub(crate) cursor: Cursor,
}

#[derive(Default)]
struct Members {
    slots: Slots<Arc<Outbox>>,
    closed: bool,
}

impl Topic {
    pub(crate) fn new(key: engine::Topic) -> Self {
        Self {
            key,
            head: AtomicU64::new(0),
            generation: AtomicU32::new(0),
            log: Mutex::default(),
            members: Mutex::default(),
            subscribed: OnceCell::new(),
            filling: Filling::default(),
            changed: AtomicBool::new(false),
            gone: Notify::new(),
        }
    }

    pub(crate) fn key(&self) -> &engine::Topic {
        &self.key
    }

    /// The room, if it is one.
    pub(crate) fn room(&self) -> Option<&RoomName> {
        match &self.key {
            engine::Topic::Room(room) => Some(room),
            engine::Topic::Inbox(_) | engine::Topic::Presence(_) => None,
        }
    }

    /// Somebody entered or left; true if that is news since the last [`Topic::settle_change`].
    pub(crate) fn begin_change(&self) -> bool {
        !self.changed.swap(true, Ordering::AcqRel)
    }

    /// The other nodes are about to be told how it is now; true if there was a change to tell of.
    pub(crate) fn settle_change(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a member; `None` if the topic is being given up.
    pub(crate) fn add(&self, outbox: &Arc<Outbox>) -> Option<u32> {
        let mut members = self.members();
        (!members.closed).then(|| members.slots.insert(Arc::clone(outbox)))
    }

    /// Removes a member; true if it was the last.
    pub(crate) fn remove(&self, slot: u32) -> bool {
        let mut members = self.members();
        members.slots.remove(slot);
        members.slots.is_empty()
    }

    /// How many connections of this node are in.
    pub(crate) fn member_count(&self) -> usize {
        self.members().slots.len()
    }

    /// The connections of this node that are in.
    pub(crate) fn member_outboxes(&self) -> Vec<Arc<Outbox>> {
        self.members().slots.iter().cloned().collect()
    }

    /// How many frames the log holds.
    pub(crate) fn held_frames(&self) -> usize {
        self.log().held_frames()
    }

    /// Gives the topic up if nobody is in: from here on nobody gets in.
    pub(crate) fn try_close(&self) -> bool {
        let mut members = self.members();
        members.closed |= members.slots.is_empty();
        members.closed
    }

    /// The topic has left the hub.
    pub(crate) fn mark_gone(&self) {
        self.gone.notify_waiters();
    }

    /// Waits until `still_there` is false; rung by [`Topic::mark_gone`].
    pub(crate) async fn wait_gone(&self, still_there: impl Fn() -> bool) {
        let notified = self.gone.notified();
        if still_there() {
            notified.await;
        }
    }

    /// Subscribes once; everybody who enters meanwhile waits for the same confirmation.
    pub(crate) async fn subscribe_with<F>(&self, subscribe: F) -> Result<(), EngineError>
    where
        F: Future<Output = Result<(), EngineError>>,
    {
        self.subscribed.get_or_try_init(|| subscribe).await.copied()
    }

    /// Tells a fresh log where the top is.
    pub(crate) fn init(&self, epoch: Option<Epoch>, top: u64) {
        let mut log = self.log();
        log.init(epoch, top);
        self.publish_head(&log);
    }

    /// Tells a room's log where the top is (a fresh log begins there, one of another life begins anew), and puts a reader
    /// at `seq` of that life.
    pub(crate) fn start_at(&self, top: Position, seq: u64) -> Cursor {
        let mut log = self.log();
        log.init(Some(top.epoch), top.seq);
        self.note_top(log, top, |log| log.cursor(seq))
    }

    /// The engine says that a reader's gap cannot be closed, and that `top` is the newest position. Where the reader goes
    /// on; `None` if the log has begun anew since the reader's cursor was made, which its next pull tells it.
    pub(crate) fn after_loss(&self, reader: Cursor, top: Position) -> Option<Start> {
        let log = self.log();
        if log.generation() != reader.generation {
            return None;
        }
        Some(self.note_top(log, top, |log| Start { at: top, cursor: log.cursor(top.seq) }))
    }

    /// Where a reader goes on whose numbering has ended; `None` while the log does not know its top.
    pub(crate) fn newest(&self) -> Option<Start> {
        let log = self.log();
        let at = log.position()?;
        Some(Start { at, cursor: log.cursor(at.seq) })
    }

    /// More was lost than the engine remembers, or another life began: every reader is told, and goes on from `top`.
    /// Nothing happens if the log has begun anew since `seen` was its newest.
    pub(crate) fn begin_anew(&self, seen: Cursor, top: Position) {
        let mut log = self.log();
        if log.generation() != seen.generation {
            return;
        }
        log.reset(top);
        self.publish_head(&log);
        drop(log);
        self.wake_members();
    }

    /// A log of another life than the top's begins anew, and its other readers are woken to be told. What `look` finds
    /// is of one life, because the log stays locked.
    fn note_top<T>(&self, mut log: MutexGuard<'_, Log>, top: Position, look: impl FnOnce(&Log) -> T) -> T {
        let other_life = log.position().is_some_and(|known| known.epoch != top.epoch);
        if other_life {
            log.reset(top);
        }
        self.publish_head(&log);
        let found = look(&log);
        drop(log);
        if other_life {
            self.wake_members();
        }
        found
    }

    /// Appends frames that follow each other, then trims to the bounds. Does not wake.
    pub(crate) fn append<'a>(
        &self,
        epoch: Option<Epoch>,
        first: u64,
        frames: impl Iterator<Item = &'a [u8]> + Clone,
        (messages, bytes): (usize, usize),
    ) -> Append {
        let mut log = self.log();
        let appended = log.append(epoch, first, frames);
        log.trim(messages, bytes);
        self.publish_head(&log);
        appended
    }

    /// See [`Log::jump`].
    pub(crate) fn jump(&self, seq: u64) {
        let mut log = self.log();
        log.jump(seq);
        self.publish_head(&log);
    }

    fn publish_head(&self, log: &Log) {
        self.generation.store(log.generation(), Ordering::Release);
        self.head.store(log.head().unwrap_or(0), Ordering::Release);
    }

    /// The newest number the log knows.
    pub(crate) fn head(&self) -> Option<u64> {
        self.log().head()
    }

    /// A cursor at `seq`.
    pub(crate) fn cursor(&self, seq: u64) -> Cursor {
        self.log().cursor(seq)
    }

    /// Whether the cursor can pull something; takes no lock.
    pub(crate) fn has_news(&self, cursor: Cursor) -> bool {
        self.head.load(Ordering::Acquire) > cursor.seq || self.generation.load(Ordering::Acquire) != cursor.generation
    }

    /// See [`Log::pull`].
    pub(crate) fn pull(&self, cursor: &mut Cursor, push: impl FnMut(Bytes) -> bool) -> Pulled {
        self.log().pull(cursor, push)
    }

    /// See [`Log::lag`].
    pub(crate) fn lag(&self, cursor: Cursor) -> (u64, usize) {
        self.log().lag(cursor)
    }

    /// See [`Log::cool`].
    pub(crate) fn cool(&self) {
        self.log().cool();
    }

    /// Wakes every member; returns how many there are.
    pub(crate) fn wake_members(&self) -> usize {
        let members = self.members();
        for outbox in members.slots.iter() {
            outbox.wake();
        }
        members.slots.len()
    }

    /// Leaves an ephemeral frame with every member but the user it is about, if that is given; returns with how many,
    /// and how many older frames had to go for it.
    pub(crate) fn push_ephemeral(&self, frame: &Ephemeral, not_to: Option<UserId>) -> (usize, usize) {
        let members = self.members();
        let others = members.slots.iter().filter(|outbox| not_to.is_none() || outbox.user() != not_to);
        others.fold((0, 0), |(sent, dropped), outbox| {
            (sent + 1, dropped + usize::from(!outbox.push_ephemeral(frame.clone())))
        })
    }

    /// At most `limit` of the users in the topic, each once.
    pub(crate) fn users(&self, limit: usize) -> Vec<UserId> {
        let (members, mut seen) = (self.members(), HashSet::new());
        let users = members.slots.iter().filter_map(|outbox| outbox.user());
        users.filter(|user| seen.insert(*user)).take(limit).collect()
    }

    /// Everybody must leave the room.
    pub(crate) fn revoke_members(&self, room: &RoomName) {
        self.members().slots.iter().for_each(|outbox| outbox.revoke_room(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{
        clock::Timestamp,
        id::SessionId,
        model::{Identity, Portal, Portals},
    };

    fn somebody() -> Arc<Identity> {
        Arc::new(Identity {
            user_id: UserId::new(),
            session_id: SessionId::new(),
            name: "Ada".into(),
            is_admin: false,
            portal: Portal::Creator,
            portals: Portals::of([Portal::Creator]),
            created_at: Timestamp::default(),
            refreshed_at: Timestamp::default(),
            expires_at: Timestamp::default(),
        })
    }

    #[test]
    fn at_most_a_hundred_users_are_listed_each_once_and_all_are_counted() {
        let topic = Topic::new(engine::Topic::Room("public:lobby".parse().unwrap()));
        let add = |who: &Arc<Identity>| {
            let outbox = Arc::new(Outbox::new(1, 0, u32::MAX));
            outbox.acts_for(who);
            topic.add(&outbox).unwrap();
        };
        let twice = somebody();
        add(&twice);
        add(&twice);
        (0..120).for_each(|_| add(&somebody()));
        let listed = topic.users(100);
        assert_eq!(listed.iter().collect::<HashSet<_>>().len(), 100);
        assert_eq!((listed.len(), listed[0], topic.member_count()), (100, twice.user_id, 122));
    }
}
