//! Kinds of database work.

use super::{super::Shared, per_second};
use crate::protocol::admin::StatementRow;

/// Every kind that ran at least once.
pub(super) fn rows(shared: &Shared) -> Vec<StatementRow> {
    let Some(store) = &shared.sources.store else { return Vec::new() };
    let seconds = shared.now().since(shared.started_at).as_secs_f64();
    let rows = store.statement_stats().into_iter().map(|work| StatementRow {
        rate: per_second(work.count, seconds),
        busy: per_second(work.total_us, seconds) / 1e6,
        name: work.name,
        count: work.count,
        errors: work.errors,
        p50_us: work.p50_us,
        p95_us: work.p95_us,
        p99_us: work.p99_us,
        max_us: work.max_us,
    });
    rows.collect()
}
