//! What must survive: SQL, behind bounded pools of connections. One text per query, two databases.
//!
//! ```text
//!  ops, api ── store.tx("message.send", async |tx| { … }) ──▶ pool (bb8) ──▶ SQLite   one writer, several readers
//!          └── store.read("user.by_email", async |c| { … }) ─▶ pool (bb8) ──▶ PostgreSQL, one pool for both
//! ```
//!
//! What this seam promises (`shared/tests/suite/store` proves each on both databases):
//!
//! * A unit of work that fails, panics, takes too long or is dropped leaves no open transaction and no lock. See
//!   `pool/manager.rs` for the trap behind that sentence.
//! * A full pool is a bounded wait, then [`StoreError::Exhausted`]; never a hang.
//! * Times and ids are made in Rust; text order of times is time order on both databases.
//! * No LISTEN, no session-wide advisory locks, no session settings a pooler would lose.
//!
//! It deliberately has no traits, no generic repository and no query builder: a query is a function with its SQL in it.
//!
//! # Who may be cut off
//!
//! Dropping a unit of work is safe (everything is undone) but wasteful: the connection is thrown away. Whatever
//! changes data on behalf of a client that may hang up is therefore spawned on the lifecycle's tracker, and the
//! handler awaits the task: `tracker.spawn(async move { store.tx(…).await }).await`.
//!
//! # Adding a query
//!
//! 1. Pick the subject's file (`users.rs`, `pitches.rs`, …) or add one, and declare it below.
//! 2. Write a free function. It takes `&mut Conn` if it only reads and `&mut Tx` if it changes something; time comes
//!    from `conn.now()`, ids from the caller. Absence is `Ok(None)`.
//!
//!    ```ignore
//!    /// The account with this address, in any spelling.
//!    pub async fn by_email(conn: &mut Conn, email: &str) -> Result<Option<User>, StoreError> {
//!        with_conn!(conn, |c| {
//!            sqlx::query_as("select … where lower(email) = $1").bind(email.to_lowercase()).fetch_optional(c).await
//!        })
//!    }
//!    ```
//!
//!    `execute!(tx, sqlx::query("…").bind(id))` is the same for statements whose rows nobody reads.
//! 3. Keep to the portable subset (`migrations/README.md`). Rows are `#[derive(sqlx::FromRow)]`; enums of the model
//!    get their column form from `text_column!`. Lists are expanded with `sqlx::QueryBuilder`.
//! 4. Call it in a named unit of work: `store.read("users.by_email", async |c| users::by_email(c, email).await)`.
//!    The name is what operators see in the statement statistics: `<subject>.<verb>`.
//! 5. Add a test to `shared/tests/suite/store/<subject>.rs`; it runs on both databases.
//!
//! In a unit of work never wait for anything but its own queries: it holds a connection, and on SQLite the only
//! one that writes.

// First, and with its macro: `text_column!` is in scope of every file below.
#[macro_use]
mod types;

pub mod announcements;
mod conn;
pub mod conversations;
pub mod dashboard;
mod deadline;
pub mod demo;
pub mod devices;
pub mod engagement;
pub mod entry;
mod error;
pub mod follows;
pub mod genres;
pub mod health;
mod histogram;
pub mod inbox;
pub mod installation;
pub mod invalidations;
pub mod leases;
pub mod messages;
mod migrate;
pub mod notifications;
pub mod operators;
pub mod pitches;
mod pool;
mod postgres;
pub mod rooms;
pub mod sessions;
mod sqlite;
mod statements;
#[cfg(feature = "testkit")]
pub mod testing;
pub mod trend;
pub mod users;
pub mod verifications;
pub mod words;

pub use conn::{Conn, Tx};
pub use deadline::by_deadline;
pub use error::StoreError;

use crate::{
    clock::Clock,
    config::{DatabaseConfig, PoolConfig, Pooler},
    model::{PoolStats, StatementStats},
    secret::Secret,
};
use conn::Driver;
use pool::Pool;
use statements::Statements;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// The store. A cheap clone: every clone shares the pools.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    db: Db,
    pool: PoolConfig,
    clock: Clock,
    statements: Statements,
}

/// The two databases.
enum Db {
    Postgres { pool: Pool<postgres::Postgres>, manner: postgres::Manner, migrations: Option<MigrationsAt> },
    Sqlite { writer: Pool<sqlite::Sqlite>, readers: Pool<sqlite::Sqlite> },
}

/// Where PostgreSQL is migrated: not through a pooler.
struct MigrationsAt {
    setting: &'static str,
    url: Secret,
    process: String,
}

/// Which of the two databases, and where.
enum Location {
    Postgres(Secret),
    Sqlite(PathBuf),
}

