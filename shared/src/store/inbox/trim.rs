//! Forgetting what nobody will ask for: read by every live device, too many, or too old. Never what the relay has
//! not delivered yet: the engine takes no gap.

use crate::{
    id::UserId,
    store::{
        StoreError,
        conn::{Tx, execute, with_conn},
    },
};
use sqlx::FromRow;
use std::time::Duration;

/// How much of an inbox is kept.
#[derive(Clone, Copy, Debug)]
pub struct TrimLimits {
    /// Most entries.
    pub entries: u32,
    /// Longest age of an entry, and how long a silent device still holds entries back.
    pub age: Duration,
}

impl Default for TrimLimits {
    fn default() -> Self {
        Self { entries: 2_000, age: Duration::from_hours(30 * 24) }
    }
}

/// What one step of trimming did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Entries removed.
    pub removed: u64,
    /// Where the next step goes on; none after the last inbox.
    pub next: Option<UserId>,
}

#[derive(FromRow)]
struct Floor {
    user_id: UserId,
    relayed: i64,
    seq: i64,
    slowest: Option<i64>,
    expired: Option<i64>,
}

impl Floor {
    /// Everything up to here may go.
    fn position(&self, entries: u32) -> i64 {
        let by_count = self.seq - i64::from(entries);
        by_count.max(self.slowest.unwrap_or(0)).max(self.expired.unwrap_or(0)).min(self.relayed)
    }
}

/// Trims the next inboxes after `after`, in the order of user ids. A step is small, so that the job that takes them
/// one after the other never holds a lock for long.
pub async fn trim(tx: &mut Tx, after: Option<UserId>, users: u32, limits: TrimLimits) -> Result<Trimmed, StoreError> {
    let floors = floors(tx, after, users, limits).await?;
    let next = floors.last().filter(|_| floors.len() == users as usize).map(|floor| floor.user_id);
    let mut removed = 0;
    for floor in &floors {
        let position = floor.position(limits.entries);
        if position > 0 {
            removed += execute!(
                tx,
                sqlx::query("delete from inbox where user_id = $1 and seq <= $2").bind(floor.user_id).bind(position)
            )?;
        }
    }
    Ok(Trimmed { removed, next })
}

async fn floors(tx: &mut Tx, after: Option<UserId>, users: u32, limits: TrimLimits) -> Result<Vec<Floor>, StoreError> {
    let (after, oldest) = (after.unwrap_or(UserId(uuid::Uuid::nil())), tx.now() - limits.age);
    with_conn!(tx, |c| {
        sqlx::query_as(
            "select h.user_id, h.relayed, h.seq,
                 (select min(k.acked) from inbox_cursors k where k.user_id = h.user_id and k.seen_at >= $2) as slowest,
                 (select max(i.seq) from inbox i where i.user_id = h.user_id and i.created_at < $2) as expired
             from inbox_head h where h.user_id > $1 order by h.user_id limit $3",
        )
        .bind(after)
        .bind(oldest)
        .bind(i64::from(users))
        .fetch_all(c)
        .await
    })
}
