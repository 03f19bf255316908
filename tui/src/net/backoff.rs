//! How long to wait before the next attempt: twice as long each time, half of it by chance, so that many consoles do not
//! come back in step.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// First wait.
const FIRST: Duration = Duration::from_millis(500);
/// Longest wait: an operator who fixed the server should not have to wait for the console.
const LONGEST: Duration = Duration::from_secs(10);

/// Counts failures.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It worked: the next failure is a first one again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // The standard library's hasher keys are random; nothing here needs more than "not in step".
        let dice = RandomState::new().hash_one(self.failures) % 1_000;
        let half = wait / 2;
        half + half * u32::try_from(dice).unwrap_or(0) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_ten_seconds_and_start_over_after_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..50).map(|_| backoff.next()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[49] >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
