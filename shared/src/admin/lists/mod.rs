//! What each view lists, made when somebody asks and not before.
//!
//! A view gathers its rows, [`super::select`] filters, sorts and cuts them. **Adding a view**: its row and fields in
//! `shared/src/protocol/admin/rows`, a line in `View`, a function that gathers its rows here, a line in [`answer`].

mod endpoints;
mod errors;
mod statements;

use super::{
    Shared,
    select::{Plan, Refusal, fit},
};
use crate::protocol::admin::{Answered, List, Query, Row, Rows, View};
use serde::Serialize;

/// The views that can be subscribed to here.
pub(super) const VIEWS: [View; 3] = [View::Endpoints, View::Errors, View::Statements];

/// Whether the query can be served at all; told before anything is done for it.
pub(super) fn check(query: &Query) -> Result<(), Refusal> {
    if !VIEWS.contains(&query.view) {
        return Err(Refusal::new("unavailable", format!("{} cannot be listed here", query.view.name())));
    }
    if query.view.needs_of() && query.of.is_none() {
        return Err(Refusal::new("missing_of", format!("{} is about one thing: say which in `of`", query.view.name())));
    }
    Plan::new(query, query.view.fields()).map(drop)
}

/// The list as it is now.
pub(super) fn answer(shared: &Shared, id: u32, query: &Query) -> Result<List, Refusal> {
    let plan = Plan::new(query, query.view.fields())?;
    let mut list = List {
        id,
        at: shared.now(),
        total: 0,
        matched: 0,
        rows: Rows::none(query.view),
        next: None,
        nodes: vec![Answered { node: shared.sources.name.clone(), in_time: true }],
    };
    match &mut list.rows {
        Rows::Endpoints(_) => {
            let rows = pick(&mut list, &plan, endpoints::rows(shared));
            list.rows = Rows::Endpoints(rows);
        }
        Rows::Errors(_) => {
            let rows = pick(&mut list, &plan, errors::rows(shared));
            list.rows = Rows::Errors(rows);
        }
        Rows::Statements(_) => {
            let rows = pick(&mut list, &plan, statements::rows(shared));
            list.rows = Rows::Statements(rows);
        }
        _ => return Err(Refusal::new("unavailable", format!("{} cannot be listed here", query.view.name()))),
    }
    Ok(list)
}

/// Picks rows and notes what stands beside them.
fn pick<R: Row + Serialize>(list: &mut List, plan: &Plan, rows: Vec<R>) -> Vec<R> {
    let mut picked = plan.pick(rows.into_iter());
    let cut = fit(&mut picked.rows);
    list.total = picked.total;
    list.matched = picked.matched;
    list.next = picked.rows.last().filter(|_| picked.more || cut).map(|last| plan.cursor(last));
    picked.rows
}

#[expect(clippy::cast_precision_loss, reason = "rates for people; counts stay far below 2^52")]
fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.01 { (count as f64 / seconds * 1e3).round() / 1e3 } else { 0.0 }
}
