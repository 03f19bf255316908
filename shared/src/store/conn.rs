//! A connection on loan, as queries see it: [`Conn`] reads, [`Tx`] may also write.
//!
//! A query is a free function that takes `&mut Conn` (or `&mut Tx` when it changes something), so that any of them
//! compose inside one transaction, and the compiler refuses a write outside of one. [`with_conn!`] expands its body
//! once per driver; that is all the abstraction there is.

use super::{
    StoreError,
    error::refuses_writes,
    pool::Loan,
    postgres::{Manner, Postgres},
    sqlite::Sqlite,
};
use crate::clock::Timestamp;
use sqlx::SqlSafeStr;
use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};
use tokio::time::timeout;

/// A connection for the length of one unit of work.
pub struct Conn {
    driver: Driver,
    statement_timeout: Duration,
    now: Timestamp,
    /// A statement was begun and its end was never seen: its future was dropped half-way.
    running: bool,
    /// A statement has failed: the work can only be undone.
    failed: bool,
    /// The database was not fit for work: this connection is not used again.
    lost: bool,
    scope: Scope,
}

/// What the work may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Writes,
    Reads,
    /// It has a transaction all the same.
    ReadsInTransaction,
}

/// The connection itself; only [`with_conn!`] looks inside.
pub(super) enum Driver {
    Postgres(Loan<Postgres>, Manner),
    Sqlite(Loan<Sqlite>),
}

/// A connection inside a transaction. Reads work on it too: it dereferences to [`Conn`].
pub struct Tx(Conn);

/// Runs its body on the driver's connection, once written, compiled for both databases.
///
/// ```ignore
/// with_conn!(conn, |c| sqlx::query_scalar("select count(*) from users").fetch_one(c).await)?
/// ```
///
/// The body yields `Result<T, sqlx::Error>`, the macro `Result<T, StoreError>`. A failed statement dooms its
/// transaction on both databases (PostgreSQL would have it so anyway): use `on conflict do nothing`, not a caught
/// violation, to branch on what is already there.
macro_rules! with_conn {
    ($conn:expr, |$raw:ident| $body:expr) => {{
        let conn: &mut $crate::store::conn::Conn = &mut *$conn;
        let outcome: Result<_, sqlx::Error> = match conn.statement() {
            $crate::store::conn::Driver::Postgres(loan, manner) => {
                let $raw = $crate::store::postgres::Link::new(&mut loan.raw, manner.named);
                $body
            }
            $crate::store::conn::Driver::Sqlite(loan) => {
                let $raw = &mut loan.raw;
                $body
            }
        };
        conn.observe(outcome)
    }};
}
pub(super) use with_conn;

/// [`with_conn!`] for a query whose rows nobody reads: yields how many rows it changed.
///
/// ```ignore
/// let changed = execute!(tx, sqlx::query("delete from sessions where id = $1").bind(id))?;
/// ```
macro_rules! execute {
    ($conn:expr, $query:expr) => {
        $crate::store::conn::with_conn!($conn, |c| $query.execute(c).await.map(|done| done.rows_affected()))
    };
}
pub(super) use execute;

/// An awaited ROLLBACK that takes longer than this means that the connection is gone.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(2);

impl Conn {
    /// Takes a loan for one unit of work. From here on the connection is only given back for reuse by
    /// [`Conn::end_read`], [`Tx::commit`] or [`Tx::rollback`]; in every other case the pool discards it.
    pub(super) fn new(mut driver: Driver, statement_timeout: Duration, now: Timestamp) -> Self {
        match &mut driver {
            Driver::Postgres(loan, _) => loan.dirty = true,
            Driver::Sqlite(loan) => loan.dirty = true,
        }
        let [running, failed, lost] = [false; 3];
        Self { driver, statement_timeout, now, running, failed, lost, scope: Scope::Writes }
    }

