//! Changing the schema beside running processes.
//!
//! An `alter table` waits for everybody who uses the table, and whoever comes later waits behind it: one long query
//! would stop the platform. So a migration waits for a lock only for a moment, gives way, and tries again. Once it has
//! its locks it may take as long as it must.

use super::address::Address;
use crate::store::{StoreError, migrate};
use sqlx::{Connection as _, PgConnection, migrate::Migrate as _};
use std::time::Duration;
use tokio::time::sleep;

/// Longest wait for a table's lock, during which the table's users wait too.
const LOCK_TIMEOUT: &str = "set lock_timeout = '1s'";
/// What the table's users have to themselves before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);
/// About a minute in all. Then whoever started the migration should hear of it.
const ATTEMPTS: u32 = 30;

/// Applies what is missing, on a connection of its own. `setting` is the one that names the address.
pub(in crate::store) async fn migrate(setting: &'static str, url: &str, process: &str) -> Result<(), StoreError> {
    // No statement timeout: a big table may take long.
    let options = Address::parse(setting, url)?.options(process).options([("statement_timeout", 0)]);
    let connected = PgConnection::connect_with(&options).await;
    let mut conn = connected.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    // One at a time, and before the lock timeout is set: another process's migration is waited for to its end.
    conn.lock().await?;
    sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut conn).await?;
    let outcome = apply(&mut conn).await;
    // Its advisory lock ends with it, for the next process without delay.
    let _ = conn.close().await;
    outcome
}

async fn apply(conn: &mut PgConnection) -> Result<(), StoreError> {
    for _ in 1..ATTEMPTS {
        match migrate::apply(conn, migrate::POSTGRES).await {
            Err(StoreError::Timeout) => tracing::warn!("a migration waits for a table that is in use: trying again"),
            outcome => return outcome,
        }
        sleep(PAUSE).await;
    }
    migrate::apply(conn, migrate::POSTGRES).await
}
