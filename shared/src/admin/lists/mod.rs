//! What each view lists, made when somebody asks and not before.
//!
//! A view gathers its rows, [`super::select`] filters, sorts and cuts them. **Adding a view**: its row and fields in
//! `shared/src/protocol/admin/rows`, a line in `View`, a function that gathers its rows here, a line in [`answer`].

mod audit;
mod endpoints;
mod errors;
mod statements;

use super::{
    Shared,
    select::{Picked, Plan, Refusal, fit},
};
use crate::protocol::admin::{Answered, List, Query, Row, Rows, View};
use serde::Serialize;
use std::sync::PoisonError;

/// The views that can be subscribed to on this node.
pub(super) fn views(shared: &Shared) -> Vec<View> {
    let everywhere = [View::Endpoints, View::Errors, View::Statements, View::Alerts, View::Jobs];
    let of_sockets = [View::Connections, View::Connection, View::Closed, View::Rooms, View::Members, View::Users];
    let of_sockets = of_sockets.into_iter().filter(|_| shared.sources.sockets.is_some());
    let of_store = [View::Audit].into_iter().filter(|_| shared.sources.store.is_some());
    everywhere.into_iter().chain(of_sockets).chain(of_store).collect()
}

/// Whether the query can be served at all; told before anything is done for it.
pub(super) fn check(shared: &Shared, query: &Query) -> Result<(), Refusal> {
    if !views(shared).contains(&query.view) {
        return Err(unavailable(query.view));
    }
    if query.view.needs_of() && query.of.is_none() {
        return Err(Refusal::new("missing_of", format!("{} is about one thing: say which in `of`", query.view.name())));
    }
    if query.view.fields().is_empty() { Ok(()) } else { Plan::new(query, query.view.fields()).map(drop) }
}

/// The list as it is now.
pub(super) async fn answer(shared: &Shared, id: u32, query: &Query) -> Result<List, Refusal> {
    let of = query.of.as_deref().unwrap_or_default();
    let mut list = List {
        id,
        at: shared.now(),
        total: 0,
        matched: 0,
        rows: Rows::none(query.view),
        next: None,
        nodes: vec![Answered { node: shared.sources.name.clone(), in_time: true }],
    };
    let sockets = shared.sources.sockets.as_ref().ok_or_else(|| unavailable(query.view));
    if query.view == View::Connection {
        let detail = sockets?.connection(of).map(Box::new);
        (list.total, list.matched) = (detail.is_some().into(), detail.is_some().into());
        list.rows = Rows::Connection(detail);
        return Ok(list);
    }
    let plan = Plan::new(query, query.view.fields())?;
    list.rows = match query.view {
        View::Endpoints => Rows::Endpoints(note(&mut list, &plan, plan.pick(endpoints::rows(shared).into_iter()))),
        View::Errors => Rows::Errors(note(&mut list, &plan, plan.pick(errors::rows(shared).into_iter()))),
        View::Statements => Rows::Statements(note(&mut list, &plan, plan.pick(statements::rows(shared).into_iter()))),
        View::Alerts => {
            let alerts = shared.alerts.lock().unwrap_or_else(PoisonError::into_inner).all();
            Rows::Alerts(note(&mut list, &plan, plan.pick(alerts.into_iter())))
        }
        View::Jobs => Rows::Jobs(note(&mut list, &plan, plan.pick(shared.jobs.since(0).0.into_iter()))),
        View::Audit => {
            let rows = audit::rows(shared).await?;
            Rows::Audit(note(&mut list, &plan, plan.pick(rows.into_iter())))
        }
        View::Connections => Rows::Connections(note(&mut list, &plan, sockets?.connections(&plan))),
        View::Closed => Rows::Closed(note(&mut list, &plan, sockets?.closed(&plan))),
        View::Rooms => Rows::Rooms(note(&mut list, &plan, plan.pick(sockets?.rooms().into_iter()))),
        View::Members => Rows::Members(note(&mut list, &plan, sockets?.members(of, &plan))),
        View::Users => Rows::Users(note(&mut list, &plan, plan.pick(sockets?.users().into_iter()))),
        view => return Err(unavailable(view)),
    };
    Ok(list)
}

fn unavailable(view: View) -> Refusal {
    Refusal::new("unavailable", format!("{} cannot be listed here", view.name()))
}

/// Notes what stands beside the rows, and cuts them to what an answer may weigh.
fn note<R: Row + Serialize>(list: &mut List, plan: &Plan, picked: Picked<R>) -> Vec<R> {
    let Picked { total, matched, mut rows, more } = picked;
    let cut = fit(&mut rows);
    (list.total, list.matched) = (total, matched);
    list.next = rows.last().filter(|_| more || cut).map(|last| plan.cursor(last));
    rows
}

#[expect(clippy::cast_precision_loss, reason = "rates for people; counts stay far below 2^52")]
fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.01 { (count as f64 / seconds * 1e3).round() / 1e3 } else { 0.0 }
}