impl Store {
    /// Opens the store that `config` names (`<data_dir>/pitchey.db` if it names none) with one connection, so that
    /// what is wrong shows now. Does not touch the schema: see [`Store::migrate`]. `process` is this process's name
    /// in `pg_stat_activity`.
    pub async fn connect(
        config: &DatabaseConfig,
        data_dir: &Path,
        process: &str,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let pool = config.pool.clone();
        let db = match locate(config.url.as_ref(), data_dir)? {
            Location::Postgres(url) => {
                let backend = postgres::Postgres::new(url.expose(), process, config)?;
                let manner = postgres::Manner::new(config.pooler, &pool);
                let migrations = migrations_at(config, url, process);
                Db::Postgres { pool: Pool::open("postgres", backend, &pool).await?, manner, migrations }
            }
            Location::Sqlite(file) => open_sqlite(&file, &pool).await?,
        };
        Ok(Self(Arc::new(Inner { db, pool, clock, statements: Statements::default() })))
    }

    /// `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        match self.0.db {
            Db::Postgres { .. } => "postgres",
            Db::Sqlite { .. } => "sqlite",
        }
    }

    /// Brings the schema up to date. Running it again changes nothing; a database that is newer than this release
    /// is refused with [`StoreError::SchemaTooNew`]. Not through a pooler: there it is a [`StoreError::Config`] unless
    /// there is an address past it.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match &self.0.db {
            Db::Postgres { migrations: None, .. } => Err(StoreError::Config(
                "DATABASE_DIRECT_URL is not set, and migrations cannot go through a pooler (DB_POOLER)".into(),
            )),
            Db::Postgres { migrations: Some(at), .. } => {
                postgres::migrate(at.setting, at.url.expose(), &at.process).await
            }
            Db::Sqlite { writer, .. } => {
                let mut loan = writer.get().await?;
                loan.dirty = true;
                migrate::apply(&mut loan.raw, migrate::SQLITE).await?;
                loan.settle();
                Ok(())
            }
        }
    }

    /// Whether [`Store::migrate`] can be tried: not through a pooler.
    pub fn can_migrate(&self) -> bool {
        !matches!(self.0.db, Db::Postgres { migrations: None, .. })
    }

    /// Makes sure that the schema is as new as this release: for processes that do not migrate.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let lacks = self.read("schema.check", async |c| migrate::lacks(c).await).await?;
        lacks.map_or(Ok(()), |number| Err(StoreError::SchemaTooOld(number)))
    }

    /// Runs work that changes nothing. On SQLite, and behind a pooler, a write in it fails.
    pub async fn read<T>(
        &self,
        name: &'static str,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.try_read(name, work).await
    }

    /// [`Store::read`] for work that may also fail in the caller's own terms.
    pub async fn try_read<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>,
    ) -> Result<T, E> {
        let (mut conn, limit) = self.loan(self.0.db.for_reading()).await?;
        self.timed(name, limit, async {
            conn.begin_read().await?;
            let outcome = work(&mut conn).await;
            conn.end_read().await;
            outcome
        })
        .await
    }

    /// Runs work in a transaction: committed if it says `Ok`, undone if it says `Err`, panics, is dropped, or takes
    /// longer than a transaction may.
    pub async fn tx<T>(
        &self,
        name: &'static str,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.try_tx(name, work).await
    }

    /// [`Store::tx`] for work that a business rule may refuse: an `Err` of any kind undoes everything.
    pub async fn try_tx<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let (conn, limit) = self.loan(self.0.db.for_writing()).await?;
        self.timed(name, limit, async {
            let mut tx = match Tx::begin(conn).await {
                // It broke while it lay idle and nothing was done yet: another one, which will have been asked first.
                Err(StoreError::Unavailable(_)) => Tx::begin(self.conn(self.0.db.for_writing().await?)).await?,
                begun => begun?,
            };
            match work(&mut tx).await {
                Ok(value) => {
                    tx.commit().await?;
                    Ok(value)
                }
                Err(refusal) => {
                    tx.rollback().await;
                    Err(refusal)
                }
            }
        })
        .await
    }

    /// The clock that units of work take their time from.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// `sqlite` or `postgres`.
    pub fn database(&self) -> &'static str {
        match &self.0.db {
            Db::Postgres { .. } => "postgres",
            Db::Sqlite { .. } => "sqlite",
        }
    }

    /// Every pool's numbers.
    pub fn pool_stats(&self) -> Vec<PoolStats> {
        match &self.0.db {
            Db::Postgres { pool, .. } => vec![pool.stats()],
            Db::Sqlite { writer, readers } => vec![writer.stats(), readers.stats()],
        }
    }

    /// How long each kind of work takes.
    pub fn statement_stats(&self) -> Vec<StatementStats> {
        self.0.statements.stats()
    }

    fn conn(&self, driver: Driver) -> Conn {
        Conn::new(driver, self.0.pool.statement_timeout, self.0.clock.now())
    }

    /// A connection, and how long it may be kept: no longer than a transaction may be idle, nor past the caller's
    /// deadline. Whoever has no time left takes none from those who have, and gives back untouched what came too late.
    async fn loan(
        &self,
        get: impl Future<Output = Result<Driver, StoreError>>,
    ) -> Result<(Conn, Duration), StoreError> {
        let patience = deadline::at_most(Duration::MAX)?;
        let driver = timeout(patience, get).await.unwrap_or(Err(StoreError::Exhausted))?;
        let limit = deadline::at_most(self.0.pool.idle_in_transaction_timeout)?;
        Ok((self.conn(driver), limit))
    }

    /// Runs a unit of work, which is cut off after `limit`, and counts it.
    async fn timed<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let outcome = match timeout(limit, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Timeout.into()),
        };
        self.0.statements.record(name, started.elapsed(), outcome.is_ok());
        outcome
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.database()).finish_non_exhaustive()
    }
}

