//! Opening PostgreSQL: what every connection is told before its first statement.

use super::{
    StoreError,
    pool::{Backend, Interrupt},
};
use crate::config::PoolConfig;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::str::FromStr;

/// The first release with `client_connection_check_interval`.
const CHECKS_CLIENTS: u32 = 140_000;

/// Opens connections to one PostgreSQL database.
pub(super) struct Postgres {
    options: PgConnectOptions,
}

impl Postgres {
    /// `process` names the connections in `pg_stat_activity`, where the connection budget can be counted.
    pub(super) fn new(url: &str, process: &str, config: &PoolConfig) -> Result<Self, StoreError> {
        let options = base(url, process)?.options([
            ("statement_timeout", config.statement_timeout.as_millis()),
            ("idle_in_transaction_session_timeout", config.idle_in_transaction_timeout.as_millis()),
        ]);
        Ok(Self { options })
    }
}

impl Backend for Postgres {
    type Raw = PgConnection;

    async fn open(&self) -> Result<(PgConnection, Option<Interrupt>), sqlx::Error> {
        let mut conn = PgConnection::connect_with(&self.options).await?;
        // Ends the statement of a caller that went away within a second. PostgreSQL 13 does not know the setting
        // and would refuse the connection if it came with the options.
        if conn.server_version_num() >= Some(CHECKS_CLIENTS) {
            sqlx::raw_sql("set client_connection_check_interval = '1s'").execute(&mut conn).await?;
        }
        Ok((conn, None))
    }
}

/// A connection for migrations: no statement timeout, since a big table may take long.
pub(super) async fn for_migrations(url: &str, process: &str) -> Result<PgConnection, StoreError> {
    PgConnection::connect_with(&base(url, process)?).await.map_err(|error| StoreError::Unavailable(error.to_string()))
}

fn base(url: &str, process: &str) -> Result<PgConnectOptions, StoreError> {
    // The parser's own message would repeat the address, password included.
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Config("DATABASE_URL is not a valid postgres:// address".into()))?;
    // PgBouncer refuses connections that ask for extra_float_digits.
    Ok(options.application_name(&format!("pitchey-{process}")).extra_float_digits(None))
}
