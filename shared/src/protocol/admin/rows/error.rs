//! Errors by stable code, and whom they hit.

use crate::{
    clock::Timestamp,
    id::UserId,
    protocol::admin::{Field, Row, Value, field::fields},
};
use serde::{Deserialize, Serialize};

/// One kind of error, all nodes together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorRow {
    /// Its stable code.
    pub code: String,
    /// How often since the processes began.
    pub count: u64,
    /// How often a second, over the last five minutes.
    pub rate: f64,
    /// Distinct users it hit in the last hour; those beyond [`MOST_AFFECTED`] per node are not told apart.
    pub users: u64,
    /// Whether `users` reached its bound, and is "at least".
    pub users_capped: bool,
    /// The nodes it happened on.
    pub nodes: Vec<String>,
    /// When it was first seen, since the processes began.
    pub first_at: Timestamp,
    /// When it was last seen.
    pub last_at: Timestamp,
    /// Not seen before the last hour, by any process that runs.
    pub new: bool,
    /// An operator knows about it.
    pub known: bool,
    /// How often in each ten seconds of the last five minutes, oldest first.
    pub trend: Vec<u32>,
    /// The last one's message, as it was logged.
    pub message: Option<String>,
    /// The last one's `METHOD route`.
    pub route: Option<String>,
    /// The last one's request id.
    pub request_id: Option<String>,
}

/// Users told apart per error code and node.
pub const MOST_AFFECTED: usize = 1_000;

impl Row for ErrorRow {
    const FIELDS: &'static [Field] = fields![
        code: Text "the stable code",
        count: Number "how often since the processes began",
        rate: Number "how often a second",
        users: Number "distinct users it hit",
        nodes: Number "nodes it happened on",
        first: Seconds "when it was first seen (in sort orders)",
        last: Seconds "when it was last seen (in sort orders)",
        new: Text "yes or no: first seen in the last hour",
        route: Text "where the last one happened",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::text(&self.code),
            1 => Value::count(self.count),
            2 => Value::Number(self.rate),
            3 => Value::count(self.users),
            4 => Value::count(self.nodes.len() as u64),
            5 => Value::time(self.first_at),
            6 => Value::time(self.last_at),
            7 => Value::text(if self.new { "yes" } else { "no" }),
            8 => Value::maybe(self.route.as_deref()),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.code.clone()
    }
}

/// A user one error hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AffectedRow {
    /// Who.
    pub user: UserId,
    /// How often, in the last hour.
    pub count: u64,
    /// The last time.
    pub last_at: Timestamp,
    /// The last one's request id.
    pub request_id: Option<String>,
}

impl Row for AffectedRow {
    const FIELDS: &'static [Field] = fields![
        user: Text "who",
        count: Number "how often",
        last: Seconds "the last time (in sort orders)",
        request: Text "the last one's request id",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::user(Some(self.user)),
            1 => Value::count(self.count),
            2 => Value::time(self.last_at),
            3 => Value::maybe(self.request_id.as_deref()),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.user.to_string()
    }
}
