//! What a client may say.
//!
//! Reading is lenient where the protocol says so (unknown fields are ignored, `id` may be any short string or
//! number) and strict in values: a known field of the wrong type or form is refused, naming the field. Nothing here
//! is copied that can be borrowed from the frame, and nothing is kept: payloads pin the connection's read buffer.

use super::{Position, RoomName, position::parse_seq};
use crate::id::NotificationId;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};
use uuid::Uuid;

/// Longest `id` a client may ask us to echo, in bytes of JSON.
const ID_BYTES: usize = 128;
/// Longest device name, in bytes.
const DEVICE_BYTES: usize = 64;
/// Deepest nesting of a `send`'s data. `serde_json` stops at 128 and counts our own envelope too.
const DATA_DEPTH: usize = 64;
/// Longest message body, in bytes. Longer texts belong into a document.
pub const BODY_BYTES: usize = 8 * 1024;

/// One frame: its `id`, if it has one that can be echoed, and what it asks for.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Echoed in the reply; a JSON string or number, as the client wrote it.
    pub id: Option<&'a RawValue>,
    /// The command, or why there is none.
    pub command: Result<Command<'a>, BadFrame>,
}

/// What a client asks for.
#[derive(Debug)]
pub enum Command<'a> {
    /// Answered always, before authentication too.
    Ping(Ping<'a>),
    /// A session token or a ticket; with it, or after a cookie, the positions to resume from.
    Auth(Auth<'a>),
    /// Everything in the inbox up to here was taken over; cumulative.
    Ack(Ack),
    /// Enter a room, from a position on if one is given.
    Join(Join),
    /// Leave a room.
    Leave(InRoom),
    /// Publish to a room. `id` (a uuid) makes a repeat harmless.
    Send(Send<'a>),
    /// A message to a conversation or a user: durable, committed before the ack. `id` (a uuid) makes a repeat harmless.
    Message(Message<'a>),
    /// "Is typing" in a room.
    Typing(InRoom),
    /// The client's own status.
    Presence(SetPresence),
    /// Follow the presence of these users, instead of those watched before.
    Watch(Watch),
    /// Mark notifications as read.
    Read(Read),
}

/// See [`Command::Ping`].
#[derive(Debug, Deserialize)]
pub struct Ping<'a> {
    /// Any value, echoed.
    #[serde(borrow, default)]
    pub t: Option<&'a RawValue>,
}

/// See [`Command::Auth`].
#[derive(Debug, Deserialize)]
pub struct Auth<'a> {
    /// A session token or a one-time ticket; none when a cookie already authenticated the socket.
    #[serde(borrow, default)]
    pub token: Option<Cow<'a, str>>,
    /// The device's name, if the URL did not give one.
    #[serde(borrow, default, deserialize_with = "device")]
    pub device: Option<Cow<'a, str>>,
    /// The last inbox entry the client has.
    #[serde(default, deserialize_with = "optional_seq")]
    pub inbox: Option<u64>,
    /// Rooms to enter at once, with the last position the client has in each.
    #[serde(default)]
    pub rooms: BTreeMap<RoomName, Option<Position>>,
}

/// See [`Command::Ack`].
#[derive(Debug, Deserialize)]
pub struct Ack {
    /// The last entry taken over.
    #[serde(deserialize_with = "seq")]
    pub pos: u64,
}

/// See [`Command::Join`].
#[derive(Debug, Deserialize)]
pub struct Join {
    /// Which room.
    pub room: RoomName,
    /// The last position the client has.
    #[serde(default)]
    pub pos: Option<Position>,
}

/// A command that names nothing but a room.
#[derive(Debug, Deserialize)]
pub struct InRoom {
    /// Which room.
    pub room: RoomName,
}

/// See [`Command::Send`].
#[derive(Debug, Deserialize)]
pub struct Send<'a> {
    /// The client's name for this event.
    pub id: Uuid,
    /// Which room.
    pub room: RoomName,
    /// Any JSON value, passed on as it is.
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// See [`Command::Message`].
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// The client's name for this message, unique per sender for ever.
    pub id: Uuid,
    /// A conversation, or a user with whom one is opened.
    pub to: Uuid,
    /// The text.
    #[serde(borrow)]
    pub body: Cow<'a, str>,
}

