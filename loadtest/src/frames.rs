//! What a simulated user says, and the mark inside a message by which its arrival is recognised.
//!
//! A receiver reads millions of these, so the mark is found by its form and not by parsing the frame: the harness
//! must stay lighter than what it measures. Whether frames are well-formed is the gateway's own tests' concern.

use serde_json::json;
use std::fmt::Write as _;
use uuid::Uuid;

/// Shortest payload that holds a mark with numbers of any size.
pub(crate) const SHORTEST_PAYLOAD: usize = 72;

/// First frame of a user.
pub(crate) fn auth(token: &str) -> String {
    json!({"type": "auth", "id": "auth", "token": token}).to_string()
}

/// Enters a room.
pub(crate) fn join(room: &str) -> String {
    json!({"type": "join", "id": "join", "room": room}).to_string()
}

/// Publishes `payload`, which is JSON already, to a room.
pub(crate) fn send(room: &str, payload: &str) -> String {
    let id = Uuid::now_v7();
    format!(r#"{{"type":"send","id":"{id}","room":"{room}","data":{payload}}}"#)
}

/// A durable message.
pub(crate) fn message(to: &str, body: &str) -> String {
    json!({"type": "message", "id": Uuid::now_v7(), "to": to, "body": body}).to_string()
}

/// "Is typing".
pub(crate) fn typing(room: &str) -> String {
    json!({"type": "typing", "room": room}).to_string()
}

/// Takes over the inbox up to `pos`.
pub(crate) fn ack(pos: u64) -> String {
    format!(r#"{{"type":"ack","pos":"{pos}"}}"#)
}

/// A ping whose pong carries `at` back.
pub(crate) fn ping(at: u64) -> String {
    format!(r#"{{"type":"ping","t":{at}}}"#)
}

/// The `at` of the ping a frame answers; none if the frame is no pong.
pub(crate) fn pong(text: &str) -> Option<u64> {
    text.starts_with(r#"{"type":"pong""#).then(|| number_after(text, r#""t":"#)).flatten()
}

/// Names one message among all of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Which sender.
    pub(crate) sender: usize,
    /// Its how-manieth message, from 0.
    pub(crate) number: u64,
    /// Nanoseconds since the run's start from which its latency counts.
    pub(crate) at: u64,
}

impl Mark {
    /// A JSON object of exactly `bytes` bytes (at least [`SHORTEST_PAYLOAD`]) that carries the mark.
    pub(crate) fn payload(self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes.max(SHORTEST_PAYLOAD));
        let Self { sender, number, at } = self;
        write!(text, r#"{{"lt":{sender},"n":{number},"at":{at},"x":""#).expect("a string takes any text");
        while text.len() + 2 < bytes {
            text.push('x');
        }
        text.push_str("\"}");
        text
    }

    /// The mark in a frame; none if it carries none.
    pub(crate) fn find(text: &str) -> Option<Self> {
        let text = &text[text.find(r#"{"lt":"#)?..];
        Some(Self {
            sender: usize::try_from(number_after(text, r#"{"lt":"#)?).ok()?,
            number: number_after(text, r#","n":"#)?,
            at: number_after(text, r#","at":"#)?,
        })
    }
}

/// Names one durable message: the same, in words that survive being put into JSON, with the run it belongs to
/// (an inbox may still hold messages of an earlier one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Which run.
    pub(crate) run: u64,
    /// Sender, number and time.
    pub(crate) mark: Mark,
}

impl Letter {
    /// The body of the message.
    pub(crate) fn body(self) -> String {
        let Self { run, mark: Mark { sender, number, at } } = self;
        format!("load test run={run} sender={sender} number={number} at={at} .")
    }

    /// The letter in a frame; none if it carries none.
    pub(crate) fn find(text: &str) -> Option<Self> {
        let text = &text[text.find("load test run=")?..];
        Some(Self {
            run: number_after(text, "run=")?,
            mark: Mark {
                sender: usize::try_from(number_after(text, "sender=")?).ok()?,
                number: number_after(text, "number=")?,
                at: number_after(text, "at=")?,
            },
        })
    }
}

/// The position of an inbox frame; none if the frame is none.
pub(crate) fn inbox_position(text: &str) -> Option<u64> {
    text.starts_with(r#"{"type":"inbox""#).then(|| number_after(text, r#""pos":""#)).flatten()
}

fn number_after(text: &str, label: &str) -> Option<u64> {
    let rest = &text[text.find(label)? + label.len()..];
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mark_survives_its_payload_and_any_envelope(sender in 0_usize..100_000, number: u64, at: u64, bytes in 0_usize..400) {
            let mark = Mark { sender, number, at };
            let payload = mark.payload(bytes);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&payload).is_ok());
            prop_assert_eq!(Mark::find(&payload), Some(mark));
            let frame = format!(r#"{{"type":"event","room":"public:lobby","pos":"k3:9","data":{payload}}}"#);
            prop_assert_eq!(Mark::find(&frame), Some(mark));
        }

        #[test]
        fn a_letter_survives_json(run: u64, sender in 0_usize..100_000, number: u64, at: u64, pos: u64) {
            let letter = Letter { run, mark: Mark { sender, number, at } };
            let data = json!({"message": {"body": letter.body()}});
            let frame = format!(r#"{{"type":"inbox","pos":"{pos}","event":"message.created","data":{data}}}"#);
            prop_assert_eq!((Letter::find(&frame), inbox_position(&frame)), (Some(letter), Some(pos)));
        }

        #[test]
        fn any_text_is_searched_without_panic(text in ".{0,80}") {
            let _ = (Mark::find(&text), Letter::find(&text), pong(&text), inbox_position(&text));
        }
    }

    #[test]
    fn a_payload_has_the_size_that_was_asked_for() {
        for bytes in [SHORTEST_PAYLOAD, 128, 1_024] {
            let mark = Mark { sender: 15, number: u64::from(u32::MAX), at: u64::MAX };
            assert_eq!(mark.payload(bytes).len(), bytes);
        }
    }

    #[test]
    fn a_pong_gives_back_when_its_ping_was_due() {
        assert_eq!(pong(r#"{"type":"pong","t":17}"#), Some(17));
        assert_eq!(pong(r#"{"type":"event","t":17}"#), None);
        assert_eq!(pong(r#"{"type":"pong"}"#), None);
    }

    #[test]
    fn what_users_say_is_what_the_protocol_reads() {
        use shared::protocol::Frame;
        let user = Uuid::now_v7().to_string();
        for text in [
            auth("t"),
            join("public:lobby"),
            send("public:lobby", &Mark { sender: 0, number: 0, at: 0 }.payload(128)),
            message(&user, "hello"),
            typing("public:lobby"),
            ack(41),
            ping(5),
        ] {
            let command = Frame::parse(&text).command;
            assert!(command.is_ok(), "{text}: {command:?}");
        }
    }
}
