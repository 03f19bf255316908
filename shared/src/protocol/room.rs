//! Room names: `pitch:<id>`, `conversation:<id>`, `team:<id>`, `public:<name>`. The kind is in the name, so that
//! who may enter can be decided without a look-up of what the room is.

use crate::id::{ConversationId, PitchId, TeamId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr, sync::Arc};

/// Longest public name, in bytes.
const PUBLIC_NAME_BYTES: usize = 64;

/// What a room is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoomKind {
    /// One pitch's page.
    Pitch(PitchId),
    /// One conversation.
    Conversation(ConversationId),
    /// One team.
    Team(TeamId),
    /// A configured name that anybody may enter, unauthenticated sockets too.
    Public,
}

/// A well-formed room name. A cheap clone: the text is shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the room is about.
    pub fn kind(&self) -> RoomKind {
        classify(&self.0).expect("the name was checked when it was made")
    }

    /// The room of a conversation.
    pub fn conversation(id: ConversationId) -> Self {
        Self(format!("conversation:{id}").into())
    }

    /// The room of a pitch.
    pub fn pitch(id: PitchId) -> Self {
        Self(format!("pitch:{id}").into())
    }

    /// The part after `public:`, if this is a public room.
    pub fn public_name(&self) -> Option<&str> {
        self.0.strip_prefix("public:")
    }
}

/// The text names no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room is pitch:<id>, conversation:<id>, team:<id> or public:<name>")]
pub struct BadRoom;

fn classify(text: &str) -> Option<RoomKind> {
    let (kind, rest) = text.split_once(':')?;
    // One spelling per room: an upper-case or unhyphenated uuid would be a second name for the same place.
    let canonical = |id: &dyn fmt::Display| id.to_string() == rest;
    match kind {
        "pitch" => rest.parse().ok().filter(|id: &PitchId| canonical(id)).map(RoomKind::Pitch),
        "conversation" => rest.parse().ok().filter(|id: &ConversationId| canonical(id)).map(RoomKind::Conversation),
        "team" => rest.parse().ok().filter(|id: &TeamId| canonical(id)).map(RoomKind::Team),
        "public" => public_name_is_plain(rest).then_some(RoomKind::Public),
        _ => None,
    }
}

fn public_name_is_plain(name: &str) -> bool {
    (1..=PUBLIC_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

impl FromStr for RoomName {
    type Err = BadRoom;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        classify(text).map(|_| Self(text.into())).ok_or(BadRoom)
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RoomName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RoomName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_carries_its_kind() {
        let id = ConversationId::new();
        assert_eq!(RoomName::conversation(id).kind(), RoomKind::Conversation(id));
        assert_eq!("public:lobby".parse::<RoomName>().unwrap().public_name(), Some("lobby"));
    }

    #[test]
    fn one_room_has_one_spelling() {
        let id = PitchId::new();
        let shouted = format!("pitch:{}", id.to_string().to_uppercase());
        let bare = format!("pitch:{}", id.0.simple());
        for bad in [shouted.as_str(), &bare, "pitch:", "pitch:1", "public:", "public:A b", "nobody:x", "lobby", ""] {
            assert!(bad.parse::<RoomName>().is_err(), "{bad:?}");
        }
    }
}
