//! The process as handlers see it: one cheap clone with everything they may use, made once in `main` or by a test.

use crate::{
    http::{cookie::SessionCookie, pagination::Cursors},
    router::Router,
    routes,
};
use shared::{clock::Clock, config::Config, lifecycle::Lifecycle, metrics::Metrics, store::Store};
use std::{ops::Deref, sync::Arc, time::Instant};

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
    /// How lists are continued.
    pub cursors: Cursors,
    /// How sessions are handed to browsers.
    pub cookie: SessionCookie,
    /// What it answers.
    pub router: Router,
    /// When it started.
    pub started: Instant,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Puts the parts together. `secret` is the installation's: every process of it must have the same.
    pub fn new(
        config: Config,
        clock: Clock,
        lifecycle: Lifecycle,
        metrics: Metrics,
        store: Store,
        secret: &[u8],
    ) -> Self {
        Self(Arc::new(Parts {
            cookie: SessionCookie::new(&config),
            cursors: Cursors::new(secret),
            router: routes::table().build(),
            started: Instant::now(),
            config,
            clock,
            lifecycle,
            metrics,
            store,
        }))
    }
}
