//! One shard of the memory broker: some rooms, some topics, and who listens. Everything here happens under one lock,
//! which the broker holds; nothing here locks, waits or delivers.

use super::{NodeId, Topic, queue::NodeQueue, room::Room};
use crate::{clock::Timestamp, protocol::RoomName};
use smallvec::SmallVec;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

/// How often an idle room is looked at; it is forgotten at most this long after its time.
pub(super) const ROOM_CHECK: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) queue: Arc<NodeQueue>,
    /// What to forget when the node detaches; `None` once it has. Locked before any shard.
    pub(super) topics: Mutex<Option<HashSet<Topic>>>,
}

/// The nodes that follow a topic. Most topics are somebody's inbox, on one node.
pub(super) type Listeners = SmallVec<[Arc<Node>; 2]>;

#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) rooms: HashMap<RoomName, Entry>,
    /// Inbox and presence topics that somebody subscribed to.
    pub(super) listeners: HashMap<Topic, Listeners>,
    /// When to look at each room again, soonest first: every room has exactly one place.
    pub(super) checks: VecDeque<(Timestamp, RoomName)>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) room: Room,
    /// What the total was last charged with for this room.
    pub(super) charged: usize,
    pub(super) listeners: Listeners,
}

impl Shard {
    /// The room, born anew if it is not there or over.
    pub(super) fn entry(&mut self, room: &RoomName, now: Timestamp) -> &mut Entry {
        let entry = self.rooms.entry(room.clone()).or_insert_with(|| {
            self.checks.push_back((now + ROOM_CHECK, room.clone()));
            Entry { room: Room::new(now), charged: 0, listeners: Listeners::new() }
        });
        if entry.is_over(now) {
            // Its time ran out before a sweep came by.
            entry.room = Room::new(now);
        }
        entry
    }

    pub(super) fn listeners(&mut self, topic: &Topic, now: Timestamp) -> &mut Listeners {
        match topic {
            Topic::Room(room) => &mut self.entry(room, now).listeners,
            Topic::Inbox(_) | Topic::Presence(_) => self.listeners.entry(topic.clone()).or_default(),
        }
    }

    pub(super) fn unlisten(&mut self, topic: &Topic, node: NodeId, now: Timestamp) {
        if let Topic::Room(room) = topic {
            if let Some(entry) = self.rooms.get_mut(room) {
                entry.listeners.retain(|listener| listener.id != node);
                // Whoever reloads a page leaves and comes back: the position must survive that.
                entry.room.touch(now);
            }
            return;
        }
        let Some(listeners) = self.listeners.get_mut(topic) else { return };
        listeners.retain(|listener| listener.id != node);
        if listeners.is_empty() {
            self.listeners.remove(topic);
            if self.listeners.capacity() > 64 && self.listeners.len() < self.listeners.capacity() / 8 {
                self.listeners.shrink_to_fit();
            }
        }
    }

    /// Looks at the room whose turn it is; returns the bytes it gave up.
    pub(super) fn check_next(&mut self, now: Timestamp) -> usize {
        let Some((_, name)) = self.checks.pop_front() else { return 0 };
        let Some(entry) = self.rooms.get_mut(&name) else { return 0 };
        let charged = entry.charged;
        if entry.is_over(now) {
            self.rooms.remove(&name);
            if self.rooms.capacity() > 64 && self.rooms.len() < self.rooms.capacity() / 8 {
                self.rooms.shrink_to_fit();
                self.checks.shrink_to_fit();
            }
            return charged;
        }
        entry.room.prune(now);
        entry.room.shrink();
        entry.charged = entry.room.bytes();
        self.checks.push_back((now + ROOM_CHECK, name));
        charged - entry.charged
    }
}

impl Entry {
    fn is_over(&self, now: Timestamp) -> bool {
        self.listeners.is_empty() && self.room.is_stale(now)
    }
}
