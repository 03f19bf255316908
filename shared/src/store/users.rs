//! Accounts.

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::{
    id::UserId,
    model::{Person, Portal, Portals, User},
};
use sqlx::QueryBuilder;

/// Taken by another account, whatever its spelling.
pub const EMAIL_TAKEN: &str = "idx_users_email";
/// Taken by another account, whatever its spelling.
pub const USERNAME_TAKEN: &str = "idx_users_username";

/// Everything of [`User`], and never the password hash. A macro, because `concat!` takes literals only.
macro_rules! select_user {
    ($columns:literal, $rest:literal) => {
        concat!(
            "select u.id, u.email, u.username, u.name, u.user_type, u.is_admin, u.created_at,
             u.email_verified_at is not null as email_verified,
             coalesce((select string_agg(p.portal, ',') from user_portals p where p.user_id = u.id), '') as portals",
            $columns,
            " from users u ",
            $rest
        )
    };
}

/// An account about to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewUser<'a> {
    /// Its identifier.
    pub id: UserId,
    /// Its address; stored in lower case.
    pub email: &'a str,
    /// Its handle, in the spelling others will see.
    pub username: &'a str,
    /// Its display name.
    pub name: &'a str,
    /// The portal it is registered for.
    pub user_type: Portal,
    /// Every portal it may enter.
    pub portals: Portals,
    /// A password hash in PHC or bcrypt form.
    pub password_hash: &'a str,
    /// Whether the address needs no proof: demo accounts and load-test users.
    pub email_verified: bool,
}

/// An account and what its password is checked against.
#[derive(sqlx::FromRow)]
pub struct Credentials {
    /// The account.
    #[sqlx(flatten)]
    pub user: User,
    /// A password hash in PHC or bcrypt form.
    pub password_hash: String,
}

/// Adds an account. A taken address or handle is a unique violation: [`EMAIL_TAKEN`], [`USERNAME_TAKEN`].
pub async fn insert(tx: &mut Tx, new: NewUser<'_>) -> Result<(), StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "insert into users (id, email, username, name, user_type, password_hash,
                 email_verified_at, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        )
        .bind(new.id)
        .bind(new.email.to_lowercase())
        .bind(new.username)
        .bind(new.name)
        .bind(new.user_type)
        .bind(new.password_hash)
        .bind(new.email_verified.then_some(now))
        .bind(now)
    )?;
    for portal in new.portals.iter() {
        grant_portal(tx, new.id, portal).await?;
    }
    Ok(())
}

/// Makes the account whose address was just proven. An unverified one that has the address becomes this one: whatever
/// it was called and whatever opened it, nobody ever proved that it was theirs. A verified one is a unique violation:
/// [`EMAIL_TAKEN`].
pub async fn establish(tx: &mut Tx, new: NewUser<'_>) -> Result<(), StoreError> {
    let now = tx.now();
    let found: Option<UserId> = with_conn!(tx, |c| {
        sqlx::query_scalar(
            "update users set username = $2, name = $3, user_type = $4, password_hash = $5,
                 email_verified_at = $6, updated_at = $6
             where lower(email) = $1 and email_verified_at is null returning id",
        )
        .bind(new.email.to_lowercase())
        .bind(new.username)
        .bind(new.name)
        .bind(new.user_type)
        .bind(new.password_hash)
        .bind(now)
        .fetch_optional(c)
        .await
    })?;
    let Some(id) = found else { return insert(tx, new).await };
    execute!(tx, sqlx::query("delete from user_portals where user_id = $1").bind(id))?;
    for portal in new.portals.iter() {
        grant_portal(tx, id, portal).await?;
    }
    Ok(())
}

/// Lets the account enter a portal. Running it again changes nothing.
pub async fn grant_portal(tx: &mut Tx, id: UserId, portal: Portal) -> Result<(), StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "insert into user_portals (user_id, portal, granted_at) values ($1, $2, $3) on conflict do nothing"
        )
        .bind(id)
        .bind(portal)
        .bind(now)
    )?;
    Ok(())
}

/// The account with this address, in any spelling.
pub async fn by_email(conn: &mut Conn, email: &str) -> Result<Option<User>, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_as(select_user!("", "where lower(u.email) = $1 limit 1"))
            .bind(email.to_lowercase())
            .fetch_optional(c)
            .await
    })
}

/// The account with this identifier.
pub async fn by_id(conn: &mut Conn, id: UserId) -> Result<Option<User>, StoreError> {
    with_conn!(conn, |c| sqlx::query_as(select_user!("", "where u.id = $1")).bind(id).fetch_optional(c).await)
}

/// The account with this address and its password hash: for login, and for nothing else.
pub async fn credentials(conn: &mut Conn, email: &str) -> Result<Option<Credentials>, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_as(select_user!(", u.password_hash", "where lower(u.email) = $1 limit 1"))
            .bind(email.to_lowercase())
            .fetch_optional(c)
            .await
    })
}

/// What others may see of these accounts; unknown ones are left out.
pub async fn people(conn: &mut Conn, ids: &[UserId]) -> Result<Vec<Person>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    with_conn!(conn, |c| {
        let mut query = QueryBuilder::new("select id, name, user_type as portal from users where id in (");
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(")");
        query.build_query_as().fetch_all(c).await
    })
}

/// Whether this still is the account's password hash. Until the end of the transaction it stays so, and whoever else
/// asks the same waits.
pub async fn has_password_hash(tx: &mut Tx, id: UserId, hash: &str) -> Result<bool, StoreError> {
    let (postgres, sqlite) = (
        "select id from users where id = $1 and password_hash = $2 for no key update",
        // There is one writer at a time.
        "select id from users where id = $1 and password_hash = $2",
    );
    let sql = if tx.is_postgres() { postgres } else { sqlite };
    let found: Option<UserId> =
        with_conn!(tx, |c| sqlx::query_scalar(sql).bind(id).bind(hash).fetch_optional(c).await)?;
    Ok(found.is_some())
}

/// Replaces the password hash, if it still is the one that the old password was proven with.
pub async fn replace_password_hash(tx: &mut Tx, id: UserId, old: &str, new: &str) -> Result<bool, StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query("update users set password_hash = $3, updated_at = $4 where id = $1 and password_hash = $2")
            .bind(id)
            .bind(old)
            .bind(new)
            .bind(now)
    )
    .map(|changed| changed == 1)
}

/// Records that the address was proven; says whether that is news.
pub async fn mark_email_verified(tx: &mut Tx, id: UserId) -> Result<bool, StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "update users set email_verified_at = $2, updated_at = $2 where id = $1 and email_verified_at is null"
        )
        .bind(id)
        .bind(now)
    )
    .map(|changed| changed == 1)
}

/// How many accounts there are.
pub async fn count(conn: &mut Conn) -> Result<u64, StoreError> {
    let count: i64 = with_conn!(conn, |c| sqlx::query_scalar("select count(*) from users").fetch_one(c).await)?;
    Ok(count.unsigned_abs())
}

/// The next accounts in the order of their ids.
pub async fn page(conn: &mut Conn, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar("select id from users where id > $1 order by id limit $2")
            .bind(after.unwrap_or(UserId(uuid::Uuid::nil())))
            .bind(i64::from(limit))
            .fetch_all(c)
            .await
    })
}
