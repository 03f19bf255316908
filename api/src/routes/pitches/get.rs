//! `GET /api/pitches/{id}`: as much of one pitch as the reader may see. A look by somebody else is counted,
//! after the answer and at most once a day.

use super::{PITCH, page, reply};
use crate::http::{ApiError, Ctx, Outcome};
use shared::{model::Access, store::pitches};

/// One pitch.
pub async fn get(ctx: Ctx) -> Outcome {
    let id = page::id(&ctx)?;
    ctx.query()?.finish()?;
    let reader = ctx.identity.as_ref().map(|identity| identity.user_id);
    let found = ctx.app.store.read("pitches.get", async |c| pitches::by_id(c, id, reader).await).await?;
    let pitch = found.ok_or(ApiError::NotFound(PITCH))?;
    if let Some(viewer) = reader.filter(|_| pitch.access != Access::Owner) {
        ctx.app.views.looked(id, viewer, ctx.app.clock.now());
    }
    Ok(reply(&pitch))
}
