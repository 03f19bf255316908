//! What can go wrong in the store, in terms a caller can act on.
//!
//! Absence is no error: it is `Ok(None)`. Violated constraints carry the same name on both databases, so that a
//! caller can tell "e-mail taken" from "username taken" without knowing which one it runs on.

use sqlx::{error::DatabaseError, migrate::MigrateError};
use std::borrow::Cow;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection became free within the wait timeout. A 503 with `Retry-After`: the next attempt may succeed.
    #[error("no database connection became free in time")]
    Exhausted,
    /// The database cannot be reached, the connection was lost, or the server is not fit for work now (no disk, no
    /// memory, read-only after a failover). A 503 too.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// A statement or a whole unit of work took too long and was cut off; nothing of it was saved, unless it was
    /// cut off during the very commit.
    #[error("the database took too long")]
    Timeout,
    /// Two units of work stood in each other's way and this one lost (deadlock, serialization failure). Nothing
    /// was saved; it may be tried again.
    #[error("another change came first")]
    Conflict,
    /// A row like this exists already.
    #[error("{constraint} is taken")]
    UniqueViolation {
        /// The name of the unique index or constraint, the same on both databases.
        constraint: String,
    },
    /// The row refers to something that does not exist, or something still refers to it.
    #[error("a reference does not hold")]
    ForeignKeyViolation,
    /// A value outside of what the schema allows: the caller should have validated it.
    #[error("a value is not allowed: {0}")]
    CheckViolation(String),
    /// The work said yes although one of its statements had failed. Nothing was saved.
    #[error("a statement of the transaction had failed, so nothing was saved")]
    Aborted,
    /// A row holds what the code cannot read.
    #[error("unreadable row: {0}")]
    Corrupt(String),
    /// The database was written by a newer release than this one.
    #[error("the database has migration {0}, which this release does not know: run the newer release")]
    SchemaTooNew(i64),
    /// The database lacks a migration that this release needs, and this process does not apply it.
    #[error("the database lacks migration {0}: run `pitchey-api migrate`")]
    SchemaTooOld(i64),
    /// The schema could not be brought up to date.
    #[error("failed to migrate: {0}")]
    Migrate(MigrateError),
    /// A setting that no store can be opened with.
    #[error("{0}")]
    Config(String),
    /// Anything else the database reports.
    #[error("database error: {0}")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether it is about a row that exists already, under this constraint.
    pub fn is_unique(&self, name: &str) -> bool {
        matches!(self, Self::UniqueViolation { constraint } if constraint == name)
    }

    /// Whether the same call may succeed in a moment: a 503, not a 500.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Exhausted | Self::Unavailable(_) | Self::Timeout | Self::Conflict)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(ref reported) => match classify(reported.as_ref()) {
                Some(known) => known,
                None => Self::Database(error),
            },
            E::Io(_) | E::Tls(_) | E::Protocol(_) | E::WorkerCrashed | E::PoolClosed => {
                Self::Unavailable(error.to_string())
            }
            E::ColumnDecode { .. } | E::Decode(_) | E::ColumnNotFound(_) | E::TypeNotFound { .. } => {
                Self::Corrupt(error.to_string())
            }
            other => Self::Database(other),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::SchemaTooNew(version),
            MigrateError::Execute(ref reported) | MigrateError::ExecuteMigration(ref reported, _)
                if code(reported) == LOCK_NOT_AVAILABLE =>
            {
                Self::Timeout
            }
            other => Self::Migrate(other),
        }
    }
}

/// SQLSTATE `lock_not_available`.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// SQLSTATE `read_only_sql_transaction`.
const READ_ONLY: &str = "25006";
/// `SQLITE_READONLY`.
const SQLITE_READ_ONLY: u32 = 8;

/// What the database calls it; empty if it was not the database.
fn code(error: &sqlx::Error) -> Cow<'_, str> {
    error.as_database_error().and_then(DatabaseError::code).unwrap_or_default()
}

/// Whether a write was refused because nothing may be written.
pub(super) fn refuses_writes(error: &sqlx::Error) -> bool {
    let code = code(error);
    code == READ_ONLY || sqlite_code(&code) == Some(SQLITE_READ_ONLY)
}

/// SQLSTATE has five characters; SQLite's codes are decimal numbers of at most four digits, whose lowest byte says what
/// happened and the rest where.
fn sqlite_code(code: &str) -> Option<u32> {
    code.parse().ok().filter(|_: &u32| code.len() < 5).map(|code| code & 0xff)
}

