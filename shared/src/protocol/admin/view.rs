//! Lists and details: what a console can subscribe to, and how the answers look.
//!
//! A console sends [`Subscribe`] with a number of its choice; a [`List`] with that number follows at once and whenever
//! the rows have changed, at most every [`Subscribe::every_ms`]. Sorting, filtering and cutting are done by the server:
//! every node picks its best rows, the node that was asked merges them. Subscribing again under the same number
//! replaces the query. A node that does not answer within [`PEER_DEADLINE_MS`] is named in [`List::nodes`] as lost, not
//! left out.

use super::{
    AffectedRow, Alert, AuditRow, ClosedRow, ConnectionDetail, ConnectionRow, EndpointRow, ErrorRow, Field, Job,
    LogRow, QueueRow, RequestRow, RoomRow, Row, StatementRow, UserDetail, UserRow,
};
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// Most rows of one answer, whatever was asked for.
pub const MOST_ROWS: usize = 500;
/// Most bytes of one answer; rows beyond are cut off, and [`List::next`] says where to go on.
pub const MOST_LIST_BYTES: usize = 200 * 1024;
/// Most subscriptions of one console.
pub const MOST_SUBSCRIPTIONS: usize = 16;
/// How long the asked node waits for the others.
pub const PEER_DEADLINE_MS: u64 = 500;

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Open sockets.
    Connections,
    /// One open socket, everything about it; `of` is its id.
    Connection,
    /// Sockets that ended, newest first; a ring of [`CLOSED_RING`] per node.
    Closed,
    /// Rooms somebody is in.
    Rooms,
    /// The sockets in one room; `of` is the room.
    Members,
    /// Users who are present, all their devices together.
    Users,
    /// One user, everything about them; `of` is the user's id.
    User,
    /// Users with entries they have not acknowledged.
    Queues,
    /// Routes of the REST api.
    Endpoints,
    /// Slow and failed requests, newest first; `of` narrows to one `METHOD route`.
    Requests,
    /// Errors by stable code.
    Errors,
    /// The users one error hit; `of` is its code.
    Affected,
    /// Kinds of database work.
    Statements,
    /// Alerts: firing, silenced, and those that are over.
    Alerts,
    /// Log lines, newest first.
    Logs,
    /// What operators did, newest first.
    Audit,
    /// Actions under way and done.
    Jobs,
}

/// Closed sockets a node remembers.
pub const CLOSED_RING: usize = 10_000;
/// Log lines a node remembers.
pub const LOG_RING: usize = 5_000;

impl View {
    /// Every view.
    pub const ALL: [Self; 17] = [
        Self::Connections,
        Self::Connection,
        Self::Closed,
        Self::Rooms,
        Self::Members,
        Self::Users,
        Self::User,
        Self::Queues,
        Self::Endpoints,
        Self::Requests,
        Self::Errors,
        Self::Affected,
        Self::Statements,
        Self::Alerts,
        Self::Logs,
        Self::Audit,
        Self::Jobs,
    ];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Connection => "connection",
            Self::Closed => "closed",
            Self::Rooms => "rooms",
            Self::Members => "members",
            Self::Users => "users",
            Self::User => "user",
            Self::Queues => "queues",
            Self::Endpoints => "endpoints",
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Affected => "affected",
            Self::Statements => "statements",
            Self::Alerts => "alerts",
            Self::Logs => "logs",
            Self::Audit => "audit",
            Self::Jobs => "jobs",
        }
    }

    /// The fields its rows can be filtered and sorted by; empty for the details of one thing.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Connections | Self::Members => ConnectionRow::FIELDS,
            Self::Closed => ClosedRow::FIELDS,
            Self::Rooms => RoomRow::FIELDS,
            Self::Users => UserRow::FIELDS,
            Self::Queues => QueueRow::FIELDS,
            Self::Endpoints => EndpointRow::FIELDS,
            Self::Requests => RequestRow::FIELDS,
            Self::Errors => ErrorRow::FIELDS,
            Self::Affected => AffectedRow::FIELDS,
            Self::Statements => StatementRow::FIELDS,
            Self::Alerts => Alert::FIELDS,
            Self::Logs => LogRow::FIELDS,
            Self::Audit => AuditRow::FIELDS,
            Self::Jobs => Job::FIELDS,
            Self::Connection | Self::User => &[],
        }
    }

    /// The order rows come in if none is asked for: what an operator looks for first.
    pub fn default_sort(self) -> Option<Sort> {
        let descending = |by: &str| Some(Sort { by: by.into(), descending: true });
        match self {
            Self::Connections | Self::Members => descending("queue"),
            Self::Rooms => descending("members"),
            Self::Users => descending("connections"),
            Self::Queues => descending("depth"),
            Self::Endpoints | Self::Errors => descending("rate"),
            Self::Affected => descending("count"),
            Self::Statements => descending("busy"),
            Self::Closed | Self::Requests | Self::Logs | Self::Audit | Self::Jobs => descending("at"),
            Self::Alerts => descending("severity"),
            Self::Connection | Self::User => None,
        }
    }

    /// Whether `of` must be given.
    pub const fn needs_of(self) -> bool {
        matches!(self, Self::Connection | Self::Members | Self::User | Self::Affected)
    }
}

/// A wish to be told about a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// The console's number for it, returned with every answer.
    pub id: u32,
    /// What.
    pub query: Query,
    /// Least time between two answers, in milliseconds; at least a second. The server takes longer when a list is
    /// dear: one subscription never costs it more than 0.5 % of a core.
    #[serde(default = "a_second")]
    pub every_ms: u64,
}

