//! `POST /api/auth/logout`: ends the session that asks, here and on every open socket.

use crate::http::{Ctx, Outcome, Reply};
use serde_json::json;

/// Ends it.
pub async fn create(ctx: Ctx) -> Outcome {
    let who = ctx.user()?;
    ctx.app.ops.revoke_session(who.user_id, who.session_id).await?;
    Ok(Reply::ok(&json!({ "message": "Signed out" })).cookie(&ctx.app.cookie.clear()))
}
