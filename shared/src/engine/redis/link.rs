//! The way for commands to Redis: one life at a time, the next one begun when it ends.
//!
//! While it is down, or in doubt because a command was not answered in time, calls fail at once: whoever can go on
//! without Redis does not wait for it a second time. Calls made before the first attempt to connect is over wait for it.

use super::{
    Keys, Reply, Script, ServerInfo,
    address::Address,
    info,
    life::{Life, Task},
    lives::{LinkHealth, Lives, Pauses},
};
use crate::{
    clock::{Clock, Timestamp},
    config::RedisConfig,
    engine::EngineError,
};
use fred::{
    error::{Error, ErrorKind},
    interfaces::{ClientLike, LuaInterface, PubsubInterface},
    types::{ClusterHash, CustomCommand, Value},
};
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// How often a connection is asked whether it is there.
const PROBE: Duration = Duration::from_secs(1);

/// Keeps the engine's connections and tasks. A cheap clone; with the last one they end.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Link {
    route: Route,
    _keeps: Arc<DropGuard>,
}

/// The same without keeping anything: what the engine's own tasks hold.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Route(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    address: Address,
    timeout: Duration,
    keys: Keys,
    clock: Clock,
    lives: Lives<Arc<Current>>,
    /// Ends every task of the engine.
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The life in use.
#[derive(Debug)]
struct Current {
    life: Life,
    /// A command was not answered in time, and no ping has been since.
    doubted: AtomicBool,
    /// Rung by who doubts.
    look: Notify,
    /// Cancelled by who knows that this life is of no use.
    condemned: CancellationToken,
}

impl Link {
    /// Begins to connect, in the background. Fails only for settings that can never work.
    pub(in crate::engine) fn new(config: &RedisConfig, clock: Clock) -> Result<Self, EngineError> {
        let stop = CancellationToken::new();
        let route = Route(Arc::new(Shared {
            address: Address::new(config)?,
            timeout: config.timeout,
            keys: Keys::new(&config.prefix),
            lives: Lives::new("for commands", clock.clone()),
            clock,
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        }));
        let shared = Arc::clone(&route.0);
        route.spawn(async move { keep_alive(&shared).await });
        Ok(Self { route, _keeps: Arc::new(stop.drop_guard()) })
    }

    /// For a task that must not keep the engine alive.
    pub(in crate::engine) fn route(&self) -> Route {
        self.route.clone()
    }
}

impl Deref for Link {
    type Target = Route;

    fn deref(&self) -> &Route {
        &self.route
    }
}

impl Route {
    /// Runs a task of the engine until it ends or the last [`Link`] is gone.
    pub(in crate::engine) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    pub(in crate::engine) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(in crate::engine) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(in crate::engine) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    pub(in crate::engine) fn address(&self) -> &Address {
        &self.0.address
    }

    /// Whether this is a Cluster, where pub/sub is sharded.
    pub(in crate::engine) fn is_cluster(&self) -> bool {
        self.0.address.is_cluster()
    }

    /// The command that publishes, for scripts.
    pub(in crate::engine) fn publish_command(&self) -> Value {
        Value::from_static_str(if self.is_cluster() { "SPUBLISH" } else { "PUBLISH" })
    }

    /// What a script takes as the time: nothing, and it asks Redis, or a hand-moved clock's milliseconds.
    pub(in crate::engine) fn now(&self) -> Value {
        match &self.0.clock {
            Clock::System => Value::from_static_str(""),
            clock @ Clock::Manual(_) => Value::Integer(clock.now().as_millis()),
        }
    }

    /// Runs a script, once: what fails may have been carried out, and is never sent again. Its text travels only to a
    /// server that does not know it.
    pub(in crate::engine) async fn run(
        &self,
        what: &'static str,
        script: &Script,
        keys: Vec<String>,
        args: Vec<Value>,
    ) -> Result<Reply, EngineError> {
        // Boxed: what fred needs to wait for an answer is kilobytes, and would be part of every caller's own future.
        Box::pin(self.run_script(what, script, keys, args)).await
    }

    async fn run_script(
        &self,
        what: &'static str,
        script: &Script,
        keys: Vec<String>,
        args: Vec<Value>,
    ) -> Result<Reply, EngineError> {
        let current = self.current(what).await?;
        let client = &current.life.client;
        let call = async {
            match client.evalsha::<Value, _, _, _>(script.sha(), keys.clone(), args.clone()).await {
                Err(problem) if problem.details().starts_with("NOSCRIPT") => {
                    client.eval(script.source(), keys, args).await
                }
                outcome => outcome,
            }
        };
        let outcome = current.life.answer(call).await;
        outcome.map(|value| Reply::new(what, value)).map_err(|problem| current.judge(what, &problem))
    }

    /// Publishes what is not remembered anywhere.
    pub(in crate::engine) async fn publish(
        &self,
        what: &'static str,
        channel: String,
        message: String,
    ) -> Result<(), EngineError> {
        let current = self.current(what).await?;
        let client = &current.life.client;
        let outcome = if self.is_cluster() {
            current.life.answer(client.spublish::<Value, _, _>(channel, message)).await
        } else {
            current.life.answer(client.publish::<Value, _, _>(channel, message)).await
        };
        outcome.map(drop).map_err(|problem| current.judge(what, &problem))
    }

