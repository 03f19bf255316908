//! A node as the tests see it: waits with a deadline, and a fence instead of "wait and see that nothing comes".

use super::{Fixture, many, some_room};
use shared::{
    engine::{Control, Deliveries, Delivery, Engine, NodeId, Signal, Topic},
    id::UserId,
    protocol::{RoomName, event::PresenceState},
};
use std::{collections::HashSet, time::Duration};
use uuid::Uuid;

/// No test waits this long; a delivery that takes longer is missing.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) deliveries: Deliveries,
}

impl Node {
    pub(crate) async fn attach(engine: &Engine) -> Self {
        let attachment = engine.broker.attach().await.unwrap();
        Self { id: attachment.node, deliveries: attachment.deliveries }
    }

    /// Attached and subscribed.
    pub(crate) async fn on(engine: &Engine, topics: &[Topic]) -> Self {
        let node = Self::attach(engine).await;
        for topic in topics {
            engine.broker.subscribe(node.id, topic).await.unwrap();
        }
        node
    }

    pub(crate) async fn next(&mut self) -> Delivery {
        let next = tokio::time::timeout(DEADLINE, self.deliveries.recv()).await;
        next.expect("a delivery is missing").expect("the broker is there")
    }

    /// Everything that was on its way when this was called: a control message nobody else knows is sent, and what comes
    /// before it is returned. Not for a node whose queue is full.
    ///
    /// On a Cluster every server delivers for itself: there, somebody types in a few rooms as well, which spread over
    /// all of them (that one of three is left out of so many happens once in ten million times).
    pub(crate) async fn settled(&mut self, engine: &Engine) -> Vec<Delivery> {
        let fence = fence();
        let on_cluster = engine.health().is_some_and(|health| health.deployment == "cluster");
        let mut rooms: HashSet<_> = (0..if on_cluster { 40 } else { 0 }).map(|_| Topic::Room(some_room())).collect();
        for room in &rooms {
            engine.broker.subscribe(self.id, room).await.unwrap();
        }
        for room in &rooms {
            engine.broker.signal(room, Signal::Typing { user: FENCE, ttl_ms: 1 }).await.unwrap();
        }
        engine.broker.control(fence.clone()).await.unwrap();
        let (mut before, mut told) = (Vec::new(), false);
        while !told || !rooms.is_empty() {
            match self.next().await {
                Delivery::Control(control) if control == fence => told = true,
                Delivery::Control(control) if is_fence(&control) => {}
                Delivery::Signal(room, Signal::Typing { user: FENCE, .. }) => drop(rooms.remove(&room)),
                other => before.push(other),
            }
        }
        before
    }

    /// The numbers of the room events on their way.
    pub(crate) async fn event_seqs(&mut self, engine: &Engine) -> Vec<u64> {
        self.settled(engine).await.iter().filter_map(event_seq).collect()
    }

    /// The presence changes on their way.
    pub(crate) async fn presence(&mut self, engine: &Engine) -> Vec<PresenceState> {
        let presence = |delivery| match delivery {
            Delivery::Signal(_, Signal::Presence(state)) => Some(state),
            _ => None,
        };
        self.settled(engine).await.into_iter().filter_map(presence).collect()
    }

    /// The control messages on their way.
    pub(crate) async fn controls(&mut self, engine: &Engine) -> Vec<Control> {
        let control = |delivery| match delivery {
            Delivery::Control(control) => Some(control),
            _ => None,
        };
        self.settled(engine).await.into_iter().filter_map(control).collect()
    }
}

/// Nobody: who types at a fence.
const FENCE: UserId = UserId(Uuid::nil());

/// A control message about nobody: no user's id begins with zeros.
fn fence() -> Control {
    Control::Disconnect(UserId(Uuid::from_u64_pair(0, Uuid::now_v7().as_u64_pair().1)))
}

/// Fences reach every node: one that others set is skipped.
fn is_fence(control: &Control) -> bool {
    matches!(control, Control::Disconnect(user) if user.0.as_u64_pair().0 == 0)
}

pub(crate) fn event_seq(delivery: &Delivery) -> Option<u64> {
    match delivery {
        Delivery::Event { pos, .. } => Some(pos.seq),
        _ => None,
    }
}

impl Fixture {
    /// Publishes an event nobody published before; returns its number.
    pub(crate) async fn publish(&self, room: &RoomName) -> u64 {
        self.engine.broker.publish(room, None, Uuid::now_v7(), "", "").await.unwrap().pos.seq
    }

    /// Publishes so many.
    pub(crate) async fn publish_many(&self, room: &RoomName, count: usize) {
        many(count, || self.publish(room)).await;
    }

    /// Waits until what was published before has arrived in the queues of this process.
    pub(crate) async fn arrived(&self) {
        Node::attach(&self.engine).await.settled(&self.engine).await;
    }
}
