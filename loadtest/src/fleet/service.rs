//! One process of the platform: a gateway or an api, with a port that stays its own while it is down.

use crate::{
    http::Line,
    process::Process,
    target::{Target, at},
};
use anyhow::Context as _;
use shared::servers::process::{Port, Setup, Supervised};
use std::{path::Path, sync::Arc};
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Gateway,
    Api,
}

/// A process. A cheap clone; it ends with the last one.
#[derive(Clone, Debug)]
pub(crate) struct Service(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    role: Role,
    name: String,
    process: Supervised,
    port: Port,
}

impl Service {
    /// Prepares a process with these settings (`name=value`), and starts it without waiting for it.
    pub(crate) fn start(role: Role, number: usize, program: &Path, settings: &[String]) -> anyhow::Result<Self> {
        let name = match role {
            Role::Gateway => format!("gw-{number}"),
            Role::Api => format!("api-{number}"),
        };
        let (port, setup) = (Port::reserve()?, Setup::new(&name)?);
        let data_dir = setup.folder().join("data");
        let own = [
            format!("--port={}", port.number()),
            format!("--node-name={name}"),
            format!("--data-dir={}", data_dir.display()),
            "--admin-addr=127.0.0.1:0".to_owned(),
        ];
        let flags = settings.iter().map(|setting| flag(setting)).collect::<anyhow::Result<Vec<_>>>()?;
        let program = program.display().to_string();
        let words = std::iter::once(&program).chain(&own).chain(&flags).map(String::as_str);
        let process = setup.supervise(&words.collect::<Vec<_>>(), "KILL")?;
        process.start();
        Ok(Self(Arc::new(Parts { role, name, process, port })))
    }

    pub(crate) fn role(&self) -> Role {
        self.0.role
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it listens.
    pub(crate) fn target(&self) -> Target {
        at(self.0.port.addr())
    }

    /// The process, to read its CPU and memory; none if it does not run.
    pub(crate) fn process(&self) -> Option<Process> {
        self.0.process.pid().map(Process::new)
    }

    /// Waits until it says that it is ready; fails with its last words if it ends instead.
    pub(crate) async fn until_ready(&self) -> anyhow::Result<()> {
        let ready = async || self.is_ready().await;
        self.0.process.until_ready(ready).await.with_context(|| format!("{} did not start", self.0.name))
    }

    /// Whether it is there and takes new work, as a balancer asks.
    pub(crate) async fn is_ready(&self) -> bool {
        let mut line = Line::new(self.target(), None, TaskTracker::new());
        line.get("/health/ready", None).await.is_ok_and(|answer| answer.status.is_success())
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(&self) -> anyhow::Result<()> {
        self.order(|process| process.end("KILL")).await
    }

    /// Ends it in good order and waits for the end.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        self.order(|process| process.end("TERM")).await
    }

    /// Starts it again on its port, and waits until it is ready.
    pub(crate) async fn start_again(&self) -> anyhow::Result<()> {
        self.order(Supervised::start).await?;
        self.until_ready().await
    }

    /// What it wrote to its log that is worse than a remark: lines with `ERROR` or a panic.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.0.process.folder().join("log")).unwrap_or_default();
        let bad = |line: &&str| line.contains("ERROR") || line.contains("panicked");
        log.lines().filter(bad).map(|line| format!("{}: {line}", self.0.name)).collect()
    }

    /// Orders wait for the process's end, which may take as long as its drain.
    async fn order(&self, order: impl FnOnce(&Supervised) + Send + 'static) -> anyhow::Result<()> {
        let parts = Arc::clone(&self.0);
        spawn_blocking(move || order(&parts.process)).await.context("an order to a process failed")
    }
}

/// `REDIS_URL=redis://…` as the flag `--redis-url=redis://…`.
pub(crate) fn flag(setting: &str) -> anyhow::Result<String> {
    let (name, value) = setting.split_once('=').with_context(|| format!("{setting}: NAME=VALUE is wanted"))?;
    Ok(format!("--{}={value}", name.to_lowercase().replace('_', "-")))
}
