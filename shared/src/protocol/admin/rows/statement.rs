//! Kinds of database work.

use crate::protocol::admin::{Field, Row, Value, field::fields};
use serde::{Deserialize, Serialize};

/// One kind of database work, all nodes together; durations are those of the slowest node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatementRow {
    /// The name of the unit of work.
    pub name: String,
    /// How often since the processes began.
    pub count: u64,
    /// How often it failed.
    pub errors: u64,
    /// How often a second, over the last minute.
    pub rate: f64,
    /// How many connections it keeps busy: rate times mean duration.
    pub busy: f64,
    /// Median duration in microseconds.
    pub p50_us: u64,
    /// 95th percentile in microseconds.
    pub p95_us: u64,
    /// 99th percentile in microseconds.
    pub p99_us: u64,
    /// The longest in microseconds.
    pub max_us: u64,
}

impl Row for StatementRow {
    const FIELDS: &'static [Field] = fields![
        name: Text "the unit of work",
        count: Number "how often since the processes began",
        errors: Number "how often it failed",
        rate: Number "how often a second",
        busy: Number "connections it keeps busy",
        p50: Seconds "median duration",
        p95: Seconds "95th percentile",
        p99: Seconds "99th percentile",
        max: Seconds "the longest",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        #[expect(clippy::cast_precision_loss, reason = "for comparing")]
        let seconds = |us: u64| Value::Number(us as f64 / 1e6);
        match field {
            0 => Value::text(&self.name),
            1 => Value::count(self.count),
            2 => Value::count(self.errors),
            3 => Value::Number(self.rate),
            4 => Value::Number(self.busy),
            5 => seconds(self.p50_us),
            6 => seconds(self.p95_us),
            7 => seconds(self.p99_us),
            8 => seconds(self.max_us),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.name.clone()
    }
}
