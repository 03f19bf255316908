//! Filter, sort, cut: what is asked of a list, done on the rows of one node or on those of several put together.
//!
//! Rows are filtered and compared before anything else is made of them, and only as many as fit into the answer are
//! ever kept: fifty thousand rows cost a pass and the memory of a thousand.

use crate::protocol::admin::{Field, Filter, MOST_LIST_BYTES, MOST_ROWS, Query, Row, Value, field};
use serde::Serialize;
use std::cmp::Ordering;

/// Why a query cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// One of [`crate::protocol::admin::Message::Refused`]'s codes.
    pub(super) code: &'static str,
    /// For people.
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A query, understood.
#[derive(Clone, Debug)]
pub struct Plan {
    filter: Option<Filter>,
    sort: usize,
    descending: bool,
    limit: usize,
    after: Option<(Value<'static>, String)>,
}

/// What was picked.
#[derive(Debug)]
pub struct Picked<R> {
    /// Rows there are.
    pub total: u64,
    /// Rows that pass the filter.
    pub matched: u64,
    /// The first of them, in order.
    pub rows: Vec<R>,
    /// Whether there are more behind them.
    pub more: bool,
}

impl<R> Picked<R> {
    /// Nothing.
    pub fn none() -> Self {
        Self { total: 0, matched: 0, rows: Vec::new(), more: false }
    }

    /// The same with rows made of what was picked.
    pub fn map<T>(self, make: impl FnMut(R) -> T) -> Picked<T> {
        let Self { total, matched, rows, more } = self;
        Picked { total, matched, rows: rows.into_iter().map(make).collect(), more }
    }
}

impl Plan {
    /// Understands a query over rows with these fields.
    pub(super) fn new(query: &Query, fields: &[Field]) -> Result<Self, Refusal> {
        let filter =
            Filter::parse(&query.filter, fields).map_err(|error| Refusal::new("bad_filter", error.to_string()))?;
        let order = query.sort.clone().or_else(|| query.view.default_sort());
        let order = order.ok_or_else(|| Refusal::new("bad_sort", "this view is no list"))?;
        let sort = field(fields, &order.by)
            .ok_or_else(|| Refusal::new("bad_sort", format!("there is no field {:?} to sort by", order.by)))?;
        let after = query.after.as_deref().map(serde_json::from_str).transpose();
        let after = after.map_err(|_| Refusal::new("bad_cursor", "this is no place in a list"))?;
        let limit = query.limit.clamp(1, MOST_ROWS);
        Ok(Self { filter, sort, descending: order.descending, limit, after })
    }

    fn matches<R: Row>(&self, row: &R) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(row))
    }

    /// The first rows that pass, in order.
    pub fn pick<R: Row>(&self, rows: impl Iterator<Item = R>) -> Picked<R> {
        let (mut total, mut matched, mut kept) = (0, 0, Vec::new());
        let mut passed = 0_usize;
        for row in rows {
            total += 1;
            if !self.matches(&row) {
                continue;
            }
            matched += 1;
            if !self.is_beyond_cursor(&row) {
                continue;
            }
            passed += 1;
            kept.push(row);
            if kept.len() >= 2 * self.limit + 64 {
                self.cut(&mut kept);
            }
        }
        self.cut(&mut kept);
        kept.sort_unstable_by(|a, b| self.order(a, b));
        Picked { total, matched, more: passed > kept.len(), rows: kept }
    }

    /// The place of a row, for [`Query::after`].
    pub(super) fn cursor<R: Row>(&self, row: &R) -> String {
        serde_json::to_string(&(row.value(self.sort), row.key())).expect("numbers and text become JSON")
    }

    /// Keeps the first rows, in no order.
    fn cut<R: Row>(&self, rows: &mut Vec<R>) {
        if rows.len() > self.limit {
            rows.select_nth_unstable_by(self.limit, |a, b| self.order(a, b));
            rows.truncate(self.limit);
        }
    }

    fn order<R: Row>(&self, a: &R, b: &R) -> Ordering {
        self.by_value(&a.value(self.sort), &b.value(self.sort)).then_with(|| a.key_order(b))
    }

    /// What is absent comes last either way.
    fn by_value(&self, a: &Value<'_>, b: &Value<'_>) -> Ordering {
        let order = a.order(b);
        let absent = *a == Value::Nothing || *b == Value::Nothing;
        if self.descending && !absent { order.reverse() } else { order }
    }

    fn is_beyond_cursor<R: Row>(&self, row: &R) -> bool {
        let Some((value, key)) = &self.after else { return true };
        self.by_value(&row.value(self.sort), value).then_with(|| row.key().as_str().cmp(key)).is_gt()
    }
}