impl Db {
    async fn for_reading(&self) -> Result<Driver, StoreError> {
        match self {
            Self::Postgres { pool, manner, .. } => Ok(Driver::Postgres(pool.get().await?, manner.clone())),
            Self::Sqlite { readers, .. } => readers.get().await.map(Driver::Sqlite),
        }
    }

    async fn for_writing(&self) -> Result<Driver, StoreError> {
        match self {
            Self::Postgres { pool, manner, .. } => Ok(Driver::Postgres(pool.get().await?, manner.clone())),
            Self::Sqlite { writer, .. } => writer.get().await.map(Driver::Sqlite),
        }
    }
}

fn migrations_at(config: &DatabaseConfig, url: Secret, process: &str) -> Option<MigrationsAt> {
    let process = process.to_owned();
    match (&config.direct_url, config.pooler) {
        (Some(direct), _) => Some(MigrationsAt { setting: "DATABASE_DIRECT_URL", url: direct.clone(), process }),
        (None, Pooler::Direct) => Some(MigrationsAt { setting: "DATABASE_URL", url, process }),
        (None, Pooler::Tracked | Pooler::Legacy) => None,
    }
}

async fn open_sqlite(file: &Path, config: &PoolConfig) -> Result<Db, StoreError> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|error| StoreError::Config(format!("cannot create the folder {}: {error}", folder.display())))?;
    }
    keep_private(file)?;
    // The queue of bb8 is the queue of writers: nobody spins on a busy lock.
    let one = PoolConfig { max_size: 1, ..config.clone() };
    let writer = Pool::open("sqlite-write", sqlite::Sqlite::writer(file, config), &one).await?;
    let readers = Pool::open("sqlite-read", sqlite::Sqlite::reader(file, config), config).await?;
    Ok(Db::Sqlite { writer, readers })
}

/// The file holds hashes and addresses: only its owner may read it. SQLite gives its side files the same mode.
fn keep_private(file: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let opened = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file);
    opened.map(drop).map_err(|error| StoreError::Config(format!("cannot open {}: {error}", file.display())))
}

fn locate(url: Option<&Secret>, data_dir: &Path) -> Result<Location, StoreError> {
    let Some(url) = url else { return Ok(Location::Sqlite(data_dir.join("pitchey.db"))) };
    if let Some(file) = url.expose().strip_prefix("sqlite:") {
        let file = file.strip_prefix("//").unwrap_or(file);
        if file.is_empty() || file.contains(":memory:") {
            return Err(StoreError::Config("DATABASE_URL must name a file after sqlite:".into()));
        }
        return Ok(Location::Sqlite(file.into()));
    }
    if ["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
        return Ok(Location::Postgres(url.clone()));
    }
    Err(StoreError::Config("DATABASE_URL must begin with sqlite: or postgres://".into()))
}

#[cfg(test)]
mod tests {
    use super::{conn::with_conn, *};

    fn where_is(url: &str) -> Result<Location, StoreError> {
        locate(Some(&Secret::new(url)), Path::new("/data"))
    }

    #[test]
    fn an_unset_url_is_a_file_in_the_data_folder() {
        assert!(
            matches!(locate(None, Path::new("/d")), Ok(Location::Sqlite(file)) if file == Path::new("/d/pitchey.db"))
        );
    }

    #[test]
    fn urls_tell_the_databases_apart_and_others_are_refused_by_name() {
        assert!(matches!(where_is("sqlite:x.db"), Ok(Location::Sqlite(file)) if file == Path::new("x.db")));
        assert!(matches!(where_is("sqlite:///tmp/x.db"), Ok(Location::Sqlite(file)) if file == Path::new("/tmp/x.db")));
        assert!(matches!(where_is("postgresql://h/db"), Ok(Location::Postgres(_))));
        for bad in ["mysql://h/db", "sqlite:", "sqlite::memory:", ""] {
            let Err(StoreError::Config(message)) = where_is(bad) else { panic!("{bad} was accepted") };
            assert!(message.contains("DATABASE_URL"), "{message}");
        }
    }

    /// Handlers run on a multi-threaded runtime; this compiles only while their futures may move between threads.
    #[test]
    fn units_of_work_are_send() {
        async fn handler(store: &Store, email: String) -> Result<i64, StoreError> {
            let count = "select count(*) from users where lower(email) = $1";
            store
                .tx("test.send", async |tx| {
                    with_conn!(tx, |c| sqlx::query_scalar::<_, i64>(count).bind(&email).fetch_one(c).await)
                })
                .await
        }
        let needs_send = |future: std::pin::Pin<Box<dyn Future<Output = _> + Send>>| drop(future);
        let _ = |store: Store| needs_send(Box::pin(async move { handler(&store, String::new()).await }));
    }
}
