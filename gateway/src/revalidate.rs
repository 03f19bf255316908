//! What open sockets stand on, looked up again: their sessions and their users' places in rooms.
//!
//! * The engine remembers a session and a membership for an hour. Those of open sockets are renewed well before that, a
//!   share of the sockets every minute and in batches, so that when a node ends and all its clients come back at once,
//!   hours after they signed in, the database is not asked about any of them.
//! * A session whose known end has come: prolonged elsewhere meanwhile, or really over?

use crate::{connection::outbox::Outbox, node::Node};
use shared::{
    id::{SessionId, UserId},
    ops::{EVERYBODY, OpsError},
    protocol::{CloseReason, RoomKind, RoomName},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};

/// Minutes in which every socket has its turn: an entry that lives an hour gets a second chance, should the store be away.
const SHARES: u64 = 20;
/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);
const MINUTE: i64 = 60_000;
/// Sessions, or memberships, in one query.
const BATCH: usize = 500;

/// Renews a share of the node's sockets every minute, until the node has ended.
pub(crate) async fn run(node: Arc<Node>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut done = minute(&node);
    loop {
        tokio::select! {
            biased;
            () = node.ended.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = minute(&node);
        // After a long stop one round is enough; a clock that was set back starts the count anew.
        done = done.clamp(now.saturating_sub(SHARES), now);
        while done < now {
            done += 1;
            if let Err(problem) = renew(&node, done % SHARES).await {
                tracing::warn!(%problem, "failed to renew what open sockets stand on; they stay, and have another turn");
            }
        }
    }
}

fn minute(node: &Node) -> u64 {
    node.ops.clock().now().as_millis().max(0).unsigned_abs() / MINUTE.unsigned_abs()
}

/// Renews what the sockets of one share stand on.
async fn renew(node: &Node, share: u64) -> Result<(), OpsError> {
    let (mut sessions, mut places) = (HashSet::new(), HashSet::new());
    node.registry.for_each(|outbox| {
        if outbox.number % SHARES == share {
            sessions.extend(outbox.session());
            places.extend(memberships(outbox));
        }
    });
    let (sessions, places): (Vec<_>, Vec<_>) = (sessions.into_iter().collect(), places.into_iter().collect());
    for batch in sessions.chunks(BATCH) {
        let open: HashMap<_, _> = node.ops.renew_sessions(batch).await?.into_iter().collect();
        for session in batch {
            node.registry.of_session(*session, |outbox| match open.get(session) {
                Some(until) => outbox.expires_at.store(until.as_micros(), Ordering::Relaxed),
                // Its known end has come: that is told apart below.
                None if outbox.expires_at.load(Ordering::Relaxed) <= node.ops.clock().now().as_micros() => {}
                None => outbox.close(CloseReason::SignedOut, 0),
            });
        }
    }
    for batch in places.chunks(BATCH) {
        node.ops.renew_memberships(batch).await?;
    }
    Ok(())
}

/// The answers that let a connection into its rooms.
fn memberships(outbox: &Outbox) -> Vec<(RoomName, UserId)> {
    let Some(user) = outbox.user() else { return Vec::new() };
    let answer = |room: RoomName| match room.kind() {
        RoomKind::Public => None,
        RoomKind::Pitch(_) => Some((room, EVERYBODY)),
        RoomKind::Conversation(_) | RoomKind::Team(_) => Some((room, user)),
    };
    outbox.room_names().into_iter().filter_map(answer).collect()
}

/// Asks the store about sessions whose known end has come, and closes or prolongs their sockets. If the store does not
/// answer the sockets stay until it does: the next scan asks again.
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
