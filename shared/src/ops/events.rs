//! The inbox events this platform sends: their names and what they carry.
//!
//! # Adding an event
//!
//! 1. A name and a payload here, camelCase, small: ids and what a list needs, never a document.
//! 2. `inbox::append` it in the transaction of the change it tells of, and ring the bell after the commit.
//! 3. Its shape in `gateway/client/pitchey.d.ts`; clients pass over events they do not know.

use crate::{
    id::NotificationId,
    model::{Message, Notification},
};
use serde::Serialize;
use serde_json::value::RawValue;

/// Somebody said something in a conversation of the user: [`MessageCreated`].
pub const MESSAGE_CREATED: &str = "message.created";
/// The user has a new notification: [`NotificationCreated`].
pub const NOTIFICATION_CREATED: &str = "notification.created";
/// The user read notifications, on whatever device: [`NotificationRead`].
pub const NOTIFICATION_READ: &str = "notification.read";

/// Ids that a `notification.read` names at most; `all` says the rest.
pub const READ_IDS: usize = 500;

/// See [`MESSAGE_CREATED`].
#[derive(Debug, Serialize)]
pub struct MessageCreated<'a> {
    /// The message.
    pub message: &'a Message,
}

/// See [`NOTIFICATION_CREATED`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationCreated<'a> {
    /// The notification.
    pub notification: &'a Notification,
    /// How many are unread now, this one included.
    pub unread_count: u64,
}

/// See [`NOTIFICATION_READ`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationRead<'a> {
    /// Which were read by this change, at most [`READ_IDS`] of them.
    pub ids: &'a [NotificationId],
    /// Everything up to `version` was read, also what `ids` does not name.
    pub all: bool,
    /// The version that the changed notifications have now.
    pub version: u64,
    /// How many are still unread.
    pub unread_count: u64,
}

/// A payload as the store and the wire keep it.
pub(super) fn encode(payload: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(payload).expect("payloads hold nothing that JSON cannot")
}
