//! Sessions whose known end has come: prolonged elsewhere meanwhile, or really over?

use crate::node::Node;
use shared::{id::SessionId, protocol::CloseReason};
use std::{collections::HashMap, sync::atomic::Ordering};

/// Asks the store, and closes or prolongs their sockets. If the store does not answer the
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
