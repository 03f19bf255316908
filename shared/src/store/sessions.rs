//! Sessions: the truth behind every cookie. The engine only caches what is here.
//!
//! A session keeps its id for life. Its token is replaced on a portal switch; the token before works until
//! `previous_valid_until`, so that requests already under way survive the switch.
//!
//! Whatever ends a session or a token here notes it for the caches in the same transaction (see [`invalidations`]).

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
    invalidations::{self, Invalidation},
};
use crate::{
    clock::Timestamp,
    id::{SessionId, UserId},
    model::{Identity, Portal, Session},
    secret::TokenHash,
};
use sqlx::{FromRow, QueryBuilder};
use std::{collections::HashMap, time::Duration};

/// Sessions a user may have: more than anybody has devices, and few enough for one list and one answer.
pub const MOST_PER_USER: u32 = 100;

/// Tokens looked up, or sessions ended, in one statement: well under both databases' limits on parameters.
const BATCH: usize = 500;

/// How long an expired session is remembered, so that a browser that comes late can be told to forget its cookie.
pub const REMEMBERED: Duration = Duration::from_hours(24);

const IDENTITY: &str =
    "s.id as session_id, s.user_id, u.name, s.portal, u.is_admin, s.created_at, s.expires_at, s.refreshed_at,
     coalesce((select string_agg(p.portal, ',') from user_portals p where p.user_id = s.user_id), '') as portals
     from sessions s join users u on u.id = s.user_id";

/// When a rotated token ends.
const GRACE_END: &str = "case when s.previous_valid_until < s.expires_at
     then s.previous_valid_until else s.expires_at end as expires_at";

/// A session about to be opened.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// Its identifier.
    pub id: SessionId,
    /// Its owner.
    pub user_id: UserId,
    /// The portal it begins in.
    pub portal: Portal,
    /// The hash of its token.
    pub token: TokenHash,
    /// The client's address.
    pub ip: Option<&'a str>,
    /// The client's user agent; cut at 512 characters.
    pub user_agent: Option<&'a str>,
    /// How long it lives without being used.
    pub ttl: Duration,
}

/// A session that is no more, and the tokens under which caches may still know it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Revoked {
    /// The session.
    #[sqlx(rename = "id")]
    pub session_id: SessionId,
    /// Its owner.
    pub user_id: UserId,
    /// Its token.
    pub token_hash: TokenHash,
    /// The token before the last rotation.
    pub previous_token_hash: Option<TokenHash>,
}

/// Opens a session.
pub async fn insert(tx: &mut Tx, new: NewSession<'_>) -> Result<Session, StoreError> {
    let now = tx.now();
    let user_agent = new.user_agent.map(|text| text.chars().take(512).collect::<String>());
    with_conn!(tx, |c| {
        sqlx::query_as(
            "insert into sessions (id, user_id, portal, token_hash, ip, user_agent,
                 created_at, refreshed_at, last_seen, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7, $7, $8)
             returning id, user_id, portal, created_at, expires_at, refreshed_at, ip, user_agent",
        )
        .bind(new.id)
        .bind(new.user_id)
        .bind(new.portal)
        .bind(new.token)
        .bind(new.ip)
        .bind(user_agent)
        .bind(now)
        .bind(now + new.ttl)
        .fetch_one(c)
        .await
    })
}

/// Who presents this token; `None` if it is unknown, expired, or was replaced longer ago than the grace.
pub async fn identity(conn: &mut Conn, token: TokenHash) -> Result<Option<Identity>, StoreError> {
    Ok(identities(conn, &[token]).await?.remove(&token))
}

/// [`identity`] for many tokens: a storm of reconnects is a few statements.
pub async fn identities(conn: &mut Conn, tokens: &[TokenHash]) -> Result<HashMap<TokenHash, Identity>, StoreError> {
    let mut found = HashMap::with_capacity(tokens.len());
    for batch in tokens.chunks(BATCH) {
        for row in identity_rows(conn, batch).await? {
            found.insert(row.presented, row.identity);
        }
    }
    Ok(found)
}

