//! Log lines, and what operators did.

use crate::{
    clock::Timestamp,
    protocol::admin::{Field, Role, Row, Value, field::fields},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How grave a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the levels everybody knows")]
pub enum Level {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

impl Level {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// One log line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRow {
    /// When.
    pub at: Timestamp,
    /// Its node.
    pub node: String,
    /// Its number on the node; what is missing between two was suppressed or has left the ring.
    pub seq: u64,
    /// How grave.
    pub level: Level,
    /// The module that spoke.
    pub target: String,
    /// What it said.
    pub message: String,
    /// Its fields and those of the spans around it: `request_id`, `user_id`, `conn`, `route`, …
    pub fields: BTreeMap<String, serde_json::Value>,
}

impl LogRow {
    fn text(&self, name: &str) -> Value<'_> {
        Value::maybe(self.fields.get(name).and_then(serde_json::Value::as_str))
    }
}

impl Row for LogRow {
    const FIELDS: &'static [Field] = fields![
        at: Seconds "when (in sort orders)",
        node: Text "its node",
        level: Number "1 TRACE, 2 DEBUG, 3 INFO, 4 WARN, 5 ERROR: level>=4",
        target: Text "the module that spoke",
        message: Text "what it said",
        user: Text "the user it is about",
        conn: Text "the connection it is about",
        request: Text "the request it is about",
        route: Text "the route it is about",
        status: Number "the answer's status",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::time(self.at),
            1 => Value::text(&self.node),
            2 => Value::count(self.level as u64 + 1),
            3 => Value::text(&self.target),
            4 => Value::text(&self.message),
            5 => self.text("user_id"),
            6 => self.text("conn"),
            7 => self.text("request_id"),
            8 => self.text("route"),
            9 => Value::number(self.fields.get("status").and_then(serde_json::Value::as_f64)),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        format!("{}/{:020}", self.node, u64::MAX - self.seq)
    }
}

/// One thing an operator did, or was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// The job, or the refusal.
    pub id: uuid::Uuid,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub operator: String,
    /// With which right.
    pub role: Role,
    /// From where.
    pub address: String,
    /// Which node was asked.
    pub node: String,
    /// What: `disconnect`, `drain`, …
    pub action: String,
    /// To what or whom.
    pub target: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// `running`, `done`, `failed` or `refused`, with figures.
    pub result: String,
}

impl Row for AuditRow {
    const FIELDS: &'static [Field] = fields![
        at: Seconds "when (in sort orders)",
        operator: Text "who",
        address: Text "from where",
        node: Text "which node was asked",
        action: Text "what",
        target: Text "to what or whom",
        reason: Text "why",
        result: Text "how it went",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::time(self.at),
            1 => Value::text(&self.operator),
            2 => Value::text(&self.address),
            3 => Value::text(&self.node),
            4 => Value::text(&self.action),
            5 => Value::text(&self.target),
            6 => Value::text(&self.reason),
            7 => Value::text(&self.result),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.id.to_string()
    }
}