/// A status a user can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At the keyboard.
    Online,
    /// Connected, but elsewhere.
    Away,
    /// Not connected; never set by a client.
    #[serde(skip_deserializing)]
    Offline,
}

/// See [`Command::Presence`].
#[derive(Debug, Deserialize)]
pub struct SetPresence {
    /// The new status of this connection.
    pub status: Status,
}

/// See [`Command::Watch`].
#[derive(Debug, Deserialize)]
pub struct Watch {
    /// Whom to follow; bounded by the gateway.
    pub users: Vec<crate::id::UserId>,
}

/// See [`Command::Read`].
#[derive(Debug, Deserialize)]
pub struct Read {
    /// Which notifications; those of other users are passed over.
    pub notifications: Vec<NotificationId>,
}

/// Why a frame holds no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Not a JSON object with a `type`, or an `id` that cannot be echoed. A few of these close the socket (4400).
    #[error("expected a JSON object with a \"type\": {0}")]
    Malformed(String),
    /// A type the protocol does not have. Never closes by itself.
    #[error("unknown type {0:?}")]
    UnknownType(String),
    /// A known type with a missing or wrong field.
    #[error("{0}")]
    Invalid(String),
}

impl BadFrame {
    /// The stable code in the `error` frame.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "bad_json",
            Self::UnknownType(_) => "unknown_type",
            Self::Invalid(_) => "invalid",
        }
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

impl<'a> Frame<'a> {
    /// Reads one text frame. Never panics, whatever the text; `serde_json` refuses nesting beyond 128.
    pub fn parse(text: &'a str) -> Self {
        match serde_json::from_str::<Head<'a>>(text) {
            Err(problem) => Self { id: None, command: Err(BadFrame::Malformed(describe(&problem))) },
            Ok(head) => match head.id.map_or(Ok(()), echoable) {
                Ok(()) => Self { id: head.id, command: Command::parse(&head.kind, text) },
                Err(problem) => Self { id: None, command: Err(BadFrame::Malformed(problem)) },
            },
        }
    }
}

impl<'a> Command<'a> {
    fn parse(kind: &str, text: &'a str) -> Result<Self, BadFrame> {
        fn body<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, BadFrame> {
            serde_json::from_str(text).map_err(|problem| BadFrame::Invalid(describe(&problem)))
        }
        match kind {
            "ping" => body(text).and_then(Ping::checked).map(Self::Ping),
            "auth" => body(text).map(Self::Auth),
            "ack" => body(text).map(Self::Ack),
            "join" => body(text).map(Self::Join),
            "leave" => body(text).map(Self::Leave),
            "send" => body(text).and_then(Send::checked).map(Self::Send),
            "message" => body(text).and_then(Message::checked).map(Self::Message),
            "typing" => body(text).map(Self::Typing),
            "presence" => body(text).map(Self::Presence),
            "watch" => body(text).map(Self::Watch),
            "read" => body(text).map(Self::Read),
            unknown => Err(BadFrame::UnknownType(unknown.chars().take(40).collect())),
        }
    }
}

impl Ping<'_> {
    /// `t` is echoed unread.
    fn checked(self) -> Result<Self, BadFrame> {
        if let Some(t) = self.t {
            let look = Look::at(t.get());
            look.values_exist(t).map_err(|problem| BadFrame::Invalid(format!("t: {problem}")))?;
        }
        Ok(self)
    }
}

impl Send<'_> {
    /// `data` is passed on unread, so what other clients' parsers would choke on must stop here.
    fn checked(self) -> Result<Self, BadFrame> {
        let look = Look::at(self.data.get());
        if look.depth > DATA_DEPTH {
            return Err(BadFrame::Invalid(format!("data is nested deeper than {DATA_DEPTH} levels")));
        }
        look.values_exist(self.data).map_err(|problem| BadFrame::Invalid(format!("data: {problem}")))?;
        Ok(self)
    }
}

impl Message<'_> {
    fn checked(self) -> Result<Self, BadFrame> {
        if self.body.trim().is_empty() || self.body.len() > BODY_BYTES {
            return Err(BadFrame::Invalid(format!("body must be 1 to {BODY_BYTES} bytes, not only white space")));
        }
        Ok(self)
    }
}

