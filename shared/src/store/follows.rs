//! Who follows whom.

use super::{
    Conn, StoreError, Tx,
    conn::{execute, with_conn},
};
use crate::id::UserId;
use uuid::Uuid;

/// Who follows this user, in the order in which inboxes are locked: the next `limit` of them after `after`.
pub async fn followers_of(
    conn: &mut Conn,
    user: UserId,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<UserId>, StoreError> {
    // The nil id comes before every other one.
    let after = after.unwrap_or(UserId(Uuid::nil()));
    with_conn!(conn, |c| {
        sqlx::query_scalar(
            "select follower_id from follows where following_id = $1 and follower_id > $2 order by follower_id limit $3",
        )
        .bind(user)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(c)
        .await
    })
}

/// `user` follows `whom` from now on. Whether that is new. Nobody follows themselves: the caller checks.
pub async fn follow(tx: &mut Tx, user: UserId, whom: UserId) -> Result<bool, StoreError> {
    let now = tx.now();
    let done = execute!(
        tx,
        sqlx::query(
            "insert into follows (id, follower_id, following_id, created_at) values ($1, $2, $3, $4)
             on conflict (follower_id, following_id) do nothing",
        )
        .bind(Uuid::now_v7())
        .bind(user)
        .bind(whom)
        .bind(now)
    )?;
    Ok(done > 0)
}

/// The end of it. Whether there was anything to end.
pub async fn unfollow(tx: &mut Tx, user: UserId, whom: UserId) -> Result<bool, StoreError> {
    let done = execute!(
        tx,
        sqlx::query("delete from follows where follower_id = $1 and following_id = $2").bind(user).bind(whom)
    )?;
    Ok(done > 0)
}
