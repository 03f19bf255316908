//! `PUT /api/users/{id}/follow`: from now on the caller hears when this user publishes. Doing it again changes nothing.

use crate::http::{ApiError, Ctx, Outcome, Reply};
use serde_json::json;
use shared::{
    id::UserId,
    store::{Tx, follows, users},
};

/// Follows them.
pub async fn create(ctx: Ctx) -> Outcome {
    let (user, whom) = (ctx.user()?.user_id, ctx.param::<UserId>("id", "User")?);
    if user == whom {
        return Err(ApiError::bad_request("Nobody follows themselves"));
    }
    let work = async |tx: &mut Tx| {
        users::by_id(tx, whom).await?.ok_or(ApiError::NotFound("User"))?;
        follows::follow(tx, user, whom).await.map_err(ApiError::from)
    };
    ctx.app.store.try_tx("follows.create", work).await?;
    Ok(Reply::ok(&json!({ "following": true })))
}