fn echoable(id: &RawValue) -> Result<(), String> {
    let text = id.get();
    if text.len() > ID_BYTES || !text.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        return Err(format!("id must be a string or number of at most {ID_BYTES} bytes"));
    }
    Look::at(text).values_exist(id).map_err(|problem| format!("id: {problem}"))
}

/// What one pass over well-formed JSON tells about it, without reading its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    /// How deep it is nested.
    depth: usize,
    /// Whether it may hold what has the form of a value and is none: half a surrogate pair (`"\ud800"`), or a number
    /// beyond every number (`1e999`). Raw values are checked for their form only, and strict parsers refuse both.
    doubtful: bool,
}

/// A number of fewer digits, without an exponent, is a number everywhere: 1.8e308 has 309 of them.
const DIGITS: usize = 300;

impl Look {
    /// One pass, no recursion.
    fn at(json: &str) -> Self {
        let (mut look, mut depth, mut in_string, mut escaped) =
            (Self { depth: 0, doubtful: false }, 0_usize, false, false);
        let mut digits = 0;
        for byte in json.bytes() {
            match (in_string, byte) {
                (true, _) if escaped => {
                    escaped = false;
                    look.doubtful |= byte == b'u';
                }
                (true, b'\\') => escaped = true,
                (_, b'"') => in_string = !in_string,
                (false, b'0'..=b'9') => {
                    digits += 1;
                    look.doubtful |= digits > DIGITS;
                    continue;
                }
                (false, b'e' | b'E') => look.doubtful |= digits > 0,
                (false, b'[' | b'{') => {
                    depth += 1;
                    look.depth = look.depth.max(depth);
                }
                (false, b']' | b'}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            digits = 0;
        }
        look
    }

    /// Reads the values if there is any doubt; says which one is none. Few frames have escapes or exponents, and a
    /// frame is at most 64 KiB.
    fn values_exist(self, json: &RawValue) -> Result<(), String> {
        if !self.doubtful {
            return Ok(());
        }
        serde_json::from_str::<serde_json::Value>(json.get()).map(drop).map_err(|problem| describe(&problem))
    }
}

/// What `serde_json` says, without the line and column: a frame is one line.
fn describe(problem: &serde_json::Error) -> String {
    let text = problem.to_string();
    text.split(" at line ").next().unwrap_or_default().chars().take(200).collect()
}

fn seq<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = <Cow<'de, str>>::deserialize(deserializer)?;
    parse_seq(&text).ok_or_else(|| D::Error::custom("an inbox position is a decimal number in a string"))
}

fn optional_seq<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Option::<Cow<'de, str>>::deserialize(deserializer)? {
        None => Ok(None),
        Some(text) => parse_seq(&text)
            .map(Some)
            .ok_or_else(|| D::Error::custom("an inbox position is a decimal number in a string")),
    }
}

fn device<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    let name = Option::<Cow<'a, str>>::deserialize(deserializer)?;
    match &name {
        Some(text) if !is_device(text) => Err(D::Error::custom(DEVICE_RULE)),
        _ => Ok(name),
    }
}

/// The rule [`is_device`] checks, for error messages.
pub const DEVICE_RULE: &str = "a device is 1 to 64 of the characters a-z A-Z 0-9 . _ -";

