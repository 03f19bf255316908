//! The broker inside one process.
//!
//! Topics are spread over shards by name; a publication numbers, remembers and delivers under its shard's lock, which
//! is what keeps a room's order under concurrent publishers. That is cheap because nothing in there waits: the frame is
//! encoded once, and delivery is a push of a reference to the few *nodes* that subscribed (their thousands of clients
//! are the gateway's business).
//!
//! No background task: operations look at the clock and, at most once a second, one of them forgets what is over.

use super::{
    Attachment, Control, Deliveries, Delivery, HISTORY_TOTAL_BYTES, History, MailboxEntry, NodeId, Published, Signal,
    Topic,
    queue::{Detach, NodeQueue},
    shard::{Entry, Node, Shard},
};
use crate::{
    clock::{Clock, Timestamp},
    engine::{
        EngineError,
        pace::Pace,
        shards::{Shards, lock},
    },
    id::UserId,
    protocol::{Position, RoomName},
};
use bytes::Bytes;
use dashmap::DashMap;
use std::{
    collections::HashSet,
    io::Write as _,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// Rooms one sweep looks at per shard, so that no operation pays for a hundred thousand at once.
const SWEEP_ROOMS: usize = 256;

/// See [`super::Broker`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct MemoryBroker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    nodes: DashMap<NodeId, Arc<Node>>,
    shards: Shards<Shard>,
    /// What all rooms remember together, as [`super::room::Room::bytes`] counts.
    bytes: AtomicUsize,
    /// One caller at a time makes room; the others go on.
    relieving: AtomicBool,
    sweeps: Pace,
}

impl MemoryBroker {
    pub(in crate::engine) fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            sweeps: Pace::new(Duration::from_secs(1)),
            clock,
            nodes: DashMap::new(),
            shards: Shards::default(),
            bytes: AtomicUsize::new(0),
            relieving: AtomicBool::new(false),
        }))
    }

    pub(super) fn attach(&self) -> Attachment {
        let id = NodeId(Uuid::now_v7());
        let queue = Arc::new(NodeQueue::default());
        let node = Arc::new(Node { id, queue: Arc::clone(&queue), topics: Mutex::new(Some(HashSet::new())) });
        self.0.nodes.insert(id, node);
        let broker: Weak<Inner> = Arc::downgrade(&self.0);
        let detach = move || {
            if let Some(inner) = broker.upgrade() {
                inner.detach(id);
            }
        };
        Attachment { node: id, deliveries: Deliveries::new(queue, Detach(Some(Box::new(detach)))) }
    }

    pub(super) fn subscribe(&self, node: NodeId, topic: &Topic) -> Result<(), EngineError> {
        let node = self.0.node(node).ok_or(EngineError::NotAttached)?;
        let mut topics = lock(&node.topics);
        let topics = topics.as_mut().ok_or(EngineError::NotAttached)?;
        if topics.insert(topic.clone()) {
            let now = self.0.clock.now();
            self.0.shard(topic).listeners(topic, now).push(Arc::clone(&node));
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&self, node: NodeId, topic: &Topic) {
        let Some(node) = self.0.node(node) else { return };
        let mut topics = lock(&node.topics);
        if topics.as_mut().is_some_and(|topics| topics.remove(topic)) {
            self.0.shard(topic).unlisten(topic, node.id, self.0.clock.now());
        }
    }

    pub(super) fn publish(
        &self,
        room: &RoomName,
        from: Option<UserId>,
        id: Uuid,
        before: &str,
        after: &str,
    ) -> Published {
        let now = self.0.clock.now();
        let published = {
            let mut shard = self.0.shards.lock(room);
            let entry = shard.entry(room, now);
            let (published, frame) = entry.room.publish((from, id), now, |pos| encode(before, pos, after));
            self.0.settle(entry);
            if let Some(frame) = frame {
                for node in &entry.listeners {
                    let (room, pos, frame) = (room.clone(), published.pos, frame.clone());
                    node.queue.push(Delivery::Event { room, pos, frame });
                }
            }
            published
        };
        self.0.keep_house(now);
        published
    }

    pub(super) fn history(&self, room: &RoomName, since: Option<Position>, limit: usize) -> History {
        let now = self.0.clock.now();
        let history = {
            let mut shard = self.0.shards.lock(room);
            let entry = shard.entry(room, now);
            let history = entry.room.history(since, limit, now);
            self.0.settle(entry);
            history
        };
        self.0.keep_house(now);
        history
    }

    pub(in crate::engine) fn signal(&self, topic: &Topic, signal: Signal) {
        let shard = self.0.shard(topic);
        let listeners = match topic {
            Topic::Room(room) => shard.rooms.get(room).map(|entry| &entry.listeners),
            Topic::Inbox(_) | Topic::Presence(_) => shard.listeners.get(topic),
        };
        for node in listeners.into_iter().flatten() {
            node.queue.push(Delivery::Signal(topic.clone(), signal));
        }
    }

    pub(in crate::engine) fn control(&self, control: &Control) {
        for node in &self.0.nodes {
            node.queue.push(Delivery::Control(control.clone()));
        }
    }

    /// Delivers inbox entries, in this order. Called by the mailbox under its lock, which orders a user's entries.
    pub(in crate::engine) fn deliver_inbox(&self, user: UserId, entries: &[MailboxEntry]) {
        let topic = Topic::Inbox(user);
        let shard = self.0.shard(&topic);
        for node in shard.listeners.get(&topic).into_iter().flatten() {
            for MailboxEntry { seq, frame } in entries {
                node.queue.push(Delivery::Inbox { user, seq: *seq, frame: frame.clone() });
            }
        }
    }

    /// What is remembered: rooms, topics with listeners, bytes.
    #[cfg(test)]
    fn footprint(&self) -> (usize, usize, usize) {
        let (rooms, topics) = self.0.shards.each().fold((0, 0), |(rooms, topics), shard| {
            assert_eq!(shard.rooms.len(), shard.checks.len(), "every room has one place");
            (rooms + shard.rooms.len(), topics + shard.listeners.len())
        });
        (rooms, topics, self.0.bytes.load(Ordering::Relaxed))
    }
}

