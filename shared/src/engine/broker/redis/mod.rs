//! The broker over Redis: rooms in scripts, delivery by pub/sub, what was missed from the rooms' logs.
//!
//! ```text
//!  publish ─▶ publish.lua: dedupe, number, log, PUBLISH ══▶ subscriber ─▶ registry ─▶ the nodes' queues
//!                                  └─ log ─▶ history.lua ─▶ whoever missed something
//! ```
//!
//! Pub/sub delivers at most once and says nothing when it does not; see [`subscriber`] for how that becomes the
//! contract's "delivered, or announced as lost". A room's position says which server's history it belongs to: after a
//! failover or a restart the last writes may be missing, and another event may get a number that was given out before.
//! So a room that meets another server begins a new epoch, and readers are told to reload instead of being given a gap.

mod registry;
mod subscriber;
mod wire;

use super::{
    Attachment, Control, Deliveries, HISTORY_EVENTS, History, HistoryEntry, NodeId, Published, Signal, Topic,
    queue::{Detach, NodeQueue},
};
use crate::{
    engine::{
        Bell, EngineError,
        bell::Rings,
        redis::{EngineHealth, Link, Lives, Route, Script, ServerInfo},
    },
    id::UserId,
    protocol::{Epoch, Position, RoomName},
};
use fred::types::Value;
use registry::Registry;
use std::{
    collections::HashSet,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;
use uuid::Uuid;

pub(in crate::engine) use wire::{letter, presence};

static PUBLISH: Script = Script::new(concat!(
    include_str!("../../scripts/prelude.lua"),
    include_str!("../../scripts/room.lua"),
    include_str!("../../scripts/publish.lua")
));
static HISTORY: Script = Script::new(concat!(
    include_str!("../../scripts/prelude.lua"),
    include_str!("../../scripts/room.lua"),
    include_str!("../../scripts/history.lua")
));

/// Pause between two rings to other processes: what is rung meanwhile is one ring.
const RING_PAUSE: Duration = Duration::from_millis(5);

/// See [`super::Broker`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct RedisBroker {
    link: Link,
    shared: Arc<Shared>,
}

/// What the subscriber's task works with; it keeps nothing alive.
#[derive(Debug)]
struct Shared {
    route: Route,
    registry: Registry,
    lives: Lives<()>,
    /// Channels of the process itself.
    control: String,
    bell: String,
    canaries: HashSet<String>,
    /// Names this process in its own rings.
    process: Uuid,
    /// The bell as this process hears it, and what rings in this process, on its way out.
    rings: Rings,
    afar: Arc<Notify>,
    /// Messages that fred dropped because they were not taken fast enough.
    missed: AtomicU64,
}

impl RedisBroker {
    /// Begins to listen, in the background.
    pub(in crate::engine) fn new(link: Link) -> Self {
        let (process, keys) = (Uuid::now_v7(), link.keys());
        // A Cluster's slots can lose their subscriptions one by one; elsewhere there is one connection.
        let watched = if link.is_cluster() { usize::MAX } else { 1 };
        let shared = Arc::new(Shared {
            lives: Lives::new("for subscriptions", link.clock().clone()),
            control: keys.control_channel(),
            bell: keys.bell_channel(),
            canaries: keys.canary_channels(process).take(watched).collect(),
            registry: Registry::default(),
            route: link.route(),
            missed: AtomicU64::new(0),
            process,
            rings: Rings::new(),
            afar: Arc::default(),
        });
        let (listening, ringing) = (Arc::clone(&shared), Arc::clone(&shared));
        link.spawn(async move { subscriber::run(&listening).await });
        link.spawn(async move { ringing.carry_rings().await });
        Self { link, shared }
    }

    /// A bell that is heard in every process.
    pub(in crate::engine) fn bell(&self) -> Bell {
        Bell::carried(self.shared.rings.clone(), Arc::clone(&self.shared.afar))
    }

    pub(super) fn attach(&self) -> Attachment {
        let node = NodeId(Uuid::now_v7());
        let queue = Arc::new(NodeQueue::default());
        self.shared.registry.attach(node, Arc::clone(&queue));
        let shared: Weak<Shared> = Arc::downgrade(&self.shared);
        let detach = move || {
            if let Some(shared) = shared.upgrade() {
                shared.registry.detach(node);
            }
        };
        Attachment { node, deliveries: Deliveries::new(queue, Detach(Some(Box::new(detach)))) }
    }

