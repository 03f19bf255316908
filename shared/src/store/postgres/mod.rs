//! Opening PostgreSQL, directly or behind a pooler: what every connection is told, and when.
//!
//! ```text
//! address.rs   DATABASE_URL -> connect options: names, encryption
//! manner.rs    DB_POOLER    -> how work is wrapped: plainly, or a transaction that brings its own limits
//! link.rs      the executor that queries run on: statements with names, or without
//! migration.rs the schema, changed beside running processes
//! ```

mod address;
mod link;
mod manner;
mod migration;

pub(super) use link::Link;
pub(super) use manner::Manner;
pub(super) use migration::migrate;

use super::{
    StoreError,
    pool::{Backend, Interrupt},
};
use crate::config::DatabaseConfig;
use address::Address;
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

/// The first release with `client_connection_check_interval`.
const CHECKS_CLIENTS: u32 = 140_000;

/// Opens connections to one PostgreSQL database.
pub(super) struct Postgres {
    options: PgConnectOptions,
    session_limits: bool,
}

impl Postgres {
    /// `process` names the connections in `pg_stat_activity`, where the connection budget can be counted.
    pub(super) fn new(url: &str, process: &str, config: &DatabaseConfig) -> Result<Self, StoreError> {
        let address = Address::parse("DATABASE_URL", url)?;
        address.warn_if_unverified();
        let mut options = address.options(process);
        let session_limits = config.pooler == crate::config::Pooler::Direct;
        if session_limits {
            options = options.options([
                ("statement_timeout", config.pool.statement_timeout.as_millis()),
                ("idle_in_transaction_session_timeout", config.pool.idle_in_transaction_timeout.as_millis()),
            ]);
        }
        Ok(Self { options, session_limits })
    }
}

impl Backend for Postgres {
    type Raw = PgConnection;

    async fn open(&self) -> Result<(PgConnection, Option<Interrupt>), sqlx::Error> {
        let mut conn = PgConnection::connect_with(&self.options).await?;
        // Ends the statement of a caller that went away within a second. PostgreSQL 13 does not know the setting
        // and would refuse the connection if it came with the options.
        if self.session_limits && checks_clients(&conn) {
            sqlx::raw_sql("set client_connection_check_interval = '1s'").execute(&mut conn).await?;
        }
        Ok((conn, None))
    }
}

fn checks_clients(conn: &PgConnection) -> bool {
    conn.server_version_num() >= Some(CHECKS_CLIENTS)
}
