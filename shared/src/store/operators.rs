//! What operators did and were refused, and which of their idempotency keys were used.
//!
//! Rows are written before an action begins and ended once it is over; the schema lets nobody change them afterwards.

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::clock::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

/// An action that begins, or was refused.
#[derive(Clone, Copy, Debug)]
pub struct NewAction<'a> {
    /// The job.
    pub id: Uuid,
    /// The idempotency key; none for a refusal.
    pub key: Option<&'a str>,
    /// Who.
    pub operator: &'a str,
    /// With which right.
    pub role: &'a str,
    /// From where.
    pub address: &'a str,
    /// Which node was asked.
    pub node: &'a str,
    /// What.
    pub action: &'a str,
    /// To what or whom.
    pub target: &'a str,
    /// The action as JSON.
    pub request: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Why it was refused; none if it begins.
    pub refused: Option<&'a str>,
    /// How many it concerns.
    pub matched: u64,
}

/// How an action ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Whether it did what was wanted.
    pub ok: bool,
    /// How many it concerned.
    pub matched: u64,
    /// How many of them are done.
    pub done: u64,
    /// How many could not be done.
    pub failed: u64,
    /// More, for people.
    pub note: &'a str,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Recorded {
    /// The job.
    pub id: Uuid,
    /// Who.
    pub operator: String,
    /// With which right.
    pub role: String,
    /// From where.
    pub address: String,
    /// Which node was asked.
    pub node: String,
    /// What.
    pub action: String,
    /// To what or whom.
    pub target: String,
    /// The action as JSON.
    pub request: String,
    /// Why.
    pub reason: String,
    /// `running`, `done`, `failed` or `refused`.
    pub state: String,
    /// How many it concerned.
    #[sqlx(try_from = "i64")]
    pub matched: u64,
    /// How many of them are done.
    #[sqlx(try_from = "i64")]
    pub done: u64,
    /// How many could not be done.
    #[sqlx(try_from = "i64")]
    pub failed: u64,
    /// More, for people.
    pub note: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
}

/// Longest texts in the schema, in characters; what is longer is cut.
const TARGET_CHARS: usize = 1_000;
const NOTE_CHARS: usize = 1_000;

fn cut(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(at, _)| &text[..at])
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Writes an action that begins, or a refusal. If its key was used before, the row of then, and nothing is written.
pub async fn begin(tx: &mut Tx, new: NewAction<'_>) -> Result<Option<Recorded>, StoreError> {
    let now = tx.now();
    let state = if new.refused.is_some() { "refused" } else { "running" };
    let inserted = execute!(
        tx,
        sqlx::query(
            "insert into operator_actions (id, key, operator, role, address, node, action, target, request, reason,
                                           state, matched, done, failed, note, created_at, ended_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0, $13, $14, $15)
             on conflict (key) do nothing"
        )
        .bind(new.id)
        .bind(new.key)
        .bind(new.operator)
        .bind(new.role)
        .bind(new.address)
        .bind(new.node)
        .bind(new.action)
        .bind(cut(new.target, TARGET_CHARS))
        .bind(new.request)
        .bind(new.reason)
        .bind(state)
        .bind(number(new.matched))
        .bind(cut(new.refused.unwrap_or_default(), NOTE_CHARS))
        .bind(now)
        .bind(new.refused.map(|_| now))
    )?;
    let Some(key) = new.key.filter(|_| inserted == 0) else { return Ok(None) };
    with_conn!(tx, |c| {
        sqlx::query_as("select * from operator_actions where key = $1").bind(key).fetch_optional(c).await
    })
}

/// Ends an action; once.
pub async fn end(tx: &mut Tx, id: Uuid, ended: Ended<'_>) -> Result<(), StoreError> {
    let now = tx.now();
    let state = if ended.ok { "done" } else { "failed" };
    execute!(
        tx,
        sqlx::query(
            "update operator_actions set state = $2, matched = $3, done = $4, failed = $5, note = $6, ended_at = $7
             where id = $1 and ended_at is null"
        )
        .bind(id)
        .bind(state)
        .bind(number(ended.matched))
        .bind(number(ended.done))
        .bind(number(ended.failed))
        .bind(cut(ended.note, NOTE_CHARS))
        .bind(now)
    )?;
    Ok(())
}

/// Ends what a node began in an earlier life: nobody goes on with it.
pub async fn abandon(tx: &mut Tx, node: &str) -> Result<u64, StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "update operator_actions set state = 'failed', note = 'the process ended', ended_at = $2
             where node = $1 and ended_at is null"
        )
        .bind(node)
        .bind(now)
    )
}

/// The newest rows, newest first.
pub async fn newest(conn: &mut Conn, limit: u32) -> Result<Vec<Recorded>, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_as("select * from operator_actions order by created_at desc, id desc limit $1")
            .bind(i64::from(limit))
            .fetch_all(c)
            .await
    })
}
