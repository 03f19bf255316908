//! The task that keeps a lease.

use super::{Lease, RENEW_EVERY, Renewal, TTL, renew};
use crate::{lifecycle::Lifecycle, store::Store};
use std::time::Duration;

/// Renews the lease until the soft stop, and then once more for as long as the `drain` may take. Should the store have
/// gone to somebody else for good, the process fails: it begins the soft stop itself, and its exit code says why. Spawn
/// it on the lifecycle's tracker.
pub async fn keep(store: Store, lease: Lease, life: Lifecycle, drain: Duration) {
    while !life.stopping() {
        let ttl = tokio::select! {
            biased;
            () = life.soft().cancelled() => drain + TTL,
            () = tokio::time::sleep(RENEW_EVERY) => TTL,
        };
        match store.tx("leases.renew", async |tx| renew(tx, &lease, ttl).await).await {
            Ok(Renewal::Kept) => {}
            Ok(Renewal::Regained) => tracing::warn!("the lease had lapsed and was removed: claimed again"),
            Ok(Renewal::Lost) => {
                tracing::error!("another process has the store to itself: stopping");
                life.fail();
            }
            // Whoever cannot reach the store cannot change it either; the next renewal tells who has it.
            Err(error) => tracing::warn!(%error, "failed to renew the lease"),
        }
    }
}
