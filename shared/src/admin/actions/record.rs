//! Rows of the audit log, and the memory of idempotency keys. A store that is away stops no operator: the log line is
//! there in any case.

use super::super::{Caller, Shared};
use crate::{
    protocol::admin::{ActionRequest, AuditRow, Job, JobState, ProblemBody, Role},
    store::operators::{self, Ended, NewAction, Recorded},
};
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// How long an action waits for its row.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the key says.
pub(super) enum Begun {
    /// It is new: go on.
    New,
    /// The same was asked before: this became of it.
    Known(Box<Job>),
    /// It belongs to another action.
    OtherAction,
}

/// Ends what an earlier life of this node began: nobody goes on with it. Before the listener takes anything.
pub(in crate::admin) async fn take_up(shared: &Shared) {
    let (Some(store), node) = (&shared.sources.store, &shared.sources.name) else { return };
    let ended = store.tx("operators.abandon", async |tx| operators::abandon(tx, node).await);
    match timeout(PATIENCE, ended).await {
        Ok(Ok(0)) => {}
        Ok(Ok(actions)) => tracing::warn!(actions, "operators' actions were cut off by the end of the process"),
        Ok(Err(error)) => tracing::warn!(%error, "failed to look for operators' actions that were cut off"),
        Err(_) => tracing::warn!("the store took too long to look for operators' actions that were cut off"),
    }
}

/// Writes the row of an action that begins.
pub(super) async fn begin(shared: &Shared, caller: &Caller, asked: &ActionRequest, job: &Job) -> Begun {
    tracing::info!(
        target: "pitchey::audit", operator = caller.operator, role = %caller.role, address = %caller.address,
        action = asked.action.name(), to = asked.action.target(), reason = asked.reason, matched = job.matched,
        job = %job.id, "an operator acts"
    );
    let earlier = write(shared, caller, asked, job.id, Some(&asked.key), None, job.matched).await;
    match earlier {
        None => Begun::New,
        Some(earlier) => match known(shared, earlier) {
            Some(known) if known.action == asked.action => Begun::Known(Box::new(known)),
            _ => Begun::OtherAction,
        },
    }
}

/// Writes the row of a refusal.
pub(super) async fn refuse(shared: &Shared, caller: &Caller, asked: &ActionRequest, problem: &ProblemBody) {
    tracing::warn!(
        target: "pitchey::audit", operator = caller.operator, role = %caller.role, address = %caller.address,
        action = asked.action.name(), to = asked.action.target(), code = problem.code, "an operator was refused"
    );
    let why = format!("{}: {}", problem.code, problem.message);
    write(shared, caller, asked, Uuid::now_v7(), None, Some(&why), problem.matched.unwrap_or(0)).await;
}

/// Ends the row of an action that is over.
pub(super) async fn end(shared: &Shared, job: Option<&Job>) {
    let (Some(store), Some(job)) = (&shared.sources.store, job) else { return };
    let (id, ok) = (job.id, job.state == JobState::Done);
    let ended = Ended { ok, matched: job.matched, done: job.done, failed: job.failed, note: &job.note };
    let written = store.tx("operators.end", async |tx| operators::end(tx, id, ended).await);
    match timeout(PATIENCE, written).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, job = %id, "failed to end a row of the audit log"),
        Err(_) => tracing::error!(job = %id, "the store took too long to end a row of the audit log"),
    }
}

/// The row of an earlier action with the same key, if there is one; a store that is away has none.
async fn write(
    shared: &Shared,
    caller: &Caller,
    asked: &ActionRequest,
    id: Uuid,
    key: Option<&str>,
    refused: Option<&str>,
    matched: u64,
) -> Option<Recorded> {
    let store = shared.sources.store.as_ref()?;
    let request = serde_json::to_string(&asked.action).expect("plain data becomes JSON");
    let (address, target) = (caller.address.to_string(), asked.action.target());
    let new = NewAction {
        id,
        key,
        operator: &caller.operator,
        role: caller.role.name(),
        address: &address,
        node: &shared.sources.name,
        action: asked.action.name(),
        target: &target,
        request: &request,
        reason: asked.reason.trim(),
        refused,
        matched,
    };
    match timeout(PATIENCE, store.tx("operators.begin", async |tx| operators::begin(tx, new).await)).await {
        Ok(Ok(earlier)) => earlier,
        Ok(Err(error)) => {
            tracing::error!(%error, "failed to write a row of the audit log");
            None
        }
        Err(_) => {
            tracing::error!("the store took too long to write a row of the audit log");
            None
        }
    }
}

/// A row as a job; the one on the board is newer, if there is one.
fn known(shared: &Shared, row: Recorded) -> Option<Job> {
    if let Some(job) = shared.jobs.get(row.id) {
        return Some(job);
    }
    Some(Job {
        id: row.id,
        action: serde_json::from_str(&row.request).ok()?,
        reason: row.reason,
        operator: row.operator,
        role: role(&row.role),
        node: row.node,
        state: match row.state.as_str() {
            "running" => JobState::Running,
            "done" => JobState::Done,
            _ => JobState::Failed,
        },
        matched: row.matched,
        done: row.done,
        failed: row.failed,
        started_at: row.created_at,
        ended_at: row.ended_at,
        note: row.note,
    })
}

/// A row as the audit view shows it.
pub(in crate::admin) fn shown(row: Recorded) -> AuditRow {
    let result = match row.state.as_str() {
        "refused" => format!("refused: {}", row.note),
        "failed" => format!("failed: {} ({} of {} done)", row.note, row.done, row.matched),
        "done" if row.failed > 0 => format!("done: {} of {}, {} not", row.done, row.matched, row.failed),
        "done" => format!("done: {}", row.done),
        other => other.to_owned(),
    };
    AuditRow {
        id: row.id,
        at: row.created_at,
        operator: row.operator,
        role: role(&row.role),
        address: row.address,
        node: row.node,
        action: row.action,
        target: row.target,
        reason: row.reason,
        result,
    }
}

fn role(name: &str) -> Role {
    Role::ALL.into_iter().find(|role| role.name() == name).unwrap_or_default()
}
