//! What the server says.
//!
//! [`Event`] encodes, borrowing everything; [`Received`] decodes, for clients, the load test and tests. A frame that
//! many receive is encoded once and shared as bytes.

use super::{CloseReason, Position, RoomName, command::Status};
use crate::id::UserId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// How long a typing indicator lives unless repeated, in milliseconds.
pub const TYPING_TTL_MS: u64 = 6_000;

/// A frame on its way to a client.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event<'a> {
    /// First frame of every connection.
    Hello {
        /// This connection's name.
        conn: &'a str,
        /// Silence after which the server pings, in milliseconds.
        heartbeat: u64,
        /// Largest message accepted after authentication, in bytes.
        max: usize,
        /// The node's name.
        node: &'a str,
    },
    /// Authenticated.
    Ready {
        /// Echo.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// Who the socket acts as.
        user: UserId,
        /// The device whose cursor acks move.
        device: &'a str,
        /// Where the inbox replay starts.
        inbox: ReadyInbox,
        /// The rooms that were resumed.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        rooms: BTreeMap<RoomName, ReadyRoom>,
    },
    /// Answer to `ping`.
    Pong {
        /// Echo.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// The ping's `t`.
        #[serde(skip_serializing_if = "Option::is_none")]
        t: Option<&'a RawValue>,
    },
    /// One inbox entry.
    Inbox {
        /// Its position: the store's sequence number, in a string.
        pos: &'a str,
        /// What happened, such as `message.created`.
        event: &'a str,
        /// The entry.
        data: &'a RawValue,
    },
    /// In the room.
    Joined {
        /// Echo.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// Which room.
        room: &'a RoomName,
        /// The room's top; what follows is live.
        #[serde(flatten)]
        at: ReadyRoom,
        /// At most 100 of the users in the room, on all nodes together; none in a pitch's or a public room.
        online: &'a [UserId],
        /// How many connections are in it. What other nodes bring is a second old at most.
        count: usize,
    },
    /// Out of the room.
    Left {
        /// Echo.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// Which room.
        room: &'a RoomName,
    },
    /// A command was carried out.
    Ack {
        /// Echo.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// For `send`: where the event is in the room.
        #[serde(skip_serializing_if = "Option::is_none")]
        pos: Option<Position>,
        /// For `message`: the stored message.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        /// For `message`: the conversation it went to.
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation: Option<&'a str>,
    },
    /// Somebody types; forget it after `ttl` ms.
    Typing {
        /// Where.
        room: &'a RoomName,
        /// Who.
        user: UserId,
        /// How long it holds, in milliseconds; 0 ends it.
        ttl: u64,
    },
    /// A watched user's presence.
    Presence(PresenceState),
    /// Something was refused.
    Error {
        /// Echo.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// Which room could not be entered: an `auth` may ask for many.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a RoomName>,
        /// Stable code.
        code: &'a str,
        /// For people.
        message: &'a str,
        /// When to try again, in milliseconds; 0 when trying again will not help.
        retry_after: u64,
    },
    /// The server is about to close.
    Bye {
        /// The close code that follows.
        code: u16,
        /// Why.
        reason: &'a str,
        /// When to come back, in milliseconds.
        retry_after: u64,
    },
}

/// Where the inbox stands at `ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyInbox {
    /// The position replay starts after, as a decimal number in a string.
    #[serde(with = "seq_text")]
    pub pos: u64,
    /// How many entries follow.
    pub pending: u64,
    /// False when entries before the start were trimmed: reload over REST.
    pub recovered: bool,
}

/// Where a room stands at `ready` or `joined`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyRoom {
    /// The room's top.
    pub pos: Position,
    /// False when what lies between the client's position and the top is not all there: reload over REST.
    pub recovered: bool,
}

/// A user's presence, all devices taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceState {
    /// Who.
    pub user: UserId,
    /// Online if any device is, else away if any is, else offline.
    #[serde(deserialize_with = "any_status")]
    pub status: Status,
    /// Only grows; a client drops anything older than what it has.
    pub v: u64,
    /// How many devices are connected.
    pub devices: u32,
}

impl Event<'_> {
    /// The frame's text.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("frames hold nothing that JSON cannot")
    }
}

/// The `bye` frame for a reason.
pub fn bye(reason: CloseReason, retry_after_ms: u64) -> String {
    let (code, reason) = reason.code_and_text();
    Event::Bye { code, reason, retry_after: retry_after_ms }.encode()
}

