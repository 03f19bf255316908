//! After lost deliveries: inbox entries and revocations may have been among them, so what they would have done is
//! looked up.
//!
//! All of it is asked of the store, in batches. What the engine remembers of revocations is forgotten after a while, or
//! was lost with the deliveries. The store may be in trouble at the same moment, so this tries again until it has an
//! answer.

use crate::{fill::fill, node::Node};
use shared::{
    engine::Topic as Key,
    id::UserId,
    ops::OpsError,
    protocol::{CloseReason, RoomKind, RoomName},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Pause before another attempt.
const PAUSE: Duration = Duration::from_secs(1);
/// Users in rooms asked for at once.
const PLACES: usize = 500;

/// Looks everything up in a task of its own; one that is at it already starts over.
pub(crate) fn spawn(node: &Arc<Node>) {
    if node.lookups.fetch_add(1, Ordering::AcqRel) > 0 {
        return; // the task under way sees the number and goes round once more
    }
    let node = Arc::clone(node);
    node.lifecycle.tracker().clone().spawn(async move {
        tokio::select! {
            biased;
            () = node.ended.cancelled() => {}
            () = until_done(&node) => {}
        }
    });
}

async fn until_done(node: &Arc<Node>) {
    loop {
        let asked = node.lookups.load(Ordering::Acquire);
        let done = async {
            fill_inboxes(node).await?;
            close_ended(node).await?;
            leave_lost_rooms(node).await
        };
        match done.await {
            Ok(()) => {
                let since = node.lookups.fetch_sub(asked, Ordering::AcqRel);
                if since == asked {
                    return;
                }
            }
            Err(problem) => {
                tracing::warn!(%problem, "failed to look up what was lost; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Fills the inboxes that are behind the store.
async fn fill_inboxes(node: &Arc<Node>) -> Result<(), OpsError> {
    let mut inboxes = HashMap::new();
    for topic in node.hub.all() {
        if let Key::Inbox(user) = *topic.key() {
            inboxes.insert(user, topic);
        }
    }
    let users: Vec<_> = inboxes.keys().copied().collect();
    for (user, head) in node.ops.inbox_heads(&users).await? {
        if let Some(topic) = inboxes.get(&user).filter(|topic| topic.head().is_some_and(|known| known < head)) {
            fill(node, topic);
        }
    }
    Ok(())
}

/// Closes the sockets of sessions that ended.
async fn close_ended(node: &Node) -> Result<(), OpsError> {
    let sessions = node.registry.sessions();
    let open: HashSet<_> = node.ops.open_sessions(&sessions).await?.into_iter().map(|(session, _)| session).collect();
    for ended in sessions.into_iter().filter(|session| !open.contains(session)) {
        node.registry.of_session(ended, |outbox| outbox.close(CloseReason::SignedOut, 0));
    }
    Ok(())
}

/// Takes out of rooms who may no longer be in them.
async fn leave_lost_rooms(node: &Node) -> Result<(), OpsError> {
    let mut places = Vec::with_capacity(PLACES);
    for topic in node.hub.all() {
        let Key::Room(room) = topic.key() else { continue };
        if room.kind() == RoomKind::Public {
            continue;
        }
        for user in topic.users(usize::MAX) {
            places.push((room.clone(), user));
            if places.len() == PLACES {
                put_out(node, &places).await?;
                places.clear();
            }
        }
    }
    put_out(node, &places).await
}

async fn put_out(node: &Node, places: &[(RoomName, UserId)]) -> Result<(), OpsError> {
    for (room, user) in node.ops.lost_places(places).await? {
        node.registry.of_user(user, |outbox| outbox.revoke_room(&room));
    }
    Ok(())
}
