//! After lost deliveries: a revocation may have been among them, so what it would have closed is looked up.
//!
//! Sessions are asked of the store, in batches; memberships of the engine, where a revocation leaves a tombstone. The
//! store may be in trouble at the same moment, so this tries again until it has an answer.

use crate::node::Node;
use shared::{
    engine::{Membership, Topic as Key},
    id::SessionId,
    ops::{EVERYBODY, OpsError},
    protocol::{CloseReason, RoomKind, RoomName},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Pause before another attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks everything up in a task of its own; one that is at it already starts over.
pub(crate) fn spawn(node: &Arc<Node>) {
    if node.revalidations.fetch_add(1, Ordering::AcqRel) > 0 {
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

async fn until_done(node: &Node) {
    loop {
        let asked = node.revalidations.load(Ordering::Acquire);
        match once(node).await {
            Ok(()) => {
                let since = node.revalidations.fetch_sub(asked, Ordering::AcqRel);
                if since == asked {
                    return;
                }
            }
            Err(problem) => {
                tracing::warn!(%problem, "failed to look revocations up; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn once(node: &Node) -> Result<(), OpsError> {
    let sessions = node.registry.sessions();
    let open: HashSet<_> = node.ops.open_sessions(&sessions).await?.into_iter().map(|(session, _)| session).collect();
    for ended in sessions.into_iter().filter(|session| !open.contains(session)) {
        node.registry.of_session(ended, |outbox| outbox.close(CloseReason::SignedOut, 0));
    }
    for topic in node.hub.all() {
        let Key::Room(room) = topic.key() else { continue };
        let withdrawn = match room.kind() {
            RoomKind::Public => continue,
            // "No" for one user only means "not its creator" here; viewers stay while the pitch is published.
            RoomKind::Pitch(_) if !is_denied(node, room, EVERYBODY).await? => continue,
            RoomKind::Pitch(_) => true,
            RoomKind::Conversation(_) | RoomKind::Team(_) => false,
        };
        for user in topic.users(usize::MAX) {
            let membership = node.engine().members.get(room, user).await?;
            if membership == Membership::Denied || (withdrawn && membership != Membership::Allowed) {
                node.registry.of_user(user, |outbox| outbox.revoke_room(room));
            }
        }
    }
    Ok(())
}

async fn is_denied(node: &Node, room: &RoomName, user: shared::id::UserId) -> Result<bool, OpsError> {
    Ok(node.engine().members.get(room, user).await? == Membership::Denied)
}

/// Sessions whose known end has come: prolonged elsewhere meanwhile, or really over. If the store does not answer the
/// sockets stay until it does: the next scan asks again.
pub(crate) async fn expired(node: &Node, sessions: Vec<SessionId>) {
    match node.ops.open_sessions(&sessions).await {
        Err(problem) => tracing::warn!(%problem, "failed to look the end of sessions up"),
        Ok(open) => {
            let open: HashMap<_, _> = open.into_iter().collect();
            for session in sessions {
                node.registry.of_session(session, |outbox| match open.get(&session) {
                    Some(until) => outbox.expires_at.store(until.as_micros(), Ordering::Relaxed),
                    None => outbox.close(CloseReason::SessionExpired, 0),
                });
            }
        }
    }
}