/// The two halves of a room event around its position, which the engine assigns while it publishes.
pub fn room_event_halves(room: &RoomName, from: Option<UserId>, data: &RawValue) -> (String, String) {
    let before = format!(r#"{{"type":"event","room":"{room}","pos":""#);
    let after = match from {
        Some(user) => format!(r#"","from":"{user}","data":{}}}"#, data.get()),
        None => format!(r#"","data":{}}}"#, data.get()),
    };
    (before, after)
}

/// One inbox entry's frame.
pub fn inbox_frame(seq: u64, event: &str, data: &RawValue) -> String {
    Event::Inbox { pos: &seq.to_string(), event, data }.encode()
}

/// A frame as a client reads it.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of Event, documented there")]
pub enum Received {
    Hello {
        conn: String,
        heartbeat: u64,
        max: usize,
        node: String,
    },
    Ready {
        id: Option<serde_json::Value>,
        user: UserId,
        device: String,
        inbox: ReadyInbox,
        #[serde(default)]
        rooms: BTreeMap<RoomName, ReadyRoom>,
    },
    Pong {
        id: Option<serde_json::Value>,
        t: Option<serde_json::Value>,
    },
    Inbox {
        #[serde(with = "seq_text")]
        pos: u64,
        event: String,
        data: serde_json::Value,
    },
    Joined {
        id: Option<serde_json::Value>,
        room: RoomName,
        pos: Position,
        recovered: bool,
        online: Vec<UserId>,
        count: usize,
    },
    Left {
        id: Option<serde_json::Value>,
        room: RoomName,
    },
    Ack {
        id: Option<serde_json::Value>,
        pos: Option<Position>,
        message: Option<String>,
        conversation: Option<String>,
    },
    Event {
        room: RoomName,
        pos: Position,
        from: Option<UserId>,
        data: serde_json::Value,
    },
    Typing {
        room: RoomName,
        user: UserId,
        ttl: u64,
    },
    Presence(PresenceState),
    Error {
        id: Option<serde_json::Value>,
        room: Option<RoomName>,
        code: String,
        message: String,
        retry_after: u64,
    },
    Bye {
        code: u16,
        reason: String,
        retry_after: u64,
    },
}

fn any_status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    match &*text {
        "online" => Ok(Status::Online),
        "away" => Ok(Status::Away),
        "offline" => Ok(Status::Offline),
        _ => Err(serde::de::Error::custom("unknown status")),
    }
}

mod seq_text {
    //! Inbox positions travel as decimal text: JavaScript's numbers end at 2⁵³.
    use crate::protocol::position::parse_seq;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `with` passes a reference")]
    pub(super) fn serialize<S: Serializer>(seq: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(seq)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse_seq(&text).ok_or_else(|| D::Error::custom("not a position"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Epoch, RoomKind};
    use proptest::{option, prelude::*};
    use serde_json::{Value, value::to_raw_value};

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    fn id() -> impl Strategy<Value = Option<Value>> {
        option::of(prop_oneof![any::<i64>().prop_map(Value::from), ".{0,30}".prop_map(Value::from)])
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,8}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn user() -> impl Strategy<Value = UserId> {
        any::<u128>().prop_map(|bits| UserId(uuid::Uuid::from_u128(bits)))
    }

    fn position() -> impl Strategy<Value = Position> {
        (any::<u64>(), any::<u64>()).prop_map(|(bits, seq)| Position { epoch: Epoch::from_bits(bits), seq })
    }

    fn room() -> impl Strategy<Value = RoomName> {
        let private = (prop::sample::select(vec!["pitch", "conversation", "team"]), any::<u128>())
            .prop_map(|(kind, bits)| format!("{kind}:{}", uuid::Uuid::from_u128(bits)));
        prop_oneof![private, "public:[a-z0-9_-]{1,64}"].prop_map(|name| name.parse().unwrap())
    }

    fn at() -> impl Strategy<Value = ReadyRoom> {
        (position(), any::<bool>()).prop_map(|(pos, recovered)| ReadyRoom { pos, recovered })
    }

    fn status() -> impl Strategy<Value = Status> {
        prop::sample::select(vec![Status::Online, Status::Away, Status::Offline])
    }

    /// Anything a server can say.
    fn received() -> impl Strategy<Value = Received> {
        let text = || ".{0,40}";
        prop_oneof![
            (text(), any::<u64>(), any::<usize>(), text()).prop_map(|(conn, heartbeat, max, node)| Received::Hello {
                conn,
                heartbeat,
                max,
                node
            }),
            (id(), user(), text(), any::<(u64, u64, bool)>(), prop::collection::btree_map(room(), at(), 0..4))
                .prop_map(|(id, user, device, (pos, pending, recovered), rooms)| {
                    Received::Ready { id, user, device, inbox: ReadyInbox { pos, pending, recovered }, rooms }
                }),
            (id(), option::of(json().prop_filter("null is no value", |t| !t.is_null())))
                .prop_map(|(id, t)| Received::Pong { id, t }),
            (any::<u64>(), text(), json()).prop_map(|(pos, event, data)| Received::Inbox { pos, event, data }),
            (id(), room(), at(), prop::collection::vec(user(), 0..5), any::<usize>()).prop_map(
                |(id, room, ReadyRoom { pos, recovered }, online, count)| {
                    Received::Joined { id, room, pos, recovered, online, count }
                }
            ),
            (id(), room()).prop_map(|(id, room)| Received::Left { id, room }),
            (id(), option::of(position()), option::of(text()), option::of(text()))
                .prop_map(|(id, pos, message, conversation)| Received::Ack { id, pos, message, conversation }),
            (room(), position(), option::of(user()), json()).prop_map(|(room, pos, from, data)| Received::Event {
                room,
                pos,
                from,
                data
            }),
            (room(), user(), any::<u64>()).prop_map(|(room, user, ttl)| Received::Typing { room, user, ttl }),
            (user(), status(), any::<u64>(), any::<u32>()).prop_map(|(user, status, v, devices)| {
                Received::Presence(PresenceState { user, status, v, devices })
            }),
            (id(), option::of(room()), text(), text(), any::<u64>()).prop_map(
                |(id, room, code, message, retry_after)| Received::Error { id, room, code, message, retry_after }
            ),
            (any::<u16>(), text(), any::<u64>()).prop_map(|(code, reason, retry_after)| Received::Bye {
                code,
                reason,
                retry_after
            }),
        ]
    }

    /// What the server writes for it.
    fn encode(frame: &Received) -> String {
        let raw = |value: &Option<Value>| value.as_ref().map(|value| to_raw_value(value).unwrap());
        match frame {
            Received::Hello { conn, heartbeat, max, node } => {
                Event::Hello { conn, heartbeat: *heartbeat, max: *max, node }.encode()
            }
            Received::Ready { id, user, device, inbox, rooms } => {
                let (id, rooms) = (raw(id), rooms.clone());
                Event::Ready { id: id.as_deref(), user: *user, device, inbox: *inbox, rooms }.encode()
            }
            Received::Pong { id, t } => {
                let (id, t) = (raw(id), raw(t));
                Event::Pong { id: id.as_deref(), t: t.as_deref() }.encode()
            }
            Received::Inbox { pos, event, data } => inbox_frame(*pos, event, &to_raw_value(data).unwrap()),
            Received::Joined { id, room, pos, recovered, online, count } => {
                let at = ReadyRoom { pos: *pos, recovered: *recovered };
                Event::Joined { id: raw(id).as_deref(), room, at, online, count: *count }.encode()
            }
            Received::Left { id, room } => Event::Left { id: raw(id).as_deref(), room }.encode(),
            Received::Ack { id, pos, message, conversation } => {
                let (message, conversation) = (message.as_deref(), conversation.as_deref());
                Event::Ack { id: raw(id).as_deref(), pos: *pos, message, conversation }.encode()
            }
            Received::Event { room, pos, from, data } => {
                let (before, after) = room_event_halves(room, *from, &to_raw_value(data).unwrap());
                format!("{before}{pos}{after}")
            }
            Received::Typing { room, user, ttl } => Event::Typing { room, user: *user, ttl: *ttl }.encode(),
            Received::Presence(state) => Event::Presence(*state).encode(),
            Received::Error { id, room, code, message, retry_after } => {
                let (id, room, retry_after) = (raw(id), room.as_ref(), *retry_after);
                Event::Error { id: id.as_deref(), room, code, message, retry_after }.encode()
            }
            Received::Bye { code, reason, retry_after } => {
                Event::Bye { code: *code, reason, retry_after: *retry_after }.encode()
            }
        }
    }

    proptest! {
        #[test]
        fn every_frame_reads_back_as_what_was_meant(frame in received()) {
            let text = encode(&frame);
            prop_assert!(!text.contains('\n'), "one line: {text}");
            prop_assert_eq!(serde_json::from_str::<Received>(&text).unwrap(), frame);
        }

        #[test]
        fn room_names_survive_their_text_and_carry_their_kind(room in room()) {
            prop_assert_eq!(room.as_str().parse::<RoomName>(), Ok(room.clone()));
            prop_assert_eq!(room.kind() == RoomKind::Public, room.public_name().is_some());
        }
    }

    #[test]
    fn frames_have_the_documented_shape() {
        let id = raw("1");
        let error = Event::Error { id: Some(&id), room: None, code: "forbidden", message: "no", retry_after: 0 };
        assert_eq!(error.encode(), r#"{"type":"error","id":1,"code":"forbidden","message":"no","retry_after":0}"#);
        assert_eq!(bye(CloseReason::Drain, 5), r#"{"type":"bye","code":1012,"reason":"drain","retry_after":5}"#);
        assert_eq!(
            inbox_frame(41, "notification.created", &raw(r#"{"n":1}"#)),
            r#"{"type":"inbox","pos":"41","event":"notification.created","data":{"n":1}}"#
        );
    }
}
