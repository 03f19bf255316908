//! `DELETE /api/users/{id}/follow`: the end of it. Ending what never was changes nothing, and tells nobody who exists.

use crate::http::{Ctx, Outcome, Reply};
use serde_json::json;
use shared::{id::UserId, store::follows};

/// Follows them no longer.
pub async fn delete(ctx: Ctx) -> Outcome {
    let (user, whom) = (ctx.user()?.user_id, ctx.param::<UserId>("id", "User")?);
    ctx.app.store.tx("follows.delete", async |tx| follows::unfollow(tx, user, whom).await).await?;
    Ok(Reply::ok(&json!({ "following": false })))
}
