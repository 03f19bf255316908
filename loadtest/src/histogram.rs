//! Latencies, as an HDR histogram: three significant digits from a nanosecond to a minute, in constant memory.
//!
//! Shared by every task of a run behind one mutex: an entry takes some tens of nanoseconds, and the harness runs on
//! one thread, so that the lock is never contended. Histograms of several runs or processes merge without loss.

use crate::numbers::{float, nanos};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Longest latency told apart; longer ones count as this long.
const CEILING: Duration = Duration::from_mins(1);

/// A shared histogram of latencies.
#[derive(Debug)]
pub(crate) struct Latency(Mutex<Histogram<u64>>);

/// What a histogram says, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p95_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, nanos(CEILING), 3);
        Self(Mutex::new(histogram.expect("the bounds are constants that fit")))
    }
}

impl Latency {
    /// Adds one latency.
    pub(crate) fn record(&self, latency: Duration) {
        self.with(|histogram| histogram.saturating_record(nanos(latency).max(1)));
    }

    /// Forgets everything: the warm-up is over.
    pub(crate) fn reset(&self) {
        self.with(Histogram::reset);
    }

    /// Adds everything `other` holds.
    pub(crate) fn merge(&self, other: &Self) {
        let added = other.with(|histogram| histogram.clone());
        self.with(|histogram| histogram.add(&added).expect("all histograms have the same bounds"));
    }

    /// What was recorded; none if nothing was.
    pub(crate) fn summary(&self) -> Option<Summary> {
        self.with(|histogram| {
            let at = |quantile| float(histogram.value_at_quantile(quantile)) / 1e3;
            (!histogram.is_empty()).then(|| Summary {
                count: histogram.len(),
                mean_us: histogram.mean() / 1e3,
                p50_us: at(0.5),
                p90_us: at(0.9),
                p95_us: at(0.95),
                p99_us: at(0.99),
                p999_us: at(0.999),
                max_us: float(histogram.max()) / 1e3,
            })
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Histogram<u64>) -> T) -> T {
        // A panic between two entries leaves a histogram that is still one.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_histograms_say_what_one_would_have_said() {
        let (left, right, both) = (Latency::default(), Latency::default(), Latency::default());
        for n in 1..=1_000_u64 {
            let latency = Duration::from_micros(n * n);
            if n % 3 == 0 { &left } else { &right }.record(latency);
            both.record(latency);
        }
        left.merge(&right);
        assert_eq!(left.summary(), both.summary());
        assert_eq!(left.summary().map(|summary| summary.count), Some(1_000));
    }

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let latency = Latency::default();
        (1..=10_000).for_each(|n| latency.record(Duration::from_micros(n)));
        let summary = latency.summary().unwrap();
        for (seen, exact) in [(summary.p50_us, 5_000.0), (summary.p95_us, 9_500.0), (summary.p999_us, 9_990.0)] {
            assert!((seen / exact - 1.0).abs() < 0.001, "{seen} for {exact}");
        }
    }

    #[test]
    fn nothing_recorded_is_not_zero_latency() {
        let latency = Latency::default();
        assert_eq!(latency.summary(), None);
        latency.record(Duration::from_hours(1));
        assert!(latency.summary().unwrap().max_us >= 60e6, "what is off the scale counts as the ceiling");
        latency.reset();
        assert_eq!(latency.summary(), None);
    }
}
