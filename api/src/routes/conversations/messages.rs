//! `/api/conversations/{id}/messages`. A conversation of others is not found, like one that does not exist.

use super::naming;
use crate::http::{Ctx, Cursor, Outcome, Reply, idempotency, pagination::bad_cursor};
use serde::Deserialize;
use serde_json::json;
use shared::id::ConversationId;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    body: String,
}

/// `GET`: newest first, which is how a reader scrolls.
pub async fn list(ctx: Ctx) -> Outcome {
    let id: ConversationId = ctx.param("id", "Conversation")?;
    let (mut query, cursors, list) = (ctx.query()?, &ctx.app.cursors, format!("messages of {id}"));
    let page = query.page(cursors, &list);
    query.finish()?;
    let before = match &page.after {
        Some(cursor) => Some(cursor.key.parse().map_err(|_| bad_cursor())?),
        None => None,
    };
    let read = ctx.app.ops.messages(ctx.user()?, id, before, page.limit + 1).await;
    let mut messages = read.map_err(naming("Conversation"))?;
    let next = page.cut(cursors, &list, &mut messages, |last| Cursor { key: last.seq.to_string(), id: last.id.0 });
    Ok(Reply::list("messages", &messages, next))
}

/// `POST`: 201 once it is stored and in everybody's inbox. `Idempotency-Key` is the message's own id, the same as the
/// gateway's `message.id`: a repeat, over either, answers 200 with the first message. Without one a client that
/// loses the answer cannot ask again safely.
pub async fn create(ctx: Ctx) -> Outcome {
    let id: ConversationId = ctx.param("id", "Conversation")?;
    let key = idempotency::key(ctx.headers())?.unwrap_or_else(Uuid::now_v7);
    let Form { body } = ctx.json()?;
    let sent = ctx.app.ops.say(ctx.user()?, key, id, &body).await.map_err(naming("Conversation"))?;
    let answer = json!({ "message": sent.message });
    if sent.repeated {
        return Ok(Reply::ok(&answer));
    }
    Ok(Reply::created(&format!("/api/conversations/{}/messages", sent.message.conversation_id), &answer))
}
