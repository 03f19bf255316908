//! The end of a node: everyone is told when to come back, in batches, so that the nodes that stay are not stormed.

use crate::node::Node;
use shared::protocol::CloseReason;
use std::sync::{Arc, atomic::Ordering};

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

/// A number below `bound`, evenly spread (the bias of the remainder is far below a millisecond).
pub(crate) fn random_below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    u64::from_le_bytes(bytes) % bound.max(1)
}
