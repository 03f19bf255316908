//! How a loop that must go on deals with failure: the log hears of every change once, and attempts back off.

use crate::ops::OpsError;
use std::time::Duration;

/// Wait after the first failure, doubled after each further one.
const FIRST: Duration = Duration::from_millis(250);
/// Longest wait: how late things may be after an outage.
const LONGEST: Duration = Duration::from_secs(5);

/// The state of one loop.
#[derive(Debug)]
pub(super) struct Health {
    what: &'static str,
    failures: u32,
}

impl Health {
    pub(super) const fn new(what: &'static str) -> Self {
        Self { what, failures: 0 }
    }

    /// Takes note of a round; after a failure, how long to wait before the next one.
    pub(super) fn note(&mut self, outcome: Result<(), OpsError>) -> Option<Duration> {
        match outcome {
            Ok(()) => {
                if self.failures > 0 {
                    tracing::info!(failures = self.failures, "{} works again", self.what);
                }
                self.failures = 0;
                None
            }
            Err(error) => {
                if self.failures == 0 {
                    tracing::warn!(%error, "{} fails, and will be tried again", self.what);
                }
                self.failures = self.failures.saturating_add(1);
                Some(jittered(FIRST.saturating_mul(1 << (self.failures - 1).min(8)).min(LONGEST)))
            }
        }
    }
}

/// Between half and all of it: many relays that lost one database do not come back in step.
fn jittered(wait: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    wait / 2 + (wait / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_over_after_a_success() {
        let mut health = Health::new("a test");
        let failure = || Err(OpsError::Internal("no".into()));
        let first = health.note(failure()).unwrap();
        assert!((FIRST / 2..=FIRST).contains(&first), "{first:?}");
        for _ in 0..100 {
            assert!(health.note(failure()).unwrap() <= LONGEST);
        }
        assert!(health.note(failure()).unwrap() >= LONGEST / 2);
        assert_eq!(health.note(Ok(())), None);
        assert!(health.note(failure()).unwrap() <= FIRST);
    }
}
