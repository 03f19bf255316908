//! `POST /admin/actions`: what operators may do, checked, counted, recorded and carried out.
//!
//! ```text
//! read ─▶ form ─▶ role ─▶ count ─▶ expected? ─▶ key used before? ─▶ begin (a row) ─▶ carry out ─▶ end (the row)
//!   └── a refusal anywhere is an answer, and from the role on a row of the audit log ──┘
//! ```
//!
//! The row is written before anything happens. When the store is away an action is carried out all the same, because a
//! night on which the database is gone is one on which operators must act; the log line then is the record.

mod check;
mod count;
mod jobs;
mod perform;
mod record;

pub(super) use jobs::Jobs;
pub(super) use record::{shown, take_up};

use super::{
    Caller, Shared,
    server::{self, Answer},
};
use crate::{
    ops::Ops,
    protocol::admin::{Action, ActionRequest, Job, JobState, Problem, ProblemBody},
};
use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, StatusCode, body::Incoming};
use record::Begun;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use uuid::Uuid;

/// Largest request: a thousand sockets, named one by one.
const BODY_BYTES: usize = 128 * 1024;
/// Longest time for it to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the answer waits for the action's end before it says that it is under way.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Why nothing was done.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    body: ProblemBody,
}

impl Refused {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, body: ProblemBody { code: code.into(), message: message.into(), matched: None } }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_action", message)
    }

    /// What the action would need is not here.
    fn unavailable(what: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", format!("this process has no {what}"))
    }

    /// The store or the engine did not answer.
    fn failed(problem: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", problem.to_string())
    }

    fn answer(self) -> Answer {
        server::json(self.status, &Problem { error: self.body })
    }
}

/// The actions this process can carry out.
pub(super) fn supported(shared: &Shared) -> Vec<String> {
    let supported = |name: &&&str| match **name {
        "disconnect" | "drain" | "undrain" => shared.sources.sockets.is_some(),
        "revoke_sessions" | "revoke_session" | "kick" | "announce" => shared.sources.ops.is_some(),
        "ack" | "silence" => true,
        _ => false,
    };
    Action::NAMES.iter().filter(supported).map(|name| (*name).to_owned()).collect()
}

/// Answers a request to act.
pub(super) async fn answer(shared: &Arc<Shared>, caller: &Caller, request: Request<Incoming>) -> Answer {
    match read(request).await {
        Ok(asked) => act(shared, caller, asked).await.unwrap_or_else(Refused::answer),
        Err(refused) => refused.answer(),
    }
}

async fn read(request: Request<Incoming>) -> Result<ActionRequest, Refused> {
    let body = timeout(BODY_TIMEOUT, Limited::new(request.into_body(), BODY_BYTES).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "body", "the body is too long or cut off"));
        }
        Err(_) => return Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "body", "the body took too long")),
    };
    // serde's message names the field or the line, and quotes at most one word.
    serde_json::from_slice(&body).map_err(|error| Refused::bad(format!("this is no action: {error}")))
}

async fn act(shared: &Arc<Shared>, caller: &Caller, asked: ActionRequest) -> Result<Answer, Refused> {
    check::form(&asked)?;
    if !supported(shared).iter().any(|name| name == asked.action.name()) {
        return Err(Refused::unavailable(&format!("way to {}", asked.action.name().replace('_', " "))));
    }
    let concerned = match check::role(&asked.action, caller.role) {
        Ok(()) => count::concerned(shared, &asked.action).await,
        Err(refused) => Err(refused),
    };
    let checked = concerned.and_then(|matched| check::expected(&asked, matched).map(|()| matched));
    let matched = match checked {
        Ok(matched) => matched,
        Err(refused) => {
            if !asked.dry_run {
                record::refuse(shared, caller, &asked, &refused.body).await;
            }
            return Err(refused);
        }
    };
    let job = begun(shared, caller, &asked, matched);
    if asked.dry_run {
        return Ok(server::json(StatusCode::OK, &Job { state: JobState::DryRun, ..job }));
    }
    match record::begin(shared, caller, &asked, &job).await {
        Begun::New => {}
        Begun::Known(earlier) => return Ok(server::json(StatusCode::OK, &earlier)),
        Begun::OtherAction => {
            return Err(Refused::new(StatusCode::CONFLICT, "key_reused", "this key belongs to another action"));
        }
    }
    Ok(carry_out(shared, job, asked).await)
}

fn begun(shared: &Shared, caller: &Caller, asked: &ActionRequest, matched: u64) -> Job {
    Job {
        id: Uuid::now_v7(),
        action: asked.action.clone(),
        reason: asked.reason.clone(),
        operator: caller.operator.clone(),
        role: caller.role,
        node: shared.sources.name.clone(),
        state: JobState::Running,
        matched,
        done: 0,
        failed: 0,
        started_at: shared.now(),
        ended_at: None,
        note: String::new(),
    }
}

/// Starts the job in a task of its own: a console that hangs up does not stop it half-way.
async fn carry_out(shared: &Arc<Shared>, job: Job, asked: ActionRequest) -> Answer {
    let id = job.id;
    shared.jobs.put(job);
    let running = Arc::clone(shared);
    let mut task = shared.tracker.spawn(async move {
        let outcome = tokio::select! {
            biased;
            () = running.end.cancelled() => Err("the process ends".to_owned()),
            outcome = perform::run(&running, id, &asked) => outcome,
        };
        let ended = running.jobs.end(id, running.now(), outcome);
        record::end(&running, ended.as_ref()).await;
    });
    let over = timeout(AT_ONCE, &mut task).await.is_ok();
    let status = if over { StatusCode::OK } else { StatusCode::ACCEPTED };
    match shared.jobs.get(id) {
        Some(job) => server::json(status, &job),
        None => Refused::failed("the job is not remembered").answer(),
    }
}

/// The operations, for actions that need them.
fn ops(shared: &Shared) -> Result<&Ops, Refused> {
    shared.sources.ops.as_ref().ok_or_else(|| Refused::unavailable("operations"))
}
