//! `POST /api/ws/ticket`: a one-time ticket for a socket whose upgrade cannot carry the cookie (another origin, a
//! script). It goes into the first frame, never into the address, where logs would keep it.

use crate::http::{Ctx, Outcome, Reply};
use serde_json::json;
use shared::engine::sessions::TICKET_TTL;

/// Issues one.
pub async fn create(ctx: Ctx) -> Outcome {
    let ticket = ctx.app.ops.issue_ticket(ctx.user()?).await?;
    Ok(Reply::ok(&json!({ "ticket": ticket.expose(), "expiresIn": TICKET_TTL.as_secs() })))
}
