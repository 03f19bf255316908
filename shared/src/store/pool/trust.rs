//! When to believe that an idle connection still works without asking it.
//!
//! One that worked a moment ago is believed, so the hot path needs no ping. But a server that restarts breaks all of
//! them at once, and each would cost a request before it is found out. So the first that is found broken casts doubt
//! on the rest: whatever has not worked since then must answer a ping before it is handed out.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// What one pool knows about its connections as a whole.
#[derive(Debug)]
pub(in crate::store) struct Trust {
    start: Instant,
    /// Microseconds from `start` to the last time a connection was found broken; 0 is never.
    doubted_us: AtomicU64,
}

impl Default for Trust {
    fn default() -> Self {
        Self { start: Instant::now(), doubted_us: AtomicU64::new(0) }
    }
}

impl Trust {
    /// A connection was found broken.
    pub(in crate::store) fn doubt(&self) {
        self.doubted_us.fetch_max(self.since_start(Instant::now()), Relaxed);
    }

    /// Whether a connection that last worked at `last_ok` is believed for `long`.
    pub(super) fn covers(&self, last_ok: Instant, long: Duration) -> bool {
        let doubted = self.doubted_us.load(Relaxed);
        last_ok.elapsed() < long && (doubted == 0 || self.since_start(last_ok) > doubted)
    }

    fn since_start(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_worked_is_believed_for_a_while_and_until_another_one_breaks() {
        let (trust, long) = (Trust::default(), Duration::from_mins(1));
        let before = Instant::now();
        assert!(trust.covers(before, long) && !trust.covers(before, Duration::ZERO));
        trust.doubt();
        assert!(!trust.covers(before, long));
        let after = Instant::now() + Duration::from_micros(10);
        assert!(trust.covers(after, long));
    }
}
