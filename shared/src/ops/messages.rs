//! Durable messages: stored, numbered and put into every participant's inbox in one transaction, before anybody is
//! told that they were sent.
//!
//! A message makes no notification beside its inbox event: clients would show both. What counts as unread in a
//! conversation is `messages.seq` against what the participant has read.

use super::{Ops, OpsError, events};
use crate::{
    engine::{Signal, Topic},
    id::{ConversationId, UserId},
    model::{Conversation, Identity, Message},
    protocol::{RoomName, command::BODY_BYTES},
    store::{
        StoreError, Tx,
        conversations::{self, ConversationCursor},
        inbox,
        messages::{self, CLIENT_ID_TAKEN, NewMessage},
        rooms,
    },
};
use uuid::Uuid;

/// A message that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// The message.
    pub message: Message,
    /// True when the sender had sent this id before: `message` is the first one, and nothing happened now.
    pub repeated: bool,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug)]
enum To {
    /// A conversation of the sender.
    Conversation(ConversationId),
    /// That, or a user.
    Anything(Uuid),
}

/// Why the transaction was undone.
#[derive(Debug)]
enum Refusal {
    Rule(OpsError),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for OpsError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rule(error) => error,
            Refusal::Store(error) => error.into(),
        }
    }
}

impl Ops {
    /// Sends a durable message to a conversation of the sender, or to a user, with whom a conversation is then found
    /// or opened. `id` names it: the same id from the same sender again, over whatever connection, returns the first
    /// message and changes nothing.
    ///
    /// Whoever calls this for a client that may hang up spawns it on the tracker: being dropped undoes it.
    pub async fn send_message(&self, who: &Identity, id: Uuid, to: Uuid, body: &str) -> Result<SentMessage, OpsError> {
        self.send(who, id, To::Anything(to), body).await
    }

    /// The same to a conversation and nothing else: the id of a user is not found.
    pub async fn say(
        &self,
        who: &Identity,
        id: Uuid,
        conversation: ConversationId,
        body: &str,
    ) -> Result<SentMessage, OpsError> {
        self.send(who, id, To::Conversation(conversation), body).await
    }

    async fn send(&self, who: &Identity, id: Uuid, to: To, body: &str) -> Result<SentMessage, OpsError> {
        check_body(body)?;
        let client_id = id.to_string();
        let written = self.store().try_tx("messages.send", async |tx| write(tx, who, &client_id, to, body).await).await;
        match written {
            Ok(message) => {
                self.engine().bell.ring();
                self.end_typing(who.user_id, message.conversation_id).await;
                Ok(SentMessage { message, repeated: false })
            }
            Err(refusal) => self.repeated(who, &client_id, refusal).await,
        }
    }

    /// The user's conversations, the one spoken in last first.
    pub async fn conversations(
        &self,
        who: &Identity,
        after: Option<ConversationCursor>,
        limit: u32,
    ) -> Result<Vec<Conversation>, OpsError> {
        let list = async |c: &mut _| conversations::list(c, who.user_id, after, limit).await;
        Ok(self.store().read("conversations.list", list).await?)
    }

    /// The conversation with one other user, opened if need be.
    pub async fn open_conversation(&self, who: &Identity, with: UserId) -> Result<Conversation, OpsError> {
        let opened = self.store().try_tx("conversations.open", async |tx| {
            let id = direct(tx, who.user_id, with, "participantId").await?;
            let conversation = conversations::get(tx, who.user_id, id).await?;
            conversation.ok_or(Refusal::Rule(OpsError::NotFound))
        });
        Ok(opened.await?)
    }

    /// Messages numbered below `before`, newest first. A conversation of others is not found.
    pub async fn messages(
        &self,
        who: &Identity,
        conversation: ConversationId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Message>, OpsError> {
        let page = self.store().read("messages.page", async |c| {
            if !rooms::in_conversation(c, conversation, who.user_id).await? {
                return Ok(None);
            }
            messages::page(c, conversation, before, limit).await.map(Some)
        });
        page.await?.ok_or(OpsError::NotFound)
    }

    /// After a refusal: whatever the reason, an id that was sent before answers with what it made then.
    async fn repeated(&self, who: &Identity, client_id: &str, refusal: Refusal) -> Result<SentMessage, OpsError> {
        let may_be_a_repeat = match &refusal {
            Refusal::Rule(error) => *error == OpsError::NotFound,
            Refusal::Store(error) => error.is_unique(CLIENT_ID_TAKEN),
        };
        if may_be_a_repeat {
            let find = async |c: &mut _| messages::by_client_id(c, who.user_id, client_id).await;
            if let Some(message) = self.store().read("messages.by_client_id", find).await? {
                return Ok(SentMessage { message, repeated: true });
            }
        }
        Err(refusal.into())
    }

    /// The message says more than "is typing" did. At most once, like every signal: it also ends by itself.
    async fn end_typing(&self, user: UserId, conversation: ConversationId) {
        let topic = Topic::Room(RoomName::conversation(conversation));
        let ended = Signal::Typing { user, ttl_ms: 0 };
        if let Err(error) = self.engine().broker.signal(&topic, ended).await {
            tracing::debug!(%error, "the end of typing was not announced");
        }
    }
}

async fn write(tx: &mut Tx, who: &Identity, client_id: &str, to: To, body: &str) -> Result<Message, Refusal> {
    let (To::Conversation(ConversationId(id)) | To::Anything(id)) = to;
    let conversation = match to {
        _ if rooms::in_conversation(tx, ConversationId(id), who.user_id).await? => ConversationId(id),
        To::Anything(id) => direct(tx, who.user_id, UserId(id), "to").await?,
        To::Conversation(_) => return Err(Refusal::Rule(OpsError::NotFound)),
    };
    let new = NewMessage { conversation, sender: who.user_id, sender_name: &who.name, client_id, body };
    let message = messages::insert(tx, new).await?;
    let recipients = conversations::participants(tx, conversation).await?;
    let payload = events::encode(&events::MessageCreated { message: &message });
    inbox::append(tx, &recipients, events::MESSAGE_CREATED, &payload).await?;
    Ok(message)
}

async fn direct(tx: &mut Tx, who: UserId, other: UserId, field: &'static str) -> Result<ConversationId, Refusal> {
    if who == other {
        return Err(Refusal::Rule(OpsError::invalid(field, "a conversation needs somebody else")));
    }
    conversations::direct(tx, who, other).await?.ok_or(Refusal::Rule(OpsError::NotFound))
}

fn check_body(body: &str) -> Result<(), OpsError> {
    let problem = if body.trim().is_empty() {
        "must not be empty".into()
    } else if body.len() > BODY_BYTES {
        format!("must be at most {BODY_BYTES} bytes long")
    } else if body.contains('\0') {
        // PostgreSQL has no text with it.
        "must not contain the character U+0000".into()
    } else {
        return Ok(());
    };
    Err(OpsError::invalid("body", problem))
}