    /// What a server says about itself; on a Cluster, any of them.
    pub(in crate::engine) async fn info(&self) -> Result<ServerInfo, EngineError> {
        const WHAT: &str = "ask Redis how it is";
        let current = self.current(WHAT).await?;
        let client = &current.life.client;
        let list = CustomCommand::new_static("CLIENT", ClusterHash::Random, false);
        let ask = async {
            let info: String = client.info(None).await?;
            let subscribers: String = client.custom(list, vec!["LIST", "TYPE", "PUBSUB"]).await?;
            Ok(ServerInfo::read(&info, &subscribers))
        };
        Box::pin(current.life.answer(ask)).await.map_err(|problem| current.judge(WHAT, &problem))
    }

    async fn current(&self, what: &'static str) -> Result<Arc<Current>, EngineError> {
        let current = self.0.lives.present(what, self.0.timeout).await?;
        if current.doubted.load(Ordering::Acquire) {
            return Err(EngineError::Unavailable { what });
        }
        Ok(current)
    }

    /// Which connection this is, counted from 1; `None` while there is none.
    pub(in crate::engine) fn life(&self) -> Option<u64> {
        self.0.lives.number()
    }

    /// Waits until that changes.
    pub(in crate::engine) async fn other_life(&self, than: Option<u64>) {
        self.0.lives.other_than(than).await;
    }

    /// How the connection is.
    pub(in crate::engine) fn health(&self) -> LinkHealth {
        let mut health = self.0.lives.health();
        if self.0.lives.now().is_some_and(|current| current.doubted.load(Ordering::Acquire)) {
            health.up = false;
            health.problem = Some("no answer in time".into());
        }
        health
    }

    /// Since when, on the engine's clock, there is a connection; `None` while there is none.
    pub(in crate::engine) fn up_since(&self) -> Option<Timestamp> {
        let health = self.0.lives.health();
        health.up.then_some(health.since)
    }
}

impl Current {
    /// What a failure means: for the caller, and for this life.
    fn judge(&self, what: &'static str, problem: &Error) -> EngineError {
        match problem.kind() {
            ErrorKind::Backpressure => return EngineError::Busy { what },
            ErrorKind::Timeout => {
                tracing::debug!(what, "Redis did not answer in time");
                self.doubted.store(true, Ordering::Release);
                self.look.notify_one();
                return EngineError::Unavailable { what };
            }
            ErrorKind::Canceled | ErrorKind::IO => return EngineError::Unavailable { what },
            _ => {}
        }
        match problem.details().split_whitespace().next().unwrap_or_default() {
            // Full, or busy with somebody's script: later.
            "OOM" | "BUSY" => {
                tracing::warn!(what, %problem, "Redis refuses for now");
                return EngineError::Busy { what };
            }
            // A slot is on its way from one server to another.
            "TRYAGAIN" => tracing::debug!(what, "a slot is being moved"),
            // This server is not the one any more, or not yet.
            "READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" => {
                tracing::debug!(what, %problem, "this server cannot serve: connecting anew");
                self.condemned.cancel();
            }
            _ => tracing::error!(what, %problem, "Redis refused a command"),
        }
        EngineError::Unavailable { what }
    }
}

/// Connects, again and again.
async fn keep_alive(shared: &Shared) {
    let mut pauses = Pauses::new();
    loop {
        let problem = match Life::begin(&shared.address, shared.timeout).await {
            Err(problem) => problem,
            Ok((life, task)) => {
                pauses.reset();
                live(shared, life, task).await
            }
        };
        shared.lives.down(&problem);
        pauses.pause().await;
    }
}

/// One life, to its end; says why it came.
async fn live(shared: &Shared, life: Life, mut task: Task) -> Error {
    let (doubted, look, condemned) = (AtomicBool::new(false), Notify::new(), CancellationToken::new());
    let current = Arc::new(Current { life, doubted, look, condemned });
    shared.lives.up(Arc::clone(&current));
    let mut probes = tokio::time::interval(PROBE);
    probes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut advice, mut advised) = (Box::pin(advise(&current.life)), false);
    loop {
        tokio::select! {
            biased;
            problem = task.ended() => return problem,
            () = current.condemned.cancelled() => return Error::new(ErrorKind::Routing, "the server cannot serve"),
            () = advice.as_mut(), if !advised => {
                advised = true;
                continue;
            }
            () = current.look.notified() => {}
            _ = probes.tick() => {}
        }
        if let Err(problem) = current.life.ping().await {
            return problem;
        }
        current.doubted.store(false, Ordering::Release);
    }
}

/// Tells the log what speaks against the way the server is set up; on a Cluster, any of them.
async fn advise(life: &Life) {
    match life.answer(life.client.info::<String>(None)).await {
        Ok(text) => {
            if let Some(advice) = info::advice(&text) {
                tracing::warn!("Redis: {advice}");
            }
        }
        Err(problem) => tracing::debug!(%problem, "Redis does not tell how it is set up"),
    }
}
