//! A histogram of durations in a fixed number of buckets: no lock, no allocation, 1 KiB each.
//!
//! Four buckets per doubling, from a microsecond to a minute, so a quantile is at most a quarter too high. That is
//! enough to tell 2 ms from 20 ms, which is what pools and statements are asked.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// 1 µs · 2^26 = 67 s; whatever is longer lands in the last bucket.
const BUCKETS: usize = 27 * 4;

/// Counts durations.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    max_us: AtomicU64,
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: array::from_fn(|_| AtomicU64::new(0)), max_us: AtomicU64::new(0), sum_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub(super) fn record(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(us)].fetch_add(1, Relaxed);
        self.max_us.fetch_max(us, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }

    pub(super) fn max_us(&self) -> u64 {
        self.max_us.load(Relaxed)
    }

    pub(super) fn sum_us(&self) -> u64 {
        self.sum_us.load(Relaxed)
    }

    /// The duration in microseconds that a share of `percent` stays under; 0 when nothing was counted.
    pub(super) fn percentile_us(&self, percent: u64) -> u64 {
        let counts: [u64; BUCKETS] = array::from_fn(|i| self.buckets[i].load(Relaxed));
        let wanted = (counts.iter().sum::<u64>() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (i, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_bound(i).min(self.max_us());
            }
        }
        0
    }
}

/// The bucket of a duration: its power of two, and which quarter of it.
fn bucket(us: u64) -> usize {
    let us = us.max(1);
    let power = us.ilog2();
    let quarter = if power < 2 { (us << 2 >> power) & 3 } else { (us >> (power - 2)) & 3 };
    let index = u64::from(power) * 4 + quarter;
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The longest duration in a bucket.
fn upper_bound(bucket: usize) -> u64 {
    let (power, quarter) = (bucket / 4, bucket as u64 % 4);
    ((1 << power) * (5 + quarter)).div_ceil(4).max(2) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_of_nothing_are_zero() {
        assert_eq!(Histogram::default().percentile_us(95), 0);
    }

    #[test]
    fn the_rare_slow_one_shows_in_the_maximum_and_not_in_the_median() {
        let histogram = Histogram::default();
        (0..99).for_each(|_| histogram.record(Duration::from_millis(1)));
        histogram.record(Duration::from_secs(3));
        assert!((1_000..=1_250).contains(&histogram.percentile_us(50)), "{}", histogram.percentile_us(50));
        assert!(histogram.percentile_us(95) <= 1_250);
        assert_eq!((histogram.max_us(), histogram.count()), (3_000_000, 100));
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_too_low_and_at_most_a_quarter_too_high(us in 1_u64..60_000_000) {
            let bound = upper_bound(bucket(us));
            prop_assert!(bound >= us, "{us} in a bucket up to {bound}");
            prop_assert!(bound <= us + us / 4 + 1, "{us} in a bucket up to {bound}");
        }
    }
}
