//! The node's standing duties towards the engine: renew its lease, announce who went offline, tell who is in which room,
//! give up idle topics.

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
    let (mut renewing, mut sweeping) = (Duty::new("renew the node's lease"), Duty::new("sweep presence"));
    let mut telling = Duty::new("tell who is in which room");
    let mut count = 0_u32;
    loop {
        tokio::select! {
            biased;
            () = node.ended.cancelled() => break,
            () = drained(&node) => break,
            _ = ticks.tick() => {}
        }
        // A renewal that failed is tried again with the next tick: the lease is running out.
        if count.is_multiple_of(RENEW_TICKS) || renewing.fails {
            renewing.note(renew(&node).await);
        }
        sweeping.note(node.engine().presence.sweep().await.map(drop));
        telling.note(node.occupancy.tell(&node).await);
        node.hub.sweep().await;
        count = count.wrapping_add(1);
    }
    node.ended.cancel();
    // A clean end: the users' grace starts now instead of when the lease runs out.
    telling.note(node.occupancy.tell(&node).await);
    Duty::new("retire the node").note(node.engine().presence.retire(&node.incarnation).await);
}

/// Ready once the node stops and its last connection is gone.
async fn drained(node: &Node) {
    node.lifecycle.soft().cancelled().await;
    while !node.registry.is_empty() {
        tokio::time::sleep(DRAIN_POLL).await;
    }
}

/// Renews the lease. If it had run out (a stalled process, a flushed engine) or the engine lost writes, every connection
/// joins again, which nobody notices within the grace. A node that could not tell of a connection's end ends its lease by
/// itself first: else that connection would be there for as long as the node lives. So does one that may not have heard
/// what a renewal found.
async fn renew(node: &Node) -> Result<(), EngineError> {
    let presence = &node.engine().presence;
    if node.owes_presence.swap(false, Ordering::AcqRel)
        && let Err(problem) = presence.retire(&node.incarnation).await
    {
        node.owes_presence.store(true, Ordering::Release);
        return Err(problem);
    }
    let renewed = match presence.renew(&node.incarnation).await {
        Ok(Renewal::Prolonged) => Ok(()),
        Ok(Renewal::Started) => join_all(node).await,
        Err(problem) => Err(problem),
    };
    if renewed.is_err() {
        // The lease may be there, and some connections not: begin again.
        node.owes_presence.store(true, Ordering::Release);
    }
    renewed
}

async fn join_all(node: &Node) -> Result<(), EngineError> {
    let presence = &node.engine().presence;
    let outboxes = node.registry.snapshot();
    let status = |away| if away { Status::Away } else { Status::Online };
    let connections: Vec<_> = outboxes
        .iter()
        .filter_map(|outbox| Some((outbox.user()?, outbox.number, status(outbox.away.load(Ordering::Relaxed)))))
        .collect();
    presence.join_all(&node.incarnation, &connections).await?;
    for outbox in outboxes {
        if outbox.left.load(Ordering::Acquire)
            && let Some(user) = outbox.user()
        {
            // It closed meanwhile, and its `leave` may have come before our `join`.
            presence.leave(&node.incarnation, user, outbox.number).await?;
        }
    }
    Ok(())
}

/// Something done over and over: the log hears when it begins to fail and when it works again, not every time.
struct Duty {
    what: &'static str,
    fails: bool,
}

impl Duty {
    const fn new(what: &'static str) -> Self {
        Self { what, fails: false }
    }

    fn note(&mut self, outcome: Result<(), EngineError>) {
        let failed = std::mem::replace(&mut self.fails, outcome.is_err());
        match outcome {
            Err(problem) if !failed => tracing::warn!(%problem, "failed to {}, and will try again", self.what),
            Ok(()) if failed => tracing::info!("it works again to {}", self.what),
            _ => {}
        }
    }
}
