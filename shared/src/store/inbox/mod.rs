//! The durable inbox (invariant 3): a business change and what it tells people commit together.
//!
//! `inbox_head.seq` is the last number given to a user. [`append`] moves it with an upsert that keeps the row locked
//! until commit, so numbers have no gaps and their order is the order of commits, which UUIDv7 order is not: an id is
//! made before the transaction that commits it. Recipients are locked in the order of their ids, so two transactions
//! can never wait for each other in a circle.
//!
//! The rows are the outbox too: the relay reads them by [`pending`] and [`page`], hands them to the engine, and moves
//! `inbox_head.relayed`. A crash in between delays an event; nothing is lost or reordered. Device cursors and the
//! trimming of old rows are in `cursors.rs` and `trim.rs`.

mod cursors;
mod outgoing;
mod trim;

pub use cursors::{Ack, cursor, flush};
pub use outgoing::{Outgoing, outgoing};
pub use trim::{TrimLimits, Trimmed, trim};

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::{clock::Timestamp, id::UserId};
use serde_json::value::RawValue;
use sqlx::{FromRow, QueryBuilder};
use std::collections::HashMap;

/// Recipients of one statement: five parameters each stay under both databases' limits.
const BATCH: usize = 1_000;

/// An entry of somebody's inbox.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its position.
    pub seq: u64,
    /// What happened, such as `message.created`.
    pub event: String,
    /// The details, as they are sent.
    pub data: Box<RawValue>,
    /// When it was committed, by the clock of the process that did it.
    pub created_at: Timestamp,
}

/// An inbox with entries that the engine does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Pending {
    /// Whose.
    pub user_id: UserId,
    /// The last entry.
    #[sqlx(try_from = "i64")]
    pub seq: u64,
    /// The last entry that the engine has.
    #[sqlx(try_from = "i64")]
    pub relayed: u64,
}

/// What can be replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest entry that is still here; `head + 1` if there is none. A reader that has seen `oldest - 1` misses
    /// nothing.
    pub oldest: u64,
    /// The newest entry; 0 if there never was one.
    pub head: u64,
}

impl Bounds {
    /// Of an inbox that never had an entry.
    pub const EMPTY: Self = Self { oldest: 1, head: 0 };
}

/// Locks the inboxes of these users until commit and says where each ends: whatever is appended next gets the number
/// after that. For changes that must agree with the inbox, such as versions and unread counts.
pub async fn lock(tx: &mut Tx, users: &[UserId]) -> Result<Vec<(UserId, u64)>, StoreError> {
    move_heads(tx, &sorted(users), 0).await
}

/// Appends one event to the inbox of every recipient (each once, however often it is named) and returns the
/// position in each, in the order of their ids.
pub async fn append(
    tx: &mut Tx,
    recipients: &[UserId],
    event: &str,
    data: &RawValue,
) -> Result<Vec<(UserId, u64)>, StoreError> {
    let positions = move_heads(tx, &sorted(recipients), 1).await?;
    let (now, size) = (tx.now(), i32::try_from(data.get().len()).unwrap_or(i32::MAX));
    for batch in positions.chunks(BATCH) {
        with_conn!(tx, |c| {
            let mut query = QueryBuilder::new("insert into inbox (user_id, seq, event, data, size_bytes, created_at) ");
            query.push_values(batch, |mut row, (user, seq)| {
                row.push_bind(*user).push_bind(seq.cast_signed()).push_bind(event);
                row.push_bind(data.get()).push_bind(size).push_bind(now);
            });
            query.build().execute(c).await.map(drop)
        })?;
    }
    Ok(positions)
}

fn sorted(users: &[UserId]) -> Vec<UserId> {
    let mut users = users.to_vec();
    users.sort_unstable();
    users.dedup();
    users
}

/// Adds `by` to the heads of these users, which are sorted, and returns them. Adding nothing still locks.
async fn move_heads(tx: &mut Tx, users: &[UserId], by: i64) -> Result<Vec<(UserId, u64)>, StoreError> {
    let mut heads = Vec::with_capacity(users.len());
    for batch in users.chunks(BATCH) {
        let moved: Vec<(UserId, i64)> = with_conn!(tx, |c| {
            let mut query = QueryBuilder::new("insert into inbox_head (user_id, seq) ");
            query.push_values(batch, |mut row, user| {
                row.push_bind(*user).push_bind(by);
            });
            query.push(" on conflict (user_id) do update set seq = inbox_head.seq + ").push_bind(by);
            query.push(" returning user_id, seq");
            query.build_query_as().fetch_all(c).await
        })?;
        heads.extend(moved.into_iter().map(|(user, seq)| (user, seq.unsigned_abs())));
    }
    // Neither database promises that RETURNING keeps the order of VALUES.
    heads.sort_unstable();
    Ok(heads)
}

