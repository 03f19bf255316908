//! What the world knows of a connection: its place in the registry, its user's presence. Guards, so that however a
//! connection's task ends (a close, a panic, an abort at the hard stop), the world forgets it.

use crate::{connection::outbox::Outbox, node::Node};
use shared::{
    engine::EngineError,
    metrics::Socket,
    model::Identity,
    protocol::{CloseReason, command::Status},
};
use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};

/// An open socket: counted, reachable by the heartbeat and the drain, its address held against the limit.
pub(crate) struct Open {
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    slot: u32,
    address: IpAddr,
    pub(crate) socket: Socket,
}

impl Open {
    /// `address` was admitted by [`crate::handshake::admit`].
    pub(crate) fn new(node: &Arc<Node>, outbox: &Arc<Outbox>, address: IpAddr) -> Self {
        let slot = node.registry.add(outbox);
        Self { node: Arc::clone(node), outbox: Arc::clone(outbox), slot, address, socket: node.metrics.socket() }
    }
}

impl Open {
    /// The one place where a connection's end is logged, beside where it is counted. What the server had a cause for is
    /// told; who merely left, or was sent elsewhere, would fill the log.
    fn log(&self, reason: CloseReason) {
        let (code, text) = reason.code_and_text();
        let (connection, address) = (self.outbox.number, self.outbox.address);
        let user_id = self.outbox.user().map(tracing::field::display);
        match reason {
            CloseReason::Normal | CloseReason::Gone | CloseReason::Drain => {
                tracing::debug!(connection, code, reason = text, %address, user_id, "closed");
            }
            _ => tracing::info!(connection, code, reason = text, %address, user_id, "closed"),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.node.registry.remove(self.slot);
        self.node.registry.release_address(self.address);
        let reason = self.socket.reason();
        self.node.closed.note(&self.node, &self.outbox, reason);
        self.log(reason);
    }
}

/// An authenticated connection: reachable by user and session, present.
pub(crate) struct Standing {
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    identity: Arc<Identity>,
}

impl Standing {
    /// Registers the connection; the user's oldest one goes if there are too many.
    pub(crate) async fn take(
        node: &Arc<Node>,
        outbox: &Arc<Outbox>,
        identity: &Arc<Identity>,
    ) -> Result<Self, EngineError> {
        let most = node.config.limits.connections_per_user;
        if let Some(oldest) = node.registry.add_user(identity.user_id, identity.session_id, outbox, most) {
            oldest.close(CloseReason::Replaced, 0);
        }
        outbox.acts_for(identity);
        outbox.authenticate_by.store(u32::MAX, Ordering::Relaxed);
        outbox.left.store(false, Ordering::Release);
        outbox.expires_at.store(identity.expires_at.as_micros(), Ordering::Relaxed);
        let standing = Self { node: Arc::clone(node), outbox: Arc::clone(outbox), identity: Arc::clone(identity) };
        // From here on a revocation reaches the connection; one that came after the token was checked did not.
        if node.engine().sessions.is_revoked(identity.session_id).await? {
            outbox.close(CloseReason::SignedOut, 0);
        }
        let presence = &node.engine().presence;
        if let Err(problem) = presence.join(&node.incarnation, identity.user_id, outbox.number, Status::Online).await {
            // Nobody is kept out because the others cannot be told that they are here: the keeper makes up for it.
            tracing::debug!(%problem, "failed to tell presence about a new connection");
            node.owes_presence.store(true, Ordering::Release);
        }
        Ok(standing)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.outbox.left.store(true, Ordering::Release);
        let (user, session) = (self.identity.user_id, self.identity.session_id);
        self.node.registry.remove_user(user, session, &self.outbox);
        let (node, number) = (Arc::clone(&self.node), self.outbox.number);
        // The engine may be remote: the connection's end does not wait for it. If this fails the keeper makes up for it.
        self.node.lifecycle.tracker().spawn(async move {
            if let Err(problem) = node.engine().presence.leave(&node.incarnation, user, number).await {
                tracing::debug!(%problem, "failed to tell presence about a closed connection");
                node.owes_presence.store(true, Ordering::Release);
            }
        });
    }
}