    /// The time of this unit of work: one instant for everything it writes.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// For the few functions whose two texts must differ: both stand side by side in them.
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.driver, Driver::Postgres(..))
    }

    /// The driver, for one statement that begins now.
    pub(super) fn statement(&mut self) -> &mut Driver {
        self.failed |= self.running;
        self.running = true;
        if let Driver::Sqlite(loan) = &self.driver {
            loan.allow(self.statement_timeout);
        }
        &mut self.driver
    }

    /// Takes note of a statement's end.
    pub(super) fn observe<T>(&mut self, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        self.running = false;
        self.failed |= outcome.is_err();
        let outcome = outcome.map_err(|error| {
            // Anywhere else it means that the server cannot be written to; here, that the caller has no business to.
            if self.scope != Scope::Writes && refuses_writes(&error) {
                StoreError::Database(error)
            } else {
                error.into()
            }
        });
        if matches!(outcome, Err(StoreError::Unavailable(_))) {
            self.lost = true;
            self.doubt_the_others();
        }
        outcome
    }

    fn doubt_the_others(&self) {
        match &self.driver {
            Driver::Postgres(loan, _) => loan.doubt_the_others(),
            Driver::Sqlite(loan) => loan.doubt_the_others(),
        }
    }

    /// The beginning of work that changes nothing; behind a pooler it must be a transaction.
    pub(super) async fn begin_read(&mut self) -> Result<(), StoreError> {
        self.scope = Scope::Reads;
        let Driver::Postgres(loan, manner) = &self.driver else { return Ok(()) };
        let Some(begin) = manner.begin_read(&loan.raw) else { return Ok(()) };
        self.scope = Scope::ReadsInTransaction;
        self.control(begin).await
    }

    /// The end of work that changed nothing. After a failure the connection must still answer to be kept.
    pub(super) async fn end_read(mut self) {
        let keep = match &mut self.driver {
            _ if self.running || self.lost => false,
            _ if self.scope == Scope::ReadsInTransaction => self.undo().await,
            _ if !self.failed => true,
            Driver::Postgres(loan, _) => loan.answers().await,
            Driver::Sqlite(loan) => loan.answers().await,
        };
        if keep {
            self.settle();
        }
    }

    /// Ends the transaction, whose work is not wanted; false if it cannot be done.
    async fn undo(&mut self) -> bool {
        matches!(timeout(ROLLBACK_TIMEOUT, self.control("rollback")).await, Ok(Ok(())))
    }

    async fn control(&mut self, sql: impl SqlSafeStr) -> Result<(), StoreError> {
        with_conn!(self, |c| sqlx::raw_sql(sql).execute(c).await.map(drop))
    }

    fn settle(&mut self) {
        match &mut self.driver {
            Driver::Postgres(loan, _) => loan.settle(),
            Driver::Sqlite(loan) => loan.settle(),
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        // Cut off in the middle of a statement: perhaps the caller had little time, perhaps nobody answers any more.
        if self.running {
            self.doubt_the_others();
        }
    }
}

impl Tx {
    /// Begins. On SQLite with the intent to write, so that a transaction that reads first cannot lose a race later.
    pub(super) async fn begin(mut conn: Conn) -> Result<Self, StoreError> {
        match &conn.driver {
            Driver::Postgres(loan, manner) => conn.control(manner.begin(&loan.raw)).await?,
            Driver::Sqlite(_) => conn.control("begin immediate").await?,
        }
        Ok(Self(conn))
    }

    /// Commits, unless a statement failed: PostgreSQL would answer that COMMIT with a silent rollback.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        if self.running || self.failed {
            self.rollback().await;
            return Err(StoreError::Aborted);
        }
        self.control("commit").await?;
        self.settle();
        Ok(())
    }

    /// Undoes everything, and waits for that: the pool never sees an open transaction.
    pub(super) async fn rollback(mut self) {
        if self.running || self.lost {
            return; // an answer is still on the wire, or none will come: only closing the connection is safe
        }
        if self.undo().await {
            self.settle();
        }
    }
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0
    }
}
