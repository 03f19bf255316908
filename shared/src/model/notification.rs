//! Notifications: what a user's feed shows until it is read, and after.

use crate::{
    clock::Timestamp,
    id::{NotificationId, UserId},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An entry of a user's feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Identifier.
    pub id: NotificationId,
    /// What it is about, such as `pitch.liked`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line.
    pub title: String,
    /// The rest; may be empty.
    pub body: String,
    /// What a client needs to link to the cause: ids and names.
    pub metadata: BTreeMap<String, String>,
    /// Whether it was read.
    pub read: bool,
    /// When.
    pub read_at: Option<Timestamp>,
    /// The inbox position of its last change: grows with every change, and over all notifications of a user. A client
    /// drops what is older than what it has.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A notification that a business change is about to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotification {
    /// Whose feed.
    pub user: UserId,
    /// What it is about, at most 64 characters.
    pub kind: &'static str,
    /// One line, at most 200 characters; longer ones are cut.
    pub title: String,
    /// The rest, at most 2 000 characters; longer ones are cut.
    pub body: String,
    /// Ids and names for links: keys of at most 64 characters, values of at most 2 000.
    pub metadata: BTreeMap<String, String>,
}
