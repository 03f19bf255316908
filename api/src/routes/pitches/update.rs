//! `PUT /api/pitches/{id}` replaces what a pitch says, `PATCH` changes parts of it. Both heed `If-Match`.

use super::{
    expected_version,
    form::{Changes, Whole},
    page, reply, shown,
};
use crate::{
    http::{ApiError, Ctx, Outcome},
    routes::portal::acting_in,
};
use shared::{model::Portal, store::pitches};

/// The whole text anew.
pub async fn replace(ctx: Ctx) -> Outcome {
    let owner = acting_in(&ctx, Portal::Creator)?.user_id;
    let (id, expected) = (page::id(&ctx)?, expected_version(&ctx)?);
    let form: Whole = ctx.json()?;
    if form.featured {
        return Err(only_editors());
    }
    let text = form.check()?;
    let work = async |tx: &mut _| {
        pitches::update(tx, id, owner, expected, |old| *old = text).await?;
        shown(tx, id, owner).await
    };
    Ok(reply(&ctx.app.store.try_tx("pitches.update", work).await?))
}

/// Parts of the text, and for editors whether the pitch is featured.
pub async fn patch(ctx: Ctx) -> Outcome {
    let (id, expected) = (page::id(&ctx)?, expected_version(&ctx)?);
    let (reader, is_editor) = ctx.user().map(|caller| (caller.user_id, caller.is_admin))?;
    let changes: Changes = ctx.json()?;
    let featured = changes.featured;
    if featured.is_some() && !is_editor {
        return Err(only_editors());
    }
    let edits = changes.touch_the_text();
    if edits {
        acting_in(&ctx, Portal::Creator)?;
    } else if featured.is_none() {
        return Err(ApiError::bad_request("The body names nothing to change"));
    }
    let patch = changes.check()?;
    let work = async |tx: &mut _| {
        if edits {
            pitches::update(tx, id, reader, expected, |text| patch.apply(text)).await?;
        }
        if let Some(featured) = featured {
            pitches::set_featured(tx, id, featured).await?;
        }
        shown(tx, id, reader).await
    };
    Ok(reply(&ctx.app.store.try_tx("pitches.update", work).await?))
}

fn only_editors() -> ApiError {
    ApiError::forbidden("Only editors feature pitches")
}
