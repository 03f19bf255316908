//! The store: where it is, and how many connections may be open.

use crate::secret::Secret;
use std::time::Duration;

/// Settings of the store.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`: `sqlite:<file>` or `postgres://…`; unset means `sqlite:<DATA_DIR>/pitchey.db`.
    pub url: Option<Secret>,
    /// `DATABASE_DIRECT_URL`: the same PostgreSQL database past the pooler, for migrations.
    pub direct_url: Option<Secret>,
    /// `DB_POOLER`: what stands between this process and PostgreSQL.
    pub pooler: Pooler,
    /// The pool.
    pub pool: PoolConfig,
    /// `GATEWAY_DB_POOL_SIZE`: the size of the pool in a `pitchey-gateway`, whose connections wait for nothing but
    /// sign-ins, joins and messages.
    pub gateway_pool_size: u32,
    /// `DB_CONNECTION_BUDGET`: connections of all processes together; what is left bounds this one's pool.
    pub connection_budget: u32,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        // 25 is the limit of the pooler that broke the old platform.
        Self {
            url: None,
            direct_url: None,
            pooler: Pooler::default(),
            pool: PoolConfig::default(),
            gateway_pool_size: 3,
            connection_budget: 25,
        }
    }
}

/// What stands between a process and PostgreSQL. In transaction mode a pooler may give every transaction another
/// server connection, so nothing may rest on what an earlier one left behind: no startup options, no session
/// settings, no session locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler in session mode.
    #[default]
    Direct,
    /// A pooler in transaction mode that tracks prepared statements: PgBouncer from 1.21 with
    /// `max_prepared_statements` above 0, Neon's. Every unit of work is a transaction.
    Tracked,
    /// A pooler in transaction mode that does not, such as PgBouncer before 1.21. Every unit of work is a
    /// transaction, and its statements have no names.
    Legacy,
}

impl Pooler {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Tracked, Self::Legacy];

    /// The name in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Tracked => "tracked",
            Self::Legacy => "legacy",
        }
    }
}

/// The pool of an api that has company: two of 7 and two gateways of 3 leave 5 of the 25 for a rolling restart, whose
/// newcomer runs beside the process it replaces.
pub const SHARED_POOL_SIZE: u32 = 7;

/// Limits of one process's pool (R-021…R-028).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// `DB_POOL_SIZE`: most connections open at once. On SQLite: readers; writes always share one connection.
    /// Loading lowers the default to [`SHARED_POOL_SIZE`] for processes that share the store.
    pub max_size: u32,
    /// `DB_POOL_TIMEOUT`: longest wait for a connection; then 503 with `Retry-After`.
    pub wait_timeout: Duration,
    /// `DB_POOL_MAX_LIFETIME`: a connection older than this (±10 %) is replaced.
    pub max_lifetime: Duration,
    /// `DB_POOL_IDLE_TIMEOUT`: a connection unused for this long is closed.
    pub idle_timeout: Duration,
    /// `DB_VALIDATE_AFTER`: how long a connection counts as valid after its last success, so that the hot path needs no ping.
    pub validate_after: Duration,
    /// `DB_CONNECT_TIMEOUT`: longest time to open one connection.
    pub connect_timeout: Duration,
    /// `DB_START_TIMEOUT`: how long a process that starts waits for a database that is away.
    pub start_timeout: Duration,
    /// `DB_STATEMENT_TIMEOUT`.
    pub statement_timeout: Duration,
    /// `DB_IDLE_IN_TRANSACTION_TIMEOUT`.
    pub idle_in_transaction_timeout: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_size: 14, // alone on its store: more than half of the 25, and room for a second start and a shell
            wait_timeout: Duration::from_secs(3),
            max_lifetime: Duration::from_mins(30),
            idle_timeout: Duration::from_mins(5),
            validate_after: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            start_timeout: Duration::from_secs(15), // a suspended Neon compute wakes within a few seconds
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: Duration::from_mins(1),
        }
    }
}