/// Whether a text can name a device.
pub fn is_device(text: &str) -> bool {
    (1..=DEVICE_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Epoch;
    use proptest::prelude::*;
    use serde_json::json;

    fn command(text: &str) -> Result<Command<'_>, BadFrame> {
        Frame::parse(text).command
    }

    #[test]
    fn unknown_fields_are_ignored_and_the_id_is_echoed_as_written() {
        let frame = Frame::parse(r#"{"type":"ping","id":"a-1","t":12.50,"colour":"blue"}"#);
        assert_eq!(frame.id.unwrap().get(), "\"a-1\"");
        let Ok(Command::Ping(ping)) = frame.command else { panic!("{:?}", frame.command) };
        assert_eq!(ping.t.unwrap().get(), "12.50");
    }

    #[test]
    fn auth_carries_positions_for_a_resume_in_one_round_trip() {
        let text = r#"{"type":"auth","token":"x","device":"d_1","inbox":"41","rooms":{"public:lobby":"k3:118"}}"#;
        let Ok(Command::Auth(auth)) = command(text) else { panic!() };
        assert_eq!((auth.inbox, auth.device.as_deref()), (Some(41), Some("d_1")));
        assert_eq!(auth.rooms.values().next().unwrap().unwrap().to_string(), "k3:118");
    }

    #[test]
    fn a_wrong_field_is_named_and_an_unknown_type_is_not_malformed() {
        assert!(matches!(command(r#"{"type":"ack","pos":41}"#), Err(BadFrame::Invalid(_))));
        assert!(matches!(command(r#"{"type":"dance"}"#), Err(BadFrame::UnknownType(t)) if t == "dance"));
        assert!(matches!(command(r#"{"type":"join"}"#), Err(BadFrame::Invalid(m)) if m.contains("room")));
        for text in ["", "[]", "{", "nul", r#"{"id":1}"#, r#"{"type":7}"#, r#"{"type":"ping","id":{}}"#] {
            assert!(matches!(command(text), Err(BadFrame::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn nobody_can_set_offline_or_send_an_empty_message() {
        assert!(matches!(command(r#"{"type":"presence","status":"offline"}"#), Err(BadFrame::Invalid(_))));
        let id = Uuid::now_v7();
        let text = format!(r#"{{"type":"message","id":"{id}","to":"{id}","body":" \n"}}"#);
        assert!(matches!(command(&text), Err(BadFrame::Invalid(_))));
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let id = Uuid::now_v7();
        let send = |data: String| format!(r#"{{"type":"send","id":"{id}","room":"public:lobby","data":{data}}}"#);
        let deep = send(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
        assert!(matches!(command(&deep), Err(BadFrame::Invalid(_))));
        let brackets_in_text = send(format!(r#"["\"{}"]"#, "[".repeat(10_000)));
        assert!(command(&brackets_in_text).is_ok());
    }

    #[test]
    fn what_has_the_form_of_a_value_and_is_none_is_refused_by_name_and_never_passed_on_or_echoed() {
        let id = Uuid::now_v7();
        for no_value in [
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\uD83D\u0041""#,
            r#"{"\udfff":1}"#,
            "1e999",
            "[-1E400]",
            &"9".repeat(400),
        ] {
            let send = format!(r#"{{"type":"send","id":"{id}","room":"public:lobby","data":{no_value}}}"#);
            assert!(matches!(command(&send), Err(BadFrame::Invalid(m)) if m.starts_with("data: ")), "{no_value}");
            let ping = format!(r#"{{"type":"ping","t":{no_value}}}"#);
            assert!(matches!(command(&ping), Err(BadFrame::Invalid(m)) if m.starts_with("t: ")), "{no_value}");
        }
        for no_id in [r#""\ud800""#, r#""a\udfffb""#, "1e999", "-1E+999"] {
            let text = format!(r#"{{"type":"ping","id":{no_id}}}"#);
            let frame = Frame::parse(&text);
            assert!(frame.id.is_none(), "{no_id}");
            assert!(matches!(frame.command, Err(BadFrame::Malformed(m)) if m.starts_with("id: ")), "{no_id}");
        }
        for value in [r#""\ud83d\ude00 \u0041 \\ud800""#, "1e300", "0.5E-999", "[true,false]", &"9".repeat(300)] {
            let send = format!(r#"{{"type":"send","id":"{id}","room":"public:lobby","data":{value}}}"#);
            let Ok(Command::Send(send)) = command(&send) else { panic!("{value}") };
            assert_eq!(send.data.get(), value, "passed on as it was written");
        }
    }

    #[test]
    fn plain_data_is_not_read_twice() {
        for plain in [r#"{"text":"café 1e999 \\n","n":[-12.5,true,null]}"#, r#""else""#, "false"] {
            assert!(!Look::at(plain).doubtful, "{plain}");
        }
    }

    fn position() -> impl Strategy<Value = Option<Position>> {
        prop::option::of(
            (any::<u64>(), any::<u64>()).prop_map(|(bits, seq)| Position { epoch: Epoch::from_bits(bits), seq }),
        )
    }

    fn uuids() -> impl Strategy<Value = Vec<Uuid>> {
        prop::collection::vec(any::<u128>().prop_map(Uuid::from_u128), 0..6)
    }

    proptest! {
        #[test]
        fn a_command_reads_back_as_what_the_client_wrote(
            token in prop::option::of("[ -~]{0,60}"),
            device in prop::option::of("[A-Za-z0-9._-]{1,64}"),
            inbox: Option<u64>,
            rooms in prop::collection::btree_map("public:[a-z0-9]{1,20}", position(), 0..5),
        ) {
            let seq = inbox.map(|seq| seq.to_string());
            let text = json!({"type": "auth", "token": token, "device": device, "inbox": seq, "rooms": rooms}).to_string();
            let Ok(Command::Auth(auth)) = command(&text) else { panic!("{text}") };
            prop_assert_eq!((auth.token.as_deref(), auth.device.as_deref()), (token.as_deref(), device.as_deref()));
            let read: BTreeMap<String, _> = auth.rooms.into_iter().map(|(room, pos)| (room.to_string(), pos)).collect();
            prop_assert_eq!((auth.inbox, read), (inbox, rooms));
        }

        #[test]
        fn what_a_client_says_to_rooms_and_people_reads_back_unchanged(
            ids in uuids().prop_filter("two are needed", |ids| ids.len() > 1),
            pos in position(),
            body in "[a-z\u{e9}\u{1f600}\"\\\\ \n]{0,40}x",
            data in "[a-z\u{e9}\"\\\\]{0,40}",
            seq: u64,
        ) {
            let (id, to) = (ids[0], ids[1]);
            let room = format!("team:{to}");
            let text = json!({"type": "join", "room": room, "pos": pos}).to_string();
            let Ok(Command::Join(join)) = command(&text) else { panic!("{text}") };
            prop_assert_eq!((join.room.as_str(), join.pos), (room.as_str(), pos));
            let text = json!({"type": "send", "id": id, "room": room, "data": [data]}).to_string();
            let Ok(Command::Send(send)) = command(&text) else { panic!("{text}") };
            prop_assert_eq!((send.id, send.data.get().to_owned()), (id, json!([data]).to_string()));
            let text = json!({"type": "message", "id": id, "to": to, "body": body}).to_string();
            let Ok(Command::Message(message)) = command(&text) else { panic!("{text}") };
            prop_assert_eq!((message.id, message.to, &*message.body), (id, to, body.as_str()));
            let text = json!({"type": "ack", "pos": seq.to_string()}).to_string();
            prop_assert!(matches!(command(&text), Ok(Command::Ack(ack)) if ack.pos == seq));
            let text = json!({"type": "watch", "users": ids}).to_string();
            let Ok(Command::Watch(watch)) = command(&text) else { panic!("{text}") };
            prop_assert_eq!(watch.users.into_iter().map(|user| user.0).collect::<Vec<_>>(), ids.clone());
            let text = json!({"type": "read", "notifications": ids}).to_string();
            let Ok(Command::Read(read)) = command(&text) else { panic!("{text}") };
            prop_assert_eq!(read.notifications.into_iter().map(|id| id.0).collect::<Vec<_>>(), ids);
        }

        #[test]
        fn what_is_passed_on_is_read_by_a_strict_parser(
            data in "(\\[){0,3}(\"(\\\\u[dD][89abcDEF0][0-9a-f]{2}|\\\\n|[a-z]){0,4}\"|-?[1-9][0-9]{0,3}([eE][+-]?[0-9]{1,3})?)(\\]){0,3}",
        ) {
            let text = format!(r#"{{"type":"send","id":"{}","room":"public:lobby","data":{data}}}"#, Uuid::nil());
            let strict = serde_json::from_str::<serde_json::Value>(&data);
            prop_assert_eq!(command(&text).is_ok(), strict.is_ok(), "{} {:?}", data, strict);
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".{0,200}") {
            let _ = Frame::parse(&text);
        }

        #[test]
        fn any_fields_are_read_or_refused_without_panic(kind in "ping|auth|ack|join|send|message|watch|read", key in "[a-z]{1,8}", value in "[0-9]{1,5}|\"[ -~]{0,20}\"|null|\\[\\]") {
            let text = format!(r#"{{"type":"{kind}","{key}":{value}}}"#);
            let _ = Frame::parse(&text);
        }
    }
}
