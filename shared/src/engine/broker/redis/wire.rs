//! What travels on the channels, one letter first.
//!
//! | channel | message |
//! |---|---|
//! | room | `e<epoch>:<seq>\n<frame>` an event · `t<user> <ttl ms>` somebody types |
//! | inbox | `i` and then, for each entry, `<seq> <length>\n<frame>` |
//! | presence | `p<o, a or f> <version> <devices>` online, away, offline |
//! | control | `s<session>` · `u<user>` · `m<user> <room>` · `d<user>`: what [`Control`] says, in its order |
//!
//! Whatever is not understood is left out: another version of this program may be publishing.

use crate::{
    engine::{Control, Delivery, Signal, Topic},
    id::UserId,
    protocol::{command::Status, event::PresenceState, position::parse_seq},
};
use bytes::Bytes;

/// Hands over what a message on a topic's channel says. Frames are copied once, out of the network's buffers.
pub(super) fn read(topic: &Topic, message: &[u8], mut each: impl FnMut(Delivery)) -> Option<()> {
    let (kind, rest) = message.split_first()?;
    match (topic, kind) {
        (Topic::Room(room), b'e') => {
            let (pos, frame) = split(rest, b'\n')?;
            let (room, pos, frame) = (room.clone(), text(pos)?.parse().ok()?, Bytes::copy_from_slice(frame));
            each(Delivery::Event { room, pos, frame });
        }
        (Topic::Room(_), b't') => {
            let (user, ttl) = text(rest)?.split_once(' ')?;
            let signal = Signal::Typing { user: user.parse().ok()?, ttl_ms: ttl.parse().ok()? };
            each(Delivery::Signal(topic.clone(), signal));
        }
        (Topic::Inbox(user), b'i') => {
            let mut rest = rest;
            while !rest.is_empty() {
                let (head, tail) = split(rest, b'\n')?;
                let (seq, length) = text(head)?.split_once(' ')?;
                let (frame, next) = tail.split_at_checked(length.parse().ok()?)?;
                each(Delivery::Inbox { user: *user, seq: parse_seq(seq)?, frame: Bytes::copy_from_slice(frame) });
                rest = next;
            }
        }
        (Topic::Presence(user), b'p') => {
            each(Delivery::Signal(topic.clone(), Signal::Presence(presence(*user, text(rest)?)?)));
        }
        _ => return None,
    }
    Some(())
}

/// `<status letter> <version> <devices>`, as scripts keep and publish it.
pub(in crate::engine) fn presence(user: UserId, text: &str) -> Option<PresenceState> {
    let mut fields = text.split(' ');
    let status = match fields.next()? {
        "o" => Status::Online,
        "a" => Status::Away,
        "f" => Status::Offline,
        _ => return None,
    };
    let (v, devices) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(PresenceState { user, status, v, devices })
}

/// A status as a letter.
pub(in crate::engine) const fn letter(status: Status) -> &'static str {
    match status {
        Status::Online => "o",
        Status::Away => "a",
        Status::Offline => "f",
    }
}

/// A signal as a message.
pub(super) fn signal(signal: Signal) -> String {
    match signal {
        Signal::Typing { user, ttl_ms } => format!("t{user} {ttl_ms}"),
        Signal::Presence(PresenceState { status, v, devices, .. }) => format!("p{} {v} {devices}", letter(status)),
    }
}

/// A control message as text.
pub(super) fn control(control: &Control) -> String {
    match control {
        Control::SessionRevoked(session) => format!("s{session}"),
        Control::UserRevoked(user) => format!("u{user}"),
        Control::MembershipRevoked(room, user) => format!("m{user} {room}"),
        Control::Disconnect(user) => format!("d{user}"),
    }
}

/// And back.
pub(super) fn read_control(message: &[u8]) -> Option<Control> {
    let (kind, rest) = message.split_first()?;
    let rest = text(rest)?;
    Some(match kind {
        b's' => Control::SessionRevoked(rest.parse().ok()?),
        b'u' => Control::UserRevoked(rest.parse().ok()?),
        b'm' => {
            let (user, room) = rest.split_once(' ')?;
            Control::MembershipRevoked(room.parse().ok()?, user.parse().ok()?)
        }
        b'd' => Control::Disconnect(rest.parse().ok()?),
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::SessionId,
        protocol::{Epoch, Position, RoomName},
    };
    use proptest::prelude::*;

    fn all(topic: &Topic, message: &[u8]) -> Vec<Delivery> {
        let mut out = Vec::new();
        read(topic, message, |delivery| out.push(delivery));
        out
    }

    #[test]
    fn signals_and_control_messages_survive_their_text() {
        let (user, room): (_, RoomName) = (UserId::new(), "public:lobby".parse().unwrap());
        let typing = Signal::Typing { user, ttl_ms: 6_000 };
        let topic = Topic::Room(room.clone());
        assert!(matches!(&all(&topic, signal(typing).as_bytes())[..], [Delivery::Signal(_, got)] if *got == typing));
        for status in [Status::Online, Status::Away, Status::Offline] {
            let state = Signal::Presence(PresenceState { user, status, v: 1_795_305_600_000, devices: 3 });
            let got = all(&Topic::Presence(user), signal(state).as_bytes());
            assert!(matches!(&got[..], [Delivery::Signal(_, got)] if *got == state));
        }
        for message in [
            Control::SessionRevoked(SessionId::new()),
            Control::UserRevoked(user),
            Control::MembershipRevoked(room, user),
            Control::Disconnect(user),
        ] {
            assert_eq!(read_control(control(&message).as_bytes()), Some(message));
        }
    }

    #[test]
    fn several_inbox_entries_fit_into_one_message() {
        let user = UserId::new();
        let got = all(&Topic::Inbox(user), b"i7 3\na\nb8 0\n9 1\nx");
        let seqs: Vec<_> = got
            .iter()
            .map(|delivery| match delivery {
                Delivery::Inbox { seq, frame, .. } => (*seq, &frame[..]),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seqs, [(7, &b"a\nb"[..]), (8, b""), (9, b"x")]);
    }

    proptest! {
        #[test]
        fn an_event_is_its_position_and_its_frame(bits: u64, seq: u64, frame in prop::collection::vec(any::<u8>(), 0..99)) {
            let pos = Position { epoch: Epoch::from_bits(bits), seq };
            let message = [format!("e{pos}\n").as_bytes(), &frame].concat();
            let got = all(&Topic::Room("public:lobby".parse().unwrap()), &message);
            let same = matches!(&got[..], [Delivery::Event { pos: p, frame: f, .. }] if *p == pos && *f == frame);
            prop_assert!(same, "{:?}", got);
        }

        #[test]
        fn any_message_is_read_or_left_out_without_panic(message in prop::collection::vec(any::<u8>(), 0..60)) {
            let user = UserId::new();
            for topic in [Topic::Room("public:lobby".parse().unwrap()), Topic::Inbox(user), Topic::Presence(user)] {
                all(&topic, &message);
            }
            read_control(&message);
        }
    }
}
