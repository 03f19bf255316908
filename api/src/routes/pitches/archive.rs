//! `POST /api/pitches/{id}/archive`: from now on only its creator sees it, who may publish it again. Archiving what is
//! not published changes nothing and answers the same.

use super::{page, reply, shown};
use crate::{
    http::{ApiError, Ctx, Outcome},
    routes::portal::acting_in,
};
use shared::{
    model::Portal,
    store::{Tx, pitches},
};

/// Takes it back.
pub async fn archive(ctx: Ctx) -> Outcome {
    let owner = acting_in(&ctx, Portal::Creator)?.user_id;
    let id = page::id(&ctx)?;
    let work = async |tx: &mut Tx| {
        let withdrawn = pitches::archive(tx, id, owner).await?;
        Ok::<_, ApiError>((shown(tx, id, owner).await?, withdrawn))
    };
    let (pitch, withdrawn) = ctx.app.store.try_tx("pitches.archive", work).await?;
    if withdrawn {
        ctx.app.ops.pitch_visibility_changed(id, false).await;
    }
    Ok(reply(&pitch))
}