    /// Waits for Redis to confirm. When it fails the wish stands, and is carried out when Redis is back, until
    /// `unsubscribe` takes it back.
    pub(super) async fn subscribe(&self, node: NodeId, topic: &Topic) -> Result<(), EngineError> {
        const WHAT: &str = "subscribe to a topic";
        let channel = self.link.keys().channel(topic);
        let Some(confirmed) = self.shared.registry.subscribe(node, topic, &channel)? else { return Ok(()) };
        let patience = self.link.timeout();
        self.shared.lives.present(WHAT, patience).await?;
        match tokio::time::timeout(patience, confirmed).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(EngineError::Unavailable { what: WHAT }),
        }
    }

    pub(super) fn unsubscribe(&self, node: NodeId, topic: &Topic) {
        self.shared.registry.unsubscribe(node, &self.link.keys().channel(topic));
    }

    pub(super) async fn publish(
        &self,
        room: &RoomName,
        from: Option<UserId>,
        id: Uuid,
        before: &str,
        after: &str,
    ) -> Result<Published, EngineError> {
        let link = &self.link;
        let who_and_which = [from.map_or(Uuid::nil(), |user| user.0).into_bytes(), id.into_bytes()].concat();
        let args = vec![
            link.now(),
            link.keys().channel(&Topic::Room(room.clone())).into(),
            link.publish_command(),
            self.numsub(),
            Epoch::random().to_string().into(),
            Value::Bytes(who_and_which.into()),
            before.into(),
            after.into(),
        ];
        let mut reply = link.run("publish an event", &PUBLISH, link.keys().room(room).into(), args).await?;
        let answer: String = reply.parsed()?;
        let (pos, repeated) = answer.strip_prefix('=').map_or((answer.as_str(), false), |pos| (pos, true));
        let pos = pos.parse().map_err(|_| EngineError::Unavailable { what: "publish an event" })?;
        Ok(Published { pos, repeated })
    }

    pub(super) async fn history(
        &self,
        room: &RoomName,
        since: Option<Position>,
        limit: usize,
    ) -> Result<History, EngineError> {
        let link = &self.link;
        let [key, log, ..] = link.keys().room(room);
        let limit = i64::try_from(limit.min(HISTORY_EVENTS)).expect("it is at most 500");
        let args = vec![
            link.now(),
            link.keys().channel(&Topic::Room(room.clone())).into(),
            self.numsub(),
            Epoch::random().to_string().into(),
            since.map(|pos| pos.epoch.to_string()).unwrap_or_default().into(),
            since.map_or(0, |pos| pos.seq).to_string().into(),
            limit.into(),
        ];
        let mut reply = link.run("read a room's history", &HISTORY, vec![key, log], args).await?;
        let (top, recovered) = (reply.parsed()?, reply.number()? == 1);
        let mut entries = Vec::new();
        while !reply.is_empty() {
            let seq = since.map_or(0, |pos| pos.seq) + 1 + entries.len() as u64;
            entries.push(HistoryEntry { seq, frame: reply.bytes()? });
        }
        Ok(History { top, recovered, entries })
    }

    pub(super) async fn signal(&self, topic: &Topic, signal: Signal) -> Result<(), EngineError> {
        self.link.publish("send a signal", self.link.keys().channel(topic), wire::signal(signal)).await
    }

    pub(in crate::engine) async fn control(&self, control: &Control) -> Result<(), EngineError> {
        self.link.publish("tell every node", self.shared.control.clone(), wire::control(control)).await
    }

    pub(in crate::engine) async fn info(&self) -> Result<ServerInfo, EngineError> {
        self.link.info().await
    }

    pub(in crate::engine) fn link(&self) -> &Link {
        &self.link
    }

    pub(in crate::engine) fn health(&self) -> EngineHealth {
        EngineHealth {
            deployment: self.link.address().deployment(),
            commands: self.link.health(),
            subscriptions: self.shared.lives.health(),
            topics: self.shared.registry.len(),
            missed: self.shared.missed.load(Ordering::Relaxed),
        }
    }

    fn numsub(&self) -> Value {
        Value::from_static_str(if self.link.is_cluster() { "SHARDNUMSUB" } else { "NUMSUB" })
    }
}

impl Shared {
    /// Whether a channel is the process's own, and no topic's.
    fn is_own(&self, channel: &str) -> bool {
        channel == self.control || channel == self.bell || self.canaries.contains(channel)
    }

    fn own_channels(&self) -> impl Iterator<Item = &str> {
        [&self.control, &self.bell].into_iter().chain(&self.canaries).map(String::as_str)
    }

    /// Carries this process's rings to the others. One that fails is not repeated: the relays' poll is the guarantee.
    async fn carry_rings(&self) {
        loop {
            self.afar.notified().await;
            let ring = self.route.publish("ring the bell", self.bell.clone(), self.process.to_string());
            if let Err(problem) = ring.await {
                tracing::debug!(%problem, "the other processes did not hear the bell");
            }
            tokio::time::sleep(RING_PAUSE).await;
        }
    }

    /// Somebody rang: another process, unless it was this one.
    fn rung(&self, by: &[u8]) {
        if by != self.process.to_string().as_bytes() {
            self.rings.ring();
        }
    }
}
