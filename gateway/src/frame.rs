//! Server frames, RFC 6455 §5.2: never masked, never fragmented, encoded once and shared by every receiver.
//!
//! tungstenite could encode them too, but copies each into every connection's own buffer; here the bytes of one event
//! exist once, however many sockets they are written to.

use bytes::{BufMut, Bytes, BytesMut};
use shared::protocol::CloseReason;

const FIN_TEXT: u8 = 0x81;
const FIN_BINARY: u8 = 0x82;
const FIN_CLOSE: u8 = 0x88;
const FIN_PING: u8 = 0x89;

/// Longest header of a server frame: opcode, length marker, eight bytes of length.
pub(crate) const MAX_HEADER: usize = 10;

/// Appends a text frame.
pub(crate) fn put_text(buffer: &mut BytesMut, payload: &[u8]) {
    buffer.reserve(MAX_HEADER + payload.len());
    put_header(buffer, FIN_TEXT, payload.len());
    buffer.put_slice(payload);
}

/// One text frame.
pub(crate) fn text(payload: &str) -> Bytes {
    data(FIN_TEXT, payload.as_bytes())
}

/// One binary frame. Our protocol has none; the echo route does.
pub(crate) fn binary(payload: &[u8]) -> Bytes {
    data(FIN_BINARY, payload)
}

fn data(first: u8, payload: &[u8]) -> Bytes {
    let mut buffer = BytesMut::with_capacity(MAX_HEADER + payload.len());
    put_header(&mut buffer, first, payload.len());
    buffer.put_slice(payload);
    buffer.freeze()
}

/// A close frame. Control frames hold 125 bytes, which every reason's text fits.
pub(crate) fn close(reason: CloseReason) -> Bytes {
    let (code, text) = reason.code_and_text();
    let mut buffer = BytesMut::with_capacity(4 + text.len());
    put_header(&mut buffer, FIN_CLOSE, 2 + text.len());
    buffer.put_u16(code);
    buffer.put_slice(text.as_bytes());
    buffer.freeze()
}

/// An empty ping. Static: a heartbeat allocates nothing.
pub(crate) const fn ping() -> Bytes {
    Bytes::from_static(&[FIN_PING, 0])
}

/// What a server's frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    Text(&'a [u8]),
    Ping,
    /// Frames that mean something to a WebSocket only.
    Other,
}

/// Takes the first of whole server frames apart; returns what follows it. `None` at the end.
pub(crate) fn first(frames: &[u8]) -> Option<(Said<'_>, &[u8])> {
    let (&kind, &length) = (frames.first()?, frames.get(1)?);
    let (header, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes(frames.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(frames.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    let (payload, rest) = frames.get(header..)?.split_at_checked(length)?;
    let said = match kind {
        FIN_TEXT => Said::Text(payload),
        FIN_PING => Said::Ping,
        _ => Said::Other,
    };
    Some((said, rest))
}

fn put_header(buffer: &mut BytesMut, first: u8, len: usize) {
    buffer.put_u8(first);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..=125), _) => buffer.put_u8(short),
        (_, Ok(medium)) => {
            buffer.put_u8(126);
            buffer.put_u16(medium);
        }
        _ => {
            buffer.put_u8(127);
            buffer.put_u64(len as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Read, Write};
    use tokio_tungstenite::tungstenite::{Message, protocol::Role, protocol::WebSocket};

    struct Pipe(Cursor<Vec<u8>>);
    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Pipe {
        fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
            Ok(buffer.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn decode(bytes: &[u8]) -> WebSocket<Pipe> {
        WebSocket::from_raw_socket(Pipe(Cursor::new(bytes.to_vec())), Role::Client, None)
    }

    proptest! {
        #[test]
        fn a_strict_client_reads_every_text_frame_back(texts in prop::collection::vec(".{0,300}", 1..4), long in 65_530_usize..65_545) {
            let mut buffer = BytesMut::new();
            let texts: Vec<String> = texts.into_iter().chain(["x".repeat(long)]).collect();
            for text in &texts {
                put_text(&mut buffer, text.as_bytes());
            }
            let (mut client, mut rest) = (decode(&buffer), &buffer[..]);
            for text in texts {
                let (said, after) = first(rest).unwrap();
                prop_assert_eq!(said, Said::Text(text.as_bytes()));
                rest = after;
                prop_assert_eq!(client.read().unwrap(), Message::text(text));
            }
            prop_assert!(rest.is_empty() && first(rest).is_none());
        }
    }

    #[test]
    fn every_close_reason_fits_a_control_frame_and_says_its_code() {
        for reason in CloseReason::ALL.into_iter().filter(|reason| *reason != CloseReason::Gone) {
            let Message::Close(Some(frame)) = decode(&close(reason)).read().unwrap() else { panic!("{reason:?}") };
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), reason.code_and_text());
        }
    }

    #[test]
    fn the_ping_is_a_ping_and_binary_is_binary() {
        assert_eq!(decode(&ping()).read().unwrap(), Message::Ping(Bytes::new()));
        assert_eq!(decode(&binary(&[0, 255])).read().unwrap(), Message::binary(vec![0, 255]));
        let all = [ping(), binary(&[0, 255]), close(CloseReason::Drain)].concat();
        let (said, rest) = first(&all).unwrap();
        assert_eq!(said, Said::Ping);
        let (said, rest) = first(rest).unwrap();
        assert_eq!(said, Said::Other);
        assert!(matches!(first(rest), Some((Said::Other, []))));
    }
}