/// The live ones of these sessions, with the token each has now.
pub async fn by_id(conn: &mut Conn, ids: &[SessionId]) -> Result<Vec<(TokenHash, Identity)>, StoreError> {
    let (now, mut found) = (conn.now(), Vec::with_capacity(ids.len()));
    for batch in ids.chunks(BATCH) {
        let rows: Vec<IdentityRow> = with_conn!(conn, |c| {
            let mut query = QueryBuilder::new("select s.token_hash as presented, ");
            query.push(IDENTITY).push(" where s.expires_at > ").push_bind(now).push(" and s.id in (");
            let mut list = query.separated(", ");
            for id in batch {
                list.push_bind(*id);
            }
            query.push(")").build_query_as().fetch_all(c).await
        })?;
        found.extend(rows.into_iter().map(|row| (row.presented, row.identity)));
    }
    Ok(found)
}

#[derive(FromRow)]
struct IdentityRow {
    presented: TokenHash,
    #[sqlx(flatten)]
    identity: Identity,
}

async fn identity_rows(conn: &mut Conn, tokens: &[TokenHash]) -> Result<Vec<IdentityRow>, StoreError> {
    let now = conn.now();
    with_conn!(conn, |c| {
        let mut query = QueryBuilder::new("select s.token_hash as presented, ");
        query.push(IDENTITY).push(" where s.token_hash in (");
        let mut list = query.separated(", ");
        for token in tokens {
            list.push_bind(*token);
        }
        query.push(") and s.expires_at > ").push_bind(now);
        query.push(" union all select s.previous_token_hash as presented, ");
        // A rotated token lives no longer than its grace, whoever caches what is found here.
        query.push(IDENTITY.replacen("s.expires_at", GRACE_END, 1)).push(" where s.previous_token_hash in (");
        let mut list = query.separated(", ");
        for token in tokens {
            list.push_bind(*token);
        }
        query.push(") and s.previous_valid_until > ").push_bind(now);
        query.push(" and s.expires_at > ").push_bind(now);
        query.build_query_as().fetch_all(c).await
    })
}

/// Moves the expiry, if nobody did since `unless_since` (R-009: once a day, however many requests come at once), and if
/// this is the session's token: one that was replaced is not prolonged. Says whether this call did it.
pub async fn refresh(
    tx: &mut Tx,
    id: SessionId,
    token: TokenHash,
    unless_since: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "update sessions set refreshed_at = $2, last_seen = $2, expires_at = $3
             where id = $1 and refreshed_at <= $4 and expires_at > $2 and token_hash = $5",
        )
        .bind(id)
        .bind(now)
        .bind(expires_at)
        .bind(unless_since)
        .bind(token)
    )
    .map(|changed| changed == 1)
}

/// A change of token.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// The session.
    pub id: SessionId,
    /// The token it has now.
    pub old: TokenHash,
    /// The token it shall have.
    pub new: TokenHash,
    /// The portal it shall be in.
    pub portal: Portal,
    /// How long the old token still works.
    pub grace: Duration,
}

/// Replaces the token and switches the portal. False if the session is gone, somebody else rotated it first, or its
/// owner may not enter the portal; then nothing changed.
pub async fn rotate(tx: &mut Tx, rotation: Rotation) -> Result<bool, StoreError> {
    let (now, ends) = (tx.now(), tx.now() + rotation.grace);
    let changed = execute!(
        tx,
        sqlx::query(
            "update sessions set previous_token_hash = token_hash, previous_valid_until = $5,
                 token_hash = $3, portal = $4, last_seen = $6
             where id = $1 and token_hash = $2 and expires_at > $6
               and exists (select 1 from user_portals p where p.user_id = sessions.user_id and p.portal = $4)",
        )
        .bind(rotation.id)
        .bind(rotation.old)
        .bind(rotation.new)
        .bind(rotation.portal)
        .bind(ends)
        .bind(now)
    )?;
    if changed == 1 {
        invalidations::write(tx, &[Invalidation::Token(rotation.old)], ends).await?;
    }
    Ok(changed == 1)
}

/// The user's live sessions, newest first: at most [`MOST_PER_USER`].
pub async fn list(conn: &mut Conn, user: UserId) -> Result<Vec<Session>, StoreError> {
    let now = conn.now();
    with_conn!(conn, |c| {
        sqlx::query_as(
            "select id, user_id, portal, created_at, expires_at, refreshed_at, ip, user_agent
             from sessions where user_id = $1 and expires_at > $2 order by created_at desc, id desc",
        )
        .bind(user)
        .bind(now)
        .fetch_all(c)
        .await
    })
}

