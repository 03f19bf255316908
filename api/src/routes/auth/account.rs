//! The account and the session as their owner sees them: what login, portal switch and session answer alike.

use serde::Serialize;
use shared::{
    clock::Timestamp,
    id::SessionId,
    model::{Identity, Portal, User},
};

/// `{user, session}`.
#[derive(Debug, Serialize)]
pub struct SignedIn<'a> {
    /// Who.
    pub user: Account<'a>,
    /// Since when, until when, where.
    pub session: CurrentSession,
}

/// The account, with the active portal and the documents' spelling of its type beside ours.
#[derive(Debug, Serialize)]
pub struct Account<'a> {
    #[serde(flatten)]
    user: &'a User,
    #[serde(rename = "user_type")]
    documented_type: Portal,
    portal: Portal,
}

/// The session that asked.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentSession {
    /// The same through refreshes, rotations and portal switches.
    pub id: SessionId,
    /// The active portal.
    pub portal: Portal,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

impl<'a> SignedIn<'a> {
    /// Both, for one answer.
    pub fn new(user: &'a User, session: CurrentSession) -> Self {
        Self { user: Account { user, documented_type: user.user_type, portal: session.portal }, session }
    }
}

impl From<&Identity> for CurrentSession {
    fn from(identity: &Identity) -> Self {
        Self {
            id: identity.session_id,
            portal: identity.portal,
            created_at: identity.created_at,
            expires_at: identity.expires_at,
        }
    }
}
