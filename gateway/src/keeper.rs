//! The node's standing duties towards the engine: renew its lease, announce who went offline, give up idle topics.

use crate::node::Node;
use shared::{
    engine::{EngineError, Renewal},
    protocol::command::Status,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};

const TICK: Duration = Duration::from_secs(1);
/// How often a draining node looks whether its last connection is gone.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Ticks between two renewals of the node's lease.
const RENEW_TICKS: u32 = 3;

/// Runs until the soft stop and the last connection; retires the incarnation at the end.
pub(crate) async fn run(node: Arc<Node>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut count = 0_u32;
    loop {
        tokio::select! {
            biased;
            () = node.ended.cancelled() => break,
            () = drained(&node) => break,
            _ = ticks.tick() => {}
        }
        let presence = &node.engine().presence;
        if count.is_multiple_of(RENEW_TICKS) {
            note(renew(&node).await, "renew the node's lease");
        }
        note(presence.sweep().await, "sweep presence");
        node.hub.sweep().await;
        count = count.wrapping_add(1);
    }
    node.ended.cancel();
    // A clean end: the users' grace starts now instead of when the lease runs out.
    note(node.engine().presence.retire(&node.incarnation).await.map(|()| 0), "retire the node");
}

/// Ready once the node stops and its last connection is gone.
async fn drained(node: &Node) {
    node.lifecycle.soft().cancelled().await;
    while !node.registry.is_empty() {
        tokio::time::sleep(DRAIN_POLL).await;
    }
}

/// Renews the lease. If it had run out (a stalled process, a flushed engine) every connection joins again, which
/// nobody notices within the grace.
async fn renew(node: &Node) -> Result<usize, EngineError> {
    let presence = &node.engine().presence;
    if presence.renew(&node.incarnation).await? == Renewal::Prolonged {
        return Ok(0);
    }
    let mut joined = 0;
    for outbox in node.registry.snapshot() {
        if let Some(user) = outbox.user() {
            let status = if outbox.away.load(Ordering::Relaxed) { Status::Away } else { Status::Online };
            presence.join(&node.incarnation, user, outbox.number, status).await?;
            joined += 1;
            if outbox.left.load(Ordering::Acquire) {
                // It closed meanwhile, and its `leave` may have come before our `join`.
                presence.leave(&node.incarnation, user, outbox.number).await?;
            }
        }
    }
    Ok(joined)
}

fn note(result: Result<usize, EngineError>, what: &str) {
    if let Err(problem) = result {
        tracing::warn!(%problem, "failed to {what}");
    }
}
