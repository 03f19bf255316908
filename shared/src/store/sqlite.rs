//! Opening SQLite: one connection that writes, several that only read.
//!
//! `synchronous=NORMAL` with a write-ahead log: a commit is in the operating system's hands when it returns, so a
//! killed process loses nothing (invariant 2). `FULL` would also outlive a power cut, at the price of one fsync per
//! commit; with NORMAL a power cut may take the last commits but never damages the file. Who cannot accept that
//! runs PostgreSQL.

use super::pool::{Backend, Interrupt};
use crate::config::PoolConfig;
use sqlx::{
    ConnectOptions, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::path::Path;

/// Virtual machine steps between two looks at the deadline: well under a millisecond.
const STEPS: i32 = 4_000;

/// Pages a connection keeps for itself, in KiB.
const CACHE_KIB: u32 = 512;

/// Opens connections to one SQLite file.
pub(super) struct Sqlite {
    options: SqliteConnectOptions,
}

impl Sqlite {
    /// For the pool of one that writes; creates the file.
    pub(super) fn writer(file: &Path, config: &PoolConfig) -> Self {
        let options = base(file, config)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        Self { options }
    }

    /// For the pool that reads. `query_only` and not the read-only open mode: that one cannot open a write-ahead
    /// log while no writer has it open.
    pub(super) fn reader(file: &Path, config: &PoolConfig) -> Self {
        Self { options: base(file, config).pragma("query_only", "1") }
    }
}

impl Backend for Sqlite {
    type Raw = SqliteConnection;

    async fn open(&self) -> Result<(SqliteConnection, Option<Interrupt>), sqlx::Error> {
        let mut conn = self.options.connect().await?;
        let interrupt = Interrupt::new();
        let watched = interrupt.clone();
        conn.lock_handle().await?.set_progress_handler(STEPS, move || watched.may_go_on());
        Ok((conn, Some(interrupt)))
    }
}

fn base(file: &Path, config: &PoolConfig) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .foreign_keys(true)
        // The writers' queue is the pool's; this is for other processes, such as a shell that looks at the file.
        .busy_timeout(config.wait_timeout)
        // A quarter of SQLite's default, for each connection: what falls out is still in the system's own cache.
        .pragma("cache_size", format!("-{CACHE_KIB}"))
}
