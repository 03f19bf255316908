//! How long each kind of work takes, by the name given to `Store::read` and `Store::tx`.
//!
//! Names are `&'static str`, so there are as many as the source code has; the bound below only guards against a
//! mistake. One more than that is counted under `other`.

use super::histogram::Histogram;
use crate::model::StatementStats;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// 256 names of 1 KiB each.
const MAX_NAMES: usize = 256;

/// Durations by name.
#[derive(Debug, Default)]
pub(super) struct Statements(Mutex<HashMap<&'static str, Arc<Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    durations: Histogram,
    errors: AtomicU64,
}

impl Statements {
    pub(super) fn record(&self, name: &'static str, duration: Duration, ok: bool) {
        let entry = self.entry(name);
        entry.durations.record(duration);
        if !ok {
            entry.errors.fetch_add(1, Relaxed);
        }
    }

    fn entry(&self, name: &'static str) -> Arc<Entry> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if entries.len() >= MAX_NAMES && !entries.contains_key(name) { "other" } else { name };
        Arc::clone(entries.entry(name).or_default())
    }

    /// Every name that ran, sorted.
    pub(super) fn stats(&self) -> Vec<StatementStats> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut stats: Vec<_> = entries.iter().map(|(name, entry)| entry.stats(name)).collect();
        stats.sort_by(|a, b| a.name.cmp(&b.name));
        stats
    }
}

impl Entry {
    fn stats(&self, name: &str) -> StatementStats {
        StatementStats {
            name: name.to_owned(),
            count: self.durations.count(),
            errors: self.errors.load(Relaxed),
            p50_us: self.durations.percentile_us(50),
            p95_us: self.durations.percentile_us(95),
            p99_us: self.durations.percentile_us(99),
            max_us: self.durations.max_us(),
            total_us: self.durations.sum_us(),
        }
    }
}