impl Inner {
    fn node(&self, id: NodeId) -> Option<Arc<Node>> {
        self.nodes.get(&id).map(|node| Arc::clone(&node))
    }

    fn shard(&self, topic: &Topic) -> std::sync::MutexGuard<'_, Shard> {
        match topic {
            Topic::Room(room) => self.shards.lock(room),
            Topic::Inbox(_) | Topic::Presence(_) => self.shards.lock(topic),
        }
    }

    fn detach(&self, id: NodeId) {
        let Some((_, node)) = self.nodes.remove(&id) else { return };
        let now = self.clock.now();
        // Taking the set ends the node: a `subscribe` that races this finds `None` and leaves nothing behind.
        for topic in lock(&node.topics).take().into_iter().flatten() {
            self.shard(&topic).unlisten(&topic, id, now);
        }
    }

    /// Charges the total with what the room holds now, whatever happened to it since the last time.
    fn settle(&self, entry: &mut Entry) {
        let (before, after) = (entry.charged, entry.room.bytes());
        entry.charged = after;
        if after >= before {
            self.bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    fn keep_house(&self, now: Timestamp) {
        if self.bytes.load(Ordering::Relaxed) > HISTORY_TOTAL_BYTES {
            self.relieve();
        }
        if self.sweeps.is_due(now) && self.sweep(now) {
            self.sweeps.again();
        }
    }

    /// Forgets rooms that are over; true when some shard was not finished.
    fn sweep(&self, now: Timestamp) -> bool {
        let mut unfinished = false;
        for mut shard in self.shards.each() {
            for _ in 0..SWEEP_ROOMS {
                if shard.checks.front().is_none_or(|(due, _)| *due > now) {
                    break;
                }
                let freed = shard.check_next(now);
                self.bytes.fetch_sub(freed, Ordering::Relaxed);
            }
            unfinished |= shard.checks.front().is_some_and(|(due, _)| *due <= now);
        }
        unfinished
    }

    /// Makes every room give up what it has beyond a cap that halves until all fit: those that hold most pay first.
    fn relieve(&self) {
        if self.relieving.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut cap = super::HISTORY_BYTES / 2;
        while self.bytes.load(Ordering::Relaxed) > HISTORY_TOTAL_BYTES / 8 * 7 && cap > 0 {
            for mut shard in self.shards.each() {
                for entry in shard.rooms.values_mut().filter(|entry| entry.room.bytes() > cap) {
                    entry.room.trim_to_bytes(cap);
                    self.settle(entry);
                }
            }
            cap /= 2;
        }
        self.relieving.store(false, Ordering::Release);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for node in &self.nodes {
            node.queue.close();
        }
    }
}

/// The whole frame, in one allocation of the right size.
fn encode(before: &str, pos: Position, after: &str) -> Bytes {
    // Eight base-36 digits, a colon, and the number's at most twenty digits.
    let mut frame = Vec::with_capacity(before.len() + after.len() + 29);
    frame.extend_from_slice(before.as_bytes());
    write!(frame, "{pos}").expect("writing to memory cannot fail");
    frame.extend_from_slice(after.as_bytes());
    Bytes::from(frame)
}

#[cfg(test)]
mod tests {
    use super::{super::shard::ROOM_CHECK, *};

    fn broker() -> (MemoryBroker, Clock) {
        let clock = Clock::manual(Timestamp::from_micros(1_000_000));
        (MemoryBroker::new(clock.clone()), clock)
    }

    fn room(n: usize) -> RoomName {
        format!("public:r{n}").parse().unwrap()
    }

    fn publish(broker: &MemoryBroker, room: &RoomName, bytes: usize) -> Published {
        broker.publish(room, None, Uuid::now_v7(), "", &"x".repeat(bytes))
    }

    #[test]
    fn a_hundred_thousand_rooms_published_to_once_leave_no_memory_behind() {
        let (broker, clock) = broker();
        for n in 0..100_000 {
            publish(&broker, &room(n), 10);
        }
        assert_eq!(broker.footprint().0, 100_000);
        clock.advance(super::super::HISTORY_AGE + ROOM_CHECK);
        // Each operation forgets a bounded share, in whatever room it happens.
        for _ in 0..10 {
            broker.history(&room(0), None, 0);
        }
        assert_eq!(broker.footprint(), (1, 0, 0));
    }

    #[test]
    fn churning_subscriptions_leave_no_memory_behind() {
        let (broker, clock) = broker();
        for round in 0..20 {
            let nodes: Vec<Attachment> = (0..3).map(|_| broker.attach()).collect();
            for n in 0..1_000 {
                let node = nodes[n % 3].node;
                let user = UserId::new();
                for topic in [Topic::Room(room(n)), Topic::Inbox(user), Topic::Presence(user)] {
                    broker.subscribe(node, &topic).unwrap();
                }
                if n % 2 == 0 {
                    broker.unsubscribe(node, &Topic::Inbox(user));
                }
            }
            drop(nodes);
            let (rooms, topics, _) = broker.footprint();
            assert_eq!((rooms, topics, broker.0.nodes.len()), (1_000, 0, 0), "round {round}");
        }
        clock.advance(super::super::HISTORY_AGE + ROOM_CHECK);
        publish(&broker, &room(0), 1);
        assert_eq!(broker.footprint().0, 1);
    }

    #[test]
    fn a_room_somebody_is_in_gives_its_old_events_back_and_keeps_its_number() {
        let (broker, clock) = broker();
        let node = broker.attach();
        broker.subscribe(node.node, &Topic::Room(room(1))).unwrap();
        let first = publish(&broker, &room(1), 1_000);
        for _ in 0..3 {
            clock.advance(super::super::HISTORY_AGE);
            broker.history(&room(2), None, 0);
        }
        assert_eq!(broker.footprint(), (2, 0, 0));
        let second = publish(&broker, &room(1), 1);
        assert_eq!((second.pos.epoch, second.pos.seq), (first.pos.epoch, 2));
    }

    #[test]
    fn all_rooms_together_stay_within_their_bytes_and_those_that_hold_most_pay_first() {
        let (broker, _clock) = broker();
        let small = room(1_000);
        let start = publish(&broker, &small, 1_000).pos;
        for n in 1..10 {
            publish(&broker, &small, n);
        }
        for n in 0..4_000 {
            publish(&broker, &room(n % 200), 60_000);
        }
        let (_, _, bytes) = broker.footprint();
        assert!(bytes <= HISTORY_TOTAL_BYTES && bytes > HISTORY_TOTAL_BYTES / 2, "{bytes}");
        assert!(broker.history(&small, Some(start), 100).recovered, "a quiet room does not pay for a loud one");
        let held: usize = broker
            .0
            .shards
            .each()
            .map(|shard| shard.rooms.values().map(|entry| entry.room.bytes()).sum::<usize>())
            .sum();
        assert_eq!(held, bytes, "the account is exact");
    }

    #[test]
    fn the_queues_end_when_the_broker_is_gone() {
        let (broker, _clock) = broker();
        let mut node = broker.attach();
        drop(broker);
        assert!(node.deliveries.try_recv().is_none());
        let end = futures_util::FutureExt::now_or_never(node.deliveries.recv());
        assert!(matches!(end, Some(None)));
    }
}
