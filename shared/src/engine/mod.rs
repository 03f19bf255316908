//! What is live and may vanish: broker, presence, mailbox, caches, limits, node stats.
//!
//! Everything here can be lost at any moment without losing durable data (invariant 2): the store holds inboxes and
//! their positions, sessions, messages; the engine makes them fast and carries them between nodes.
//!
//! [`Engine`] is a struct of closed enums, one per concern; the contract is written on the enum, one conformance
//! suite runs on every variant, and the memory variant is the test double. No trait, no type parameter spreads into
//! the callers. Several nodes of one process may share one memory engine (clone it), and then are a cluster: that is
//! how multi-node behaviour is tested without Redis.
//!
//! # Lock order of the memory variant
//!
//! Presence or mailbox → a node's topic set → a broker shard → a node's queue; never the other way, never two of a kind.
//! Session, membership, occupancy, limit and stats locks are leaves: nothing else is locked under them. No lock is held across an
//! `.await`, and nothing under a lock waits.
//!
//! # Adding a backend
//!
//! 1. A variant in each concern's enum, in `<concern>/<backend>.rs`, matched in one line per method.
//! 2. A constructor here, chosen by the URL's scheme in [`Engine::connect`].
//! 3. The conformance suite in `shared/tests/suite/engine` runs on it; it passes before anything else is written.

#![expect(clippy::unused_async, reason = "the memory variant never waits; the contract is for those that do")]

mod bell;
pub mod broker;
mod error;
pub mod limits;
pub mod mailbox;
pub mod members;
pub mod occupancy;
mod pace;
pub mod presence;
mod redis;
pub mod sessions;
mod shards;
pub mod stats;
mod ttl;

pub use bell::Bell;
pub use broker::{
    Attachment, Broker, Control, Deliveries, Delivery, History, HistoryEntry, NodeId, Published, Signal, Topic,
};
pub use error::EngineError;
pub use limits::{Decision, Limits, Quota};
pub use mailbox::{AckEntry, Appended, Mailbox, MailboxEntry};
pub use members::{MemberCache, Membership};
pub use occupancy::Occupancy;
pub use presence::{Incarnation, Presence, Renewal};
pub use redis::{EngineHealth, LinkHealth, ServerInfo};
pub use sessions::{CachedSession, SessionCache};
pub use stats::{NodeStats, Report};

use crate::{clock::Clock, config::RedisConfig};

/// The live side of the platform. A cheap clone: every clone is the same engine.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Events between nodes, room history.
    pub broker: Broker,
    /// Who is online, on which node's lease.
    pub presence: Presence,
    /// Who is in which room, on all nodes together.
    pub occupancy: Occupancy,
    /// The hot copy of the inboxes, and device cursors on their way to the store.
    pub mailbox: Mailbox,
    /// Sessions by token hash, and one-time tickets.
    pub sessions: SessionCache,
    /// Who may enter which room.
    pub members: MemberCache,
    /// Rate limits.
    pub limits: Limits,
    /// What every node says about itself.
    pub stats: NodeStats,
    /// Rung when inbox rows were committed; relays wait for it.
    pub bell: Bell,
}

impl Engine {
    /// An engine inside this process. Its clones share it; two calls make two engines that know nothing of each other.
    pub fn memory(clock: Clock) -> Self {
        let broker = broker::MemoryBroker::new(clock.clone());
        Self {
            presence: Presence::Memory(presence::MemoryPresence::new(&clock, broker.clone())),
            occupancy: Occupancy::Memory(occupancy::MemoryOccupancy::new(clock.clone())),
            mailbox: Mailbox::Memory(mailbox::MemoryMailbox::new(broker.clone())),
            sessions: SessionCache::Memory(sessions::MemorySessions::new(&clock, broker.clone())),
            members: MemberCache::Memory(members::MemoryMembers::new(&clock, broker.clone())),
            limits: Limits::Memory(limits::MemoryLimits::new(&clock)),
            bell: Bell::memory(),
            broker: Broker::Memory(broker),
            stats: NodeStats::Memory(stats::MemoryStats::new(clock)),
        }
    }

    /// An engine in Redis, shared by all processes with these settings. Begins to connect in the background and heals
    /// by itself; fails only for settings that can never work.
    pub fn redis(config: &RedisConfig, clock: Clock) -> Result<Self, EngineError> {
        let link = redis::Link::new(config, clock)?;
        let broker = broker::RedisBroker::new(link.clone());
        Ok(Self {
            presence: Presence::Redis(presence::RedisPresence::new(link.clone())),
            occupancy: Occupancy::Redis(occupancy::RedisOccupancy::new(link.clone())),
            mailbox: Mailbox::Redis(mailbox::RedisMailbox::new(link.clone())),
            sessions: SessionCache::Redis(sessions::RedisSessions::new(link.clone(), broker.clone())),
            members: MemberCache::Redis(members::RedisMembers::new(link.clone(), broker.clone())),
            limits: Limits::Redis(limits::RedisLimits::new(link.clone())),
            stats: NodeStats::Redis(stats::RedisStats::new(link)),
            bell: broker.bell(),
            broker: Broker::Redis(broker),
        })
    }

    /// Asks the engine whether it works, and in Redis what the server says about itself. Nothing answers in its place
    /// here, unlike with [`Limits`].
    pub async fn check(&self) -> Result<Option<ServerInfo>, EngineError> {
        match &self.broker {
            Broker::Memory(_) => Ok(None),
            Broker::Redis(broker) => broker.info().await.map(Some),
        }
    }

    /// How the connections to Redis are: for commands, for subscriptions. `None` for a memory engine.
    pub fn health(&self) -> Option<EngineHealth> {
        match &self.broker {
            Broker::Memory(_) => None,
            Broker::Redis(broker) => Some(broker.health()),
        }
    }

    /// Which connection to Redis this is, counted from 1; `None` while there is none. In memory there is only one. After
    /// another one began, Redis may have forgotten the last things it was told: a replica took over, or it restarted.
    pub fn life(&self) -> Option<u64> {
        match &self.broker {
            Broker::Memory(_) => Some(1),
            Broker::Redis(broker) => broker.link().life(),
        }
    }

    /// Waits until [`Engine::life`] says something else.
    pub async fn other_life(&self, than: Option<u64>) {
        match &self.broker {
            Broker::Memory(_) => std::future::pending().await,
            Broker::Redis(broker) => broker.link().other_life(than).await,
        }
    }

    /// `memory` or `redis`.
    pub fn kind(&self) -> &'static str {
        match &self.broker {
            Broker::Memory(_) => "memory",
            Broker::Redis(_) => "redis",
        }
    }

    /// The engine the settings ask for: Redis when there is a URL, memory when there is none.
    pub fn connect(config: &RedisConfig, clock: Clock) -> Result<Self, EngineError> {
        match config.url {
            Some(_) => Self::redis(config, clock),
            None => Ok(Self::memory(clock)),
        }
    }
}
