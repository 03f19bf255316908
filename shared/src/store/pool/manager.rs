//! How bb8 opens, checks and judges a connection. The heart is one flag.
//!
//! **The transaction trap.** sqlx's `Transaction` only *queues* a ROLLBACK when it is dropped, and bb8 never sends
//! it: a handler that leaves early hands the pool a connection that is still `idle in transaction`, holding locks.
//! A future that is cancelled half-way leaves the answer of a statement unread on the wire. So whoever works on a
//! connection raises `dirty` first and lowers it only after an orderly end that was awaited. Whatever else happens
//! (panic, timeout, the client went away) leaves it raised, and bb8 throws the connection away.

use super::{Interrupt, tally::Tally};
use crate::config::PoolConfig;
use sqlx::Connection;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// A ping that takes longer than this means that the connection is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

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
}

/// A connection and what the pool must know about it.
pub(in crate::store) struct Managed<C> {
    /// The driver's connection.
    pub(in crate::store) raw: C,
    /// Raised while work is going on; see the file's head.
    pub(in crate::store) dirty: bool,
    /// Cuts off the running statement (SQLite only; PostgreSQL's server has `statement_timeout`).
    interrupt: Option<Interrupt>,
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
        Self { backend, config, tally }
    }

    /// ±10 %, so that connections opened together are not replaced together.
    fn lifetime(&self) -> Duration {
        let mut byte = [0_u8; 1];
        // Without randomness the jitter is zero; nothing depends on it.
        let jitter = getrandom::fill(&mut byte).map_or(0.5, |()| f64::from(byte[0]) / 255.0);
        self.config.max_lifetime.mul_f64(0.9 + jitter * 0.2)
    }
}

impl<B: Backend> bb8::ManageConnection for Manager<B> {
    type Connection = Managed<B::Raw>;
    type Error = sqlx::Error;

    async fn connect(&self) -> Result<Self::Connection, sqlx::Error> {
        let opened = timeout(self.config.connect_timeout, self.backend.open()).await;
        let (raw, interrupt) = opened.map_err(|_| timed_out("connecting took too long"))??;
        let now = Instant::now();
        let retire_at = now + self.lifetime();
        Ok(Managed { raw, dirty: false, interrupt, last_ok: now, retire_at, rejected: false })
    }

    async fn is_valid(&self, conn: &mut Self::Connection) -> Result<(), sqlx::Error> {
        // No ping on the hot path: a connection that worked a moment ago is believed.
        if conn.last_ok.elapsed() < self.config.validate_after {
            return Ok(());
        }
        if conn.answers().await {
            conn.last_ok = Instant::now();
            return Ok(());
        }
        conn.rejected = true;
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
