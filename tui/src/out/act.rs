//! `act`: one action, for scripts. Without `--yes` it only says whom it would concern. The same words as after `:` in
//! the console; the server checks role, reason and count all the same.

use super::{CLOSING, nothing, print};
use crate::{
    cli::Cli,
    config::Settings,
    deed,
    figures::plain,
    model::{Moment, Store, What},
    net::Net,
    record::escaped,
};
use anyhow::{bail, ensure};
use shared::{
    lifecycle::Lifecycle,
    protocol::admin::{Action, ActionRequest, Grade, Job, JobState, ProblemBody},
};
use std::process::ExitCode;
use tokio::time::{Instant, timeout_at};

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// What to do.
    pub(crate) words: &'a [String],
    /// Why.
    pub(crate) reason: &'a str,
    /// Most it may concern.
    pub(crate) expect: Option<u64>,
    /// Whether to do it.
    pub(crate) yes: bool,
    /// Print the job as JSON.
    pub(crate) json: bool,
}

/// See the module.
pub(crate) async fn act(cli: &Cli, settings: &Settings, asked: Asked<'_>) -> anyhow::Result<ExitCode> {
    let words: Vec<&str> = asked.words.iter().map(String::as_str).collect();
    let action = deed::parse(&words).map_err(|problem| anyhow::anyhow!("{problem}\n\n{}", deed::FORMS))?;
    let missing = asked.yes && action.grade() >= Grade::Costly && asked.reason.trim().chars().count() < 3;
    ensure!(!missing, "say why with --reason: this goes into the audit log");
    let request = ActionRequest {
        key: format!("{}-act", settings.seed),
        reason: asked.reason.trim().to_owned(),
        expect: asked.expect,
        dry_run: !asked.yes,
        action,
    };
    let life = Lifecycle::new();
    let place = cli.place(settings, settings.context.as_deref());
    let looked_at = place.to_string();
    let mut net = Net::start(place, &settings.operator, &life);
    let outcome = perform(&mut net, request, cli, &looked_at).await;
    drop(net);
    life.shutdown(CLOSING).await;
    told(outcome?, asked)
}

fn told(outcome: Result<Job, ProblemBody>, asked: Asked<'_>) -> anyhow::Result<ExitCode> {
    let job = match outcome {
        Ok(job) => job,
        Err(problem) => bail!("refused ({}): {}", plain(&problem.code), plain(&problem.message)),
    };
    if asked.json {
        print(&(escaped(&serde_json::to_string_pretty(&job)?) + "\n"))?;
    } else {
        print(&(describe(&job) + "\n"))?;
    }
    Ok(if job.state == JobState::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn describe(job: &Job) -> String {
    let what = format!("{} {}", job.action.name().replace('_', " "), plain(&job.action.target()));
    let note = if job.note.is_empty() { String::new() } else { format!(" ({})", plain(&job.note)) };
    match job.state {
        JobState::DryRun => {
            let undo = job.action.undo();
            format!("{what}: would concern {}; undo: {undo}. Nothing was done: add --yes", job.matched)
        }
        JobState::Running => format!("{what}: under way, {} of {}{note}", job.done, job.matched),
        JobState::Done => format!("{what}: {} of {} done{note}", job.done, job.matched),
        JobState::Failed => format!("{what}: FAILED, {} of {} done{note}", job.done, job.matched),
    }
}

/// Waits until a process that can do it is heard, and asks it. The one the action is about is asked if it is heard in
/// time, because a process may know only itself.
async fn perform(
    net: &mut Net,
    request: ActionRequest,
    cli: &Cli,
    looked_at: &str,
) -> anyhow::Result<Result<Job, ProblemBody>> {
    let (mut store, began) = (Store::default(), Instant::now());
    let until = began + cli.patience();
    let link = loop {
        if let Some(link) = best(&store, &request.action, Instant::now() >= until) {
            break link;
        }
        match timeout_at(until, net.events.recv()).await {
            Ok(Some(event)) => store.apply(event, began.elapsed()),
            _ => match best(&store, &request.action, true) {
                Some(link) => break link,
                None if store.hello().is_none() => bail!("{}", nothing(&store, looked_at)),
                None => bail!("no process that is heard can {}", request.action.name().replace('_', " ")),
            },
        }
    };
    net.act(&link, request);
    loop {
        match net.events.recv().await {
            Some(event) => match event.what {
                What::Acted { outcome, .. } => return Ok(*outcome),
                _ => store.apply(event, Moment::ZERO),
            },
            None => bail!("the links ended"),
        }
    }
}

/// The link to ask; any that can do it will do when the action is about no node, or when time is up.
fn best(store: &Store, action: &Action, late: bool) -> Option<String> {
    let able = || store.links().iter().filter(|link| link.can(action.name()));
    let node = crate::app::node_of(action);
    let theirs = able().find(|link| link.hello().map(|hello| &hello.node.name) == node.as_ref());
    theirs.or_else(|| able().next().filter(|_| late || node.is_none())).map(|link| link.name().to_owned())
}
