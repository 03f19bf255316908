//! A reader of `GET /events`, for tests: Server-Sent Events as the HTML standard reads them, over HTTP/1.1 on any
//! stream, or over whatever brings a body's bytes ([`Parser`]).

use super::socket::within;
use crate::protocol::{CloseReason, event::Received};
use std::{collections::VecDeque, net::SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

/// One event.
#[derive(Debug)]
pub struct SentEvent {
    /// Its `id:`, if it had one.
    pub id: Option<String>,
    /// Its `retry:`, in milliseconds, if it had one.
    pub retry: Option<u64>,
    /// Its `data:`, read as a frame of the protocol.
    pub frame: Received,
}

/// What comes out of a body.
#[derive(Debug)]
pub enum Piece {
    /// An event.
    Event(Box<SentEvent>),
    /// A comment.
    Comment,
}

/// Bytes of a body in, pieces out.
#[derive(Debug, Default)]
pub struct Parser(Vec<u8>);

impl Parser {
    /// The body goes on with these.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole piece.
    pub fn pop(&mut self) -> Option<Piece> {
        let end = self.0.windows(2).position(|window| window == b"\n\n")?;
        let piece: Vec<u8> = self.0.drain(..end + 2).collect();
        let text = std::str::from_utf8(&piece[..end]).expect("events are UTF-8");
        let (mut id, mut retry, mut data) = (None, None, Vec::new());
        for line in text.lines() {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("id", value) => id = Some(value.to_owned()),
                ("retry", value) => retry = Some(value.parse().expect("a number of milliseconds")),
                ("data", value) => data.push(value),
                (comment, _) => assert!(comment.starts_with(':'), "an unknown field: {line}"),
            }
        }
        if data.is_empty() {
            return Some(Piece::Comment);
        }
        let data = data.join("\n");
        let frame = serde_json::from_str(&data).unwrap_or_else(|problem| panic!("{problem}: {data}"));
        Some(Piece::Event(Box::new(SentEvent { id, retry, frame })))
    }
}

/// An open stream.
#[derive(Debug)]
pub struct Events<S = TcpStream> {
    stream: S,
    /// The answer's head, in lower case.
    pub head: String,
    /// Bytes behind the last whole chunk.
    raw: VecDeque<u8>,
    ended: bool,
    parser: Parser,
    /// The last id that came: what a browser would come back with.
    pub last_id: String,
    /// The last time to come back that was named, in milliseconds.
    pub retry: Option<u64>,
}

impl Events {
    /// Asks for a path on a connection of its own; a refusal is its status.
    pub async fn open(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let stream = TcpStream::connect(addr).await.expect("the server listens");
        Self::over(stream, path, headers).await
    }

    /// The same with a session token.
    pub async fn bearer(addr: SocketAddr, path: &str, token: &str) -> Self {
        Self::resume(addr, path, token, "").await
    }

    /// The same again, coming back with an id.
    pub async fn resume(addr: SocketAddr, path: &str, token: &str, last_id: &str) -> Self {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", &*authorization), ("last-event-id", last_id)];
        Self::open(addr, path, &headers[..if last_id.is_empty() { 1 } else { 2 }]).await.expect("a stream")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Events<S> {
    /// Asks for a path over this connection; a refusal is its status.
    pub async fn over(mut stream: S, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut request = format!("GET {path} HTTP/1.1\r\nhost: pitchey.test\r\naccept: text/event-stream\r\n");
        for (name, value) in headers {
            request.push_str(&[name, ": ", value, "\r\n"].concat());
        }
        request.push_str("\r\n");
        within(stream.write_all(request.as_bytes())).await.expect("the server takes a request");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(stream.read_u8()).await.expect("the server answers"));
        }
        let head = String::from_utf8(head).expect("a head is ASCII").to_ascii_lowercase();
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        if status != 200 {
            return Err(status);
        }
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        let (raw, parser) = (VecDeque::new(), Parser::default());
        Ok(Self { stream, head, raw, ended: false, parser, last_id: String::new(), retry: None })
    }

    /// The next piece; `None` at the end.
    pub async fn piece(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.parser.pop() {
                if let Piece::Event(event) = &piece {
                    if let Some(id) = &event.id {
                        self.last_id.clone_from(id);
                    }
                    self.retry = event.retry.or(self.retry);
                }
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            self.read().await;
        }
    }

    async fn read(&mut self) {
        let mut buffer = [0; 4_096];
        // A reset is an end too.
        let count = within(self.stream.read(&mut buffer)).await.unwrap_or(0);
        self.ended |= count == 0;
        self.raw.extend(&buffer[..count]);
        while let Some(chunk) = self.chunk() {
            self.ended |= chunk.is_empty();
            self.parser.push(&chunk);
        }
    }

    /// The next whole chunk, RFC 9112 §7.1.
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let raw = self.raw.make_contiguous();
        let line = raw.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&raw[..line]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("a chunk's size");
        let chunk = raw.get(line + 2..line + 4 + size)?[..size].to_vec();
        self.raw.drain(..line + 4 + size);
        Some(chunk)
    }

    /// The next event. Comments are passed over.
    pub async fn event(&mut self) -> SentEvent {
        loop {
            match self.piece().await.expect("the stream goes on") {
                Piece::Event(event) => return *event,
                Piece::Comment => {}
            }
        }
    }

    /// The first frame that fits; others are passed over.
    pub async fn expect(&mut self, mut fits: impl FnMut(&Received) -> bool) -> Received {
        loop {
            let frame = self.event().await.frame;
            if fits(&frame) {
                return frame;
            }
        }
    }

    /// Reads until the stream ends; panics unless the last event says `bye` for this reason. Returns the frames before.
    pub async fn expect_bye(&mut self, reason: CloseReason) -> Vec<Received> {
        let mut before = Vec::new();
        while let Some(piece) = self.piece().await {
            if let Piece::Event(event) = piece {
                before.push(event.frame);
            }
        }
        let last = before.pop();
        assert!(matches!(&last, Some(Received::Bye { code, .. }) if *code == reason.code()), "{last:?}");
        before
    }

    /// The connection itself.
    pub fn into_inner(self) -> S {
        self.stream
    }
}
