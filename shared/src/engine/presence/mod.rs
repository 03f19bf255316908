//! Who is online.
//!
//! # Contract
//!
//! * A node takes part as an [`Incarnation`]: its name plus a random id, so that a restarted node cannot be mistaken for
//!   its dead predecessor. An incarnation's lease lives [`LEASE`] and is renewed every [`RENEW`]; a user is online while
//!   an incarnation that holds one of their connections has a live lease. No connection refreshes anything by itself.
//! * Only changes of the user's merged state are announced, as [`super::Signal::Presence`] to
//!   [`super::Topic::Presence`]: offline → online/away, away ↔ online, and → offline. A second device coming or going
//!   does not announce (the count is in the snapshot).
//! * `offline` is announced [`GRACE`] after the last connection left (a page reload makes no noise) or after the last
//!   renewal of the lease that held it, by whoever runs [`Presence::sweep`].
//! * A node sweeps nobody in the first [`QUIET`] after it connected to an engine outside its process.
//! * A node that was silent for longer than its lease may find it swept: then [`Presence::renew`] answers
//!   [`Renewal::Started`], and the node joins every connection it has again. Within the grace nobody notices.
//! * An engine that lost its last writes (a replica took over, a server came back from a snapshot) may lack connections
//!   and still have some that are gone. So a renewal there ends the lease that was begun before, as if all its
//!   connections had left now, and answers [`Renewal::Started`] too.
//! * Every announced state has a version `max(v + 1, now in ms)`: versions only grow, also over a flushed engine.
//! * `snapshot` is what was announced last, and how many connections there are now. The version of a user who went
//!   offline is remembered for [`REMEMBER`] (and [`REMEMBERED`] users); a user nobody has heard of is `offline`, version
//!   0. So a snapshot replaces what a watcher knew, and only diffs compare versions.

mod memory;
mod redis;
mod roster;

use super::EngineError;
use crate::{
    id::UserId,
    protocol::{command::Status, event::PresenceState},
};
use std::time::Duration;
use uuid::Uuid;

pub use memory::MemoryPresence;
pub use redis::RedisPresence;

/// How long an incarnation's lease lives.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often a node renews it.
pub const RENEW: Duration = Duration::from_secs(3);
/// How long after the last connection a user still counts as present.
pub const GRACE: Duration = Duration::from_secs(15);

/// How long a node sweeps nobody after it came (back) to an engine it shares with others: a link that was cut for
/// everybody ended every lease, and all nodes must have had the time to renew theirs.
pub const QUIET: Duration = Duration::from_secs(20);

/// How long an offline user's version is remembered.
pub const REMEMBER: Duration = Duration::from_hours(24);
/// How many offline users' versions a memory engine remembers; beyond, those who left longest ago are forgotten first.
pub const REMEMBERED: usize = 200_000;

/// One life of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation {
    /// The node's configured name.
    pub node: std::sync::Arc<str>,
    /// Random, new at every start.
    pub id: Uuid,
}

/// What a renewal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after `Started` the node joins its connections again"]
pub enum Renewal {
    /// The lease was there: nothing to do.
    Prolonged,
    /// The lease is new, had run out and was swept, or was begun before the engine lost writes: the node joins every
    /// connection it has (again). Said once.
    Started,
}

/// Who is online. See the module's contract.
#[derive(Clone, Debug)]
pub enum Presence {
    /// Inside one process.
    Memory(MemoryPresence),
    /// Between processes.
    Redis(RedisPresence),
}

impl Presence {
    /// Starts or prolongs an incarnation's lease.
    pub async fn renew(&self, node: &Incarnation) -> Result<Renewal, EngineError> {
        match self {
            Self::Memory(presence) => Ok(presence.renew(node)),
            Self::Redis(presence) => presence.renew(node).await,
        }
    }

    /// A connection of the user came up on this node. `connection` is unique within the incarnation; joining again
    /// replaces its status. Starts the incarnation's lease if it has none.
    pub async fn join(
        &self,
        node: &Incarnation,
        user: UserId,
        connection: u64,
        status: Status,
    ) -> Result<(), EngineError> {
        match self {
            Self::Memory(presence) => {
                presence.join(node, user, connection, status);
                Ok(())
            }
            Self::Redis(presence) => presence.join(node, &[(user, connection, status)]).await,
        }
    }

    /// The same for many connections at once: what a node does that finds its lease ended.
    pub async fn join_all(&self, node: &Incarnation, connections: &[(UserId, u64, Status)]) -> Result<(), EngineError> {
        match self {
            Self::Memory(presence) => {
                for (user, connection, status) in connections {
                    presence.join(node, *user, *connection, *status);
                }
                Ok(())
            }
            Self::Redis(presence) => presence.join(node, connections).await,
        }
    }

    /// The client said that it is at the keyboard, or away. A connection that is not joined is ignored.
    pub async fn set(
        &self,
        node: &Incarnation,
        user: UserId,
        connection: u64,
        status: Status,
    ) -> Result<(), EngineError> {
        match self {
            Self::Memory(presence) => {
                presence.set(node, user, connection, status);
                Ok(())
            }
            Self::Redis(presence) => presence.set(node, user, connection, Some(status)).await,
        }
    }

    /// The connection is gone; the user stays present for the grace unless another one is up. Idempotent.
    pub async fn leave(&self, node: &Incarnation, user: UserId, connection: u64) -> Result<(), EngineError> {
        match self {
            Self::Memory(presence) => {
                presence.leave(node, user, connection);
                Ok(())
            }
            Self::Redis(presence) => presence.set(node, user, connection, None).await,
        }
    }

    /// The state of each user, in the order asked.
    pub async fn snapshot(&self, users: &[UserId]) -> Result<Vec<PresenceState>, EngineError> {
        match self {
            Self::Memory(presence) => Ok(presence.snapshot(users)),
            Self::Redis(presence) => presence.snapshot(users).await,
        }
    }

    /// How many users are present (online or away).
    pub async fn count(&self) -> Result<usize, EngineError> {
        match self {
            Self::Memory(presence) => Ok(presence.count()),
            Self::Redis(presence) => presence.count().await,
        }
    }

    /// Announces `offline` for everybody whose grace ran out; returns how many. Any node calls it once a second; calls
    /// at the same time share the work.
    pub async fn sweep(&self) -> Result<usize, EngineError> {
        match self {
            Self::Memory(presence) => Ok(presence.sweep()),
            Self::Redis(presence) => presence.sweep().await,
        }
    }

    /// The incarnation ends in good order: as if all its connections had left.
    pub async fn retire(&self, node: &Incarnation) -> Result<(), EngineError> {
        match self {
            Self::Memory(presence) => {
                presence.retire(node);
                Ok(())
            }
            Self::Redis(presence) => presence.retire(node).await,
        }
    }
}
