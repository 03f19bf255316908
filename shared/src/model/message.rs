//! Messages.

use crate::{
    clock::Timestamp,
    id::{ConversationId, MessageId, UserId},
};
use serde::{Deserialize, Serialize};

/// One message, as every participant of its conversation sees it: over REST and in the inbox alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Identifier.
    pub id: MessageId,
    /// Where it was said.
    pub conversation_id: ConversationId,
    /// Its number in the conversation, from 1 and without gaps: the order in which messages were committed.
    pub seq: u64,
    /// Who said it.
    pub sender_id: UserId,
    /// The sender's display name today.
    pub sender_name: String,
    /// The text, exactly as it was sent; whoever shows it escapes it.
    pub body: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// The name the sender gave it (a uuid); unique per sender, for ever.
    pub client_id: String,
}
