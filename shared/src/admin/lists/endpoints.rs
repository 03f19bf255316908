//! Routes over the last minute.

use super::{super::Shared, per_second};
use crate::protocol::admin::{EndpointRow, RouteStats};
use std::sync::PoisonError;

/// Every route that was asked for at least once.
pub(super) fn rows(shared: &Shared) -> Vec<EndpointRow> {
    let recorder = shared.recorder.lock().unwrap_or_else(PoisonError::into_inner);
    let (Some(first), Some(now)) = (recorder.minute_ago(), recorder.newest()) else { return Vec::new() };
    let seconds = now.at.since(first.at).as_secs_f64();
    let before = |route: &RouteStats| {
        let mut earlier = first.stats.http.routes.iter();
        earlier.find(|known| known.method == route.method && known.route == route.route).cloned().unwrap_or_default()
    };
    now.stats.http.routes.iter().map(|route| row(route, &before(route), seconds)).collect()
}

fn row(now: &RouteStats, before: &RouteStats, seconds: f64) -> EndpointRow {
    let by_class: [u64; 5] = std::array::from_fn(|class| now.by_class[class].saturating_sub(before.by_class[class]));
    EndpointRow {
        method: now.method.clone(),
        route: now.route.clone(),
        rate: per_second(by_class.iter().sum(), seconds),
        durations: now.durations.since(&before.durations),
        by_class,
        limited: now.limited.saturating_sub(before.limited),
        total: now.by_class.iter().sum(),
        trend: Vec::new(),
    }
}
