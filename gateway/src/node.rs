//! What every part of one gateway shares.

use crate::{bucket::Bucket, closed::ClosedRing, hub::Hub, occupancy::Occupancy, registry::Registry, shed::Shedding};
use shared::{
    config::{GatewayConfig, HttpConfig},
    engine::{Engine, Incarnation},
    lifecycle::Lifecycle,
    metrics::Metrics,
    ops::Ops,
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Gaps filled at once.
pub(crate) const FILLS: usize = 8;

/// One gateway's parts.
pub(crate) struct Node {
    pub(crate) config: GatewayConfig,
    /// The session cookie's name.
    pub(crate) cookie: String,
    /// Whose pages may open a socket.
    pub(crate) http: HttpConfig,
    pub(crate) ops: Ops,
    pub(crate) hub: Arc<Hub>,
    pub(crate) registry: Registry,
    /// Who is in which room, here and on other nodes.
    pub(crate) occupancy: Occupancy,
    /// Sockets that ended.
    pub(crate) closed: ClosedRing,
    /// How many sockets took nothing at the last scan while something waited for them.
    pub(crate) slow: AtomicU32,
    pub(crate) incarnation: Incarnation,
    pub(crate) metrics: Metrics,
    pub(crate) lifecycle: Lifecycle,
    started: Instant,
    /// Seconds since the node started, moved by the heartbeat: reading it costs nothing.
    pub(crate) second: AtomicU32,
    /// Cancelled when the last connection of a stopping node is gone, and at the hard stop: the node's tasks end.
    pub(crate) ended: CancellationToken,
    /// How often deliveries were lost.
    pub(crate) losses: AtomicU64,
    /// Who may fill a gap right now: after a loss every topic wants to, and the store has few connections.
    pub(crate) fills: Semaphore,
    /// How often deliveries were lost since what they may have been was last looked up.
    pub(crate) lookups: AtomicU32,
    /// Presence was not told of a connection's end: the node joins its connections anew.
    pub(crate) owes_presence: AtomicBool,
    /// Names connections.
    next_connection: AtomicU64,
    /// Upgrades a second.
    handshakes: Mutex<Bucket>,
    /// Set when the drain has begun: new upgrades are refused.
    pub(crate) draining: AtomicBool,
    /// What gives way while memory is short.
    pub(crate) shedding: Shedding,
}

impl Node {
    pub(crate) fn new(
        config: GatewayConfig,
        cookie: String,
        http: HttpConfig,
        ops: Ops,
        hub: Arc<Hub>,
        metrics: Metrics,
        lifecycle: Lifecycle,
    ) -> Self {
        let ended = lifecycle.hard().child_token();
        let handshakes = config.limits.handshakes_per_second;
        let shedding = Shedding::new(&config.limits);
        let incarnation = Incarnation { node: config.node.as_str().into(), id: uuid::Uuid::now_v7() };
        Self {
            config,
            cookie,
            http,
            ops,
            hub,
            registry: Registry::default(),
            occupancy: Occupancy::default(),
            closed: ClosedRing::default(),
            slow: AtomicU32::new(0),
            incarnation,
            metrics,
            lifecycle,
            started: Instant::now(),
            ended,
            losses: AtomicU64::new(0),
            fills: Semaphore::new(FILLS),
            lookups: AtomicU32::new(0),
            owes_presence: AtomicBool::new(false),
            second: AtomicU32::new(1), // 0 means "never" in the outboxes
            next_connection: AtomicU64::new(1),
            handshakes: Mutex::new(Bucket::new(handshakes, handshakes)),
            draining: AtomicBool::new(false),
            shedding,
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.ops.engine()
    }

    pub(crate) fn now_second(&self) -> u32 {
        self.second.load(Ordering::Relaxed)
    }

    /// Milliseconds since the node started.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether one more upgrade fits into this second.
    pub(crate) fn admit_handshake(&self) -> bool {
        self.handshakes.lock().unwrap_or_else(PoisonError::into_inner).try_take(self.now_ms())
    }

    /// The second by which something that starts now must have happened.
    pub(crate) fn deadline(&self, after: Duration) -> u32 {
        self.now_second().saturating_add(u32::try_from(after.as_secs().max(1)).unwrap_or(u32::MAX))
    }

    pub(crate) fn connection_number(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether new sockets should go elsewhere: the process was told to stop, or an operator drains the node.
    pub(crate) fn is_leaving(&self) -> bool {
        self.lifecycle.leaving() || self.draining.load(Ordering::Acquire)
    }

    /// What a log keeps at least: frames, bytes.
    pub(crate) fn log_bounds(&self) -> (usize, usize) {
        (self.config.limits.outbox_messages, self.config.limits.outbox_bytes)
    }
}
