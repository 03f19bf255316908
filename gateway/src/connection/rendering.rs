//! The protocol's frames as Server-Sent Events: what a socket would get as one text frame is the `data:` of one event.
//!
//! ```text
//! id: 41.9f3c21aa~0b5e77d1.k3.118
//! data: {"type":"event","room":"public:lobby","pos":"k3:118",…}
//!
//! ```
//!
//! Events have no name: all of them come to `onmessage`, and the protocol's own `error` is not mistaken for the one an
//! `EventSource` raises itself. A ping is a comment, so that whatever stands in between sees the stream live. `hello`
//! says when to come back if the stream is cut, `bye` when it says so.

use super::event_id::{EventId, Heading};
use crate::frame::{self, Said};
use bytes::{BufMut as _, Bytes, BytesMut};
use shared::id::UserId;
use std::io::Write as _;

/// Room for an event's field names and line ends.
const FIELDS_BYTES: usize = 32;

/// What it takes to render a stream: where its client is.
#[derive(Debug)]
pub(crate) struct Rendering {
    id: EventId,
    user: Option<UserId>,
    /// When a client whose stream is cut comes back, in milliseconds.
    back_after_ms: u64,
}

impl Rendering {
    /// A stream for this user (or nobody) that begins where `id` says.
    pub(crate) fn new(id: EventId, user: Option<UserId>, back_after_ms: u64) -> Self {
        Self { id, user, back_after_ms }
    }

    /// Renders whole frames. Every event that moves a position carries the new id, except that in a burst a long id
    /// is left out while the events since the last one are shorter than it is; the burst's last event has it. So ids
    /// at most double what is sent, and a stream cut within a burst repeats a few events but never misses one.
    pub(super) fn render(&mut self, mut frames: &[u8]) -> Bytes {
        let mut events = BytesMut::with_capacity(frames.len() + self.id.most_bytes() + 2 * FIELDS_BYTES);
        let (mut moved, mut since_id) = (false, usize::MAX);
        while let Some((said, rest)) = frame::first(frames) {
            frames = rest;
            match said {
                Said::Ping => events.put_slice(b":\n\n"),
                Said::Text(payload) => {
                    let Ok(heading) = serde_json::from_slice::<Heading<'_>>(payload) else {
                        debug_assert!(false, "our own frames are JSON objects with a type");
                        continue;
                    };
                    moved |= self.id.note(&heading, self.user);
                    if moved && (rest.is_empty() || since_id >= self.id.most_bytes()) {
                        put(&mut events, format_args!("id: {}\n", self.id));
                        (moved, since_id) = (false, 0);
                    }
                    self.put_event(&mut events, &heading, payload);
                    since_id = since_id.saturating_add(payload.len());
                }
                Said::Other => {}
            }
        }
        events.freeze()
    }

    fn put_event(&self, events: &mut BytesMut, heading: &Heading<'_>, payload: &[u8]) {
        match (&*heading.kind, heading.retry_after) {
            ("hello", _) => put(events, format_args!("retry: {}\n", self.back_after_ms)),
            ("bye", after @ 1..) => put(events, format_args!("retry: {after}\n")),
            _ => {}
        }
        events.reserve(payload.len() + FIELDS_BYTES);
        events.put_slice(b"data: ");
        // A publisher's data is passed on as it came, line breaks between its values included: here they would end the
        // field, and what follows could pose as another one.
        let start = events.len();
        events.put_slice(payload);
        for byte in &mut events[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        events.put_slice(b"\n\n");
    }
}

fn put(events: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    events.writer().write_fmt(text).expect("memory takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;
    use shared::protocol::{CloseReason, event};

    fn rendered(rendering: &mut Rendering, frames: &[Bytes]) -> String {
        String::from_utf8(rendering.render(&frames.concat()).to_vec()).unwrap()
    }

    fn event(seq: u64, data: &str) -> Bytes {
        frame::text(&format!(r#"{{"type":"event","room":"public:lobby","pos":"k3:{seq}","data":{data}}}"#))
    }

    #[test]
    fn frames_become_events_pings_comments_and_close_frames_nothing() {
        let mut stream = Rendering::new(EventId::default(), None, 1_500);
        let hello = r#"{"type":"hello","conn":"c_1","heartbeat":1,"max":2,"node":"n"}"#;
        let said = rendered(&mut stream, &[frame::text(hello), frame::ping(), event(7, "1")]);
        let last = r#"data: {"type":"event","room":"public:lobby","pos":"k3:7","data":1}"#;
        let tag = stream.id.to_string();
        assert_eq!(said, format!("retry: 1500\ndata: {hello}\n\n:\n\nid: {tag}\n{last}\n\n"));
        assert!(tag.starts_with("-~") && tag.ends_with(".k3.7"), "{tag}");
        let bye = event::bye(CloseReason::Drain, 321);
        let said = rendered(&mut stream, &[frame::text(&bye), frame::close(CloseReason::Drain)]);
        assert_eq!(said, format!("retry: 321\ndata: {bye}\n\n"));
        let bye = event::bye(CloseReason::SignedOut, 0);
        assert_eq!(rendered(&mut stream, &[frame::text(&bye)]), format!("data: {bye}\n\n"));
    }

    #[test]
    fn line_breaks_in_a_publishers_data_cannot_begin_another_field() {
        let mut stream = Rendering::new(EventId::default(), None, 0);
        let said = rendered(&mut stream, &[event(1, "[1,\r\n\"id: 9\",\n2]")]);
        assert_eq!(said.lines().filter(|line| line.starts_with("id: ")).count(), 1, "{said}");
        assert_eq!(said.lines().count(), 3, "{said}");
        let data = said.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let value: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(value["data"], serde_json::json!([1, "id: 9", 2]));
    }

    #[test]
    fn ids_never_outweigh_the_events_and_the_last_event_of_a_burst_has_one() {
        let mut stream = Rendering::new(EventId::default(), None, 0);
        for room in 0..100 {
            let joined = format!(r#"{{"type":"joined","room":"public:r{room}","pos":"k3:1","recovered":true}}"#);
            stream.render(&frame::text(&joined));
        }
        let burst: Vec<Bytes> = (2..200).map(|seq| event(seq, "0")).collect();
        let plain: usize = burst.iter().map(Bytes::len).sum();
        let said = rendered(&mut stream, &burst);
        assert!(said.len() < 2 * (plain + burst.len() * FIELDS_BYTES) + stream.id.most_bytes(), "{}", said.len());
        let last = said.trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with(&format!("id: {}\n", stream.id)), "{last}");
        let mut few = Rendering::new(EventId::default(), None, 0);
        let word = "\"a word or two\"";
        let said = rendered(&mut few, &[event(1, word), event(2, word), event(3, word)]);
        assert_eq!(said.matches("id: ").count(), 3, "a short id is worth its place with every event");
    }
}
