//! Conversations.

use super::{Message, Person};
use crate::{clock::Timestamp, id::ConversationId};
use serde::Serialize;

/// A conversation, as one of its participants sees it in their list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// Identifier; its room is `conversation:<id>`.
    pub id: ConversationId,
    /// Everybody in it, the reader included, by name.
    pub participants: Vec<Person>,
    /// The newest message, if anything was said yet.
    pub last_message: Option<Message>,
    /// When something was last said, or when it was opened; lists are sorted by it.
    pub updated_at: Timestamp,
}