/// At most `limit` inboxes after `after` (in the order of user ids) with entries that the engine does not have yet.
/// Pass the last one's user to go on, so that one inbox that cannot be relayed does not hide the others.
pub async fn pending(conn: &mut Conn, after: Option<UserId>, limit: u32) -> Result<Vec<Pending>, StoreError> {
    let after = after.unwrap_or(UserId(uuid::Uuid::nil()));
    with_conn!(conn, |c| {
        sqlx::query_as(
            "select user_id, seq, relayed from inbox_head where relayed < seq and user_id > $1
             order by user_id limit $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(c)
        .await
    })
}

/// The entries after a position, oldest first: at most `limit` of them and at most `max_bytes` of data, but at least
/// one if there is one.
pub async fn page(
    conn: &mut Conn,
    user: UserId,
    after: u64,
    limit: u32,
    max_bytes: u64,
) -> Result<Vec<Entry>, StoreError> {
    let rows: Vec<EntryRow> = with_conn!(conn, |c| {
        sqlx::query_as(
            "select seq, event, data, created_at from (
                 select seq, event, data, created_at, size_bytes, sum(size_bytes) over (order by seq) as total
                 from (select * from inbox where user_id = $1 and seq > $2 order by seq limit $3) p
             ) q where total <= $4 or total = size_bytes order by seq",
        )
        .bind(user)
        .bind(signed(after))
        .bind(i64::from(limit))
        .bind(signed(max_bytes))
        .fetch_all(c)
        .await
    })?;
    rows.into_iter().map(Entry::try_from).collect()
}

#[derive(FromRow)]
struct EntryRow {
    seq: i64,
    event: String,
    data: String,
    created_at: Timestamp,
}

impl TryFrom<EntryRow> for Entry {
    type Error = StoreError;

    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        let data = RawValue::from_string(row.data).map_err(|error| StoreError::Corrupt(format!("inbox: {error}")))?;
        Ok(Self { seq: row.seq.unsigned_abs(), event: row.event, data, created_at: row.created_at })
    }
}

/// What of this inbox can be replayed.
pub async fn bounds(conn: &mut Conn, user: UserId) -> Result<Bounds, StoreError> {
    let found = bounds_of(conn, &[user]).await?;
    Ok(found.get(&user).copied().unwrap_or(Bounds::EMPTY))
}

/// [`bounds`] of many inboxes; one that never had an entry is left out and is [`Bounds::EMPTY`].
pub async fn bounds_of(conn: &mut Conn, users: &[UserId]) -> Result<HashMap<UserId, Bounds>, StoreError> {
    let mut bounds = HashMap::with_capacity(users.len());
    for batch in users.chunks(BATCH) {
        let found: Vec<(UserId, i64, Option<i64>)> = with_conn!(conn, |c| {
            let mut query = QueryBuilder::new(
                "select h.user_id, h.seq, (select min(i.seq) from inbox i where i.user_id = h.user_id)
                 from inbox_head h where h.user_id in (",
            );
            let mut list = query.separated(", ");
            for user in batch {
                list.push_bind(*user);
            }
            query.push(")").build_query_as().fetch_all(c).await
        })?;
        bounds.extend(found.into_iter().map(|(user, head, oldest)| {
            let oldest = oldest.unwrap_or(head + 1).unsigned_abs();
            (user, Bounds { oldest, head: head.unsigned_abs() })
        }));
    }
    Ok(bounds)
}

/// The newest entry of each of these inboxes; one that never had any is left out.
pub async fn heads(conn: &mut Conn, users: &[UserId]) -> Result<Vec<(UserId, u64)>, StoreError> {
    let mut heads = Vec::with_capacity(users.len());
    for batch in users.chunks(BATCH) {
        let found: Vec<(UserId, i64)> = with_conn!(conn, |c| {
            let mut query = QueryBuilder::new("select user_id, seq from inbox_head where user_id in (");
            let mut list = query.separated(", ");
            for user in batch {
                list.push_bind(*user);
            }
            query.push(")").build_query_as().fetch_all(c).await
        })?;
        heads.extend(found.into_iter().map(|(user, seq)| (user, seq.unsigned_abs())));
    }
    Ok(heads)
}

/// Records that the engine has everything up to these positions; never moves back.
pub async fn mark_relayed(tx: &mut Tx, positions: &[(UserId, u64)]) -> Result<(), StoreError> {
    let mut positions = positions.to_vec();
    positions.sort_unstable(); // the order in which writers lock
    for (user, seq) in positions {
        execute!(
            tx,
            sqlx::query("update inbox_head set relayed = $2 where user_id = $1 and relayed < $2 and seq >= $2")
                .bind(user)
                .bind(signed(seq))
        )
        .map(drop)?;
    }
    Ok(())
}

/// Positions are `u64` in Rust and `bigint` in SQL; what does not fit is beyond any real one.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
