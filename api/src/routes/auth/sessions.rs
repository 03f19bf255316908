//! `/api/auth/sessions`: where the account is signed in, and how to end that elsewhere. What ends here ends on every
//! open socket within a second.

use crate::http::{ApiError, Ctx, Outcome, Reply};
use serde::Serialize;
use serde_json::json;
use shared::{id::SessionId, model::Session, store::sessions};

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    session: &'a Session,
    /// Whether it is the one that asks.
    current: bool,
}

/// `GET /api/auth/sessions`.
pub async fn list(ctx: Ctx) -> Outcome {
    let who = ctx.user()?;
    let sessions = ctx.app.store.read("sessions.list", async |c| sessions::list(c, who.user_id).await).await?;
    let rows: Vec<_> = sessions.iter().map(|session| Row { session, current: session.id == who.session_id }).collect();
    Ok(Reply::ok(&json!({ "sessions": rows })))
}

/// `DELETE /api/auth/sessions/{id}`. Somebody else's session is not found.
pub async fn delete(ctx: Ctx) -> Outcome {
    let who = ctx.user()?;
    let id: SessionId = ctx.param("id", "Session")?;
    if !ctx.app.ops.revoke_session(who.user_id, id).await? {
        return Err(ApiError::NotFound("Session"));
    }
    let reply = Reply::ok(&json!({ "revoked": 1 }));
    Ok(if id == who.session_id { reply.cookie(&ctx.app.cookie.clear()) } else { reply })
}

/// `POST /api/auth/sessions/revoke-others`.
pub async fn revoke_others(ctx: Ctx) -> Outcome {
    let revoked = ctx.app.ops.revoke_other_sessions(ctx.user()?).await?;
    Ok(Reply::ok(&json!({ "revoked": revoked })))
}
