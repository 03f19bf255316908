//! Events between nodes: topics, room publications with history, ephemeral signals, control messages.
//!
//! # Contract
//!
//! * A node attaches once and gets one bounded queue of [`Delivery`]. It subscribes to a topic once, however many of
//!   its clients want it. After [`Broker::subscribe`] returns, everything published to the topic later is delivered to
//!   the node or announced as [`Delivery::Lost`].
//! * The publisher never waits for a node. When a node's queue is full ([`NODE_QUEUE`], [`NODE_QUEUE_BYTES`]) the broker
//!   drops what follows until the node has taken everything that was queued; then it delivers one [`Delivery::Lost`],
//!   also if nothing is ever published again. The node fills every topic from history and mailbox, reads the presence
//!   it watches again, and asks anew about its sessions and memberships. Everything later is delivered again.
//! * A room's events are numbered 1, 2, 3, … within an epoch, and a node receives those of one room in that order.
//!   `publish` does dedupe → number → remember → deliver in one atomic step, so position and delivery cannot disagree:
//!   an event that was dropped is in the history before `Lost` is delivered.
//! * History keeps the last [`HISTORY_EVENTS`] events of a room, at most [`HISTORY_BYTES`], for [`HISTORY_AGE`]. The ids
//!   of `(room, from, id)` are remembered as long, at most [`DEDUPE_IDS`] per room. When all rooms together pass
//!   [`HISTORY_TOTAL_BYTES`], those that hold most give up their oldest first.
//! * A room's epoch and numbers live on while a node is subscribed, and for [`HISTORY_AGE`] after the last publication,
//!   call of `history` or subscription. Then the room is forgotten, and starts a new epoch when it is used again.
//! * Signals are at most once, unordered between topics, and not remembered. Typing gives way first: a queue half full
//!   takes no more of it, without a `Lost`. A presence change that did not fit does count as lost.
//! * Control messages reach every attached node; one that did not fit is covered by `Lost`, except `Disconnect`.

mod memory;
mod queue;
pub(super) mod redis;
mod room;
mod shard;

use super::{EngineError, MailboxEntry};
use crate::{
    id::{SessionId, UserId},
    protocol::{Position, RoomName, event::PresenceState},
};
use bytes::Bytes;
use uuid::Uuid;

pub use memory::MemoryBroker;
pub use queue::Deliveries;
pub use redis::RedisBroker;

/// How many deliveries may wait for a node before the broker drops and announces [`Delivery::Lost`].
/// A node that takes 100 000 a second catches up with a pause of 160 ms without noticing.
pub const NODE_QUEUE: usize = 16_384;
/// How many bytes may wait for a node. Frames are shared, not copied: this bounds what a stuck node keeps alive.
pub const NODE_QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// Events a room remembers.
pub const HISTORY_EVENTS: usize = 500;
/// Bytes of events a room remembers: 500 events of 2 KiB, or 16 of the largest.
pub const HISTORY_BYTES: usize = 1024 * 1024;
/// Ids a room remembers: ten minutes at 109 events a second, a minute at 1 092.
pub const DEDUPE_IDS: usize = 65_536;
/// Bytes that all rooms of a memory engine remember together.
pub const HISTORY_TOTAL_BYTES: usize = 128 * 1024 * 1024;
/// How long a room remembers events and ids.
pub const HISTORY_AGE: std::time::Duration = std::time::Duration::from_mins(10);

/// An attached node. Detaches when dropped together with its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub Uuid);

/// What a node can subscribe to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A room's events and typing.
    Room(RoomName),
    /// One user's inbox.
    Inbox(UserId),
    /// One user's presence, wanted by watchers.
    Presence(UserId),
}

/// What arrives at a node.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A room event, already in the form the client gets.
    Event {
        /// Which room.
        room: RoomName,
        /// Its number.
        pos: Position,
        /// The whole frame's JSON.
        frame: Bytes,
    },
    /// Something at most once.
    Signal(Topic, Signal),
    /// A new inbox entry, already in the form the client gets.
    Inbox {
        /// Whose.
        user: UserId,
        /// Its position.
        seq: u64,
        /// The whole frame's JSON.
        frame: Bytes,
    },
    /// For every node.
    Control(Control),
    /// Deliveries were dropped (a full queue, a lost link): fill every topic from history and mailbox, read watched
    /// presence again, and ask the caches about sessions and memberships again (a revocation may be among the lost).
    Lost,
}

/// At most once, latest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Somebody types in the room; `ttl_ms` 0 ends it.
    Typing {
        /// Who.
        user: UserId,
        /// How long it holds.
        ttl_ms: u64,
    },
    /// A user's presence changed.
    Presence(PresenceState),
}

