//! `POST /api/pitches`: a new draft, which only its creator sees until it is published.

use super::{form::Whole, shown};
use crate::{
    http::{ApiError, Ctx, Outcome, Reply},
    routes::portal::acting_in,
};
use shared::{id::PitchId, model::Portal, store::pitches};

/// Writes the draft down.
pub async fn create(ctx: Ctx) -> Outcome {
    let creator = acting_in(&ctx, Portal::Creator)?.user_id;
    let form: Whole = ctx.json()?;
    if form.featured {
        return Err(ApiError::forbidden("Only editors feature pitches, and only published ones"));
    }
    let (id, text) = (PitchId::new(), form.check()?);
    let work = async |tx: &mut _| {
        pitches::create(tx, id, creator, &text).await?;
        shown(tx, id, creator).await
    };
    let pitch = ctx.app.store.try_tx("pitches.create", work).await?;
    Ok(Reply::created(&format!("/api/pitches/{id}"), &pitch).etag_from_version(pitch.version))
}
