//! Sessions: one login, whatever portal is active and however often its token is rotated.

use super::{Portal, Portals};
use crate::{
    clock::Timestamp,
    id::{SessionId, UserId},
};
use serde::{Deserialize, Serialize};

/// A row of `sessions`, as its owner sees it (the token is only ever known as a hash).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "store", derive(sqlx::FromRow))]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Identifier; stays the same through refresh, rotation and portal switches.
    pub id: SessionId,
    /// Owner.
    #[serde(skip)]
    pub user_id: UserId,
    /// The active portal.
    pub portal: Portal,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends unless refreshed.
    pub expires_at: Timestamp,
    /// When its expiry was last moved (R-009: at most once a day).
    pub refreshed_at: Timestamp,
    /// The client's address at login, for the owner's list of sessions.
    pub ip: Option<String>,
    /// The client's user agent at login.
    pub user_agent: Option<String>,
}

/// Who a request or a socket acts as: all that authorisation needs, small enough for the session cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "store", derive(sqlx::FromRow))]
pub struct Identity {
    /// The session that was presented.
    pub session_id: SessionId,
    /// Its owner.
    pub user_id: UserId,
    /// The owner's display name, sent with messages and presence.
    pub name: String,
    /// The active portal.
    pub portal: Portal,
    /// Every portal the owner may enter.
    pub portals: Portals,
    /// Whether the owner may use administrators' endpoints.
    pub is_admin: bool,
    /// When the session was opened.
    pub created_at: Timestamp,
    /// When the session ends unless refreshed.
    pub expires_at: Timestamp,
    /// When its expiry was last moved.
    pub refreshed_at: Timestamp,
}
