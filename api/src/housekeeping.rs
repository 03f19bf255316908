//! What has to be done now and then: sessions, registrations and invalidations that nobody needs any more are removed,
//! and publications that a crash or a busy store cut off are told to the rest of the followers.

use crate::{announcements, app::App};
use shared::store::{StoreError, invalidations, sessions, verifications};
use std::time::Duration;

/// How often.
const EVERY: Duration = Duration::from_mins(10);
/// Rows in one transaction, so that nobody waits for the writer.
const BATCH: u32 = 500;

/// Runs until the soft stop.
pub async fn run(app: App) {
    loop {
        if let Err(error) = announcements::take_up(&app).await {
            tracing::warn!(%error, "failed to tell followers of what was published; trying again later");
        }
        tokio::select! {
            biased;
            () = app.lifecycle.soft().cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = expire(&app).await {
            tracing::warn!(%error, "failed to remove expired sessions and registrations; trying again later");
        }
    }
}

/// Removes every expired session, registration and invalidation, a batch at a time; returns how many.
pub async fn expire(app: &App) -> Result<u64, StoreError> {
    let mut removed = 0;
    while !app.lifecycle.stopping() {
        let batch = app
            .store
            .tx("housekeeping.expire", async |tx| {
                let expired = sessions::expire(tx, BATCH).await? + verifications::expire(tx, BATCH).await?;
                Ok(expired + invalidations::expire(tx, BATCH).await?)
            })
            .await?;
        removed += batch;
        if batch < u64::from(BATCH) {
            break;
        }
    }
    Ok(removed)
}
