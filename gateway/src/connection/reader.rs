//! The reading half of a connection: bytes become whole frames here, and frames become messages in tungstenite.
//!
//! A connection that waits holds nothing: the socket is read into a buffer that all connections of a thread share, and
//! what tungstenite needs to judge a frame is made when one has arrived and let go when nothing of it is left to
//! remember (a message in fragments). Only bytes that cannot be used yet stay:
//! a frame that has not arrived whole, or frames behind a command that is still being carried out.
//!
//! Bounds: a frame whose header announces more than is allowed is refused by tungstenite on sight, so no more is held
//! than one frame of the largest size and one read of the shared buffer.

use super::wire::Wire;
use bytes::Bytes;
use std::{
    cell::Cell,
    io::{self, Read, Write},
    task::{Context, Poll, ready},
};
use tokio_tungstenite::tungstenite::{
    Error as WsError, Message,
    error::ProtocolError,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

/// Size of the buffer a thread reads into: a burst of commands in one system call.
const SCRATCH_BYTES: usize = 16 * 1024;

/// Least that tungstenite reads at a time; the first fragment of a message must not decide how the others are read.
const STEP_BYTES: usize = 256;

thread_local! {
    /// Taken out while it is used, so that nothing can find it half full.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a frame is: a message, or `None` for a fragment that does not end one.
type Judged = Result<Option<Message>, WsError>;

/// What has been read of a socket and not been understood yet.
pub(super) struct Reader {
    /// Bytes from `start` on wait.
    held: Vec<u8>,
    start: usize,
    /// The judge of frames, while it has something to remember.
    ws: Option<Box<WebSocketContext>>,
    /// Whether a message in fragments is under way.
    fragmented: bool,
    /// Largest message, in bytes.
    max_bytes: usize,
}

impl Reader {
    /// A reader of messages of at most `max_bytes`; `early` was read behind the upgrade already.
    pub(super) fn new(early: Vec<u8>, max_bytes: usize) -> Self {
        Self { held: early, start: 0, ws: None, fragmented: false, max_bytes }
    }

    /// Changes the size of the largest message.
    pub(super) fn allow(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
        if let Some(ws) = &mut self.ws {
            ws.set_config(|config| {
                config.max_message_size = Some(max_bytes);
                config.max_frame_size = Some(max_bytes);
            });
        }
    }

    /// The next frame. What tungstenite answers by itself (pongs, the reply to a close) is queued on the wire.
    pub(super) fn poll_message(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Judged> {
        loop {
            if let Some(length) = judgeable(&self.held[self.start..], self.max_bytes) {
                return Poll::Ready(self.judge_held(length, wire));
            }
            let mut scratch = SCRATCH.take();
            scratch.resize(SCRATCH_BYTES, 0);
            let read = wire.poll_read(cx, &mut scratch);
            let judged = match read {
                Poll::Ready(Ok(count)) => self.take(&scratch[..count], wire),
                _ => None,
            };
            SCRATCH.set(scratch);
            if ready!(read)? == 0 {
                return Poll::Ready(Err(WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)));
            }
            if let Some(judged) = judged {
                return Poll::Ready(judged);
            }
        }
    }

    /// Takes what was read: the first frame at once if it is whole and its turn, the rest is held.
    fn take(&mut self, read: &[u8], wire: &mut Wire) -> Option<Judged> {
        let whole = if self.held.is_empty() { judgeable(read, self.max_bytes) } else { None };
        self.held.drain(..std::mem::take(&mut self.start));
        self.held.extend_from_slice(&read[whole.unwrap_or(0)..]);
        whole.map(|length| self.judge(&read[..length], wire))
    }

    fn judge_held(&mut self, length: usize, wire: &mut Wire) -> Judged {
        let held = std::mem::take(&mut self.held);
        let end = self.start + length;
        let judged = self.judge(&held[self.start..end], wire);
        if end < held.len() {
            (self.held, self.start) = (held, end);
        } else {
            self.start = 0; // and what was held is given back
        }
        judged
    }

    /// Hands one frame to tungstenite.
    fn judge(&mut self, frame: &[u8], wire: &mut Wire) -> Judged {
        let mut ws = self.ws.take().unwrap_or_else(|| self.fresh(frame.len()));
        let is_data = frame[0] & 0x08 == 0;
        if is_data {
            self.fragmented = frame[0] & 0x80 == 0;
        }
        let mut source = Source { frame, wire };
        let message = match ws.read(&mut source) {
            Err(WsError::Io(problem)) if problem.kind() == io::ErrorKind::WouldBlock => None,
            read => Some(read?),
        };
        if matches!(message, Some(Message::Ping(_) | Message::Close(_))) {
            match ws.flush(&mut source) {
                Ok(()) | Err(WsError::ConnectionClosed) => {}
                Err(problem) => return Err(problem),
            }
        }
        if self.fragmented {
            self.ws = Some(ws);
        }
        Ok(message)
    }

    fn fresh(&self, frame_bytes: usize) -> Box<WebSocketContext> {
        let config = WebSocketConfig::default()
            .read_buffer_size(frame_bytes.max(STEP_BYTES))
            .write_buffer_size(0) // what tungstenite writes goes to the wire at once
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(self.max_bytes))
            .max_frame_size(Some(self.max_bytes));
        Box::new(WebSocketContext::new(Role::Server, Some(config)))
    }
}

/// Bytes at the beginning of `bytes` that can be judged: a whole frame, or a whole header that announces too much.
fn judgeable(bytes: &[u8], max_payload: usize) -> Option<usize> {
    let second = *bytes.get(1)?;
    let (length, payload) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let header = if second & 0x80 == 0 { length } else { length + 4 };
    let payload = usize::try_from(payload).ok().filter(|payload| *payload <= max_payload).unwrap_or(0);
    (bytes.len() >= header + payload).then_some(header + payload)
}

/// One frame as tungstenite wants to read it, and the wire as it wants to write.
struct Source<'a> {
    frame: &'a [u8],
    wire: &'a mut Wire,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.frame.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.frame.read(buffer)
    }
}

