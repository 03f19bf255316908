//! What the engine's caches must hear, written in the transaction that makes it so.
//!
//! A cached session would be accepted for up to an hour after its end, and the engine may be away just then. So the
//! rows are an outbox, as those of the inbox are: the relay carries them out, again and again until the engine takes
//! them. What was taken is kept for as long as a cache could still be wrong ([`KEPT`]), because an engine that fails
//! over or restarts may come back without the last things it was told.

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::{
    clock::Timestamp,
    id::{SessionId, UserId},
    protocol::RoomName,
    secret::TokenHash,
};
use sqlx::{FromRow, QueryBuilder};
use std::time::Duration;
use uuid::Uuid;

/// How long a row is kept after it was carried out: no entry of any cache lives longer.
pub const KEPT: Duration = Duration::from_hours(1);

/// Rows written in one statement: eight parameters each, well under both databases' limits.
const BATCH: usize = 500;

/// Something that caches may have wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// A session ended.
    Session {
        /// The session.
        session: SessionId,
        /// Its token.
        token: TokenHash,
        /// The token before the last rotation.
        previous: Option<TokenHash>,
    },
    /// A token ended, its session did not.
    Token(TokenHash),
    /// Whether this user (or `rooms::EVERYBODY`) may enter this room changed, one way or the other.
    Room(RoomName, UserId),
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    session_id: Option<SessionId>,
    token_hash: Option<TokenHash>,
    previous_token_hash: Option<TokenHash>,
    room: Option<String>,
    user_id: Option<UserId>,
}

/// Notes what caches must hear, from `due` on.
pub async fn write(tx: &mut Tx, what: &[Invalidation], due: Timestamp) -> Result<(), StoreError> {
    let now = tx.now();
    for batch in what.chunks(BATCH) {
        with_conn!(tx, |c| {
            let mut query = QueryBuilder::new(
                "insert into invalidations (id, session_id, token_hash, previous_token_hash, room, user_id,
                     due_at, created_at) ",
            );
            query.push_values(batch.iter().map(Row::of), |mut row, new| {
                row.push_bind(new.id).push_bind(new.session_id);
                row.push_bind(new.token_hash).push_bind(new.previous_token_hash);
                row.push_bind(new.room).push_bind(new.user_id).push_bind(due).push_bind(now);
            });
            query.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// At most `limit` that are due, the oldest first, and what to call them when they are carried out.
pub async fn due(conn: &mut Conn, limit: u32) -> Result<Vec<(Uuid, Invalidation)>, StoreError> {
    let now = conn.now();
    let rows: Vec<Row> = with_conn!(conn, |c| {
        sqlx::query_as(
            "select id, session_id, token_hash, previous_token_hash, room, user_id
             from invalidations where due_at <= $1 order by due_at, id limit $2",
        )
        .bind(now)
        .bind(i64::from(limit))
        .fetch_all(c)
        .await
    })?;
    rows.into_iter().map(|row| Ok((row.id, row.try_into()?))).collect()
}

/// The engine has heard of these.
pub async fn told(tx: &mut Tx, ids: &[Uuid]) -> Result<(), StoreError> {
    let mut ids = ids.to_vec();
    ids.sort_unstable(); // the order in which writers lock
    for batch in ids.chunks(BATCH) {
        with_conn!(tx, |c| {
            let mut query = QueryBuilder::new("update invalidations set due_at = null where id in (");
            let mut list = query.separated(", ");
            for id in batch {
                list.push_bind(*id);
            }
            query.push(")").build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// The engine may have forgotten what it heard: everything of the last [`KEPT`] is due again. Returns how many.
pub async fn tell_again(tx: &mut Tx) -> Result<u64, StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query("update invalidations set due_at = $1 where due_at is null and created_at > $2")
            .bind(now)
            .bind(now - KEPT)
    )
}

/// Removes at most `limit` that were carried out and that no cache can have wrong any more; returns how many.
pub async fn expire(tx: &mut Tx, limit: u32) -> Result<u64, StoreError> {
    let until = tx.now() - KEPT;
    execute!(
        tx,
        sqlx::query(
            "delete from invalidations where id in (
                 select id from invalidations where created_at <= $1 and due_at is null order by created_at limit $2)",
        )
        .bind(until)
        .bind(i64::from(limit))
    )
}

impl Row {
    fn of(what: &Invalidation) -> Self {
        let mut row = Self {
            id: Uuid::now_v7(),
            session_id: None,
            token_hash: None,
            previous_token_hash: None,
            room: None,
            user_id: None,
        };
        match what {
            Invalidation::Session { session, token, previous } => {
                row.session_id = Some(*session);
                row.token_hash = Some(*token);
                row.previous_token_hash = *previous;
            }
            Invalidation::Token(token) => row.token_hash = Some(*token),
            Invalidation::Room(room, user) => {
                row.room = Some(room.to_string());
                row.user_id = Some(*user);
            }
        }
        row
    }
}

impl TryFrom<Row> for Invalidation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt(format!("invalidations: {}", row.id));
        Ok(match (row.session_id, row.token_hash, &row.room, row.user_id) {
            (Some(session), Some(token), None, None) => {
                Self::Session { session, token, previous: row.previous_token_hash }
            }
            (None, Some(token), None, None) => Self::Token(token),
            (None, None, Some(room), Some(user)) => Self::Room(room.parse().map_err(|_| corrupt())?, user),
            _ => return Err(corrupt()),
        })
    }
}
