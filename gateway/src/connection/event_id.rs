//! `id:` of an event stream: every position the client has, so that a browser's `Last-Event-ID` says where to go on.
//!
//! ```text
//! 41.9f3c21aa~0b5e77d1.k3.118~c2a9…      inbox position and whose it is, then a room's tag, epoch and number each
//! -~0b5e77d1.k3.118                      nobody's: no inbox
//! ```
//!
//! A tag is a short hash of a name: of the room, so that the id stays small and says nothing about who talks to whom;
//! of the user, so that a browser that signs in as somebody else does not acknowledge that one's inbox with the
//! position of the first. A collision of two rooms (one in some 10⁶ streams of a hundred rooms) costs a reload, since
//! their epochs differ. Only characters that no URL escapes, so that an id may travel in a query too.

use shared::{
    id::UserId,
    protocol::{
        Position, RoomName,
        event::{ReadyInbox, ReadyRoom},
        position::parse_seq,
    },
};
use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

/// Most rooms of one event stream: with their names in the address and their positions in a header, a request must
/// stay below what servers and proxies take as a head (some 4 KiB each).
pub(crate) const MOST_ROOMS: usize = 100;

/// A name's FNV-1a hash.
type Tag = u32;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventId {
    inbox: Option<(u64, Tag)>,
    rooms: BTreeMap<Tag, Position>,
}

/// What of a frame moves a position.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Heading<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    room: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pos: Option<Cow<'a, str>>,
    #[serde(default)]
    recovered: bool,
    #[serde(default)]
    inbox: Option<ReadyInbox>,
    #[serde(default)]
    rooms: BTreeMap<RoomName, ReadyRoom>,
    #[serde(default)]
    pub(super) retry_after: u64,
}

impl EventId {
    /// The last inbox entry the client has, if it is this user's inbox.
    pub(crate) fn inbox_of(&self, user: UserId) -> Option<u64> {
        self.inbox.filter(|(_, whose)| *whose == tag(&user.to_string())).map(|(pos, _)| pos)
    }

    /// The last event the client has of a room.
    pub(crate) fn room(&self, room: &RoomName) -> Option<Position> {
        self.rooms.get(&tag(room.as_str())).copied()
    }

    /// Forgets every room but these.
    pub(crate) fn keep<'a>(&mut self, rooms: impl Iterator<Item = &'a RoomName>) {
        let kept: Vec<Tag> = rooms.map(|room| tag(room.as_str())).collect();
        self.rooms.retain(|tag, _| kept.contains(tag));
    }

    /// How long its text is, at most.
    pub(super) fn most_bytes(&self) -> usize {
        30 + 39 * self.rooms.len()
    }

    /// The client is about to have this frame; true if that moves a position.
    pub(super) fn note(&mut self, frame: &Heading<'_>, user: Option<UserId>) -> bool {
        let room = frame.room.as_deref().map(tag);
        let pos = || frame.pos.as_deref().and_then(|text| text.parse::<Position>().ok());
        match (&*frame.kind, room) {
            ("ready", _) => {
                self.inbox = frame.inbox.zip(user).map(|(inbox, user)| (inbox.pos, tag(&user.to_string())));
                for (room, at) in &frame.rooms {
                    self.enter(tag(room.as_str()), at.pos, at.recovered);
                }
            }
            ("joined", Some(room)) => {
                let Some(pos) = pos() else { return false };
                self.enter(room, pos, frame.recovered);
            }
            ("left", Some(room)) => return self.rooms.remove(&room).is_some(),
            ("event", Some(room)) => {
                let Some(pos) = pos() else { return false };
                self.rooms.insert(room, pos);
            }
            ("inbox", _) => {
                let Some(seq) = frame.pos.as_deref().and_then(parse_seq) else { return false };
                let Some((pos, _)) = &mut self.inbox else { return false };
                *pos = seq;
            }
            _ => return false,
        }
        true
    }

    /// In a room whose top is `top`. What lies between where the client is and the top is still to come, if it can.
    fn enter(&mut self, room: Tag, top: Position, recovered: bool) {
        let at = self.rooms.entry(room).or_insert(top);
        if !recovered || at.epoch != top.epoch {
            *at = top;
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.inbox {
            Some((pos, whose)) => write!(f, "{pos}.{whose:08x}")?,
            None => f.write_str("-")?,
        }
        self.rooms.iter().try_for_each(|(room, at)| write!(f, "~{room:08x}.{}.{}", at.epoch, at.seq))
    }
}

/// The text is no id of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadEventId;

impl FromStr for EventId {
    type Err = BadEventId;

