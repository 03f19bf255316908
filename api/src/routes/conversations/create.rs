//! `POST /api/conversations`: the conversation with one other user, opened if there is none yet. Asking again finds
//! the same one, so no idempotency key is needed.

use super::naming;
use crate::http::{Ctx, Outcome, Reply};
use serde::Deserialize;
use serde_json::json;
use shared::id::UserId;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    participant_id: UserId,
}

/// Finds or opens it.
pub async fn create(ctx: Ctx) -> Outcome {
    let Form { participant_id } = ctx.json()?;
    let opened = ctx.app.ops.open_conversation(ctx.user()?, participant_id).await;
    Ok(Reply::ok(&json!({ "conversation": opened.map_err(naming("User"))? })))
}
