//! A store of one test, on either database, with a clock that the test moves.

use super::{Database, Postgres};
use crate::{
    clock::{Clock, Timestamp},
    config::{DatabaseConfig, PoolConfig},
    secret::Secret,
    store::Store,
};
use tempfile::TempDir;

/// A migrated store and what it stands on; all of it goes away with this value.
#[derive(Debug)]
pub struct TestStore {
    /// The store.
    pub store: Store,
    /// Its clock, which stands still unless it is moved.
    pub clock: Clock,
    /// What it was opened with: open a second one with it to play another process.
    pub config: DatabaseConfig,
    /// Where it may leave files.
    pub folder: TempDir,
    /// Dropped after the store: its drop ends connections that are still open.
    _database: Option<Database>,
}

impl TestStore {
    /// On SQLite.
    pub async fn sqlite() -> Self {
        Self::sqlite_with(PoolConfig::default()).await
    }

    /// On SQLite, with limits of the test's choice.
    pub async fn sqlite_with(pool: PoolConfig) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("pitchey.db").display());
        let config = DatabaseConfig { url: Some(Secret::new(url)), pool, ..DatabaseConfig::default() };
        let this = Self::open(config, folder, None).await;
        this.store.migrate().await.expect("the migrations apply");
        this
    }

    /// On PostgreSQL; `None` (said loudly) if the machine has none.
    pub async fn postgres() -> Option<Self> {
        Self::postgres_with(PoolConfig::default()).await
    }

    /// On PostgreSQL, with limits of the test's choice.
    pub async fn postgres_with(pool: PoolConfig) -> Option<Self> {
        Self::postgres_as(|config| config.pool = pool).await
    }

    /// On PostgreSQL, with settings of the test's choice.
    pub async fn postgres_as(change: impl FnOnce(&mut DatabaseConfig)) -> Option<Self> {
        let database = Postgres::shared()?.create_database().await;
        let mut config = DatabaseConfig { url: Some(Secret::new(database.url())), ..DatabaseConfig::default() };
        change(&mut config);
        Some(Self::open(config, tempfile::tempdir().expect("a temporary folder"), Some(database)).await)
    }

    async fn open(config: DatabaseConfig, folder: TempDir, database: Option<Database>) -> Self {
        // 2026-01-01T00:00:00Z
        let clock = Clock::manual(Timestamp::from_micros(1_767_225_600_000_000));
        let store = Store::connect(&config, folder.path(), "test", clock.clone()).await.expect("the store opens");
        Self { store, clock, config, folder, _database: database }
    }

    /// Another handle on the same database with pools of its own, as a second process would have.
    pub async fn reopen(&self) -> Store {
        let opened = Store::connect(&self.config, self.folder.path(), "test", self.clock.clone()).await;
        opened.expect("the store opens again")
    }
}
