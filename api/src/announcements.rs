//! Telling followers that somebody published: the first of them in the publication's own transaction (invariant 3), the
//! others right after it, some at a time. What a crash cuts off is taken up at the next start.

use crate::app::App;
use shared::{
    id::{PitchId, UserId},
    model::NewNotification,
    ops::notifications,
    store::{
        StoreError, Tx,
        announcements::{self, Announcement},
        follows,
    },
};

/// Followers told in one transaction: some 50 ms of it, in which their inboxes are locked.
const AT_ONCE: u32 = 200;

/// Publications taken up in one go.
const TAKEN_UP: u32 = 100;

/// Whether somebody is still to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nobody is.
    Everybody,
    /// Call again.
    Some,
}

/// Tells the next followers of a publication. Last in its transaction: it locks their inboxes until the commit.
pub async fn tell(tx: &mut Tx, pitch: PitchId) -> Result<Told, StoreError> {
    let Some(announcement) = announcements::claim(tx, pitch).await? else { return Ok(Told::Everybody) };
    let after = announcement.told_up_to;
    let followers = follows::followers_of(tx, announcement.creator_id, after, AT_ONCE).await?;
    let told = match followers.last() {
        Some(last) if followers.len() == AT_ONCE as usize => {
            announcements::advance(tx, pitch, *last).await?;
            Told::Some
        }
        _ => {
            announcements::finish(tx, pitch).await?;
            Told::Everybody
        }
    };
    let new = followers.into_iter().map(|user| notification(user, pitch, &announcement));
    notifications::write(tx, new.collect()).await?;
    Ok(told)
}

fn notification(user: UserId, pitch: PitchId, announcement: &Announcement) -> NewNotification {
    let Announcement { creator_id, creator_name, title, .. } = announcement;
    NewNotification {
        user,
        kind: "pitch.published",
        title: format!("{creator_name} published {title}"),
        body: String::new(),
        metadata: [("pitchId".to_owned(), pitch.to_string()), ("creatorId".to_owned(), creator_id.to_string())].into(),
    }
}

/// Tells the others, in a task of its own that the drain waits for. It ends early at the soft stop.
pub fn go_on(app: &App, pitch: PitchId) {
    let task = app.clone();
    app.lifecycle.tracker().spawn(async move {
        if let Err(error) = tell_the_others(&task, pitch).await {
            tracing::warn!(%error, %pitch, "not every follower was told yet; trying again later");
        }
    });
}

async fn tell_the_others(app: &App, pitch: PitchId) -> Result<(), StoreError> {
    while !app.lifecycle.stopping() {
        let told = app.store.tx("announcements.tell", async |tx| tell(tx, pitch).await).await?;
        app.engine.bell.ring();
        if told == Told::Everybody {
            break;
        }
    }
    Ok(())
}

/// Takes up what was cut off.
pub async fn take_up(app: &App) -> Result<(), StoreError> {
    let work = async |c: &mut _| announcements::unfinished(c, TAKEN_UP).await;
    for pitch in app.store.read("announcements.unfinished", work).await? {
        tell_the_others(app, pitch).await?;
    }
    Ok(())
}
