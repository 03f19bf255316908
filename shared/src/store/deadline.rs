//! Work that nobody waits for any more ends: a request that was answered "it took too long" holds no row.
//!
//! The task itself is not cut off. What it does after a commit (telling the engine that a session is over) must happen;
//! so only its units of work have the deadline, and the task goes on with [`StoreError::Timeout`].

use super::StoreError;
use std::time::{Duration, Instant};

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs `work`, whose units of work end by then, undone. Inside another deadline the earlier one counts.
pub async fn by_deadline<T>(deadline: Instant, work: impl Future<Output = T>) -> T {
    let deadline = DEADLINE.try_with(|outer| deadline.min(*outer)).unwrap_or(deadline);
    DEADLINE.scope(deadline, work).await
}

/// How long a unit of work may take that begins now, at most `limit`; [`StoreError::Timeout`] if its time is over.
pub(super) fn at_most(limit: Duration) -> Result<Duration, StoreError> {
    let left = DEADLINE.try_with(|deadline| deadline.saturating_duration_since(Instant::now()));
    match left.unwrap_or(limit).min(limit) {
        Duration::ZERO => Err(StoreError::Timeout),
        left => Ok(left),
    }
}