/// Ends one session of this user; `None` if the user has no such session.
pub async fn revoke(tx: &mut Tx, user: UserId, id: SessionId) -> Result<Option<Revoked>, StoreError> {
    let ended: Option<Revoked> = with_conn!(tx, |c| {
        sqlx::query_as(
            "delete from sessions where user_id = $1 and id = $2
             returning id, user_id, token_hash, previous_token_hash",
        )
        .bind(user)
        .bind(id)
        .fetch_optional(c)
        .await
    })?;
    note(tx, ended.as_slice()).await?;
    Ok(ended)
}

/// Ends every session of this user but one.
pub async fn revoke_others(tx: &mut Tx, user: UserId, keep: SessionId) -> Result<Vec<Revoked>, StoreError> {
    let ended: Vec<Revoked> = with_conn!(tx, |c| {
        sqlx::query_as(
            "delete from sessions where user_id = $1 and id <> $2
             returning id, user_id, token_hash, previous_token_hash",
        )
        .bind(user)
        .bind(keep)
        .fetch_all(c)
        .await
    })?;
    note(tx, &ended).await?;
    Ok(ended)
}

/// Ends every session of this user.
pub async fn revoke_all(tx: &mut Tx, user: UserId) -> Result<Vec<Revoked>, StoreError> {
    let ended: Vec<Revoked> = with_conn!(tx, |c| {
        sqlx::query_as("delete from sessions where user_id = $1 returning id, user_id, token_hash, previous_token_hash")
            .bind(user)
            .fetch_all(c)
            .await
    })?;
    note(tx, &ended).await?;
    Ok(ended)
}

/// For the caches.
async fn note(tx: &mut Tx, ended: &[Revoked]) -> Result<(), StoreError> {
    let (now, ended) = (tx.now(), ended.iter().map(Invalidation::from).collect::<Vec<_>>());
    invalidations::write(tx, &ended, now).await
}

impl From<&Revoked> for Invalidation {
    fn from(ended: &Revoked) -> Self {
        let (session, token) = (ended.session_id, ended.token_hash);
        Self::Session { session, token, previous: ended.previous_token_hash }
    }
}

/// Ends the user's sessions beyond [`MOST_PER_USER`], those first that were not used for longest; the `newest` stays.
pub async fn trim(tx: &mut Tx, user: UserId, newest: SessionId) -> Result<Vec<Revoked>, StoreError> {
    let ended: Vec<Revoked> = with_conn!(tx, |c| {
        sqlx::query_as(
            "delete from sessions where id in (
                 select id from sessions where user_id = $1 and id <> $2
                 order by refreshed_at desc, id desc limit $3 offset $4)
             returning id, user_id, token_hash, previous_token_hash",
        )
        .bind(user)
        .bind(newest)
        .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
        .bind(i64::from(MOST_PER_USER - 1))
        .fetch_all(c)
        .await
    })?;
    note(tx, &ended).await?;
    Ok(ended)
}

/// Those of these sessions that have neither ended nor expired, and until when they live.
pub async fn alive(conn: &mut Conn, ids: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>, StoreError> {
    let (now, mut found) = (conn.now(), Vec::with_capacity(ids.len()));
    for batch in ids.chunks(BATCH) {
        let mut alive: Vec<(SessionId, Timestamp)> = with_conn!(conn, |c| {
            let mut query = QueryBuilder::new("select id, expires_at from sessions where expires_at > ");
            query.push_bind(now).push(" and id in (");
            let mut list = query.separated(", ");
            for id in batch {
                list.push_bind(*id);
            }
            query.push(")").build_query_as().fetch_all(c).await
        })?;
        found.append(&mut alive);
    }
    Ok(found)
}

/// Whether this is the token of a session that has expired, and was never replaced by another token.
pub async fn has_expired(conn: &mut Conn, token: TokenHash) -> Result<bool, StoreError> {
    let now = conn.now();
    with_conn!(conn, |c| {
        sqlx::query_scalar("select exists (select 1 from sessions where token_hash = $1 and expires_at <= $2)")
            .bind(token)
            .bind(now)
            .fetch_one(c)
            .await
    })
}

/// Removes at most `limit` sessions that expired more than [`REMEMBERED`] ago; nobody can use them any more, so caches
/// need not hear of it.
pub async fn expire(tx: &mut Tx, limit: u32) -> Result<u64, StoreError> {
    let until = tx.now() - REMEMBERED;
    execute!(
        tx,
        sqlx::query(
            "delete from sessions
             where id in (select id from sessions where expires_at <= $1 order by expires_at limit $2)"
        )
        .bind(until)
        .bind(i64::from(limit))
    )
}
