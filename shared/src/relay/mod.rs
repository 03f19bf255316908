//! The relay: carries committed inbox rows and invalidations to the engine, and device cursors back to the store
//! (invariants 3 and 11).
//!
//! ```text
//!  business change ─commit─▶ inbox rows ──▶ deliver ──▶ engine.mailbox ──▶ nodes
//!                   └ bell ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘
//!                   └─ invalidations ───▶ invalidate ─▶ session and membership caches
//!  nodes ── ack ──▶ engine.mailbox ──▶ cursors ──▶ inbox_cursors ──▶ trimming
//! ```
//!
//! Every api runs one. They need no agreement: the mailbox takes an entry once, however many relays bring it, and both
//! marks only grow. What is lost by a crash at any point is time: the rows are the outbox, and whoever starts next
//! goes on where `inbox_head.relayed` stands. The bell only makes it quick; the poll is the guarantee.
//!
//! Of invalidations the same is true: what several relays tell a cache at once is the same tombstone.
//!
//! It deliberately has no leases. With several relays an entry may be read more than once, which costs a query, and the
//! one that comes second finds nothing to do.

mod cursors;
mod deliver;
mod health;
mod invalidate;

use crate::{engine::Engine, lifecycle::Lifecycle, metrics::Metrics, ops::OpsError, store::Store};
use deliver::Round;
use health::Health;
use std::time::Duration;

/// How long an entry waits at most for a relay that did not hear the bell.
pub const POLL: Duration = Duration::from_millis(250);
/// How often acks go to the store; losing what came since only delivers the same positions again.
pub const FLUSH: Duration = Duration::from_secs(1);
/// How often old entries are removed.
const TRIM: Duration = Duration::from_mins(10);

/// Carries inbox entries out and cursors back.
#[derive(Clone, Debug)]
pub struct Relay {
    store: Store,
    engine: Engine,
    metrics: Metrics,
}

impl Relay {
    /// A relay between this store and this engine.
    pub fn new(store: Store, engine: Engine, metrics: Metrics) -> Self {
        Self { store, engine, metrics }
    }

    /// Runs until the soft stop; then delivers and flushes what is there, once, and ends. To be spawned on the
    /// lifecycle's tracker; the hard stop drops it, which loses nothing.
    pub async fn run(self, lifecycle: Lifecycle) {
        let work = async {
            tokio::join!(
                self.keep_delivering(&lifecycle),
                self.keep_invalidating(&lifecycle),
                self.keep_cursors(&lifecycle)
            )
        };
        tokio::select! {
            biased;
            () = lifecycle.hard().cancelled() => {}
            _ = work => {}
        }
    }

    async fn keep_delivering(&self, lifecycle: &Lifecycle) {
        // A listener of our own: a ring that another relay hears must wake us too.
        let bell = self.engine.bell.clone();
        let mut health = Health::new("delivery of inbox entries");
        loop {
            let stopping = lifecycle.stopping();
            let (outcome, others_go_on) = match self.deliver_what_can_be().await {
                Ok(Round { refused: Some(error), .. }) => (Err(error), !self.engine_is_away()),
                outcome => (outcome.map(drop), false),
            };
            if outcome.is_err() {
                self.metrics.relay_failed();
            }
            let back_off = health.note(outcome).filter(|_| !others_go_on);
            if stopping {
                return;
            }
            let wait = async {
                match back_off {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => drop(tokio::time::timeout(POLL, bell.wait()).await),
                }
            };
            tokio::select! {
                biased;
                () = lifecycle.soft().cancelled() => {}
                () = wait => {}
            }
        }
    }

    fn engine_is_away(&self) -> bool {
        self.engine.health().is_some_and(|health| !health.commands.up)
    }

    async fn keep_cursors(&self, lifecycle: &Lifecycle) {
        let mut health = Health::new("writing device cursors");
        let mut last_trim = tokio::time::Instant::now();
        loop {
            let stopping = lifecycle.stopping();
            let back_off = health.note(self.house_keeping(&mut last_trim, stopping).await);
            if stopping {
                return;
            }
            tokio::select! {
                biased;
                () = lifecycle.soft().cancelled() => {}
                () = tokio::time::sleep(back_off.unwrap_or(FLUSH)) => {}
            }
        }
    }

    async fn house_keeping(&self, last_trim: &mut tokio::time::Instant, stopping: bool) -> Result<(), OpsError> {
        self.flush_acks().await?;
        if !stopping && last_trim.elapsed() >= TRIM {
            self.trim().await?;
            *last_trim = tokio::time::Instant::now();
        }
        Ok(())
    }
}
