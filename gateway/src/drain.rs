//! The end of a node: everyone is told when to come back, in batches, so that the nodes that stay are not stormed. An
//! operator can ask for the same without an end, and take it back.

use crate::node::Node;
use shared::protocol::CloseReason;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// How many batches the drain window is cut into.
const BATCHES: u32 = 20;

/// Waits for the soft stop, then closes every connection with `bye` and a `retry_after` drawn from the window.
pub(crate) async fn run(node: Arc<Node>) {
    node.lifecycle.soft().cancelled().await;
    node.draining.store(true, Ordering::Release);
    let open = node.registry.snapshot();
    if open.is_empty() {
        return;
    }
    tracing::info!(connections = open.len(), "draining");
    // A tenth of the window is spent saying goodbye; the rest spreads the clients' return.
    let pause = node.config.drain_window / (10 * BATCHES);
    let window_ms = u64::try_from(node.config.drain_window.as_millis()).unwrap_or(u64::MAX);
    for batch in open.chunks(open.len().div_ceil(BATCHES as usize)) {
        for outbox in batch {
            outbox.close(CloseReason::Drain, random_below(window_ms));
        }
        tokio::select! {
            biased;
            () = node.lifecycle.hard().cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
    // Whoever slipped in between the snapshot and the flag.
    node.registry.for_each(|outbox| outbox.close(CloseReason::Drain, random_below(window_ms)));
}

/// Takes no new sockets and closes those there are, in an operator's name: so many a second, or within the drain window.
pub(crate) fn by_operator(node: &Arc<Node>, per_second: Option<u32>, operator: &str) {
    node.draining.store(true, Ordering::Release);
    tracing::info!(operator, per_second, connections = node.registry.len(), "an operator drains the node");
    let (draining, operator) = (Arc::clone(node), operator.to_owned());
    node.lifecycle.tracker().spawn(async move {
        tokio::select! {
            biased;
            () = draining.lifecycle.soft().cancelled() => {} // everybody is told to go now
            () = send_away(&draining, per_second, &operator) => {}
        }
    });
}

/// Takes new sockets again, unless the node ends.
pub(crate) fn undo(node: &Node) {
    node.draining.store(node.lifecycle.soft().is_cancelled(), Ordering::Release);
}

/// Ten steps a second, until nobody is left or the drain is taken back.
async fn send_away(node: &Node, per_second: Option<u32>, operator: &str) {
    const STEP: Duration = Duration::from_millis(100);
    let window_ms = u64::try_from(node.config.drain_window.as_millis()).unwrap_or(u64::MAX);
    let everyone = || u32::try_from(node.registry.len()).unwrap_or(u32::MAX);
    // Without a rate everybody is told at once, with a time to come back that is spread over the window.
    let rate = per_second.unwrap_or_else(|| everyone().saturating_mul(10)).max(1);
    let mut owed = 0.0;
    while node.draining.load(Ordering::Acquire) && !node.registry.is_empty() {
        owed += f64::from(rate) * STEP.as_secs_f64();
        let open = node.registry.snapshot();
        let staying =
            open.iter().filter(|outbox| !outbox.closing.load(Ordering::Relaxed) && outbox.closed_by().is_none());
        for outbox in staying {
            if owed < 1.0 {
                break;
            }
            owed -= 1.0;
            outbox.close_for(operator, CloseReason::Drain, random_below(window_ms));
        }
        tokio::time::sleep(STEP).await;
    }
}

/// A number below `bound`, evenly spread (the bias of the remainder is far below a millisecond).
pub(crate) fn random_below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    u64::from_le_bytes(bytes) % bound.max(1)
}
