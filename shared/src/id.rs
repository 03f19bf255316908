//! Identifiers: one newtype per kind of thing, so that a pitch id can never be passed where a user id is meant.
//!
//! All are UUIDv7 made in Rust: time-ordered (kind to B-trees), unguessable enough to be public, and known before
//! the insert. They are names, not secrets: every access is authorised on the object itself.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "store", derive(sqlx::Type), sqlx(transparent))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh identifier (UUIDv7).
            #[expect(clippy::new_without_default, reason = "every call differs: not a default")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self).map_err(|_| NotAnId)
            }
        }
    )+};
}

/// The text is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an id")]
pub struct NotAnId;

ids! {
    /// A person with an account.
    UserId;
    /// One login; survives portal switches, token rotation and restarts.
    SessionId;
    /// A film pitch.
    PitchId;
    /// A conversation between two or more users.
    ConversationId;
    /// One message in a conversation.
    MessageId;
    /// An entry of a user's notification feed.
    NotificationId;
    /// A team of users.
    TeamId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse_in_the_hyphenated_form() {
        let id = UserId::new();
        assert_eq!(id.to_string().parse::<UserId>().unwrap(), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let (a, b) = (PitchId::new(), PitchId::new());
        assert!(a < b);
    }
}
