//! `POST /api/pitches/{id}/publish`: from now on everybody sees it. The first time, and in the same transaction, the
//! creator's followers are told (invariant 3). Publishing what is published answers the same and tells nobody.

use super::{page, reply, shown};
use crate::{
    http::{ApiError, Ctx, Outcome},
    routes::portal::acting_in,
};
use shared::{
    id::PitchId,
    model::{Identity, NewNotification, Portal},
    ops::notifications,
    store::{StoreError, Tx, follows, pitches},
};

/// Publishes it.
pub async fn publish(ctx: Ctx) -> Outcome {
    let creator = acting_in(&ctx, Portal::Creator)?;
    let id = page::id(&ctx)?;
    let work = async |tx: &mut Tx| {
        let first = pitches::publish(tx, id, creator.user_id).await?;
        let pitch = shown(tx, id, creator.user_id).await?;
        if let Some(title) = first {
            // Last: it locks the followers' inboxes until the commit.
            tell_followers(tx, id, creator, &title).await?;
        }
        Ok::<_, ApiError>(pitch)
    };
    let pitch = ctx.app.store.try_tx("pitches.publish", work).await?;
    ctx.app.engine.bell.ring();
    ctx.app.ops.pitch_visibility_changed(id, true).await;
    Ok(reply(&pitch))
}

async fn tell_followers(tx: &mut Tx, id: PitchId, creator: &Identity, title: &str) -> Result<(), StoreError> {
    let followers = follows::followers_of(tx, creator.user_id).await?;
    let told = followers.into_iter().map(|user| NewNotification {
        user,
        kind: "pitch.published",
        title: format!("{} published {title}", creator.name),
        body: String::new(),
        metadata: [("pitchId".to_owned(), id.to_string()), ("creatorId".to_owned(), creator.user_id.to_string())]
            .into(),
    });
    notifications::write(tx, told.collect()).await?;
    Ok(())
}
