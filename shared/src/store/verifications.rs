//! Proofs of addresses: single-use tokens, known here by their hash only, and the registrations that wait for them.
//!
//! Anybody can type anybody's address into a form. So a registration makes no account: its name, portal and password
//! hash wait in a row of their own, under the token that was mailed, and become the account's when that token comes
//! back. What somebody else registered for the same address never mixes with it.
//!
//! Rows are kept for [`KEPT`] after their link has ended, so that another mail can be asked for and a login can say
//! what is missing. That holds for rows of addresses that have a verified account too: their tokens are worth nothing,
//! but a login must not tell the two kinds apart (see `api/src/routes/auth/login.rs`).

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::{id::UserId, model::Portal, secret::TokenHash};
use sqlx::FromRow;
use std::time::Duration;
use uuid::Uuid;

/// How long a registration is remembered after its last link has ended.
pub const KEPT: Duration = Duration::from_hours(7 * 24);
/// Rows one address may have; one more ends the oldest. The limits on mails allow fewer, so that nobody pushes out a
/// link that still works; this bound is for when they cannot be asked.
const MOST: i64 = 80;

/// An account in the making: what somebody wants it to be, and not yet who they are.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Registration {
    /// The address, in lower case.
    pub email: String,
    /// The hash of the password.
    pub password_hash: String,
    /// The display name.
    pub name: String,
    /// The portal.
    pub user_type: Portal,
}

/// What a redeemed token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The address belongs to this registration, which is to become an account.
    Registration(Registration),
    /// The address belongs to this account.
    Account(UserId),
}

/// A token that could be redeemed now.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Waiting {
    /// The password hash the account will have.
    pub password_hash: String,
    /// Whether another password waits for the same address: then the token alone does not say who registered.
    pub contested: bool,
}

/// Lets a registration wait for `token`, for `ttl`. Others of the address stay as they are.
pub async fn register(tx: &mut Tx, new: &Registration, token: TokenHash, ttl: Duration) -> Result<(), StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "insert into email_verifications
                 (id, email, token_hash, password_hash, name, user_type, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(Uuid::now_v7())
        .bind(&new.email)
        .bind(token)
        .bind(&new.password_hash)
        .bind(&new.name)
        .bind(new.user_type)
        .bind(now)
        .bind(now + ttl)
    )?;
    trim(tx, &new.email).await
}

/// Lets an account that is there already, and unverified, wait for `token`.
pub async fn ask_again(
    tx: &mut Tx,
    user: UserId,
    email: &str,
    token: TokenHash,
    ttl: Duration,
) -> Result<(), StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "insert into email_verifications (id, user_id, email, token_hash, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(Uuid::now_v7())
        .bind(user)
        .bind(email)
        .bind(token)
        .bind(now)
        .bind(now + ttl)
    )?;
    trim(tx, email).await
}

async fn trim(tx: &mut Tx, email: &str) -> Result<(), StoreError> {
    execute!(
        tx,
        sqlx::query(
            "delete from email_verifications where email = $1 and id not in
                 (select id from email_verifications where email = $1 order by created_at desc, id desc limit $2)",
        )
        .bind(email)
        .bind(MOST)
    )
    .map(drop)
}

/// The newest registration of this address, if it still waits, whether its link works or has ended. None if it is the
/// one that was redeemed: an older one must not come to light again, or whoever made it would see the proof happen.
pub async fn newest(conn: &mut Conn, email: &str) -> Result<Option<Registration>, StoreError> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        registration: Registration,
        waits: bool,
    }
    let since = conn.now() - KEPT;
    let newest: Option<Row> = with_conn!(conn, |c| {
        sqlx::query_as(
            "select email, password_hash, name, user_type, used_at is null as waits from email_verifications
             where email = $1 and user_id is null and expires_at > $2
             order by created_at desc, id desc limit 1",
        )
        .bind(email)
        .bind(since)
        .fetch_optional(c)
        .await
    })?;
    Ok(newest.filter(|row| row.waits).map(|row| row.registration))
}

/// What this token would prove; `None` if [`redeem`] would say so.
pub async fn waiting(conn: &mut Conn, token: TokenHash) -> Result<Option<Waiting>, StoreError> {
    let now = conn.now();
    with_conn!(conn, |c| {
        sqlx::query_as(
            "select coalesce(v.password_hash, u.password_hash) as password_hash,
                 exists (select 1 from email_verifications o left join users a on a.id = o.user_id
                     where o.email = v.email and o.used_at is null and o.expires_at > $3
                       and coalesce(o.password_hash, a.password_hash)
                           <> coalesce(v.password_hash, u.password_hash)) as contested
             from email_verifications v left join users u on u.id = v.user_id
             where v.token_hash = $1 and v.used_at is null and v.expires_at > $2
               and (v.user_id is null or u.email = v.email)
               and not exists (select 1 from users p
                   where lower(p.email) = v.email and p.email_verified_at is not null)",
        )
        .bind(token)
        .bind(now)
        .bind(now - KEPT)
        .fetch_optional(c)
        .await
    })
}

/// Uses the token up and says what it proves; `None` if it is unknown, used, expired, or for an address that was proven
/// meanwhile or is no longer its account's. Follow it in the same transaction with `users::establish` or
/// `users::mark_email_verified`: with that the other tokens of the address are worth nothing.
pub async fn redeem(tx: &mut Tx, token: TokenHash) -> Result<Option<Proof>, StoreError> {
    #[derive(FromRow)]
    struct Row {
        user_id: Option<UserId>,
        email: String,
        password_hash: Option<String>,
        name: Option<String>,
        user_type: Option<Portal>,
    }
    let now = tx.now();
    let row: Option<Row> = with_conn!(tx, |c| {
        sqlx::query_as(
            "update email_verifications set used_at = $2
             where token_hash = $1 and used_at is null and expires_at > $2
               and (user_id is null or exists (select 1 from users u
                   where u.id = email_verifications.user_id and u.email = email_verifications.email))
               and not exists (select 1 from users p
                   where lower(p.email) = email_verifications.email and p.email_verified_at is not null)
             returning user_id, email, password_hash, name, user_type",
        )
        .bind(token)
        .bind(now)
        .fetch_optional(c)
        .await
    })?;
    Ok(row.and_then(|row| match row {
        Row { user_id: Some(user), .. } => Some(Proof::Account(user)),
        Row { email, password_hash: Some(password_hash), name: Some(name), user_type: Some(user_type), .. } => {
            Some(Proof::Registration(Registration { email, password_hash, name, user_type }))
        }
        _ => None, // the table's check does not let such a row in
    }))
}

/// Removes at most `limit` rows that nobody is told of any more.
pub async fn expire(tx: &mut Tx, limit: u32) -> Result<u64, StoreError> {
    let until = tx.now() - KEPT;
    execute!(
        tx,
        sqlx::query(
            "delete from email_verifications
             where id in (select id from email_verifications where expires_at <= $1 order by expires_at limit $2)",
        )
        .bind(until)
        .bind(i64::from(limit))
    )
}
