//! A bell that says "inbox rows were committed", so that relays need not wait for their next poll.
//!
//! It carries no data and promises little: a ring may be lost with the engine, and the relay's poll (every 250 ms) is
//! the guarantee. What it does promise is below, because it keeps the relay's loop free of lost wake-ups.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::{Notify, watch};

/// Rung after a commit; heard by every relay.
///
/// # Contract
///
/// * Rings are coalesced: after any number of rings, one [`Bell::wait`] returns at once and the next one waits.
/// * A ring while nobody waits is remembered, so "look, then wait" misses nothing that was rung after the look began.
/// * Every clone hears by itself: a ring heard by one is still news to the others. A relay waits on a clone of its own.
#[derive(Debug)]
pub struct Bell {
    rings: Rings,
    heard: AtomicU64,
    /// Rung too, for whoever carries rings to other processes.
    afar: Option<Arc<Notify>>,
}

/// What the clones of a bell share: how often it was rung.
#[derive(Clone, Debug)]
pub(super) struct Rings(Arc<watch::Sender<u64>>);

impl Rings {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    pub(super) fn ring(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

impl Bell {
    /// Heard in this process.
    pub(super) fn memory() -> Self {
        Self { rings: Rings::new(), heard: AtomicU64::new(0), afar: None }
    }

    /// Heard in this process, and wherever `afar` is carried; rings from there come by `rings`.
    pub(super) fn carried(rings: Rings, afar: Arc<Notify>) -> Self {
        Self { rings, heard: AtomicU64::new(0), afar: Some(afar) }
    }

    /// Rings; never waits, never fails.
    pub fn ring(&self) {
        self.rings.ring();
        if let Some(afar) = &self.afar {
            afar.notify_one();
        }
    }

    /// Waits until the bell was rung since the last `wait` on this clone. Dropping the future loses no ring.
    pub async fn wait(&self) {
        let heard = self.heard.load(Ordering::Acquire);
        let mut rings = self.rings.0.subscribe();
        let count = *rings.wait_for(|count| *count > heard).await.expect("self keeps the sender alive");
        self.heard.fetch_max(count, Ordering::AcqRel);
    }
}

impl Clone for Bell {
    /// Another listener on the same bell, which has heard what this one has.
    fn clone(&self) -> Self {
        let heard = AtomicU64::new(self.heard.load(Ordering::Acquire));
        Self { rings: self.rings.clone(), heard, afar: self.afar.clone() }
    }
}
