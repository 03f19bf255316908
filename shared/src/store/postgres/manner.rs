//! How a unit of work is wrapped, by what stands before PostgreSQL (`DB_POOLER`).
//!
//! Directly, a connection is ours: its limits come with it, statements keep their names on it, and a read is just
//! its statements.
//!
//! Behind a pooler in transaction mode the server's connection is only lent, for a transaction. A pooler refuses
//! limits as startup options and forgets (or worse, shares) session settings; and sqlx prepares a statement in one
//! round trip and runs it in the next, between which the server's connection may have changed. So there every unit
//! of work, a read too, is an explicit transaction, and its limits travel with its BEGIN in one round trip:
//!
//! ```text
//! begin read only; set local statement_timeout = '30000ms'; …      the work      commit
//! ```
//!
//! Statements keep their names if the pooler tracks them (`tracked`); otherwise they have none (`legacy`): with
//! names, sqlx would leave one behind on a server connection that is somebody else's a moment later. A statement
//! cache of size zero alone does not do: sqlx still names what it prepares and never closes it.

use super::checks_clients;
use crate::config::{PoolConfig, Pooler};
use sqlx::{AssertSqlSafe, PgConnection};
use std::sync::Arc;

/// How units of work are wrapped on one database. A cheap clone.
#[derive(Clone)]
pub(in crate::store) struct Manner {
    /// Statements are prepared under a name and kept.
    pub(in crate::store) named: bool,
    write: Opening,
    read: Option<Opening>,
}

/// How a transaction begins, on a server that can watch its clients and on one that cannot.
#[derive(Clone)]
struct Opening {
    watched: Arc<str>,
    plain: Arc<str>,
}

impl Manner {
    pub(in crate::store) fn new(pooler: Pooler, config: &PoolConfig) -> Self {
        if pooler == Pooler::Direct {
            let begin: Arc<str> = "begin".into();
            let write = Opening { watched: Arc::clone(&begin), plain: begin };
            return Self { named: true, write, read: None };
        }
        Self {
            named: pooler == Pooler::Tracked,
            write: Opening::with_limits("begin", config),
            read: Some(Opening::with_limits("begin read only", config)),
        }
    }

    /// What begins work that writes.
    pub(in crate::store) fn begin(&self, conn: &PgConnection) -> AssertSqlSafe<Arc<str>> {
        self.write.on(conn)
    }

    /// What begins work that only reads; `None` if nothing needs to.
    pub(in crate::store) fn begin_read(&self, conn: &PgConnection) -> Option<AssertSqlSafe<Arc<str>>> {
        self.read.as_ref().map(|opening| opening.on(conn))
    }
}

impl Opening {
    /// SET takes no parameters; what is formatted in are numbers.
    fn with_limits(begin: &str, config: &PoolConfig) -> Self {
        let statement = config.statement_timeout.as_millis();
        let idle = config.idle_in_transaction_timeout.as_millis();
        let plain = format!(
            "{begin}; set local statement_timeout = '{statement}ms'; \
             set local idle_in_transaction_session_timeout = '{idle}ms'"
        );
        let watched = format!("{plain}; set local client_connection_check_interval = '1s'");
        Self { watched: watched.into(), plain: plain.into() }
    }

    fn on(&self, conn: &PgConnection) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(if checks_clients(conn) { &self.watched } else { &self.plain }))
    }
}