    fn from_str(text: &str) -> Result<Self, BadEventId> {
        let mut parts = text.split('~');
        let inbox = match parts.next().ok_or(BadEventId)? {
            "-" => None,
            inbox => {
                let (pos, whose) = inbox.split_once('.').ok_or(BadEventId)?;
                Some((parse_seq(pos).ok_or(BadEventId)?, parse_tag(whose)?))
            }
        };
        let mut rooms = BTreeMap::new();
        for part in parts {
            let (room, at) = part.split_once('.').ok_or(BadEventId)?;
            let (epoch, seq) = at.split_once('.').ok_or(BadEventId)?;
            let epoch = epoch.parse().map_err(|_| BadEventId)?;
            let at = Position { epoch, seq: parse_seq(seq).ok_or(BadEventId)? };
            if rooms.insert(parse_tag(room)?, at).is_some() || rooms.len() > MOST_ROOMS {
                return Err(BadEventId);
            }
        }
        Ok(Self { inbox, rooms })
    }
}

fn parse_tag(text: &str) -> Result<Tag, BadEventId> {
    let plain = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if plain { Tag::from_str_radix(text, 16).map_err(|_| BadEventId) } else { Err(BadEventId) }
}

fn tag(name: &str) -> Tag {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ Tag::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shared::protocol::Epoch;

    fn note(id: &mut EventId, user: UserId, frame: &str) -> bool {
        id.note(&serde_json::from_str(frame).unwrap(), Some(user))
    }

    #[test]
    fn an_id_moves_with_what_the_client_is_sent_and_never_past_what_is_still_to_come() {
        let (mut id, user) = (EventId::default(), UserId::new());
        let (lobby, hall): (RoomName, RoomName) = ("public:lobby".parse().unwrap(), "public:hall".parse().unwrap());
        let at = |text: &str| text.parse::<Position>().ok();
        let ready = r#"{"type":"ready","user":"x","inbox":{"pos":"7","pending":2,"recovered":true},
            "rooms":{"public:lobby":{"pos":"k3:9","recovered":true}}}"#;
        assert!(note(&mut id, user, ready));
        assert_eq!((id.inbox_of(user), id.inbox_of(UserId::new())), (Some(7), None));
        assert_eq!(id.room(&lobby), at("k3:9"));
        assert!(note(&mut id, user, r#"{"type":"inbox","pos":"8","event":"e","data":{"pos":"99"}}"#));
        assert!(note(&mut id, user, r#"{"type":"event","room":"public:lobby","pos":"k3:10","data":1}"#));
        assert!(!note(&mut id, user, r#"{"type":"typing","room":"public:lobby","user":"x","ttl":1}"#));
        let mut again: EventId = id.to_string().parse().unwrap();
        assert_eq!((again.inbox_of(user), again.room(&lobby), again.room(&hall)), (Some(8), at("k3:10"), None));

        // What it missed comes behind the `ready`, so the position stays until it has come.
        assert!(note(&mut again, user, &ready.replace("k3:9", "k3:20")));
        assert_eq!(again.room(&lobby), at("k3:10"));
        assert!(note(&mut again, user, r#"{"type":"joined","room":"public:lobby","pos":"k3:30","recovered":false}"#));
        assert_eq!(again.room(&lobby), at("k3:30"), "nothing of what lies between will come");
        again.keep([&hall].into_iter());
        assert_eq!(again.room(&lobby), None);
        assert!(note(&mut id, user, r#"{"type":"left","room":"public:lobby"}"#));
        assert_eq!(id.room(&lobby), None);
    }

    #[test]
    fn whatever_is_no_id_of_ours_is_refused() {
        for bad in [
            "",
            "41",
            "41.",
            "41.xyz",
            "-41.9f3c21aa",
            "041.9f3c21aa",
            "41.9F3C21AA",
            "41.9f3c21aa~",
            "-~1",
            "-~0b5e77d1",
            "-~0b5e77d1.k3",
            "-~0b5e77d1.K3.1",
            "-~0b5e77d1.k3.01",
            "-~0b5e77d1.k3.1~0b5e77d1.k3.2",
            "- ",
        ] {
            assert!(bad.parse::<EventId>().is_err(), "{bad:?}");
        }
        let many = (0..=MOST_ROOMS).fold("-".to_owned(), |id, n| format!("{id}~{n:08x}.k3.1"));
        assert!(many.parse::<EventId>().is_err(), "more rooms than a stream may have");
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text_is_bounded_and_needs_no_escaping(
            inbox in prop::option::of((any::<u64>(), any::<u32>())),
            rooms in prop::collection::btree_map(any::<u32>(), (any::<u64>(), any::<u64>()), 0..=MOST_ROOMS),
        ) {
            let at = |(epoch, seq)| Position { epoch: Epoch::from_bits(epoch), seq };
            let id = EventId { inbox, rooms: rooms.into_iter().map(|(tag, place)| (tag, at(place))).collect() };
            let text = id.to_string();
            prop_assert!(text.len() <= id.most_bytes() && text.len() < 4 * 1024);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'~')));
            prop_assert_eq!(text.parse::<EventId>(), Ok(id));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".{0,80}") {
            let _ = text.parse::<EventId>();
        }
    }
}
