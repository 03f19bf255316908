//! The store: where it is, and how many connections may be open.

use crate::secret::Secret;
use std::time::Duration;

/// Settings of the store.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`: `sqlite:<file>` or `postgres://…`; unset means `sqlite:<DATA_DIR>/pitchey.db`.
    pub url: Option<Secret>,
    /// The pool.
    pub pool: PoolConfig,
    /// `DB_CONNECTION_BUDGET`: connections of all processes together; what is left bounds this one's pool.
    pub connection_budget: u32,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        // 25 is the limit of the pooler that broke the old platform.
        Self { url: None, pool: PoolConfig::default(), connection_budget: 25 }
    }
}

/// Limits of one process's pool (R-021…R-028).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// `DB_POOL_SIZE`: most connections open at once. On SQLite: readers; writes always share one connection.
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
    /// `DB_STATEMENT_TIMEOUT`.
    pub statement_timeout: Duration,
    /// `DB_IDLE_IN_TRANSACTION_TIMEOUT`.
    pub idle_in_transaction_timeout: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_size: 14, // two of them, two gateways of 3 and a spare stay under the 25 that broke the old platform
            wait_timeout: Duration::from_secs(3),
            max_lifetime: Duration::from_mins(30),
            idle_timeout: Duration::from_mins(5),
            validate_after: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: Duration::from_mins(1),
        }
    }
}
