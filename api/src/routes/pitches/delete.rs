//! `DELETE /api/pitches/{id}`: the pitch and everything that hangs on it. Heeds `If-Match`.

use super::{expected_version, page};
use crate::{
    http::{ApiError, Ctx, Outcome, Reply},
    routes::portal::acting_in,
};
use shared::{model::Portal, store::pitches};

/// Removes it for good.
pub async fn delete(ctx: Ctx) -> Outcome {
    let owner = acting_in(&ctx, Portal::Creator)?.user_id;
    let (id, expected) = (page::id(&ctx)?, expected_version(&ctx)?);
    let work = async |tx: &mut _| pitches::delete(tx, id, owner, expected).await.map_err(ApiError::from);
    ctx.app.store.try_tx("pitches.delete", work).await?;
    ctx.app.ops.pitch_deleted(id, owner).await;
    Ok(Reply::no_content())
}
