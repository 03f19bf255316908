//! Routes of the REST api over the last minute, and single requests worth a look.

use crate::{
    clock::Timestamp,
    id::UserId,
    protocol::admin::{Field, Histogram, Row, Value, field::fields},
};
use serde::{Deserialize, Serialize};

/// One method and route template over the last minute, all nodes together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointRow {
    /// `GET`, `POST`, …
    pub method: String,
    /// `/api/pitches/{id}`, …
    pub route: String,
    /// Answers a second.
    pub rate: f64,
    /// Durations of the minute; percentiles are made from it, so that nodes can be added up.
    pub durations: Histogram,
    /// Answers of the minute by class: 1xx to 5xx.
    pub by_class: [u64; 5],
    /// Refused for asking too often (429) in the minute.
    pub limited: u64,
    /// Answers since the processes began.
    pub total: u64,
    /// Answers in each ten seconds of the last five minutes, oldest first.
    pub trend: Vec<u32>,
}

impl EndpointRow {
    /// Answers in the minute.
    pub fn count(&self) -> u64 {
        self.by_class.iter().sum()
    }

    /// The share of one class (4 or 5) of the minute's answers.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn share(&self, class: usize) -> f64 {
        self.by_class[class - 1] as f64 / self.count().max(1) as f64
    }

    fn seconds(&self, q: f64) -> Value<'_> {
        Value::number(self.durations.quantile(q).map(|time| time.as_secs_f64()))
    }
}

impl Row for EndpointRow {
    const FIELDS: &'static [Field] = fields![
        method: Text "GET, POST, …",
        route: Text "the route's template",
        rate: Number "answers a second",
        p50: Seconds "median duration",
        p95: Seconds "95th percentile",
        p99: Seconds "99th percentile",
        client_errors: Share "4xx of all answers",
        server_errors: Share "5xx of all answers",
        limited: Number "429 in the minute",
        total: Number "answers since the processes began",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::text(&self.method),
            1 => Value::text(&self.route),
            2 => Value::Number(self.rate),
            3 => self.seconds(0.5),
            4 => self.seconds(0.95),
            5 => self.seconds(0.99),
            6 => Value::Number(self.share(4)),
            7 => Value::Number(self.share(5)),
            8 => Value::count(self.limited),
            9 => Value::count(self.total),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        format!("{} {}", self.route, self.method)
    }
}

/// One request that failed with 5xx or took long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRow {
    /// When it was answered.
    pub at: Timestamp,
    /// Its node.
    pub node: String,
    /// What the client was given to quote.
    pub request_id: String,
    /// `GET`, `POST`, …
    pub method: String,
    /// The route's template.
    pub route: String,
    /// The status.
    pub status: u16,
    /// How long it took.
    pub duration_ms: u64,
    /// Who asked.
    pub user: Option<UserId>,
    /// The error's stable code.
    pub code: Option<String>,
}

impl Row for RequestRow {
    const FIELDS: &'static [Field] = fields![
        at: Seconds "when it was answered (in sort orders)",
        node: Text "its node",
        request: Text "what the client was given to quote",
        method: Text "GET, POST, …",
        route: Text "the route's template",
        status: Number "the status",
        duration: Seconds "how long it took",
        user: Text "who asked",
        code: Text "the error's stable code",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::time(self.at),
            1 => Value::text(&self.node),
            2 => Value::text(&self.request_id),
            3 => Value::text(&self.method),
            4 => Value::text(&self.route),
            5 => Value::count(self.status.into()),
            #[expect(clippy::cast_precision_loss, reason = "for comparing")]
            6 => Value::Number(self.duration_ms as f64 / 1e3),
            7 => Value::user(self.user),
            8 => Value::maybe(self.code.as_deref()),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        format!("{}/{}", self.node, self.request_id)
    }
}
