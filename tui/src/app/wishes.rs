//! Which lists the screen wants, as subscriptions. Only what is on the screen is asked for.

use super::page::{Page, Screen};
use crate::model::Slot;
use shared::protocol::admin::{Query, View};

/// Rows of the lists beside the main one.
const FEW: usize = 12;

/// The slots of the overview.
pub(crate) const ERRORS: Slot = Slot(1);
/// See [`ERRORS`].
pub(crate) const ENDPOINTS: Slot = Slot(2);
/// See [`ERRORS`].
pub(crate) const ROOMS: Slot = Slot(3);
/// The slots of a user's page.
pub(crate) const CONNECTIONS: Slot = Slot(4);
/// See [`CONNECTIONS`].
pub(crate) const CLOSED: Slot = Slot(5);
/// See [`CONNECTIONS`].
pub(crate) const QUEUE: Slot = Slot(6);
/// See [`CONNECTIONS`].
pub(crate) const USER: Slot = Slot(7);

/// What a page wants; `node` narrows every list to one node.
pub(crate) fn wishes(page: &Page, node: Option<&str>) -> Vec<(Slot, Query)> {
    let few = |slot, view| (slot, Query { limit: FEW, node: node.map(str::to_owned), ..Query::of(view) });
    match page.screen {
        Screen::Overview => vec![few(ERRORS, View::Errors), few(ENDPOINTS, View::Endpoints), few(ROOMS, View::Rooms)],
        Screen::Nodes | Screen::Pools | Screen::Node => Vec::new(),
        Screen::User => user(page),
        Screen::List(view) => {
            let main = Query {
                of: page.of.clone(),
                filter: page.whole_filter(),
                sort: page.sort.clone(),
                limit: page.limit,
                node: page.node.clone().or_else(|| node.map(str::to_owned)),
                ..Query::of(view)
            };
            let mut wishes = vec![(Slot::MAIN, main)];
            if view == View::Connections {
                wishes.push(few(CLOSED, View::Closed));
            }
            wishes
        }
    }
}

/// The user's own view where there is one, and the lists that can be narrowed to them.
fn user(page: &Page) -> Vec<(Slot, Query)> {
    let of = page.of.clone().unwrap_or_default();
    let filter = format!("user=\"{}\"", of.replace(['"', '\\'], ""));
    let theirs = |slot, view| (slot, Query { filter: filter.clone(), limit: FEW, ..Query::of(view) });
    vec![
        theirs(CONNECTIONS, View::Connections),
        theirs(CLOSED, View::Closed),
        theirs(QUEUE, View::Queues),
        (USER, Query { of: Some(of), ..Query::of(View::User) }),
    ]
}
