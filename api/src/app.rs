//! The process as handlers see it: one cheap clone with everything they may use, made once in `main` or by a test.

use crate::{
    embedded::Sockets,
    http::{cookie::SessionCookie, pagination::Cursors},
    router::Router,
    routes,
    services::{Health, Mailer, Passwords},
    views::Views,
};
use shared::{
    clock::Clock, config::Config, engine::Engine, lifecycle::Lifecycle, metrics::Metrics, ops::Ops, store::Store,
};
use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
    time::Instant,
};

/// A handle of the process. A cheap clone: every clone is the same process.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

/// What the process is made of.
#[derive(Debug)]
pub struct Parts {
    /// What it was told.
    pub config: Config,
    /// What time it is.
    pub clock: Clock,
    /// How it ends.
    pub lifecycle: Lifecycle,
    /// What it counts.
    pub metrics: Metrics,
    /// What survives.
    pub store: Store,
    /// What is live.
    pub engine: Engine,
    /// What REST and the gateway share.
    pub ops: Ops,
    /// How lists are continued.
    pub cursors: Cursors,
    /// How sessions are handed to browsers.
    pub cookie: SessionCookie,
    /// How passwords are checked.
    pub passwords: Passwords,
    /// How mail leaves.
    pub mailer: Mailer,
    /// How the process is.
    pub health: Health,
    /// Where looks at pitches are counted.
    pub views: Views,
    /// What it answers.
    pub router: Router,
    /// The gateway of this process, once it has started.
    pub sockets: OnceLock<Sockets>,
    /// When it started.
    pub started: Instant,
}

/// What an [`App`] is put together from.
#[derive(Debug)]
pub struct Foundation {
    /// What the process was told.
    pub config: Config,
    /// How it ends.
    pub lifecycle: Lifecycle,
    /// What it counts.
    pub metrics: Metrics,
    /// What survives; its clock is the process's clock.
    pub store: Store,
    /// What is live.
    pub engine: Engine,
    /// The installation's secret, the same for every process of it.
    pub secret: Vec<u8>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Puts the parts together.
    pub fn new(foundation: Foundation) -> Self {
        Self::with_routes(foundation, routes::table())
    }

    /// The same with another table: for tests that need a handler nobody should have.
    pub fn with_routes(foundation: Foundation, table: crate::router::Table) -> Self {
        let Foundation { config, lifecycle, metrics, store, engine, secret } = foundation;
        let clock = store.clock().clone();
        let ops = Ops::new(store.clone(), engine.clone(), clock.clone(), config.session.clone());
        Self(Arc::new(Parts {
            ops: ops.with_public_rooms(&config.gateway.public_rooms),
            cookie: SessionCookie::new(&config),
            cursors: Cursors::new(&secret),
            passwords: Passwords::new(),
            mailer: Mailer::files(&config.data_dir),
            health: Health::default(),
            views: Views::start(store.clone(), &lifecycle),
            router: table.build(),
            sockets: OnceLock::new(),
            started: Instant::now(),
            config,
            clock,
            lifecycle,
            metrics,
            store,
            engine,
        }))
    }
}
