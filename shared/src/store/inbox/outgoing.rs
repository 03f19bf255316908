//! The rows as an outbox: what the engine does not have yet, of many users in one query.

use super::{Entry, EntryRow};
use crate::{
    id::UserId,
    store::{
        StoreError,
        conn::{Conn, with_conn},
    },
};
use sqlx::FromRow;

/// An entry on its way to the engine.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Whose.
    pub user_id: UserId,
    /// The entry.
    pub entry: Entry,
}

#[derive(FromRow)]
struct Row {
    user_id: UserId,
    #[sqlx(flatten)]
    entry: EntryRow,
}

/// At most `limit` entries that the engine does not have yet, of the users after `after`: users in the order of their
/// ids, each one's entries oldest first. The last user's may be cut off by the limit; pass that user to go on, and
/// come back for the rest, so that one inbox that cannot be relayed does not hide the others.
pub async fn outgoing(conn: &mut Conn, after: Option<UserId>, limit: u32) -> Result<Vec<Outgoing>, StoreError> {
    let after = after.unwrap_or(UserId(uuid::Uuid::nil()));
    let rows: Vec<Row> = with_conn!(conn, |c| {
        sqlx::query_as(
            "select i.user_id, i.seq, i.event, i.data, i.created_at
             from inbox_head h join inbox i on i.user_id = h.user_id and i.seq > h.relayed
             where h.relayed < h.seq and h.user_id > $1 order by i.user_id, i.seq limit $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(c)
        .await
    })?;
    rows.into_iter().map(|row| Ok(Outgoing { user_id: row.user_id, entry: row.entry.try_into()? })).collect()
}
