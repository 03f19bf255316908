//! Proofs that an address belongs to its account: single-use tokens, known here by their hash only.

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::{clock::Timestamp, id::UserId, secret::TokenHash};
use std::time::Duration;
use uuid::Uuid;

/// Makes a token valid for `ttl`. Earlier ones of the account end: only the newest mail works.
pub async fn insert(tx: &mut Tx, user: UserId, email: &str, token: TokenHash, ttl: Duration) -> Result<(), StoreError> {
    let now = tx.now();
    execute!(tx, sqlx::query("delete from email_verifications where user_id = $1 and used_at is null").bind(user))
        .map(drop)?;
    execute!(
        tx,
        sqlx::query(
            "insert into email_verifications (id, user_id, email, token_hash, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(Uuid::now_v7())
        .bind(user)
        .bind(email.to_lowercase())
        .bind(token)
        .bind(now)
        .bind(now + ttl)
    )
    .map(drop)
}

/// Uses the token up and says whose address it proves; `None` if it is unknown, used, expired, or for an address the
/// account no longer has. Follow it with `users::mark_email_verified` in the same transaction.
pub async fn redeem(tx: &mut Tx, token: TokenHash) -> Result<Option<UserId>, StoreError> {
    let now = tx.now();
    with_conn!(tx, |c| {
        sqlx::query_scalar(
            "update email_verifications set used_at = $2
             where token_hash = $1 and used_at is null and expires_at > $2
               and exists (select 1 from users u
                   where u.id = email_verifications.user_id and u.email = email_verifications.email)
             returning user_id",
        )
        .bind(token)
        .bind(now)
        .fetch_optional(c)
        .await
    })
}

/// When the account's newest token was made: resending is limited by it.
pub async fn newest(conn: &mut Conn, user: UserId) -> Result<Option<Timestamp>, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar(
            "select created_at from email_verifications where user_id = $1 order by created_at desc limit 1",
        )
        .bind(user)
        .fetch_optional(c)
        .await
    })
}
