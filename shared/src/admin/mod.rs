//! The admin listener: what every process shows its operators, and to nobody else.
//!
//! ```text
//! GET  /health/live      no token: is the process there at all
//! GET  /metrics          Prometheus' text
//! GET  /admin/snapshot   one tick as JSON
//! GET  /admin/stream     WebSocket: hello, history, a tick a second, lists that were subscribed to
//! POST /admin/actions    what operators do
//! ```
//!
//! It listens on loopback only, and that is not enough: **any web page can reach loopback** through its visitor's
//! browser. Hence three rules, in [`guard`]: no request with an `Origin`, none whose `Host` is not a loopback name with
//! our port (DNS rebinding), and a fresh random token per process, in a file only its owner can read, where the console
//! finds it by itself.
//!
//! It takes no new work away from the process and outlives the drain, so that operators can watch it: its tasks are on
//! a tracker of their own and end with the process's hard token.

mod actions;
mod alerts;
mod guard;
mod history;
mod lists;
mod page;
mod process;
mod recorder;
mod rules;
mod sampler;
mod select;
mod server;
mod sockets;
mod stream;
mod subscriptions;
mod token;

use crate::{
    clock::{Clock, Timestamp},
    config::{AdminConfig, ConfigError, DataDir, Environment},
    lifecycle::Lifecycle,
    metrics::Metrics,
    ops::Ops,
    protocol::admin::NodeInfo,
    secret::TokenHash,
    store::Store,
};
use actions::Jobs;
use alerts::Alerts;
use guard::Caller;
use history::History;
pub use select::{Picked, Plan};
pub use sockets::{SocketGauges, SocketHandle, Sockets, Which};

use recorder::Recorder;
use sampler::Sampler;
use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64},
    },
};
use token::TokenGuard;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the host has to show.
#[derive(Clone, Debug)]
pub struct AdminSources {
    /// The process's name, in the token file's name and in `hello`.
    pub name: String,
    /// Development or production.
    pub environment: Environment,
    /// The store, if the process has one.
    pub store: Option<Store>,
    /// What the process counts.
    pub metrics: Metrics,
    /// Who is asked for the time.
    pub clock: Clock,
    /// Most sockets the process takes; 0 if it takes none.
    pub socket_limit: usize,
    /// What operators can do to the store and the engine.
    pub ops: Option<Ops>,
    /// Its gateway, if it has one.
    pub sockets: Option<Arc<dyn Sockets>>,
}

/// An open admin listener. Dropping it closes the listener, ends its streams and removes the token file.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    token: TokenGuard,
    end: CancellationToken,
    tracker: TaskTracker,
}

/// What the tasks of one listener share.
#[derive(Debug)]
struct Shared {
    sources: AdminSources,
    sampler: Sampler,
    recorder: Mutex<Recorder>,
    history: Mutex<History>,
    alerts: Mutex<Alerts>,
    jobs: Jobs,
    port: u16,
    token: TokenHash,
    consoles: AtomicU32,
    /// Bytes sent to consoles so far.
    console_bytes: AtomicU64,
    /// CPU time used to make lists for consoles so far, in microseconds.
    console_cpu_us: AtomicU64,
    started_at: Timestamp,
    end: CancellationToken,
    tracker: TaskTracker,
    lifecycle: Lifecycle,
}

impl Admin {
    /// Binds, writes the token file and begins to serve. The error names the setting that cannot be used.
    ///
    /// When the **default** port is taken, by another process of ours as a rule, a free one is used instead: the token
    /// file says which. An address that was chosen is taken or refused.
    pub async fn open(
        config: &AdminConfig,
        data_dir: &DataDir,
        sources: AdminSources,
        lifecycle: &Lifecycle,
    ) -> Result<Self, ConfigError> {
        let listener = bind(config).await.map_err(|error| ConfigError::unusable("ADMIN_ADDR", config.addr, error))?;
        let address = listener.local_addr().map_err(|error| ConfigError::unusable("ADMIN_ADDR", config.addr, error))?;
        let (token, hash) = TokenGuard::write(&data_dir.0, &sources.name, address)
            .map_err(|error| ConfigError::unusable("DATA_DIR", data_dir.0.display(), error))?;
        let shared = Arc::new(Shared::new(sources, config, (address.port(), hash), lifecycle));
        let (end, tracker) = (shared.end.clone(), shared.tracker.clone());
        actions::take_up(&shared).await;
        tracker.spawn(sampler::run(Arc::clone(&shared)));
        tracker.spawn(server::run(listener, shared));
        Ok(Self { address, token, end, tracker })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file a console reads to get in.
    pub fn token_file(&self) -> &Path {
        self.token.path()
    }

    /// Ends every stream with a close frame and waits for all tasks; they look at the token at every turn.
    pub async fn close(self) {
        self.end.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Shared {
    fn new(
        sources: AdminSources,
        config: &AdminConfig,
        (port, token): (u16, TokenHash),
        lifecycle: &Lifecycle,
    ) -> Self {
        Self {
            sampler: Sampler::default(),
            recorder: Mutex::default(),
            history: Mutex::new(History::new()),
            alerts: Mutex::new(Alerts::new(&sources.name, rules::rules(&config.alerts))),
            jobs: Jobs::default(),
            port,
            token,
            consoles: AtomicU32::new(0),
            console_bytes: AtomicU64::new(0),
            console_cpu_us: AtomicU64::new(0),
            started_at: sources.clock.now(),
            end: lifecycle.hard().child_token(),
            tracker: TaskTracker::new(),
            lifecycle: lifecycle.clone(),
            sources,
        }
    }

    /// What does not change while the process lives.
    fn info(&self) -> NodeInfo {
        NodeInfo {
            name: self.sources.name.clone(),
            version: server::VERSION.into(),
            environment: self.sources.environment.as_str().into(),
            pid: std::process::id(),
            started_at: self.started_at,
            socket_limit: self.sources.socket_limit as u64,
            engine: self.sources.ops.as_ref().map_or("", |ops| ops.engine().kind()).into(),
            store: self.sources.store.as_ref().map_or("", Store::kind).into(),
        }
    }
}

async fn bind(config: &AdminConfig) -> io::Result<TcpListener> {
    match TcpListener::bind(config.addr).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && config.addr == AdminConfig::default().addr => {
            TcpListener::bind(SocketAddr::new(config.addr.ip(), 0)).await
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests;