/// Cuts rows to what one answer may weigh; true if some had to go.
pub(super) fn fit<R: Serialize>(rows: &mut Vec<R>) -> bool {
    let mut bytes = 0;
    let fitting = rows.iter().position(|row| {
        bytes += serde_json::to_vec(row).map_or(0, |json| json.len() + 1);
        bytes > MOST_LIST_BYTES
    });
    if let Some(at) = fitting {
        rows.truncate(at);
    }
    fitting.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::admin::{ConnectionRow, Sort, View};
    use proptest::prelude::*;

    fn rows(queues: &[u64]) -> Vec<ConnectionRow> {
        let row = |(at, queue): (usize, &u64)| ConnectionRow {
            id: format!("c_{at:x}"),
            node: "gw-1".into(),
            queue: *queue,
            rtt_ms: (*queue > 3).then_some(u32::try_from(*queue).unwrap()),
            ..ConnectionRow::default()
        };
        queues.iter().enumerate().map(row).collect()
    }

    fn query(by: &str, descending: bool, limit: usize) -> Query {
        Query { limit, sort: Some(Sort { by: by.into(), descending }), ..Query::of(View::Connections) }
    }

    fn plan(query: &Query) -> Plan {
        Plan::new(query, ConnectionRow::FIELDS).unwrap()
    }

    #[test]
    fn the_fullest_come_first_equals_oldest_first_and_counts_stand_beside() {
        let asked = Query { filter: "queue>0".into(), ..query("queue", true, 2) };
        let picked = plan(&asked).pick(rows(&[1, 0, 7, 7, 3]).into_iter());
        assert_eq!((picked.total, picked.matched, picked.more), (5, 4, true));
        assert_eq!(picked.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["c_2", "c_3"]);
    }

    #[test]
    fn what_is_absent_comes_last_whichever_way_one_sorts() {
        for descending in [true, false] {
            let picked = plan(&query("rtt", descending, 5)).pick(rows(&[1, 9, 4]).into_iter());
            assert_eq!(picked.rows[2].id, "c_0");
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        let refused = |query: Query| Plan::new(&query, ConnectionRow::FIELDS).unwrap_err().code;
        assert_eq!(refused(Query { filter: "colour=red".into(), ..query("queue", true, 1) }), "bad_filter");
        assert_eq!(refused(query("colour", true, 1)), "bad_sort");
        assert_eq!(refused(Query { after: Some("{".into()), ..query("queue", true, 1) }), "bad_cursor");
    }

    #[test]
    fn an_answer_weighs_no_more_than_it_may() {
        let mut long = rows(&[0; 300]);
        for row in &mut long {
            row.device = Some("x".repeat(2_000));
        }
        assert!(fit(&mut long));
        assert!(serde_json::to_vec(&long).unwrap().len() <= MOST_LIST_BYTES && long.len() > 80);
        assert!(!fit(&mut long));
    }

    proptest! {
        #[test]
        fn pages_put_together_are_the_whole_list_in_order(queues in prop::collection::vec(0_u64..9, 0..400), limit in 1_usize..60, descending: bool) {
            let all = rows(&queues);
            let mut asked = query("rtt", descending, limit);
            let mut seen = Vec::new();
            loop {
                let plan = plan(&asked);
                let picked = plan.pick(all.clone().into_iter());
                prop_assert_eq!(picked.matched, all.len() as u64);
                seen.extend(picked.rows.iter().cloned());
                if !picked.more {
                    break;
                }
                asked.after = Some(plan.cursor(picked.rows.last().unwrap()));
            }
            let mut whole = query("rtt", descending, MOST_ROWS);
            whole.limit = MOST_ROWS;
            prop_assert_eq!(seen, plan(&whole).pick(all.into_iter()).rows);
        }
    }
}
