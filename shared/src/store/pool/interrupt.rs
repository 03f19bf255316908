//! SQLite's statement timeout: it has none, but asks a handler every few thousand steps whether to go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A deadline that a connection's thread looks at while it runs a statement. A cheap clone of one deadline.
#[derive(Clone, Debug)]
pub(in crate::store) struct Interrupt {
    start: Instant,
    /// Milliseconds after `start`; `u64::MAX` is never.
    deadline_ms: Arc<AtomicU64>,
}

impl Interrupt {
    pub(in crate::store) fn new() -> Self {
        Self { start: Instant::now(), deadline_ms: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// The statements from now on may take this long.
    pub(in crate::store) fn allow(&self, limit: Duration) {
        self.set(self.start.elapsed() + limit);
    }

    /// Ends the running statement, and every later one until the next [`Interrupt::allow`].
    pub(in crate::store) fn now(&self) {
        self.set(Duration::ZERO);
    }

    /// Whether the running statement may go on.
    pub(in crate::store) fn may_go_on(&self) -> bool {
        self.start.elapsed().as_millis() < u128::from(self.deadline_ms.load(Relaxed))
    }

    fn set(&self, deadline: Duration) {
        self.deadline_ms.store(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_goes_on_until_its_time_is_over_or_somebody_ends_it() {
        let interrupt = Interrupt::new();
        assert!(interrupt.may_go_on());
        interrupt.allow(Duration::from_mins(1));
        assert!(interrupt.may_go_on());
        interrupt.now();
        assert!(!interrupt.may_go_on());
        interrupt.allow(Duration::ZERO);
        assert!(!interrupt.may_go_on());
    }
}
