//! `PUT` and `DELETE /api/pitches/{id}/like` and `…/save`. Both say how it is now, and doing either again changes
//! nothing, so that a client may simply try again.

use super::{page, reply, shown};
use crate::http::{ApiError, Ctx, Outcome};
use shared::{
    id::{PitchId, UserId},
    model::Access,
    store::{StoreError, Tx, engagement},
};

/// The caller likes the pitch.
pub async fn like(ctx: Ctx) -> Outcome {
    mark(&ctx, "pitches.like", async |tx, pitch, user| engagement::like(tx, pitch, user).await).await
}

/// Not any more.
pub async fn unlike(ctx: Ctx) -> Outcome {
    mark(&ctx, "pitches.unlike", async |tx, pitch, user| engagement::unlike(tx, pitch, user).await).await
}

/// The caller keeps the pitch on their list.
pub async fn save(ctx: Ctx) -> Outcome {
    mark(&ctx, "pitches.save", async |tx, pitch, user| engagement::save(tx, pitch, user).await).await
}

/// Not any more.
pub async fn unsave(ctx: Ctx) -> Outcome {
    mark(&ctx, "pitches.unsave", async |tx, pitch, user| engagement::unsave(tx, pitch, user).await).await
}

async fn mark(
    ctx: &Ctx,
    name: &'static str,
    change: impl AsyncFnOnce(&mut Tx, PitchId, UserId) -> Result<bool, StoreError>,
) -> Outcome {
    let (id, user) = (page::id(ctx)?, ctx.user()?.user_id);
    let work = async |tx: &mut Tx| {
        if shown(tx, id, user).await?.access == Access::Owner {
            return Err(ApiError::forbidden("Marks on one's own pitches do not count"));
        }
        change(tx, id, user).await?;
        shown(tx, id, user).await
    };
    Ok(reply(&ctx.app.store.try_tx(name, work).await?))
}
