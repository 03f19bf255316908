//! `POST /api/pitches/{id}/publish`: from now on everybody sees it. The first time, the creator's followers are told,
//! beginning in the same transaction. Publishing what is published answers the same and tells nobody.

use super::{page, reply, shown};
use crate::{
    announcements::{self, Told},
    http::{ApiError, Ctx, Outcome},
    routes::portal::acting_in,
};
use shared::{
    model::Portal,
    store::{Tx, announcements as rows, pitches},
};

/// Publishes it.
pub async fn publish(ctx: Ctx) -> Outcome {
    let creator = acting_in(&ctx, Portal::Creator)?.user_id;
    let id = page::id(&ctx)?;
    let work = async |tx: &mut Tx| {
        let first = pitches::publish(tx, id, creator).await?;
        let pitch = shown(tx, id, creator).await?;
        if !first {
            return Ok::<_, ApiError>((pitch, Told::Everybody));
        }
        rows::begin(tx, id).await?;
        Ok((pitch, announcements::tell(tx, id).await?))
    };
    let (pitch, told) = ctx.app.store.try_tx("pitches.publish", work).await?;
    ctx.app.engine.bell.ring();
    ctx.app.ops.pitch_visibility_changed(id, true).await;
    if told == Told::Some {
        announcements::go_on(&ctx.app, id);
    }
    Ok(reply(&pitch))
}
