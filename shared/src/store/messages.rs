//! Messages: appended to their conversation, numbered without gaps, found again by the sender's own id for them.

use super::{
    StoreError,
    conn::{Conn, Tx, execute, with_conn},
};
use crate::{
    clock::Timestamp,
    id::{ConversationId, MessageId, UserId},
    model::Message,
};
use sqlx::{FromRow, QueryBuilder};
use std::collections::HashMap;

/// The constraint that makes a repeat of `(sender, client id)` visible.
pub const CLIENT_ID_TAKEN: &str = "messages_sender_id_client_id_key";

const COLUMNS: &str =
    "select m.id, m.conversation_id, m.seq, m.sender_id, u.name as sender_name, m.body, m.created_at, m.client_id
     from messages m join users u on u.id = m.sender_id";

/// What is about to be said.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// Where.
    pub conversation: ConversationId,
    /// By whom; the caller has checked that they are in the conversation.
    pub sender: UserId,
    /// The sender's display name, for the answer.
    pub sender_name: &'a str,
    /// The sender's id for it.
    pub client_id: &'a str,
    /// The text.
    pub body: &'a str,
}

#[derive(FromRow)]
struct Row {
    id: MessageId,
    conversation_id: ConversationId,
    #[sqlx(try_from = "i64")]
    seq: u64,
    sender_id: UserId,
    sender_name: String,
    body: String,
    created_at: Timestamp,
    client_id: String,
}

impl From<Row> for Message {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            conversation_id: row.conversation_id,
            seq: row.seq,
            sender_id: row.sender_id,
            sender_name: row.sender_name,
            body: row.body,
            created_at: row.created_at,
            client_id: row.client_id,
        }
    }
}

/// Appends a message. A repeat fails with the unique violation [`CLIENT_ID_TAKEN`], and the number it took goes back
/// with the transaction.
pub async fn insert(tx: &mut Tx, new: NewMessage<'_>) -> Result<Message, StoreError> {
    let (id, now) = (MessageId::new(), tx.now());
    // Locks the conversation until commit: numbers are gapless and in commit order.
    let seq: i64 = with_conn!(tx, |c| {
        sqlx::query_scalar(
            "update conversations set last_seq = last_seq + 1, last_message_at = $2 where id = $1 returning last_seq",
        )
        .bind(new.conversation)
        .bind(now)
        .fetch_one(c)
        .await
    })?;
    execute!(
        tx,
        sqlx::query(
            "insert into messages (id, conversation_id, sender_id, client_id, seq, body, created_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(id)
        .bind(new.conversation)
        .bind(new.sender)
        .bind(new.client_id)
        .bind(seq)
        .bind(new.body)
        .bind(now)
    )?;
    Ok(Message {
        id,
        conversation_id: new.conversation,
        seq: seq.unsigned_abs(),
        sender_id: new.sender,
        sender_name: new.sender_name.to_owned(),
        body: new.body.to_owned(),
        created_at: now,
        client_id: new.client_id.to_owned(),
    })
}

/// The message to which its sender gave this id.
pub async fn by_client_id(conn: &mut Conn, sender: UserId, client_id: &str) -> Result<Option<Message>, StoreError> {
    let row: Option<Row> = with_conn!(conn, |c| {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" where m.sender_id = ").push_bind(sender);
        query.push(" and m.client_id = ").push_bind(client_id);
        query.build_query_as().fetch_optional(c).await
    })?;
    Ok(row.map(Message::from))
}

/// At most `limit` messages numbered below `before`, newest first.
pub async fn page(
    conn: &mut Conn,
    conversation: ConversationId,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Message>, StoreError> {
    let before = before.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX));
    let rows: Vec<Row> = with_conn!(conn, |c| {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" where m.deleted_at is null and m.conversation_id = ").push_bind(conversation);
        query.push(" and m.seq < ").push_bind(before);
        query.push(" order by m.seq desc limit ").push_bind(i64::from(limit));
        query.build_query_as().fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(Message::from).collect())
}

/// The newest message of each conversation in which something was said.
pub(super) async fn newest(
    conn: &mut Conn,
    conversations: &[ConversationId],
) -> Result<HashMap<ConversationId, Message>, StoreError> {
    let rows: Vec<Row> = with_conn!(conn, |c| {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" join conversations c on c.id = m.conversation_id and c.last_seq = m.seq where c.id in (");
        let mut list = query.separated(", ");
        for id in conversations {
            list.push_bind(*id);
        }
        query.push(")");
        query.build_query_as().fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(|row| (row.conversation_id, Message::from(row))).collect())
}
