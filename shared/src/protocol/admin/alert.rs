//! Alerts: evaluated by every node on its own numbers, whether a console listens or not; the console shows, acknowledges
//! and silences them.
//!
//! ```text
//!            beyond for `for_s`            back for `clear_s`
//!  (quiet) ─────────────────────▶ firing ─────────────────────▶ resolved ──(an hour)──▶ forgotten
//! ```
//!
//! "Beyond" is measured against the threshold, "back" against a milder one, so that a value on the edge does not flap.

use super::{Field, Metric, Row, Unit, Value, field::fields};
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Look at it today.
    #[default]
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It holds.
    #[default]
    Firing,
    /// It no longer holds.
    Resolved,
}

/// One alert: a rule that holds, or held, for one node or one pool of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alert {
    /// Stable while it lives: `rule@node` or `rule:pool@node`.
    pub id: String,
    /// The rule's name.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// Where in its life.
    pub state: AlertState,
    /// Whose number.
    pub node: String,
    /// The pool, for numbers of pools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Which number; absent for rules about something else (a lost node, a new error).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// The number, last seen.
    pub value: f64,
    /// What it is held against.
    pub threshold: f64,
    /// Since when it fires (or fired).
    pub since: Timestamp,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// Which operator knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked_by: Option<String>,
    /// Until when it makes no noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silenced_until: Option<Timestamp>,
    /// For people, without node and numbers.
    pub text: String,
    /// The view that shows the cause, and the filter to open it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look_at: Option<LookAt>,
}

/// Where the cause can be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookAt {
    /// `nodes`, `pools`, or a [`super::View`]'s name.
    pub screen: String,
    /// A filter for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
}

impl Alert {
    /// Fires, and nobody asked it to be quiet: to be counted on every screen.
    pub fn is_loud(&self, now: Timestamp) -> bool {
        self.state == AlertState::Firing && self.silenced_until.is_none_or(|until| until <= now)
    }
}

impl Row for Alert {
    const FIELDS: &'static [Field] = fields![
        severity: Number "2 firing critical, 1 firing warning, 0 resolved",
        rule: Text "the rule",
        node: Text "whose number",
        of: Text "the pool",
        value: Number "the number",
        since: Seconds "since when (in sort orders)",
        state: Text "firing or resolved",
        acked: Text "which operator knows",
    ];

    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::count(match (self.state, self.severity) {
                (AlertState::Resolved, _) => 0,
                (AlertState::Firing, Severity::Warning) => 1,
                (AlertState::Firing, Severity::Critical) => 2,
            }),
            1 => Value::text(&self.rule),
            2 => Value::text(&self.node),
            3 => Value::maybe(self.of.as_deref()),
            4 => Value::Number(self.value),
            5 => Value::time(self.since),
            6 => Value::text(if self.state == AlertState::Firing { "firing" } else { "resolved" }),
            7 => Value::maybe(self.acked_by.as_deref()),
            _ => Value::Nothing,
        }
    }

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// A rule, as operators can read it: what is watched, from when on it is bad, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// Its name.
    pub name: String,
    /// What is watched.
    pub metric: Metric,
    /// A warning from here on.
    pub warn: Option<f64>,
    /// Critical from here on.
    pub crit: Option<f64>,
    /// Seconds it must hold for a warning, and for critical.
    pub for_s: (u64, u64),
}

impl RuleInfo {
    /// The unit of its thresholds.
    pub fn unit(&self) -> Unit {
        self.metric.unit()
    }
}
