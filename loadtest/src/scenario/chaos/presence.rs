//! What a user sees of its neighbour: whether the one who writes to it is there. Versions only grow; an older one that is
//! overtaken on the way is dropped, but the look at the end must not be older than what was seen before.

use super::verdict::Breaches;
use serde_json::json;
use shared::{
    id::UserId,
    protocol::{command::Status, event::PresenceState},
};

/// The neighbour.
#[derive(Debug, Default)]
pub(super) struct Neighbour {
    /// There was a letter: the two share a conversation, and one may watch the other.
    known: bool,
    /// Asked to watch on this connection.
    watching: bool,
    newest: Option<PresenceState>,
    look: Look,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Look {
    #[default]
    NotYet,
    Asked,
    Saw(PresenceState),
}

impl Neighbour {
    pub(super) fn reconnected(&mut self) {
        self.watching = false;
    }

    pub(super) fn is_known(&mut self) {
        self.known = true;
    }

    /// The last look: asks for a snapshot.
    pub(super) fn look_again(&mut self) {
        (self.watching, self.look) = (false, Look::Asked);
    }

    pub(super) fn has_looked(&self) -> bool {
        matches!(self.look, Look::Saw(_))
    }

    /// The frame that begins to watch, when it is time for it.
    pub(super) fn watch(&mut self, user: UserId) -> Option<String> {
        if !self.known || self.watching {
            return None;
        }
        self.watching = true;
        Some(json!({"type": "watch", "users": [user]}).to_string())
    }

    /// A state has arrived; true if it says that the neighbour is offline now.
    pub(super) fn heard(&mut self, state: PresenceState) -> bool {
        if self.look == Look::Asked {
            self.look = Look::Saw(state);
        }
        if self.newest.is_some_and(|newest| newest.v >= state.v) {
            return false;
        }
        self.newest = Some(state);
        state.status == Status::Offline
    }

    /// The verdict, at the end of a run in which everybody was there.
    pub(super) fn close(&self, breaches: &mut Breaches) {
        match (self.look, self.newest) {
            (Look::Saw(last), Some(newest)) => {
                if last.v < newest.v {
                    breaches.note("presence versions that went back", format!("{} after {}", last.v, newest.v));
                }
                if last.status == Status::Offline {
                    breaches.note("users offline to others who were there", format!("{last:?}"));
                }
            }
            _ => breaches.note("users who saw nothing of their neighbour", String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_look_must_be_the_newest_and_see_somebody() {
        let state = |v, status| PresenceState { user: UserId::new(), status, v, devices: 1 };
        let verdict = |last: PresenceState| {
            let (mut neighbour, mut breaches) = (Neighbour::default(), Breaches::default());
            neighbour.heard(state(5, Status::Online));
            neighbour.look_again();
            neighbour.heard(last);
            neighbour.close(&mut breaches);
            breaches.lines().len()
        };
        assert_eq!(verdict(state(5, Status::Online)), 0);
        assert_eq!(verdict(state(4, Status::Online)), 1);
        assert_eq!(verdict(state(6, Status::Offline)), 1);
    }
}
