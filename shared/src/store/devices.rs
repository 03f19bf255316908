//! The devices of each user: whose cursors hold back trimming, and from where a new one begins to read.

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::{clock::Timestamp, id::UserId};
use sqlx::FromRow;
use std::time::Duration;

/// Devices a user can have; the one not seen for longest makes room for another.
pub const MAX_DEVICES: u32 = 20;
/// How long a device is remembered after it was last seen.
pub const DEVICE_AGE: Duration = Duration::from_hours(30 * 24);
/// How often a device that comes and goes is noted as seen.
const NOTE_EVERY: Duration = Duration::from_hours(24);

/// What is known of a device before it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its own cursor; none if it is new or was forgotten.
    pub acked: Option<u64>,
    /// When it was last noted.
    pub seen_at: Option<Timestamp>,
    /// The highest cursor of any device of the user.
    pub acked_by_any: Option<u64>,
}

impl Device {
    /// Whether it should be written down (again).
    pub fn registration_is_due(&self, now: Timestamp) -> bool {
        self.seen_at.is_none_or(|seen| now.since(seen) >= NOTE_EVERY)
    }
}

#[derive(FromRow)]
struct Row {
    acked: Option<i64>,
    seen_at: Option<Timestamp>,
    acked_by_any: Option<i64>,
}

/// What is known of a device of this user.
pub async fn get(conn: &mut Conn, user: UserId, device: &str) -> Result<Device, StoreError> {
    let oldest = conn.now() - DEVICE_AGE;
    let row: Row = with_conn!(conn, |c| {
        sqlx::query_as(
            "select max(acked) filter (where device = $2) as acked, max(seen_at) filter (where device = $2) as seen_at,
                 max(acked) as acked_by_any
             from inbox_cursors where user_id = $1 and seen_at >= $3",
        )
        .bind(user)
        .bind(device)
        .bind(oldest)
        .fetch_one(c)
        .await
    })?;
    Ok(Device {
        acked: row.acked.map(i64::unsigned_abs),
        seen_at: row.seen_at,
        acked_by_any: row.acked_by_any.map(i64::unsigned_abs),
    })
}

/// Notes that the device is here, with a cursor if it is new, and forgets those that are too many or too old.
pub async fn register(tx: &mut Tx, user: UserId, device: &str, acked: u64) -> Result<(), StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "insert into inbox_cursors (user_id, device, acked, seen_at) values ($1, $2, $3, $4)
             on conflict (user_id, device) do update set seen_at = excluded.seen_at",
        )
        .bind(user)
        .bind(device)
        .bind(acked.cast_signed())
        .bind(now)
    )?;
    execute!(
        tx,
        sqlx::query(
            "delete from inbox_cursors where user_id = $1 and (seen_at < $2 or device not in (
                 select device from inbox_cursors where user_id = $1 order by seen_at desc, device limit $3))",
        )
        .bind(user)
        .bind(now - DEVICE_AGE)
        .bind(i64::from(MAX_DEVICES))
    )?;
    Ok(())
}
