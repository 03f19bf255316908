//! Statements of the test suite's choice. Only with the `testkit` feature: the platform's own SQL is in functions.

use super::{
    StoreError,
    conn::{Conn, with_conn},
};

/// Runs a statement and reads nothing.
pub async fn execute(conn: &mut Conn, sql: &'static str) -> Result<(), StoreError> {
    with_conn!(conn, |c| sqlx::raw_sql(sql).execute(c).await.map(drop))
}

/// The number that a statement answers.
pub async fn number(conn: &mut Conn, sql: &'static str) -> Result<i64, StoreError> {
    with_conn!(conn, |c| sqlx::query_scalar(sql).fetch_one(c).await)
}

/// The texts that a statement answers, a row each.
pub async fn texts(conn: &mut Conn, sql: &'static str) -> Result<Vec<String>, StoreError> {
    with_conn!(conn, |c| sqlx::query_scalar(sql).fetch_all(c).await)
}
