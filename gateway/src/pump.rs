//! From the engine into the logs: one task per node takes what arrives, in batches, and appends it.
//!
//! Consecutive deliveries of one topic become one block of its log, and every topic's members are woken once per batch:
//! under load many events cost one wake. A gap in the numbers (lost deliveries, a lagged node) is filled from the
//! engine before anything newer is appended (see [`crate::fill`]); that runs in a task of its own, so that one topic's
//! gap does not hold up the others.

use crate::{
    after_loss,
    connection::outbox::{Ephemeral, EphemeralKey},
    fill::fill,
    frame,
    log::Append,
    node::Node,
    topic::Topic,
};
use shared::{
    engine::{Control, Deliveries, Delivery, Signal, Topic as Key},
    id::UserId,
    metrics::Delivery as Class,
    ops::EVERYBODY,
    protocol::{
        CloseReason, Epoch, RoomName,
        event::{Event, PresenceState},
    },
};
use std::sync::{Arc, atomic::Ordering};

/// Deliveries taken at once. Larger batches wake later, smaller ones wake more often.
const BATCH: usize = 256;

/// Runs until the node has ended or the engine is gone.
pub(crate) async fn run(node: Arc<Node>, mut deliveries: Deliveries) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let count = tokio::select! {
            biased;
            () = node.ended.cancelled() => return,
            count = deliveries.recv_many(&mut batch, BATCH) => count,
        };
        if count == 0 {
            return;
        }
        let mut touched = Vec::new();
        for run in batch.chunk_by(same_topic) {
            deliver(&node, run, &mut touched);
        }
        batch.clear();
        for topic in &touched {
            topic.wake_members();
        }
        node.hub.note_warm(touched.into_iter());
    }
}

/// Whether two deliveries can become one block.
fn same_topic(a: &Delivery, b: &Delivery) -> bool {
    match (a, b) {
        (Delivery::Event { room: a, pos: p, .. }, Delivery::Event { room: b, pos: q, .. }) => {
            a == b && p.epoch == q.epoch && p.seq + 1 == q.seq
        }
        (Delivery::Inbox { user: a, seq: p, .. }, Delivery::Inbox { user: b, seq: q, .. }) => a == b && p + 1 == *q,
        _ => false,
    }
}

fn deliver(node: &Arc<Node>, run: &[Delivery], touched: &mut Vec<Arc<Topic>>) {
    match &run[0] {
        Delivery::Event { room, pos, .. } => {
            append(node, &Key::Room(room.clone()), Some(pos.epoch), pos.seq, run, touched);
        }
        Delivery::Inbox { user, seq, .. } => append(node, &Key::Inbox(*user), None, *seq, run, touched),
        Delivery::Signal(key, signal) => signal_members(node, key, *signal),
        Delivery::Control(control) => obey(node, control),
        Delivery::Lost => {
            node.losses.fetch_add(1, Ordering::AcqRel);
            tracing::warn!("deliveries were lost: bringing every topic up to date");
            for topic in node.hub.all() {
                // Inboxes are many and mostly up to date: the store is asked which are not.
                if !matches!(topic.key(), Key::Inbox(_)) {
                    fill(node, &topic);
                }
            }
            after_loss::spawn(node);
        }
    }
}

fn append(
    node: &Arc<Node>,
    key: &Key,
    epoch: Option<Epoch>,
    first: u64,
    run: &[Delivery],
    touched: &mut Vec<Arc<Topic>>,
) {
    let Some(topic) = node.hub.find(key) else { return };
    if topic.filling.is_on() {
        return; // the filler reads until it has caught up with the engine, this included
    }
    let frames = run.iter().map(|delivery| match delivery {
        Delivery::Event { frame, .. } | Delivery::Inbox { frame, .. } => &frame[..],
        _ => unreachable!("a run holds deliveries of one topic"),
    });
    match topic.append(epoch, first, frames, node.log_bounds()) {
        Append::Done => {
            let class = if epoch.is_some() { Class::Event } else { Class::Inbox };
            node.metrics.delivered(class, run.len() as u64 * topic.member_count() as u64);
            touched.push(topic);
        }
        Append::Known => {}
        Append::Gap | Append::OtherEpoch => fill(node, &topic),
    }
}

fn signal_members(node: &Node, key: &Key, signal: Signal) {
    let Some(topic) = node.hub.find(key) else { return };
    let frame = match (key, signal) {
        (Key::Room(room), Signal::Typing { user, ttl_ms }) => typing(room, user, ttl_ms),
        (_, Signal::Presence(state)) => presence(state),
        _ => return,
    };
    // Nobody needs to be told that they are typing.
    let not_to = if let Signal::Typing { user, .. } = signal { Some(user) } else { None };
    push_ephemeral(node, &topic, &frame, not_to);
}

/// Every watcher gets the present state of those it watches, whatever it was told before.
pub(crate) fn tell_presence_again(node: &Arc<Node>) {
    for topic in node.hub.all().iter().filter(|topic| matches!(topic.key(), Key::Presence(_))) {
        fill(node, topic);
    }
}

pub(crate) fn push_ephemeral(node: &Node, topic: &Topic, frame: &Ephemeral, not_to: Option<UserId>) {
    if node.shedding.sheds_ephemeral() {
        return node.metrics.ephemeral_dropped(topic.member_count() as u64);
    }
    let (sent, dropped) = topic.push_ephemeral(frame, not_to);
    node.metrics.delivered(Class::Ephemeral, sent as u64);
    node.metrics.ephemeral_dropped(dropped as u64);
}

fn typing(room: &RoomName, user: UserId, ttl: u64) -> Ephemeral {
    let text = Event::Typing { room, user, ttl }.encode();
    Ephemeral { key: EphemeralKey::Typing(room.clone(), user), v: 0, frame: frame::text(&text) }
}

/// A presence frame in its slot.
pub(crate) fn presence(state: PresenceState) -> Ephemeral {
    let text = Event::Presence(state).encode();
    Ephemeral { key: EphemeralKey::Presence(state.user), v: state.v, frame: frame::text(&text) }
}

fn obey(node: &Node, control: &Control) {
    match control {
        Control::SessionRevoked(session) => {
            node.registry.of_session(*session, |outbox| outbox.close(CloseReason::SignedOut, 0));
        }
        Control::UserRevoked(user) => node.registry.of_user(*user, |outbox| outbox.close(CloseReason::SignedOut, 0)),
        Control::Disconnect(user) => node.registry.of_user(*user, |outbox| outbox.close(CloseReason::Disconnected, 0)),
        Control::MembershipRevoked(room, user) if *user == EVERYBODY => {
            // Withdrawn altogether. Its creator is put out too, and may enter again.
            if let Some(topic) = node.hub.find(&Key::Room(room.clone())) {
                topic.revoke_members(room);
            }
        }
        Control::MembershipRevoked(room, user) => node.registry.of_user(*user, |outbox| outbox.revoke_room(room)),
    }
}
