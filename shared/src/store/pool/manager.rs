//! How bb8 opens, checks and judges a connection. The heart is one flag.
//!
//! **The transaction trap.** sqlx's `Transaction` only *queues* a ROLLBACK when it is dropped, and bb8 never sends
//! it: a handler that leaves early hands the pool a connection that is still `idle in transaction`, holding locks.
//! A future that is cancelled half-way leaves the answer of a statement unread on the wire. So whoever works on a
//! connection raises `dirty` first and lowers it only after an orderly end that was awaited. Whatever else happens
//! (panic, timeout, the client went away) leaves it raised, and bb8 throws the connection away.

use super::{Interrupt, opening, tally::Tally, trust::Trust};
use crate::config::PoolConfig;
use sqlx::Connection;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// A ping that takes longer than this means that the connection is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Up to this much is added before a connection is opened after one could not be.
const RETRY_JITTER: Duration = Duration::from_millis(250);

/// One kind of database: how to open a connection to it.
pub(in crate::store) trait Backend: Send + Sync + 'static {
    /// The driver's connection.
    type Raw: Connection + Send;

    /// Opens a connection, and says how its running statement can be cut off, if the server does not do it.
    fn open(&self) -> impl Future<Output = Result<(Self::Raw, Option<Interrupt>), sqlx::Error>> + Send;
}

/// bb8's manager over a backend.
pub(in crate::store) struct Manager<B> {
    backend: B,
    config: PoolConfig,
    tally: Arc<Tally>,
    trust: Arc<Trust>,
}

/// A connection and what the pool must know about it.
pub(in crate::store) struct Managed<C> {
    /// The driver's connection.
    pub(in crate::store) raw: C,
    /// Raised while work is going on; see the file's head.
    pub(in crate::store) dirty: bool,
    /// Cuts off the running statement (SQLite only; PostgreSQL's server has `statement_timeout`).
    interrupt: Option<Interrupt>,
    trust: Arc<Trust>,
    last_ok: Instant,
    retire_at: Instant,
    /// It did not answer; bb8 counts that as `invalid`, and asks `has_broken` all the same.
    rejected: bool,
}

impl<C: Connection> Managed<C> {
    /// Whether the connection still answers, after something on it failed.
    pub(in crate::store) async fn answers(&mut self) -> bool {
        matches!(timeout(PING_TIMEOUT, self.raw.ping()).await, Ok(Ok(())))
    }

    /// The statements from now on may take this long, where the server does not see to it.
    pub(in crate::store) fn allow(&self, limit: Duration) {
        if let Some(interrupt) = &self.interrupt {
            interrupt.allow(limit);
        }
    }

    /// It was found broken: the others of its pool must answer before they are believed again.
    pub(in crate::store) fn doubt_the_others(&self) {
        self.trust.doubt();
    }

    /// Work has come to an orderly end.
    pub(in crate::store) fn settle(&mut self) {
        self.dirty = false;
        self.last_ok = Instant::now();
    }
}

impl<C> Drop for Managed<C> {
    fn drop(&mut self) {
        // SQLite runs statements on a thread of its own: without this, one that was cut off would run to its end,
        // and the next writer would wait for it.
        if let (true, Some(interrupt)) = (self.dirty, &self.interrupt) {
            interrupt.now();
        }
    }
}

impl<B: Backend> Manager<B> {
    pub(super) fn new(backend: B, config: PoolConfig, tally: Arc<Tally>) -> Self {
        Self { backend, config, tally, trust: Arc::default() }
    }

    /// ±10 %, so that connections opened together are not replaced together.
    fn lifetime(&self) -> Duration {
        self.config.max_lifetime.mul_f64(0.9 + opening::random_part() * 0.2)
    }
}

impl<B: Backend> bb8::ManageConnection for Manager<B> {
    type Connection = Managed<B::Raw>;
    type Error = sqlx::Error;

    async fn connect(&self) -> Result<Self::Connection, sqlx::Error> {
        if self.tally.is_failing() {
            // bb8 backs off, but all connections of all processes in step: a server that comes back, or wakes up,
            // would meet them all in the same moment.
            sleep(RETRY_JITTER.mul_f64(opening::random_part())).await;
        }
        let opened = timeout(self.config.connect_timeout, self.backend.open()).await;
        let opened = opened.unwrap_or_else(|_| Err(timed_out("connecting took too long")));
        self.tally.connected(opened.is_ok());
        let (raw, interrupt) = opened?;
        let now = Instant::now();
        let (retire_at, trust) = (now + self.lifetime(), Arc::clone(&self.trust));
        Ok(Managed { raw, dirty: false, interrupt, trust, last_ok: now, retire_at, rejected: false })
    }

    async fn is_valid(&self, conn: &mut Self::Connection) -> Result<(), sqlx::Error> {
        if self.trust.covers(conn.last_ok, self.config.validate_after) {
            return Ok(());
        }
        if conn.answers().await {
            conn.last_ok = Instant::now();
            return Ok(());
        }
        conn.rejected = true;
        self.trust.doubt();
        Err(timed_out("an idle connection no longer answers"))
    }

    fn has_broken(&self, conn: &mut Self::Connection) -> bool {
        if conn.rejected {
            return false;
        }
        let retired = !conn.dirty && Instant::now() >= conn.retire_at;
        if retired {
            self.tally.retired();
        }
        conn.dirty || retired
    }
}

fn timed_out(what: &'static str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what))
}
