//! "At most once in a while": which of many concurrent operations does the house-keeping.
//!
//! This is what stands in for background tasks: the engine has none, so it needs no shutdown and a manual clock moves
//! all of it.

use crate::clock::Timestamp;
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

#[derive(Debug)]
pub(super) struct Pace {
    every_micros: i64,
    /// When the next turn is due, in microseconds since 1970.
    next: AtomicI64,
}

impl Pace {
    pub(super) fn new(every: Duration) -> Self {
        let every_micros = i64::try_from(every.as_micros()).expect("paces are seconds");
        Self { every_micros, next: AtomicI64::new(0) }
    }

    /// True for exactly one caller per period. A clock that stepped back starts a new period.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let now = now.as_micros();
        let next = self.next.load(Ordering::Relaxed);
        if now < next && next - now <= self.every_micros {
            return false;
        }
        let after = now + self.every_micros;
        self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The turn was not enough: the next caller takes another.
    pub(super) fn again(&self) {
        self.next.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_per_period_even_if_the_clock_steps_back() {
        let pace = Pace::new(Duration::from_secs(1));
        let at = Timestamp::from_micros;
        assert!(pace.is_due(at(5_000_000)));
        assert!(!pace.is_due(at(5_999_999)));
        assert!(pace.is_due(at(6_000_000)));
        assert!(pace.is_due(at(1_000_000)), "an hour back must not stop the house-keeping for an hour");
        assert!(!pace.is_due(at(1_000_001)));
        pace.again();
        assert!(pace.is_due(at(1_000_002)));
    }
}
