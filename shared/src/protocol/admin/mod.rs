//! The operators' wire: what the admin listener of every process takes and sends, as plain data, both ways; no features.
//!
//! ```text
//! GET  /health/live      no token: is the process there at all
//! GET  /metrics          Prometheus' text
//! GET  /admin/snapshot   one Tick as JSON, routes included
//! GET  /admin/stream     WebSocket: Message ◀──▶ Request, below
//! POST /admin/actions    ActionRequest ──▶ Job (200 done or dry run, 202 under way) | Problem
//! ```
//!
//! All but the first want `Authorization: Bearer <token>`: the one of a token file in the data folder (an administrator
//! on this machine, whose name is what [`OPERATOR_HEADER`] says), or one of those the settings name, with its role.
//!
//! # The stream
//!
//! 1. [`Message::Hello`], first and once. A console that does not speak [`Hello::proto`] says so and goes.
//! 2. [`Message::History`] of each node, twice: 15 minutes by the second, then a day by the minute.
//! 3. [`Message::Alerts`], and again whenever they change.
//! 4. Once a second a [`Message::Tick`] of each node of the cluster that is heard, [`Message::Nodes`] when the set of
//!    nodes or the state of one changes.
//! 5. For each [`Request::Subscribe`] a [`Message::List`] at once and whenever it changes, or a [`Message::Refused`].
//! 6. [`Message::Job`] for every action, as it goes.
//!
//! A console that reads too slowly skips ticks and lists, never anything else, and is told how many ([`Message::Lost`]);
//! one that takes nothing at all for 30 s is dropped, with a close frame that says so (1008 `too slow`).
//!
//! Fields, metrics and messages may be added at any time, so readers ignore those they do not know; [`VERSION`] changes
//! when one changes its meaning.

mod action;
mod alert;
mod field;
mod filter;
mod metric;
mod node;
mod rows;
mod stats;
mod view;

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, net::SocketAddr};

pub use action::{
    Action, ActionRequest, Audience, ConnectionRef, Durability, Grade, Job, JobState, MOST_NAMED, Problem, ProblemBody,
    Role, Target,
};
pub use alert::{Alert, AlertState, LookAt, RuleInfo, Severity};
pub use field::{Field, Kind, Row, Value, field};
pub use filter::{Filter, FilterError, MOST_BYTES as MOST_FILTER_BYTES};
pub use metric::{COARSE_POINTS, FINE_POINTS, History, Metric, Sample, Scope, Series, Unit, UnknownMetric, Values};
pub use node::{LOST_AFTER_MS, NodeInfo, NodeStatus, State, Tick};
pub use rows::{
    AffectedRow, AuditRow, ClosedBy, ClosedRow, ConnectionDetail, ConnectionRow, ConnectionState, EndpointRow,
    ErrorRow, Level, LogRow, MOST_AFFECTED, Moment, QueueRow, RequestRow, RoomRow, SessionRow, StatementRow,
    UserDetail, UserRow,
};
pub use stats::{
    BOUNDS_US, CloseCount, Histogram, HttpStats, NamedCount, ProcessStats, RedisStats, RelayStats, RouteStats,
    SocketStats, Stats,
};
pub use view::{
    Answered, CLOSED_RING, LOG_RING, List, MOST_LIST_BYTES, MOST_ROWS, MOST_SUBSCRIPTIONS, PEER_DEADLINE_MS, Query,
    Rows, Sort, Subscribe, View,
};

/// The version of what this module describes.
pub const VERSION: u32 = 2;

/// Time between two ticks, in milliseconds.
pub const TICK_MS: u64 = 1_000;

/// The header in which a console with a token file says who sits before it; up to 64 visible ASCII characters.
pub const OPERATOR_HEADER: &str = "x-operator";

/// The name of a token file begins with this…
pub const TOKEN_PREFIX: &str = "admin-";
/// …and ends with this; in between is the process's name.
pub const TOKEN_SUFFIX: &str = ".token";

/// What a process writes to `$DATA_DIR/admin-<name>.token`: where it listens and what it wants to hear.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFile {
    /// The process's name.
    pub name: String,
    /// The admin listener's address.
    pub address: SocketAddr,
    /// The bearer token, fresh for each start.
    pub token: String,
    /// The process, so that a reader can tell a stale file.
    pub pid: u32,
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address, pid, .. } = self;
        write!(f, "TokenFile {{ {name} at {address}, pid {pid}, token: <redacted> }}")
    }
}

