//! The answers of several links to one question, as one list.
//!
//! A node of a cluster answers for all of them; a process that knows only itself answers for itself. So answers are
//! taken in the order of how many nodes they cover, and one that covers nothing new is left out.

use super::Moment;
use shared::{
    clock::Timestamp,
    protocol::admin::{Answered, List, Query, Row, Rows, Value, View, field},
};
use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

/// What is shown in a slot.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The rows, in order.
    pub(crate) rows: Rows,
    /// Rows there are.
    pub(crate) total: u64,
    /// Rows that pass the filter.
    pub(crate) matched: u64,
    /// Whether there are more behind them.
    pub(crate) more: bool,
    /// When they were true, by the servers' clock.
    pub(crate) at: Timestamp,
    /// When they were heard, by ours.
    pub(crate) heard: Moment,
    /// Who answered.
    pub(crate) nodes: Vec<Answered>,
}

/// Does the same with the rows of any list; nothing with the details of one thing.
macro_rules! each_row {
    ($rows:expr, $name:ident => $body:expr, $otherwise:expr) => {{
        use shared::protocol::admin::Rows;
        match $rows {
            Rows::Connections($name) | Rows::Members($name) => $body,
            Rows::Closed($name) => $body,
            Rows::Rooms($name) => $body,
            Rows::Users($name) => $body,
            Rows::Queues($name) => $body,
            Rows::Endpoints($name) => $body,
            Rows::Requests($name) => $body,
            Rows::Errors($name) => $body,
            Rows::Affected($name) => $body,
            Rows::Statements($name) => $body,
            Rows::Alerts($name) => $body,
            Rows::Logs($name) => $body,
            Rows::Audit($name) => $body,
            Rows::Jobs($name) => $body,
            Rows::Connection(_) | Rows::User(_) => $otherwise,
        }
    }};
}
pub(crate) use each_row;

impl Answer {
    /// Puts the answers together.
    pub(super) fn of<'a>(query: &Query, lists: impl Iterator<Item = &'a Arc<List>>, now: Moment) -> Self {
        let mut lists: Vec<_> = lists.collect();
        lists.sort_by_key(|list| std::cmp::Reverse(covered(list).count()));
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        lists.retain(|list| {
            let new = covered(list).any(|node| !seen.contains(node)) || (covered(list).count() == 0 && seen.is_empty());
            seen.extend(covered(list));
            new
        });
        let mut answer = Self {
            rows: Rows::none(query.view),
            total: 0,
            matched: 0,
            more: false,
            at: lists.iter().map(|list| list.at).max().unwrap_or_default(),
            heard: now,
            nodes: Vec::new(),
        };
        let several = lists.len() > 1;
        for list in lists {
            answer.total += list.total;
            answer.matched += list.matched;
            answer.more |= list.next.is_some();
            for node in &list.nodes {
                match answer.nodes.iter_mut().find(|known| known.node == node.node) {
                    Some(known) => known.in_time |= node.in_time,
                    None => answer.nodes.push(node.clone()),
                }
            }
            append(&mut answer.rows, &list.rows);
        }
        if several {
            each_row!(&mut answer.rows, rows => order(rows, query), ());
        }
        answer
    }

    /// Nodes whose rows are missing.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| !node.in_time).map(|node| node.node.as_str())
    }
}

fn covered(list: &List) -> impl Iterator<Item = &str> {
    list.nodes.iter().filter(|node| node.in_time).map(|node| node.node.as_str())
}

fn append(all: &mut Rows, more: &Rows) {
    match (all, more) {
        (Rows::Connections(all), Rows::Connections(more)) | (Rows::Members(all), Rows::Members(more)) => {
            all.extend_from_slice(more);
        }
        (Rows::Closed(all), Rows::Closed(more)) => all.extend_from_slice(more),
        (Rows::Rooms(all), Rows::Rooms(more)) => all.extend_from_slice(more),
        (Rows::Users(all), Rows::Users(more)) => all.extend_from_slice(more),
        (Rows::Queues(all), Rows::Queues(more)) => all.extend_from_slice(more),
        (Rows::Endpoints(all), Rows::Endpoints(more)) => all.extend_from_slice(more),
        (Rows::Requests(all), Rows::Requests(more)) => all.extend_from_slice(more),
        (Rows::Errors(all), Rows::Errors(more)) => all.extend_from_slice(more),
        (Rows::Affected(all), Rows::Affected(more)) => all.extend_from_slice(more),
        (Rows::Statements(all), Rows::Statements(more)) => all.extend_from_slice(more),
        (Rows::Alerts(all), Rows::Alerts(more)) => all.extend_from_slice(more),
        (Rows::Logs(all), Rows::Logs(more)) => all.extend_from_slice(more),
        (Rows::Audit(all), Rows::Audit(more)) => all.extend_from_slice(more),
        (Rows::Jobs(all), Rows::Jobs(more)) => all.extend_from_slice(more),
        (Rows::Connection(all), Rows::Connection(Some(more))) => *all = Some(more.clone()),
        (Rows::User(all), Rows::User(Some(more))) => *all = Some(more.clone()),
        // A process that answers with another view's rows is not believed.
        _ => {}
    }
}

/// The order the server would have given them, cut to what was asked for. Of the audit log, of jobs and of alerts every
/// process tells the same rows: the first of each key stays.
fn order<R: Row>(rows: &mut Vec<R>, query: &Query) {
    let sort = query.sort.clone().or_else(|| query.view.default_sort());
    if let Some((at, descending)) = sort.and_then(|sort| Some((field(R::FIELDS, &sort.by)?, sort.descending))) {
        rows.sort_by(|a, b| by(a, b, at, descending));
    }
    if matches!(query.view, View::Audit | View::Jobs | View::Alerts) {
        let mut seen = BTreeSet::new();
        rows.retain(|row| seen.insert(row.key()));
    }
    rows.truncate(query.limit);
}

/// Two rows by one field; what is absent comes last either way, and what is equal in the order of its keys.
pub(crate) fn by<R: Row>(a: &R, b: &R, field: usize, descending: bool) -> Ordering {
    let (a_value, b_value) = (a.value(field), b.value(field));
    let absent = [&a_value, &b_value].into_iter().any(|value| *value == Value::Nothing);
    let order = a_value.order(&b_value);
    let order = if descending && !absent { order.reverse() } else { order };
    order.then_with(|| a.key_order(b))
}