/// Told to every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// A session ended: its sockets close 4503 within a second.
    SessionRevoked(SessionId),
    /// Every session of a user ended.
    UserRevoked(UserId),
    /// A user may no longer be in a room.
    MembershipRevoked(RoomName, UserId),
    /// An operator closes the sockets of a user (4411: they may come back).
    Disconnect(UserId),
}

/// What `publish` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where the event is.
    pub pos: Position,
    /// True when `(room, from, id)` was published before: `pos` is the first one's, and nothing was delivered.
    pub repeated: bool,
}

/// One remembered event.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// Its number in `History::top.epoch`.
    pub seq: u64,
    /// The whole frame's JSON.
    pub frame: Bytes,
}

/// A page of a room's history.
#[derive(Clone, Debug)]
pub struct History {
    /// The room's newest position; `seq` 0 when nothing was published in this epoch. Handed out even for a room nobody
    /// ever published to, and stable from then on for as long as the room is remembered.
    pub top: Position,
    /// True when `entries` continue `since` without a gap (they may still be fewer than there are: read on).
    /// False when `since` is of another epoch, beyond the top, or older than what is remembered; then no entries.
    /// True without `since`: nothing was asked to be recovered.
    pub recovered: bool,
    /// Events after `since`, oldest first, bounded by the caller's limit.
    pub entries: Vec<HistoryEntry>,
}

/// A node's end of the broker.
#[derive(Debug)]
pub struct Attachment {
    /// Names the node in `subscribe` and `unsubscribe`.
    pub node: NodeId,
    /// Everything that arrives, in order per topic.
    pub deliveries: Deliveries,
}

/// Events between nodes. See the module's contract.
#[derive(Clone, Debug)]
pub enum Broker {
    /// Inside one process.
    Memory(MemoryBroker),
    /// Between processes.
    Redis(RedisBroker),
}

impl Broker {
    /// Attaches a node. Dropping its [`Deliveries`] detaches it: its subscriptions are forgotten.
    pub async fn attach(&self) -> Result<Attachment, EngineError> {
        match self {
            Self::Memory(broker) => Ok(broker.attach()),
            Self::Redis(broker) => Ok(broker.attach()),
        }
    }

    /// Subscribes a node; idempotent; confirmed when this returns. [`EngineError::NotAttached`] after a detach.
    pub async fn subscribe(&self, node: NodeId, topic: &Topic) -> Result<(), EngineError> {
        match self {
            Self::Memory(broker) => broker.subscribe(node, topic),
            Self::Redis(broker) => broker.subscribe(node, topic).await,
        }
    }

    /// Ends a subscription; idempotent. Deliveries already queued may still arrive.
    pub async fn unsubscribe(&self, node: NodeId, topic: &Topic) -> Result<(), EngineError> {
        match self {
            Self::Memory(broker) => broker.unsubscribe(node, topic),
            Self::Redis(broker) => broker.unsubscribe(node, topic),
        }
        Ok(())
    }

    /// Publishes an event: `before`, then the position, then `after` is the frame's JSON
    /// (see [`crate::protocol::event::room_event_halves`]). `(room, from, id)` makes a repeat harmless.
    pub async fn publish(
        &self,
        room: &RoomName,
        from: Option<UserId>,
        id: Uuid,
        before: &str,
        after: &str,
    ) -> Result<Published, EngineError> {
        match self {
            Self::Memory(broker) => Ok(broker.publish(room, from, id, before, after)),
            Self::Redis(broker) => broker.publish(room, from, id, before, after).await,
        }
    }

    /// Reads at most `limit` events after `since`; with `since` `None`, or `limit` 0, just the top.
    pub async fn history(
        &self,
        room: &RoomName,
        since: Option<Position>,
        limit: usize,
    ) -> Result<History, EngineError> {
        match self {
            Self::Memory(broker) => Ok(broker.history(room, since, limit)),
            Self::Redis(broker) => broker.history(room, since, limit).await,
        }
    }

    /// Sends a signal to the nodes subscribed to the topic.
    pub async fn signal(&self, topic: &Topic, signal: Signal) -> Result<(), EngineError> {
        match self {
            Self::Memory(broker) => {
                broker.signal(topic, signal);
                Ok(())
            }
            Self::Redis(broker) => broker.signal(topic, signal).await,
        }
    }

    /// Tells every node.
    pub async fn control(&self, control: Control) -> Result<(), EngineError> {
        match self {
            Self::Memory(broker) => {
                broker.control(&control);
                Ok(())
            }
            Self::Redis(broker) => broker.control(&control).await,
        }
    }
}
