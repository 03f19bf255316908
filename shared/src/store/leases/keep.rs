//! The task that keeps a lease.

use super::{RENEW_EVERY, TTL, renew};
use crate::{lifecycle::Lifecycle, store::Store};
use std::time::Duration;
use uuid::Uuid;

/// Renews the lease until the soft stop, and then once more for as long as the `drain` may take. Begins the soft stop
/// itself if somebody else has claimed the store. Spawn it on the lifecycle's tracker.
pub async fn keep(store: Store, id: Uuid, life: Lifecycle, drain: Duration) {
    while !life.stopping() {
        let ttl = tokio::select! {
            biased;
            () = life.soft().cancelled() => drain + TTL,
            () = tokio::time::sleep(RENEW_EVERY) => TTL,
        };
        match store.tx("leases.renew", async |tx| renew(tx, id, ttl).await).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::error!("another process claimed the store: stopping");
                life.stop();
            }
            // Whoever cannot reach the store cannot change it either; the next renewal tells who has it.
            Err(error) => tracing::warn!(%error, "failed to renew the lease"),
        }
    }
}
