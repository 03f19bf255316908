//! The genres, in the order people expect. A table, so that the list grows without a release.

use super::{Conn, StoreError, conn::with_conn};

/// Every genre's name.
pub async fn all(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    with_conn!(conn, |c| sqlx::query_scalar("select name from genres order by position").fetch_all(c).await)
}

/// Whether there is such a genre, in exactly this spelling.
pub async fn exists(conn: &mut Conn, name: &str) -> Result<bool, StoreError> {
    let found: Option<i32> = with_conn!(conn, |c| {
        sqlx::query_scalar("select 1 from genres where name = $1").bind(name).fetch_optional(c).await
    })?;
    Ok(found.is_some())
}