/// Both databases' codes.
fn classify(error: &dyn DatabaseError) -> Option<StoreError> {
    let code = error.code().unwrap_or_default();
    match sqlite_code(&code) {
        // SQLITE_BUSY, LOCKED, INTERRUPT
        Some(5 | 6 | 9) => return Some(StoreError::Timeout),
        // SQLITE_NOMEM, READONLY, IOERR, FULL, CANTOPEN: the machine is not fit for it now, and may be soon.
        Some(7 | SQLITE_READ_ONLY | 10 | 13 | 14) => return Some(unavailable(error)),
        _ => {}
    }
    Some(match code.as_ref() {
        // query_canceled; idle in or long transaction
        "57014" | LOCK_NOT_AVAILABLE | "25P03" | "25P04" => StoreError::Timeout,
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => StoreError::Conflict,
        // After a failover: this server is the old primary, and a new connection leads to the new one.
        READ_ONLY => unavailable(error),
        // Out of connections, memory or disk; the administrator or a crash ended us, starting up; any connection
        // exception, PgBouncer's among them.
        code if ["53", "57P", "08"].iter().any(|class| code.starts_with(class)) => unavailable(error),
        // character_not_in_repertoire, untranslatable_character: a NUL in a text, which PostgreSQL cannot store
        "22021" | "22P05" => StoreError::CheckViolation(error.message().to_owned()),
        _ if error.is_unique_violation() => StoreError::UniqueViolation { constraint: constraint(error, &code) },
        _ if error.is_foreign_key_violation() => StoreError::ForeignKeyViolation,
        _ if error.is_check_violation() => StoreError::CheckViolation(error.message().to_owned()),
        _ => return None,
    })
}

fn unavailable(error: &dyn DatabaseError) -> StoreError {
    StoreError::Unavailable(error.message().to_owned())
}

/// `SQLITE_CONSTRAINT_PRIMARYKEY`.
const SQLITE_PRIMARY_KEY: &str = "1555";

/// Unique indexes on plain columns: SQLite reports their columns, PostgreSQL their name. (An index on an
/// expression is reported by name on both; an unnamed `unique (a, b)` is named by rule.) The conformance suite
/// compares this list with the schema.
const NAMED_BY_COLUMNS: &[(&str, &str)] = &[
    ("sessions.token_hash", "idx_sessions_token"),
    ("follows.follower_id, follows.following_id", "idx_follows_unique"),
    ("nda_requests.pitch_id, nda_requests.requester_id", "idx_nda_requests_pending"),
    ("process_leases.role", "idx_process_leases_owner"),
    ("pitch_views.pitch_id, pitch_views.viewer_id, pitch_views.day", "idx_pitch_views_daily"),
    ("operator_actions.key", "idx_operator_actions_key"),
];

/// The constraint's name as PostgreSQL would give it.
fn constraint(error: &dyn DatabaseError, code: &str) -> String {
    if let Some(name) = error.constraint() {
        return name.to_owned();
    }
    let what = error.message().rsplit_once("constraint failed: ").map_or("", |(_, what)| what);
    sqlite_constraint(what, code == SQLITE_PRIMARY_KEY)
}

fn sqlite_constraint(what: &str, primary_key: bool) -> String {
    if let Some(name) = what.strip_prefix("index '").and_then(|rest| rest.strip_suffix('\'')) {
        return name.to_owned();
    }
    if let Some((_, name)) = NAMED_BY_COLUMNS.iter().find(|(columns, _)| *columns == what) {
        return (*name).to_owned();
    }
    let table = what.split('.').next().unwrap_or_default();
    if primary_key {
        return format!("{table}_pkey");
    }
    let columns: Vec<_> = what.split(", ").filter_map(|column| column.split_once('.')).map(|(_, name)| name).collect();
    format!("{table}_{}_key", columns.join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_constraints_get_the_names_that_postgres_gives() {
        assert_eq!(sqlite_constraint("index 'idx_users_email'", false), "idx_users_email");
        assert_eq!(sqlite_constraint("sessions.token_hash", false), "idx_sessions_token");
        assert_eq!(
            sqlite_constraint("messages.sender_id, messages.client_id", false),
            "messages_sender_id_client_id_key"
        );
        assert_eq!(sqlite_constraint("inbox.user_id, inbox.seq", true), "inbox_pkey");
    }

    #[test]
    fn codes_of_sqlite_are_told_from_sqlstates_and_read_by_their_kind() {
        // SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_FSYNC, SQLITE_CONSTRAINT_UNIQUE
        assert_eq!(["517", "1034", "2067"].map(sqlite_code), [Some(5), Some(10), Some(19)]);
        assert_eq!(["25006", "57P01", ""].map(sqlite_code), [None; 3]);
    }

    #[test]
    fn every_unique_index_on_plain_columns_is_in_the_list() {
        let mut expected = Vec::new();
        for (_, _, sql) in crate::store::migrate::SQLITE {
            for index in sql.split("create unique index ").skip(1) {
                let (name, rest) = index.split_once(" on ").expect("a table");
                let (table, rest) = rest.split_once(" (").expect("columns");
                let (columns, _) = rest.split_once(')').expect("the end of the columns");
                if columns.contains('(') {
                    continue; // an expression: SQLite reports the index's name itself
                }
                let columns: Vec<_> = columns.split(", ").map(|column| format!("{table}.{column}")).collect();
                expected.push((columns.join(", "), name.to_owned()));
            }
        }
        let mut listed: Vec<_> = NAMED_BY_COLUMNS.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected);
    }
}
