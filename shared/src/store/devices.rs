//! The devices of each user: whose cursors hold back trimming, and from where a new one begins to read.

use super::{
    StoreError,
    conn::{Conn, Tx, with_conn},
};
use crate::{clock::Timestamp, id::UserId};
use sqlx::{FromRow, QueryBuilder};
use std::{collections::HashMap, time::Duration};

/// Devices in one statement: four parameters each stay well under both databases' limits.
const BATCH: usize = 500;

/// Devices a user can have; the one not seen for longest makes room for another.
pub const MAX_DEVICES: u32 = 20;
/// How long a device is remembered after it was last seen.
pub const DEVICE_AGE: Duration = Duration::from_hours(30 * 24);
/// How often a device that comes and goes is noted as seen.
pub const NOTE_EVERY: Duration = Duration::from_hours(24);

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

/// Whether a device that was last noted then should be written down (again).
pub fn note_is_due(seen_at: Option<Timestamp>, now: Timestamp) -> bool {
    seen_at.is_none_or(|seen| now.since(seen) >= NOTE_EVERY)
}

#[derive(FromRow)]
struct Row {
    user_id: UserId,
    device: String,
    acked: i64,
    seen_at: Timestamp,
}

/// What is known of these devices of these users, in the order in which they are asked for.
pub async fn get(conn: &mut Conn, devices: &[(UserId, &str)]) -> Result<Vec<Device>, StoreError> {
    let oldest = conn.now() - DEVICE_AGE;
    let mut users: Vec<_> = devices.iter().map(|(user, _)| *user).collect();
    users.sort_unstable();
    users.dedup();
    let mut of_users: HashMap<UserId, Vec<Row>> = HashMap::with_capacity(users.len());
    for batch in users.chunks(BATCH) {
        let rows: Vec<Row> = with_conn!(conn, |c| {
            let mut query =
                QueryBuilder::new("select user_id, device, acked, seen_at from inbox_cursors where seen_at >= ");
            query.push_bind(oldest).push(" and user_id in (");
            let mut list = query.separated(", ");
            for user in batch {
                list.push_bind(*user);
            }
            query.push(")").build_query_as().fetch_all(c).await
        })?;
        for row in rows {
            of_users.entry(row.user_id).or_default().push(row);
        }
    }
    let known = |(user, device): &(UserId, &str)| {
        let rows = of_users.get(user).map_or(&[][..], Vec::as_slice);
        let own = rows.iter().find(|row| row.device == *device);
        Device {
            acked: own.map(|row| row.acked.unsigned_abs()),
            seen_at: own.map(|row| row.seen_at),
            acked_by_any: rows.iter().map(|row| row.acked.unsigned_abs()).max(),
        }
    };
    Ok(devices.iter().map(known).collect())
}

/// A device that is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen<'a> {
    /// Whose.
    pub user: UserId,
    /// What it is called.
    pub device: &'a str,
    /// Its cursor, if it is new.
    pub acked: u64,
}

/// Notes that these devices are here, and forgets those of the same users that are too many or too old.
pub async fn register(tx: &mut Tx, devices: &[Seen<'_>]) -> Result<(), StoreError> {
    let now = tx.now();
    // In one order, so that two of these cannot wait for each other; each device once, because an upsert may not touch a
    // row twice.
    let mut devices = devices.to_vec();
    devices.sort_unstable();
    devices.dedup_by(|later, kept| (later.user, later.device) == (kept.user, kept.device));
    for batch in devices.chunks(BATCH) {
        with_conn!(tx, |c| {
            let mut query = QueryBuilder::new("insert into inbox_cursors (user_id, device, acked, seen_at) ");
            query.push_values(batch, |mut row, seen| {
                row.push_bind(seen.user).push_bind(seen.device).push_bind(seen.acked.cast_signed()).push_bind(now);
            });
            query.push(" on conflict (user_id, device) do update set seen_at = excluded.seen_at");
            query.build().execute(c).await.map(drop)
        })?;
        let users: Vec<_> = batch.iter().map(|seen| seen.user).collect();
        forget(tx, &users).await?;
    }
    Ok(())
}

/// Of these users: devices that were not seen for too long, and those that are too many.
pub(super) async fn forget(tx: &mut Tx, users: &[UserId]) -> Result<(), StoreError> {
    if users.is_empty() {
        return Ok(());
    }
    let oldest = tx.now() - DEVICE_AGE;
    with_conn!(tx, |c| {
        let mut query = QueryBuilder::new(
            "delete from inbox_cursors where (user_id, device) in (
                 select user_id, device from (
                     select user_id, device, seen_at,
                         row_number() over (partition by user_id order by seen_at desc, device) as place
                     from inbox_cursors where user_id in (",
        );
        let mut list = query.separated(", ");
        for user in users {
            list.push_bind(*user);
        }
        query.push(")) ranked where seen_at < ").push_bind(oldest).push(" or place > ");
        query.push_bind(i64::from(MAX_DEVICES)).push(")").build().execute(c).await.map(drop)
    })
}