/// One text frame from the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// Who is speaking; first and once.
    Hello(Box<Hello>),
    /// What a node remembers.
    History(History),
    /// A node at one moment.
    Tick(Box<Tick>),
    /// Every node of the cluster, lost ones included; whenever that changes.
    Nodes {
        /// By name.
        nodes: Vec<NodeStatus>,
    },
    /// The alerts of all nodes, the gravest first; whenever they change.
    Alerts {
        /// Firing, and over for less than an hour.
        alerts: Vec<Alert>,
    },
    /// The answer to a subscription.
    List(Box<List>),
    /// A subscription or a frame that cannot be served.
    Refused {
        /// The subscription's number, if there was one to be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u32>,
        /// Stable: `bad_request`, `bad_filter`, `bad_sort`, `bad_cursor`, `missing_of`, `too_many`, `unavailable`.
        code: String,
        /// For people.
        message: String,
    },
    /// An action began, went on or ended.
    Job(Box<Job>),
    /// This many ticks and lists were skipped because the console had not read those before.
    Lost {
        /// How many.
        count: u64,
    },
    /// One this reader does not know.
    #[serde(other)]
    Unknown,
}

/// One text frame from a console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Tell me about a list.
    Subscribe(Subscribe),
    /// No longer.
    Unsubscribe {
        /// The number given with `subscribe`.
        id: u32,
    },
}

/// Who is speaking.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// [`VERSION`] of the speaker.
    pub proto: u32,
    /// The cluster's name.
    pub cluster: String,
    /// The node that speaks.
    #[serde(flatten)]
    pub node: NodeInfo,
    /// The speaker's clock, so that a console can show the age of data on a machine whose clock differs.
    pub server_time: Timestamp,
    /// Time between two ticks, in milliseconds.
    pub tick_ms: u64,
    /// Who the token says is asking.
    pub operator: String,
    /// What the token allows.
    pub role: Role,
    /// The views that can be subscribed to here.
    pub views: Vec<String>,
    /// The actions there are here.
    pub actions: Vec<String>,
    /// The rules alerts come from.
    pub rules: Vec<RuleInfo>,
    /// Every node of the cluster.
    pub nodes: Vec<NodeStatus>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PoolStats;

    fn back(message: &Message) -> Message {
        let json = serde_json::to_string(message).unwrap();
        let newer = json.replacen('{', r#"{"from_the_future":{"a":[1]},"#, 1);
        assert_eq!(&serde_json::from_str::<Message>(&newer).unwrap(), message, "unknown fields are ignored");
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn messages_read_back_as_they_were_sent_and_unknown_fields_are_ignored() {
        let node = NodeInfo { name: "gw-1".into(), version: "1.0.0".into(), ..NodeInfo::default() };
        let status = NodeStatus { info: node.clone(), state: State::Lost, ..NodeStatus::default() };
        let messages = [
            Message::Hello(Box::new(Hello { proto: VERSION, node, nodes: vec![status.clone()], ..Hello::default() })),
            Message::History(History { node: "gw-1".into(), step_ms: 1_000, ..History::default() }),
            Message::Tick(Box::new(Tick {
                node: "gw-1".into(),
                seq: 7,
                state: State::Draining,
                pools: vec![PoolStats { name: "sqlite-read".into(), ..PoolStats::default() }],
                redis: Some(RedisStats::default()),
                ..Tick::default()
            })),
            Message::Nodes { nodes: vec![status] },
            Message::Alerts { alerts: vec![Alert { id: "a@gw-1".into(), ..Alert::default() }] },
            Message::List(Box::new(List {
                id: 1,
                at: Timestamp::from_micros(5),
                total: 50_000,
                matched: 1,
                rows: Rows::Connections(vec![ConnectionRow { id: "c_1".into(), ..ConnectionRow::default() }]),
                next: Some("x".into()),
                nodes: vec![Answered { node: "gw-1".into(), in_time: true }],
            })),
            Message::Refused { id: Some(1), code: "bad_filter".into(), message: "no".into() },
            Message::Lost { count: 3 },
        ];
        for message in &messages {
            assert_eq!(&back(message), message);
        }
        assert_eq!(serde_json::from_str::<Message>(r#"{"type":"news","of":"the future"}"#).unwrap(), Message::Unknown);
    }

    #[test]
    fn requests_are_what_the_documentation_says() {
        let request: Request = serde_json::from_str(
            r#"{"type":"subscribe","id":3,"query":{"view":"connections","filter":"queue>8","sort":{"by":"queue","descending":true},"limit":500}}"#,
        )
        .unwrap();
        let Request::Subscribe(wish) = &request else { panic!("{request:?}") };
        assert_eq!((wish.id, wish.query.view, wish.query.limit), (3, View::Connections, 500));
        assert_eq!(serde_json::to_string(&Request::Unsubscribe { id: 3 }).unwrap(), r#"{"type":"unsubscribe","id":3}"#);
        assert!(serde_json::from_str::<Request>(r#"{"type":"shutdown"}"#).is_err());
    }

    #[test]
    fn a_token_file_never_prints_its_token() {
        let file =
            TokenFile { name: "api".into(), address: ([127, 0, 0, 1], 1).into(), token: "hidden".into(), pid: 1 };
        assert!(!format!("{file:?}").contains("hidden"));
    }
}
