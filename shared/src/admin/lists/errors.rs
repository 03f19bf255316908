//! Errors by stable code.

use super::{super::Shared, per_second};
use crate::protocol::admin::ErrorRow;
use std::sync::PoisonError;

/// Every code that was counted at least once.
pub(super) fn rows(shared: &Shared) -> Vec<ErrorRow> {
    let recorder = shared.recorder.lock().unwrap_or_else(PoisonError::into_inner);
    let (Some(first), Some(now)) = (recorder.minute_ago(), recorder.newest()) else { return Vec::new() };
    let seconds = now.at.since(first.at).as_secs_f64();
    let earlier = |code: &str| first.stats.errors.iter().find(|row| row.name == code).map_or(0, |row| row.count);
    let rows = now.stats.errors.iter().map(|error| ErrorRow {
        code: error.name.clone(),
        count: error.count,
        rate: per_second(error.count.saturating_sub(earlier(&error.name)), seconds),
        nodes: vec![shared.sources.name.clone()],
        ..ErrorRow::default()
    });
    rows.collect()
}
