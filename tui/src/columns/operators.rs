//! What operators look after and did: alerts, logs, the audit log, jobs.

use super::{Cells, Column, Listed, clock, left, maybe, right, short, text};
use crate::{
    figures::{count, measure, span},
    theme::Level,
};
use shared::protocol::admin::{Alert, AuditRow, Job, JobState, LogRow, Severity};

/// Where an alert is in its life, with who looks after it.
fn standing(alert: &Alert, cells: &Cells) -> String {
    let firing = match (&alert.acked_by, alert.silenced_until) {
        (_, Some(until)) if until > cells.at => format!("silent {}", span(until.since(cells.at))),
        (Some(who), _) => format!("acked {}", text(who)),
        (None, _) => "FIRING".to_owned(),
    };
    match alert.resolved_at {
        Some(at) => format!("over {}", clock(at, cells)),
        None => firing,
    }
}

/// A number of an alert in the unit of its metric.
fn value(alert: &Alert, number: f64) -> String {
    alert.metric.map_or_else(|| format!("{number}"), |metric| measure(number, metric.unit()))
}

impl Listed for Alert {
    const COLUMNS: &'static [Column<Self>] = &[
        left("SEVERITY", "severity", 9, |r, _| match r.severity {
            Severity::Critical => "CRIT".to_owned(),
            Severity::Warning => "WARN".to_owned(),
        }),
        left("STATE", "state", 14, standing),
        right("SINCE", "since", 9, |r, c| clock(r.since, c)),
        left("NODE", "node", 11, |r, _| text(&r.node)),
        left("RULE", "rule", 22, |r, _| text(&r.rule)),
        left("OF", "of", 13, |r, _| maybe(r.of.as_deref())),
        right("VALUE", "value", 8, |r, _| value(r, r.value)),
        right("BOUND", "", 8, |r, _| value(r, r.threshold)),
        left("WHAT", "", 40, |r, _| text(&r.text)),
        left("ACKED", "acked", 10, |r, _| maybe(r.acked_by.as_deref())),
    ];

    fn level(&self, cells: &Cells) -> Level {
        match (self.is_loud(cells.at), self.severity) {
            (false, _) => Level::Good,
            (true, Severity::Warning) => Level::Warn,
            (true, Severity::Critical) => Level::Crit,
        }
    }
}

impl Listed for LogRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("AT", "at", 9, |r, c| clock(r.at, c)),
        left("LEVEL", "level", 5, |r, _| r.level.name().to_owned()),
        left("NODE", "node", 11, |r, _| text(&r.node)),
        left("TARGET", "target", 18, |r, _| text(&r.target)),
        left("MESSAGE", "message", 60, |r, _| text(&r.message)),
        left("REQUEST", "request", 9, |r, c| {
            r.fields.get("request_id").and_then(|id| id.as_str()).map_or_else(|| "-".to_owned(), |id| short(id, c))
        }),
    ];

    fn level(&self, _: &Cells) -> Level {
        match self.level {
            shared::protocol::admin::Level::Error => Level::Crit,
            shared::protocol::admin::Level::Warn => Level::Warn,
            _ => Level::Good,
        }
    }
}

impl Listed for AuditRow {
    const COLUMNS: &'static [Column<Self>] = &[
        left("AT", "at", 9, |r, c| clock(r.at, c)),
        left("WHO", "operator", 10, |r, _| text(&r.operator)),
        left("ACTION", "action", 14, |r, _| text(&r.action)),
        left("TARGET", "target", 30, |r, _| text(&r.target)),
        left("RESULT", "result", 20, |r, _| text(&r.result)),
        left("REASON", "reason", 24, |r, _| text(&r.reason)),
        left("NODE", "node", 11, |r, _| text(&r.node)),
        left("ROLE", "", 8, |r, _| r.role.name().to_owned()),
        left("FROM", "address", 15, |r, _| text(&r.address)),
    ];

    fn level(&self, _: &Cells) -> Level {
        if self.result.starts_with("failed") || self.result.starts_with("refused") { Level::Warn } else { Level::Good }
    }
}

impl Listed for Job {
    const COLUMNS: &'static [Column<Self>] = &[
        left("AT", "at", 9, |r, c| clock(r.started_at, c)),
        left("WHO", "operator", 10, |r, _| text(&r.operator)),
        left("ACTION", "action", 14, |r, _| r.action.name().to_owned()),
        left("TARGET", "", 30, |r, _| text(&r.action.target())),
        left("STATE", "state", 8, |r, _| r.state.name().to_owned()),
        right("DONE", "done", 7, |r, _| count(r.done)),
        right("OF", "matched", 7, |r, _| count(r.matched)),
        right("FAILED", "", 6, |r, _| count(r.failed)),
        left("REASON", "reason", 24, |r, _| text(&r.reason)),
        left("NOTE", "", 24, |r, _| text(&r.note)),
    ];

    fn level(&self, _: &Cells) -> Level {
        match self.state {
            JobState::Failed => Level::Crit,
            JobState::Running => Level::Warn,
            JobState::Done | JobState::DryRun => Level::Good,
        }
    }
}
