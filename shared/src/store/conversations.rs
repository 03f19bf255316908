//! Conversations and who is in them. What is said in them is in `messages.rs`; who may do what is decided in `ops`.

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
    messages,
};
use crate::{
    clock::Timestamp,
    id::{ConversationId, UserId},
    model::{Conversation, Person, Portal},
};
use sqlx::{FromRow, QueryBuilder};
use std::collections::HashMap;

/// The place of a conversation in its list: newest first.
pub type ConversationCursor = (Timestamp, ConversationId);

#[derive(FromRow)]
struct ListedRow {
    id: ConversationId,
    updated_at: Timestamp,
}

#[derive(FromRow)]
struct ParticipantRow {
    conversation_id: ConversationId,
    id: UserId,
    name: String,
    user_type: Portal,
}

/// Everybody in the conversation, in the order of their ids (the order in which inboxes are locked).
pub async fn participants(conn: &mut Conn, id: ConversationId) -> Result<Vec<UserId>, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar(
            "select user_id from conversation_participants where conversation_id = $1 and left_at is null order by user_id",
        )
        .bind(id)
        .fetch_all(c)
        .await
    })
}

/// The conversation of exactly these two, opened if need be; `None` if the other one does not exist.
pub async fn direct(tx: &mut Tx, opener: UserId, other: UserId) -> Result<Option<ConversationId>, StoreError> {
    let key = direct_key(opener, other);
    if let Some(id) = by_direct_key(tx, &key).await? {
        return Ok(Some(id));
    }
    if !user_exists(tx, other).await? {
        return Ok(None);
    }
    let (id, now) = (ConversationId::new(), tx.now());
    let inserted = execute!(
        tx,
        sqlx::query(
            "insert into conversations (id, kind, direct_key, created_by, created_at) values ($1, 'direct', $2, $3, $4)
             on conflict (direct_key) do nothing",
        )
        .bind(id)
        .bind(&key)
        .bind(opener)
        .bind(now)
    )?;
    if inserted == 1 {
        execute!(
            tx,
            sqlx::query(
                "insert into conversation_participants (conversation_id, user_id, joined_at) values ($1, $2, $4), ($1, $3, $4)",
            )
            .bind(id)
            .bind(opener)
            .bind(other)
            .bind(now)
        )?;
        return Ok(Some(id));
    }
    // The other one opened it at the same moment, and has committed: the conflict waited for that.
    by_direct_key(tx, &key).await
}

/// The conversation as this participant sees it; `None` for everybody else.
pub async fn get(conn: &mut Conn, user: UserId, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
    let row: Option<ListedRow> = with_conn!(conn, |c| {
        sqlx::query_as(
            "select c.id, coalesce(c.last_message_at, c.created_at) as updated_at
             from conversation_participants p join conversations c on c.id = p.conversation_id
             where p.user_id = $1 and p.conversation_id = $2 and p.left_at is null",
        )
        .bind(user)
        .bind(id)
        .fetch_optional(c)
        .await
    })?;
    match row {
        Some(row) => Ok(complete(conn, vec![row]).await?.pop()),
        None => Ok(None),
    }
}

/// At most `limit` conversations of the user after `after`, the one spoken in last first.
pub async fn list(
    conn: &mut Conn,
    user: UserId,
    after: Option<ConversationCursor>,
    limit: u32,
) -> Result<Vec<Conversation>, StoreError> {
    let rows = with_conn!(conn, |c| {
        let mut query = QueryBuilder::new(
            "select c.id, coalesce(c.last_message_at, c.created_at) as updated_at
             from conversation_participants p join conversations c on c.id = p.conversation_id
             where p.left_at is null and p.user_id = ",
        );
        query.push_bind(user);
        if let Some((updated_at, id)) = after {
            query.push(" and (coalesce(c.last_message_at, c.created_at), c.id) < (");
            query.push_bind(updated_at).push(", ").push_bind(id).push(")");
        }
        query.push(" order by 2 desc, c.id desc limit ").push_bind(i64::from(limit));
        query.build_query_as::<ListedRow>().fetch_all(c).await
    })?;
    complete(conn, rows).await
}

async fn complete(conn: &mut Conn, rows: Vec<ListedRow>) -> Result<Vec<Conversation>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let mut people = people(conn, &ids).await?;
    let mut newest = messages::newest(conn, &ids).await?;
    let complete = |row: ListedRow| Conversation {
        id: row.id,
        participants: people.remove(&row.id).unwrap_or_default(),
        last_message: newest.remove(&row.id),
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(complete).collect())
}

async fn people(conn: &mut Conn, ids: &[ConversationId]) -> Result<HashMap<ConversationId, Vec<Person>>, StoreError> {
    let rows = with_conn!(conn, |c| {
        let mut query = QueryBuilder::new(
            "select p.conversation_id, u.id, u.name, u.user_type
             from conversation_participants p join users u on u.id = p.user_id
             where p.left_at is null and p.conversation_id in (",
        );
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(") order by u.name, u.id");
        query.build_query_as::<ParticipantRow>().fetch_all(c).await
    })?;
    let mut people: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        people.entry(row.conversation_id).or_default().push(Person {
            id: row.id,
            name: row.name,
            portal: row.user_type,
        });
    }
    Ok(people)
}

async fn by_direct_key(conn: &mut Conn, key: &str) -> Result<Option<ConversationId>, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar("select id from conversations where direct_key = $1").bind(key).fetch_optional(c).await
    })
}

async fn user_exists(conn: &mut Conn, user: UserId) -> Result<bool, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar("select exists (select 1 from users where id = $1)").bind(user).fetch_one(c).await
    })
}

/// One key for two people, whoever begins.
fn direct_key(a: UserId, b: UserId) -> String {
    let (a, b) = if a < b { (a, b) } else { (b, a) };
    format!("{a}:{b}")
}
