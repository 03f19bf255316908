//! Publications whose followers are still being told.
//!
//! Telling ten thousand people in one transaction would hold ten thousand inboxes, and on SQLite the only writer, for
//! seconds. So the publication's own transaction writes a row here and tells the first followers; the others are told
//! some at a time, each time in a transaction that also moves the row on. While the row is there, somebody is still
//! to be told: a crash only delays it.

use super::{
    Conn, StoreError, Tx,
    conn::{execute, with_conn},
};
use crate::id::{PitchId, UserId};

/// A publication in the middle of being told.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Announcement {
    /// Who published.
    pub creator_id: UserId,
    /// Their display name.
    pub creator_name: String,
    /// What.
    pub title: String,
    /// Everybody up to here was told, in the order of ids; none yet, if there is none.
    pub told_up_to: Option<UserId>,
}

/// The pitch was just published for the first time: everybody is still to be told.
pub async fn begin(tx: &mut Tx, pitch: PitchId) -> Result<(), StoreError> {
    execute!(
        tx,
        sqlx::query("insert into announcements (pitch_id) values ($1) on conflict (pitch_id) do nothing").bind(pitch)
    )?;
    Ok(())
}

/// Where the telling stands, locked until the end of the transaction, so that nobody is told twice. None when
/// everybody was told, or when the pitch is not published any more.
pub async fn claim(tx: &mut Tx, pitch: PitchId) -> Result<Option<Announcement>, StoreError> {
    let locked =
        execute!(tx, sqlx::query("update announcements set told_up_to = told_up_to where pitch_id = $1").bind(pitch))?;
    if locked == 0 {
        return Ok(None);
    }
    let found = with_conn!(tx, |c| {
        sqlx::query_as(
            "select p.creator_id, u.name as creator_name, p.title, a.told_up_to
             from announcements a join pitches p on p.id = a.pitch_id join users u on u.id = p.creator_id
             where a.pitch_id = $1 and p.status = 'published'",
        )
        .bind(pitch)
        .fetch_optional(c)
        .await
    })?;
    if found.is_none() {
        finish(tx, pitch).await?;
    }
    Ok(found)
}

/// Everybody up to this follower was told.
pub async fn advance(tx: &mut Tx, pitch: PitchId, told_up_to: UserId) -> Result<(), StoreError> {
    execute!(
        tx,
        sqlx::query("update announcements set told_up_to = $2 where pitch_id = $1").bind(pitch).bind(told_up_to)
    )?;
    Ok(())
}

/// Nobody is left to tell.
pub async fn finish(tx: &mut Tx, pitch: PitchId) -> Result<(), StoreError> {
    execute!(tx, sqlx::query("delete from announcements where pitch_id = $1").bind(pitch))?;
    Ok(())
}

/// Publications that were cut off in the middle, at most `limit` of them.
pub async fn unfinished(conn: &mut Conn, limit: u32) -> Result<Vec<PitchId>, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar("select pitch_id from announcements order by pitch_id limit $1")
            .bind(i64::from(limit))
            .fetch_all(c)
            .await
    })
}
