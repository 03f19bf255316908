//! Demo data: four accounts, a catalogue, a conversation and a few notifications, so that the page is alive the first
//! time it is opened. Only in development, and only once: what somebody changed or deleted stays that way. Processes
//! that start together on an empty database agree in it who brings the demo in; the others wait for that.

pub mod accounts;
pub mod bulk;
pub mod catalogue;

use crate::{app::App, http::ApiError};
use accounts::{ACCOUNTS, DemoAccount, PASSWORD};
use shared::{
    id::{SessionId, UserId},
    model::{Identity, NewNotification},
    store::{
        StoreError, Tx, installation,
        users::{self, NewUser},
    },
};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// Brings the demo in, if it was not there before.
pub async fn seed(app: &App) -> Result<(), ApiError> {
    let present = app.store.read("demo.present", async |c| users::by_email(c, ACCOUNTS[0].email).await).await?;
    if present.is_none() {
        people(app).await?;
    }
    catalogue::bring_in(app).await
}

/// The accounts, and what happened between them so far.
async fn people(app: &App) -> Result<(), ApiError> {
    let hash = app.passwords.hash(PASSWORD.to_owned()).await?;
    let ids: Option<Vec<UserId>> = app
        .store
        .tx("demo.accounts", async |tx| {
            if !installation::first(tx, "demo.accounts").await? {
                return Ok(None);
            }
            let mut ids = Vec::with_capacity(ACCOUNTS.len());
            for account in &ACCOUNTS {
                ids.push(insert(tx, account, &hash).await?);
            }
            Ok(Some(ids))
        })
        .await?;
    let Some(ids) = ids else { return Ok(()) };
    converse(app, &ids).await?;
    notify(app, ids[0], ids[1]).await
}

async fn insert(tx: &mut Tx, account: &DemoAccount, password_hash: &str) -> Result<UserId, StoreError> {
    if let Some(user) = users::by_email(tx, account.email).await? {
        return Ok(user.id);
    }
    let id = UserId::new();
    let new = NewUser {
        id,
        email: account.email,
        username: account.username,
        name: account.name,
        user_type: account.portal,
        portals: account.portals(),
        password_hash,
        email_verified: true,
    };
    users::insert(tx, new).await?;
    Ok(id)
}

/// A first exchange between the creator and the investor, sent the way every message is.
async fn converse(app: &App, ids: &[UserId]) -> Result<(), ApiError> {
    let (creator, investor) = (speaker(app, ids, 0), speaker(app, ids, 1));
    let lines = [
        (&investor, ids[0], "I read the first ten pages on the train and missed my stop. Is the budget still open?"),
        (&creator, ids[1], "It is. The night shoot moved it up a little; the new numbers are in the pitch."),
        (&investor, ids[0], "Good. Let us talk on Thursday? I will bring somebody from Northlight."),
    ];
    for (who, to, text) in lines {
        app.ops.send_message(who, Uuid::now_v7(), to.0, text).await?;
    }
    Ok(())
}

/// One of the accounts, as somebody who just signed in; no session is behind it.
fn speaker(app: &App, ids: &[UserId], at: usize) -> Identity {
    let (account, now) = (&ACCOUNTS[at], app.clock.now());
    Identity {
        session_id: SessionId::new(),
        user_id: ids[at],
        name: account.name.to_owned(),
        portal: account.portal,
        portals: account.portals(),
        is_admin: false,
        created_at: now,
        expires_at: now + Duration::from_mins(1),
        refreshed_at: now,
    }
}

async fn notify(app: &App, creator: UserId, investor: UserId) -> Result<(), ApiError> {
    let new = |user, kind, title: &str, body: &str| NewNotification {
        user,
        kind,
        title: title.to_owned(),
        body: body.to_owned(),
        metadata: BTreeMap::new(),
    };
    let notifications = vec![
        new(creator, "pitch.liked", "Sarah Lindqvist likes your pitch", "She saved it to her list as well."),
        new(creator, "pitch.viewed", "Your pitch was opened 40 times this week", "Most of the readers are producers."),
        new(investor, "pitch.published", "Alex Rivera published a new pitch", "You follow Alex Rivera."),
    ];
    app.ops.notify(notifications).await?;
    Ok(())
}
