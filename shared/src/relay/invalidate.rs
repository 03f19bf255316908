//! Out: what caches must hear, until the engine has taken it.
//!
//! While the engine is away nothing is tried; everybody asks the store then, so nothing is wrong. The moment it is back
//! whatever came meanwhile is told, and what it was told in the last hour is told again: it may have lost the end of it.

use super::Relay;
use crate::{
    engine::EngineError,
    lifecycle::Lifecycle,
    ops::{self, OpsError},
    relay::health::Health,
    store::invalidations::{self, Invalidation},
};
use futures_util::{StreamExt, stream};
use std::time::Duration;

/// How often it is looked whether anything is due: how long a cache may be wrong when telling it at once failed.
const EVERY: Duration = Duration::from_secs(1);
/// Rows in one transaction.
const BATCH: u32 = 256;
/// Told at once: a revocation is a few round trips, and a backlog is not to take minutes.
const AT_ONCE: usize = 16;

impl Relay {
    /// Tells the caches everything that is due; returns how many things. What one refuses does not hold up the others.
    pub async fn invalidate(&self) -> Result<usize, OpsError> {
        let mut total = 0;
        loop {
            let due = self.store.read("invalidations.due", async |c| invalidations::due(c, BATCH).await).await?;
            let more = due.len() == BATCH as usize;
            let telling = stream::iter(due).map(|(id, what)| async move { self.tell(&what).await.map(|()| id) });
            let outcomes: Vec<_> = telling.buffer_unordered(AT_ONCE).collect().await;
            let told: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
            if !told.is_empty() {
                self.store.tx("invalidations.told", async |tx| invalidations::told(tx, &told).await).await?;
            }
            total += told.len();
            if let Some(failure) = outcomes.into_iter().find_map(Result::err) {
                return Err(failure);
            }
            if !more {
                return Ok(total);
            }
        }
    }

    async fn tell(&self, what: &Invalidation) -> Result<(), OpsError> {
        let told: Result<(), EngineError> = match what {
            Invalidation::Session { session, token, previous } => {
                let tokens: Vec<_> = std::iter::once(*token).chain(*previous).collect();
                self.engine.sessions.revoke(*session, &tokens).await
            }
            Invalidation::Token(token) => self.engine.sessions.bury(token).await,
            // It may have changed again since: what is true now counts, and every change has a row of its own.
            Invalidation::Room(room, user) if ops::belongs_in_store(&self.store, room, *user).await? => {
                self.engine.members.forget(room, *user).await
            }
            Invalidation::Room(room, user) => self.engine.members.revoke(room, *user).await,
        };
        Ok(told?)
    }

    /// Until the soft stop.
    pub(super) async fn keep_invalidating(&self, lifecycle: &Lifecycle) {
        let (mut health, mut told) = (Health::new("telling caches what ended"), None);
        while !lifecycle.stopping() {
            let life = self.engine.life();
            let mut wait = EVERY;
            if life.is_some() {
                let outcome = self.tell_one_life(&mut told, life).await;
                // A longer wait only helps a database; a cache is not left wrong for longer than it must be.
                wait = health.note(outcome).map_or(EVERY, |back_off| back_off.min(EVERY));
            }
            tokio::select! {
                biased;
                () = lifecycle.soft().cancelled() => {}
                _ = tokio::time::timeout(wait, self.engine.other_life(life)) => {}
            }
        }
    }

    /// `told` is the connection over which everything was told already.
    async fn tell_one_life(&self, told: &mut Option<u64>, life: Option<u64>) -> Result<(), OpsError> {
        if *told != life {
            self.store.tx("invalidations.again", async |tx| invalidations::tell_again(tx).await).await?;
            *told = life;
        }
        self.invalidate().await.map(drop)
    }
}
