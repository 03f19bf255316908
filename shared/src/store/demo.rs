//! Brings in a catalogue for demonstration: creators, their pitches, and what people did with them so far.
//!
//! In one transaction, and only where none was brought in before: a demo pitch that somebody changed or deleted stays
//! that way when the process starts again. What the catalogue says is not known here (`api/src/demo`).

use super::{
    StoreError, Tx,
    conn::execute,
    engagement, follows, pitches,
    users::{self, NewUser},
};
use crate::{
    clock::Timestamp,
    id::{PitchId, UserId},
    model::{PitchStatus, PitchText, Portal, Portals},
};

/// No password hashes to this, so nobody can log in: these people only exist to have written something.
const NO_PASSWORD: &str = "!no-password-opens-this-account";

/// A creator of the catalogue.
#[derive(Clone, Debug)]
pub struct DemoCreator {
    /// A lower-case address under a reserved domain.
    pub email: String,
    /// Handle.
    pub username: String,
    /// Display name.
    pub name: String,
}

/// A pitch of the catalogue.
#[derive(Clone, Debug)]
pub struct DemoPitch {
    /// Whose it is.
    pub creator: UserId,
    /// What it says.
    pub text: PitchText,
    /// Draft or published.
    pub status: PitchStatus,
    /// On the editors' list.
    pub featured: bool,
    /// When it was written down, and published if it is.
    pub created_at: Timestamp,
    /// Looks so far.
    pub views: i64,
    /// Likes so far.
    pub likes: i64,
    /// On so many lists.
    pub saves: i64,
    /// When most of that happened.
    pub engaged_at: Timestamp,
}

/// The account with this address, made if there is none. Whether it was made.
pub async fn creator(tx: &mut Tx, creator: &DemoCreator) -> Result<(UserId, bool), StoreError> {
    if let Some(user) = users::by_email(tx, &creator.email).await? {
        return Ok((user.id, false));
    }
    let id = UserId::new();
    let new = NewUser {
        id,
        email: &creator.email,
        username: &creator.username,
        name: &creator.name,
        user_type: Portal::Creator,
        portals: Portals::of([Portal::Creator]),
        password_hash: NO_PASSWORD,
        email_verified: true,
    };
    users::insert(tx, new).await?;
    Ok((id, true))
}

/// Writes one pitch of the catalogue down.
pub async fn pitch(tx: &mut Tx, pitch: &DemoPitch) -> Result<PitchId, StoreError> {
    let id = PitchId::new();
    pitches::create(tx, id, pitch.creator, &pitch.text).await.map_err(|refusal| match refusal {
        pitches::Refusal::Store(error) => error,
        other => StoreError::Corrupt(format!("demo pitch {:?}: {other}", pitch.text.title)),
    })?;
    let published_at = (pitch.status == PitchStatus::Published).then_some(pitch.created_at);
    let heat = engagement::heat_of(pitch.views, pitch.likes, pitch.saves, pitch.engaged_at);
    execute!(
        tx,
        sqlx::query(
            "update pitches set status = $2, published_at = $3, featured = $4, created_at = $5, updated_at = $5,
                    view_count = $6, like_count = $7, save_count = $8, trend_score = $9
             where id = $1",
        )
        .bind(id)
        .bind(pitch.status)
        .bind(published_at)
        .bind(pitch.featured)
        .bind(pitch.created_at)
        .bind(pitch.views)
        .bind(pitch.likes)
        .bind(pitch.saves)
        .bind(heat)
    )?;
    Ok(id)
}

/// Everybody of the first list follows everybody of the second.
pub async fn follow_all(tx: &mut Tx, followers: &[UserId], followed: &[UserId]) -> Result<(), StoreError> {
    for follower in followers {
        for creator in followed.iter().filter(|creator| *creator != follower) {
            follows::follow(tx, *follower, *creator).await?;
        }
    }
    Ok(())
}
