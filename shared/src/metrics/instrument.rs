//! What metrics are made of: counters, gauges, histograms, and families of them by label. Atomics throughout; the
//! only lock is a family's map of labels, read for each observation and written once per label.

use crate::protocol::admin::{BOUNDS_US, Histogram as HistogramStats};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Counts up.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Goes up and down; only guards move it, so that it cannot drift.
#[derive(Debug, Default)]
pub(super) struct Gauge(AtomicU64);

impl Gauge {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn down(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Durations in fixed buckets.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[HistogramStats::bucket(us)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(crate) fn get(&self) -> HistogramStats {
        let counts = std::array::from_fn(|bucket| self.counts[bucket].load(Relaxed));
        HistogramStats { counts, sum_us: self.sum_us.load(Relaxed) }
    }
}

/// Most label values of one family. Labels come from closed sets in the code; this bound only keeps a mistake (a raw
/// path as a route) from eating the memory.
const MOST_LABELS: usize = 512;

/// One instrument per label value. When there are [`MOST_LABELS`] of them, new labels share `overflow`.
#[derive(Debug)]
pub(super) struct Family<K, V> {
    cells: RwLock<BTreeMap<K, Arc<V>>>,
    overflow: K,
}

impl<K: Ord + Copy, V: Default> Family<K, V> {
    pub(super) fn new(overflow: K) -> Self {
        Self { cells: RwLock::default(), overflow }
    }

    /// The instrument of this label.
    pub(super) fn with(&self, label: K) -> Arc<V> {
        // A panic while the map was held leaves it whole: every change is one insertion.
        if let Some(cell) = self.cells.read().unwrap_or_else(PoisonError::into_inner).get(&label) {
            return Arc::clone(cell);
        }
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        let label = if cells.len() < MOST_LABELS || cells.contains_key(&label) { label } else { self.overflow };
        Arc::clone(cells.entry(label).or_default())
    }

    /// Every label seen, with a view of its instrument, in the order of the labels.
    pub(super) fn map<T>(&self, view: impl Fn(K, &V) -> T) -> Vec<T> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        cells.iter().map(|(label, cell)| view(*label, cell)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_never_has_more_labels_than_its_bound() {
        let family = Family::<usize, Counter>::new(usize::MAX);
        for label in 0..MOST_LABELS * 2 {
            family.with(label).add(1);
        }
        let counts = family.map(|label, counter| (label, counter.get()));
        assert_eq!(counts.len(), MOST_LABELS + 1, "the shared one comes on top");
        assert_eq!(counts.last(), Some(&(usize::MAX, MOST_LABELS as u64)));
    }
}