impl Write for Source<'_> {
    /// Takes everything: tungstenite's buffer holds whole frames, and so does what is queued on the wire. It stays
    /// bounded because nothing is read while a full batch waits there.
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.wire.push(Bytes::copy_from_slice(frames));
        Ok(frames.len())
    }

    /// The connection writes when its turn comes; tungstenite need not wait for that.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Stream;
    use proptest::prelude::*;
    use std::future::poll_fn;
    use tokio::{
        io::AsyncWriteExt as _,
        net::{TcpListener, TcpStream},
    };
    use tokio_tungstenite::tungstenite::{
        WebSocket,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    };

    const MOST: usize = 1_000;

    async fn pair() -> (TcpStream, Wire) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        (client.unwrap(), Wire::new(Stream::Plain(server.unwrap().0)))
    }

    /// What a client sends, as bytes.
    fn encode(messages: impl IntoIterator<Item = Message>) -> Vec<u8> {
        let mut client = WebSocket::from_raw_socket(io::Cursor::new(Vec::new()), Role::Client, None);
        messages.into_iter().for_each(|message| client.write(message).unwrap());
        client.flush().unwrap();
        client.get_ref().get_ref().clone()
    }

    /// A text in fragments: the first one named, the others continued, the last one final.
    fn fragments(parts: &[String]) -> Vec<Message> {
        let last = parts.len() - 1;
        let frame = |(n, part): (usize, &String)| {
            let kind = if n == 0 { Data::Text } else { Data::Continue };
            Message::Frame(Frame::message(part.clone(), OpCode::Data(kind), n == last))
        };
        parts.iter().enumerate().map(frame).collect()
    }

    async fn next(reader: &mut Reader, wire: &mut Wire) -> Judged {
        let read = poll_fn(|cx| reader.poll_message(wire, cx));
        tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("a frame was sent")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn messages_cut_anywhere_arrive_whole_and_in_order_and_an_idle_reader_holds_nothing(
            texts in prop::collection::vec(prop::collection::vec(".{0,40}", 1..4), 1..12),
            cuts in prop::collection::vec(1_usize..120, 1..20),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (mut client, mut wire) = pair().await;
                let mut reader = Reader::new(Vec::new(), MOST);
                let sent = encode(texts.iter().flat_map(|parts| {
                    fragments(parts).into_iter().chain([Message::Ping(Bytes::from_static(b"x"))])
                }));
                let send = async {
                    let (mut rest, mut cuts) = (&sent[..], cuts.into_iter().cycle());
                    while !rest.is_empty() {
                        let cut = cuts.next().unwrap().min(rest.len());
                        client.write_all(&rest[..cut]).await.unwrap();
                        rest = &rest[cut..];
                        tokio::task::yield_now().await;
                    }
                };
                let read = async {
                    for parts in &texts {
                        for _ in 1..parts.len() {
                            assert_eq!(next(&mut reader, &mut wire).await.unwrap(), None);
                        }
                        assert_eq!(next(&mut reader, &mut wire).await.unwrap(), Some(Message::text(parts.concat())));
                        let ping = next(&mut reader, &mut wire).await.unwrap();
                        assert_eq!(ping, Some(Message::Ping(Bytes::from_static(b"x"))));
                    }
                };
                tokio::join!(send, read);
                assert!(reader.ws.is_none() && reader.held.capacity() == 0, "an idle reader holds nothing");
            });
        }
    }

    #[tokio::test]
    async fn frames_that_came_together_are_read_one_by_one_and_the_pong_is_queued_in_between() {
        let (mut client, mut wire) = pair().await;
        let mut reader = Reader::new(encode([Message::text("early")]), MOST);
        client.write_all(&encode([Message::Ping(Bytes::new()), Message::text("late")])).await.unwrap();
        assert_eq!(next(&mut reader, &mut wire).await.unwrap(), Some(Message::text("early")));
        assert!(wire.is_empty());
        assert_eq!(next(&mut reader, &mut wire).await.unwrap(), Some(Message::Ping(Bytes::new())));
        assert!(!wire.is_empty(), "the pong waits on the wire");
        assert_eq!(next(&mut reader, &mut wire).await.unwrap(), Some(Message::text("late")));
    }

    #[tokio::test]
    async fn a_header_that_announces_too_much_is_refused_on_sight_and_a_new_limit_counts_at_once() {
        let long = "x".repeat(MOST + 1);
        let (mut client, mut wire) = pair().await;
        let mut reader = Reader::new(Vec::new(), MOST);
        client.write_all(&encode([Message::text(long.as_str())])[..8]).await.unwrap();
        assert!(matches!(next(&mut reader, &mut wire).await, Err(WsError::Capacity(_))));

        let (mut client, mut wire) = pair().await;
        let mut reader = Reader::new(Vec::new(), MOST);
        reader.allow(MOST + 1);
        client.write_all(&encode([Message::text(long.as_str())])).await.unwrap();
        assert_eq!(next(&mut reader, &mut wire).await.unwrap(), Some(Message::text(long)));
        drop(client);
        assert!(next(&mut reader, &mut wire).await.is_err(), "the end of the stream");
    }
}
