//! How far each device has read. Acks collect in the engine and are flushed here in batches; losing some only
//! delivers the same positions again.

use super::signed;
use crate::{
    id::UserId,
    store::{
        StoreError,
        conn::{Conn, Tx, with_conn},
        devices,
    },
};
use sqlx::QueryBuilder;

/// Acks of one statement.
const BATCH: usize = 1_000;

/// A device has read up to here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Whose inbox.
    pub user: UserId,
    /// Which device, at most 64 characters.
    pub device: String,
    /// The last position it has.
    pub seq: u64,
}

/// Where replay starts for a device: its own cursor, else the highest one of the user's devices, else nowhere
/// (`None`: at the oldest entry).
pub async fn cursor(conn: &mut Conn, user: UserId, device: &str) -> Result<Option<u64>, StoreError> {
    let acked: Option<i64> = with_conn!(conn, |c| {
        sqlx::query_scalar(
            "select coalesce(
                (select acked from inbox_cursors where user_id = $1 and device = $2),
                (select max(acked) from inbox_cursors where user_id = $1))",
        )
        .bind(user)
        .bind(device)
        .fetch_one(c)
        .await
    })?;
    Ok(acked.map(i64::unsigned_abs))
}

/// Moves cursors forward, never back, and notes that their devices were here. Of devices that were not known (one that
/// comes back within the engine's memory need not be) users keep no more than they may have.
pub async fn flush(tx: &mut Tx, acks: &[Ack]) -> Result<(), StoreError> {
    let now = tx.now();
    let mut acks: Vec<_> = acks.iter().collect();
    // In one order, so that two flushes cannot wait for each other; each device once, at its furthest, because an
    // upsert may not touch a row twice.
    acks.sort_by(|a, b| (a.user, &a.device, b.seq).cmp(&(b.user, &b.device, a.seq)));
    acks.dedup_by(|a, b| (a.user, &a.device) == (b.user, &b.device));
    for batch in acks.chunks(BATCH) {
        let devices: Vec<_> = batch.iter().map(|ack| (ack.user, ack.device.as_str())).collect();
        let known = devices::get(tx, &devices).await?;
        with_conn!(tx, |c| {
            let mut query = QueryBuilder::new("insert into inbox_cursors (user_id, device, acked, seen_at) ");
            query.push_values(batch, |mut row, ack| {
                row.push_bind(ack.user).push_bind(&ack.device).push_bind(signed(ack.seq)).push_bind(now);
            });
            query.push(
                " on conflict (user_id, device) do update set seen_at = excluded.seen_at,
                  acked = case when excluded.acked > inbox_cursors.acked then excluded.acked
                      else inbox_cursors.acked end",
            );
            query.build().execute(c).await.map(drop)
        })?;
        let new = devices.iter().zip(known).filter(|(_, known)| known.seen_at.is_none());
        let crowded: Vec<_> = new.map(|((user, _), _)| *user).collect();
        devices::forget(tx, &crowded).await?;
    }
    Ok(())
}