const fn a_second() -> u64 {
    super::TICK_MS
}

/// Which rows, in which order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Which list.
    pub view: View,
    /// Whose, for the details of one thing ([`View::needs_of`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Only rows that pass ([`super::Filter`]).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// The order; [`View::default_sort`] if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
    /// Most rows, up to [`MOST_ROWS`].
    #[serde(default = "fifty")]
    pub limit: usize,
    /// Go on after this place ([`List::next`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only this node's rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

const fn fifty() -> usize {
    50
}

impl Query {
    /// The first fifty rows of a view in its own order.
    pub fn of(view: View) -> Self {
        Self { view, of: None, filter: String::new(), sort: None, limit: fifty(), after: None, node: None }
    }
}

/// An order: one field, either way. Rows that are equal come in the order of their keys, so that lists do not dance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    /// A field of the view.
    pub by: String,
    /// The largest first.
    #[serde(default)]
    pub descending: bool,
}

/// An answer to a [`Subscribe`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct List {
    /// The number of the subscription.
    pub id: u32,
    /// When it was true.
    pub at: Timestamp,
    /// Rows there are, unfiltered, on the nodes that answered.
    pub total: u64,
    /// Rows that pass the filter.
    pub matched: u64,
    /// The first of them, in order.
    pub rows: Rows,
    /// Where to go on; absent when these were all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Who answered.
    pub nodes: Vec<Answered>,
}

/// One node's part in a [`List`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Its name.
    pub node: String,
    /// Whether its rows are in the list; if not, it is lost or was too slow.
    pub in_time: bool,
}

/// The rows of one view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "view", content = "rows", rename_all = "snake_case")]
#[expect(missing_docs, reason = "named like the views")]
pub enum Rows {
    Connections(Vec<ConnectionRow>),
    /// None when it has ended.
    Connection(Option<Box<ConnectionDetail>>),
    Closed(Vec<ClosedRow>),
    Rooms(Vec<RoomRow>),
    Members(Vec<ConnectionRow>),
    Users(Vec<UserRow>),
    /// None when there is no such user.
    User(Option<Box<UserDetail>>),
    Queues(Vec<QueueRow>),
    Endpoints(Vec<EndpointRow>),
    Requests(Vec<RequestRow>),
    Errors(Vec<ErrorRow>),
    Affected(Vec<AffectedRow>),
    Statements(Vec<StatementRow>),
    Alerts(Vec<Alert>),
    Logs(Vec<LogRow>),
    Audit(Vec<AuditRow>),
    Jobs(Vec<Job>),
}

impl Rows {
    /// No rows.
    pub fn none(view: View) -> Self {
        match view {
            View::Connections => Self::Connections(Vec::new()),
            View::Connection => Self::Connection(None),
            View::Closed => Self::Closed(Vec::new()),
            View::Rooms => Self::Rooms(Vec::new()),
            View::Members => Self::Members(Vec::new()),
            View::Users => Self::Users(Vec::new()),
            View::User => Self::User(None),
            View::Queues => Self::Queues(Vec::new()),
            View::Endpoints => Self::Endpoints(Vec::new()),
            View::Requests => Self::Requests(Vec::new()),
            View::Errors => Self::Errors(Vec::new()),
            View::Affected => Self::Affected(Vec::new()),
            View::Statements => Self::Statements(Vec::new()),
            View::Alerts => Self::Alerts(Vec::new()),
            View::Logs => Self::Logs(Vec::new()),
            View::Audit => Self::Audit(Vec::new()),
            View::Jobs => Self::Jobs(Vec::new()),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Connections(rows) | Self::Members(rows) => rows.len(),
            Self::Connection(row) => usize::from(row.is_some()),
            Self::Closed(rows) => rows.len(),
            Self::Rooms(rows) => rows.len(),
            Self::Users(rows) => rows.len(),
            Self::User(row) => usize::from(row.is_some()),
            Self::Queues(rows) => rows.len(),
            Self::Endpoints(rows) => rows.len(),
            Self::Requests(rows) => rows.len(),
            Self::Errors(rows) => rows.len(),
            Self::Affected(rows) => rows.len(),
            Self::Statements(rows) => rows.len(),
            Self::Alerts(rows) => rows.len(),
            Self::Logs(rows) => rows.len(),
            Self::Audit(rows) => rows.len(),
            Self::Jobs(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::admin::field;

    #[test]
    fn every_view_reads_back_under_its_name_and_sorts_by_a_field_it_has() {
        for view in View::ALL {
            assert_eq!(serde_json::to_string(&view).unwrap(), format!("{:?}", view.name()));
            if let Some(sort) = view.default_sort() {
                assert!(field(view.fields(), &sort.by).is_some(), "{view:?} has no {}", sort.by);
            }
            let rows = Rows::none(view);
            let json = serde_json::to_string(&rows).unwrap();
            assert!(json.contains(&format!("\"view\":\"{}\"", view.name())), "{json}");
            assert_eq!(serde_json::from_str::<Rows>(&json).unwrap(), rows);
            assert!(rows.is_empty());
        }
    }

    #[test]
    fn a_query_says_no_more_than_it_must() {
        let wish: Subscribe = serde_json::from_str(r#"{"id":1,"query":{"view":"rooms"}}"#).unwrap();
        assert_eq!(wish, Subscribe { id: 1, query: Query::of(View::Rooms), every_ms: 1_000 });
        assert_eq!(serde_json::to_string(&wish.query).unwrap(), r#"{"view":"rooms","limit":50}"#);
    }
}
