//! What a pool counts about itself, beside what bb8 counts.
//!
//! bb8's own `pending_gets` drifts upwards for ever when callers are cancelled while they wait, so the waiting gauge
//! is a guard of ours. Its error sink does nothing by default; this one logs, counts and keeps the last error.

use crate::{metrics::Histogram as WaitHistogram, store::histogram::Histogram};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Counters of one pool.
#[derive(Debug)]
pub(super) struct Tally {
    name: &'static str,
    waiting: AtomicU32,
    waits: Histogram,
    /// The same in the console's buckets, which can be subtracted and added up.
    waits_told: WaitHistogram,
    retired: AtomicU64,
    failing: AtomicBool,
    errors: AtomicU64,
    last_error: Mutex<Option<(Instant, String)>>,
}

impl Tally {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            waiting: AtomicU32::new(0),
            waits: Histogram::default(),
            waits_told: WaitHistogram::default(),
            retired: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            errors: AtomicU64::new(0),
            last_error: Mutex::new(None),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// One more caller waits, until the guard is dropped: at the end of the wait or when the caller goes away.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Relaxed);
        Waiting(self)
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    pub(super) fn waited(&self, duration: Duration) {
        self.waits.record(duration);
        self.waits_told.observe(duration);
    }

    pub(super) fn waits_told(&self) -> crate::protocol::admin::Histogram {
        self.waits_told.get()
    }

    pub(super) fn waits(&self) -> &Histogram {
        &self.waits
    }

    /// A connection was closed on return because of its age (bb8 takes it for broken).
    pub(super) fn retired(&self) {
        self.retired.fetch_add(1, Relaxed);
    }

    pub(super) fn retirements(&self) -> u64 {
        self.retired.load(Relaxed)
    }

    /// Somebody tried to open a connection.
    pub(super) fn connected(&self, opened: bool) {
        self.failing.store(!opened, Relaxed);
    }

    /// Whether the last attempt to open a connection failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// When, and what.
    pub(super) fn last_error(&self) -> Option<(Instant, String)> {
        self.locked().clone()
    }

    /// The last error if it came after `since`: then a wait was in vain because the database is away, not because
    /// the pool is busy.
    pub(super) fn error_since(&self, since: Instant) -> Option<String> {
        self.locked().as_ref().filter(|(at, _)| *at >= since).map(|(_, text)| text.clone())
    }

    fn failed(&self, text: String) {
        self.errors.fetch_add(1, Relaxed);
        *self.locked() = Some((Instant::now(), text));
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Tally::wait`].
pub(super) struct Waiting<'a>(&'a Tally);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// Where bb8 reports what went wrong in the background.
#[derive(Clone, Debug)]
pub(super) struct Sink(pub(super) Arc<Tally>);

impl bb8::ErrorSink<sqlx::Error> for Sink {
    fn sink(&self, error: sqlx::Error) {
        tracing::warn!(pool = self.0.name, %error, "database connection failed");
        self.0.failed(error.to_string());
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<sqlx::Error>> {
        Box::new(self.clone())
    }
}
