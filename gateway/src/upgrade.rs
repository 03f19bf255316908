//! Becoming a connection: what every upgrade goes through, and the quick way for a plain socket.
//!
//! An HTTP server is made for what a WebSocket's request is not: bodies, keep-alive, pipelines. On a plain socket whose
//! first bytes are one whole, well-formed request for `/ws`, the request is read here and answered by the connection
//! itself, whose first write carries the 101, `hello`, and `ready` if a cookie brought an identity. Only what is
//! certain is taken. Everything else (another path, HTTP/2, a head in pieces, a form that must be refused) is left in
//! the socket untouched, for the HTTP server, which knows every way in which a request can be wrong.

use crate::{
    connection::{Connection, Start, Stream, outbox::Outbox},
    drain,
    handshake::{self, Greeting, Refused},
    node::Node,
    standing::Open,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use shared::{forwarded, protocol::CloseReason};
use std::{
    io::{self, Write as _},
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

/// Largest head read here. A browser's, with its cookies, is a third of it.
const HEAD_BYTES: usize = 4 * 1024;
/// Most header fields read here.
const HEADERS: usize = 48;

/// A connection that was let in and waits for its socket.
pub(crate) struct Entrance {
    node: Arc<Node>,
    outbox: Arc<Outbox>,
    open: Open,
    greeting: Greeting,
}

/// Lets a client in: form, limits, identity. The answer is sent by whoever read the request.
pub(crate) async fn admit<B>(
    node: &Arc<Node>,
    request: &Request<B>,
    address: IpAddr,
) -> Result<(Response<&'static str>, Entrance), Refused> {
    handshake::find(node, request)?;
    let response = handshake::accept(request)?;
    let admitted = Admitted::take(node, address)?;
    let greeting = handshake::greet(node, request).await?;
    Ok((response, admitted.open(address, greeting)))
}

/// An address that was counted: released again unless a connection takes it over.
pub(crate) struct Admitted<'a> {
    node: &'a Arc<Node>,
    key: Option<IpAddr>,
}

impl<'a> Admitted<'a> {
    /// Counts one more connection of the address, if the node takes one.
    pub(crate) fn take(node: &'a Arc<Node>, address: IpAddr) -> Result<Self, Refused> {
        Ok(Self { node, key: Some(handshake::admit(node, address)?) })
    }

    /// Lets the connection in.
    pub(crate) fn open(self, address: IpAddr, greeting: Greeting) -> Entrance {
        let node = self.node;
        let may_stay = node.config.allow_anonymous || greeting.echo;
        let deadline = if may_stay { u32::MAX } else { node.deadline(node.config.auth_timeout) };
        let outbox = Arc::new(Outbox::new(node.connection_number(), node.now_second(), deadline).at(address));
        let open = Open::new(node, &outbox, self.keep());
        // Opened behind the back of the end, or of the drain.
        if node.ended.is_cancelled() {
            outbox.abort();
        } else if node.draining.load(Ordering::Acquire) {
            outbox.close(CloseReason::Drain, drain::random_below(1_000));
        }
        Entrance { node: Arc::clone(node), outbox, open, greeting }
    }

    fn keep(mut self) -> IpAddr {
        self.key.take().expect("taken once")
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.node.registry.release_address(key);
        }
    }
}

impl Entrance {
    /// Becomes the connection, in a task of its own. `head` is written first; `early` was read behind the request.
    pub(crate) fn enter(self, stream: Stream, head: Bytes, early: Bytes) {
        let Self { node, outbox, open, greeting } = self;
        let tracker = node.lifecycle.tracker().clone();
        let start = Start { greeting, head, early };
        tracker.spawn(Connection::new(node, outbox, open, stream, start).task());
    }

    /// Waits for the stream an HTTP server hands over once it has written the answer.
    pub(crate) async fn adopt(self, upgrade: OnUpgrade) {
        match tokio::time::timeout(self.node.config.handshake_timeout, upgrade).await {
            Ok(Ok(upgraded)) => {
                let (stream, early) = Stream::from_upgraded(upgraded);
                self.enter(stream, Bytes::new(), early);
            }
            Ok(Err(problem)) => tracing::debug!(%problem, "failed to upgrade"),
            Err(_) => tracing::debug!("the upgrade took too long"),
        }
    }
}

/// Serves a socket that begins with an upgrade for `/ws`; gives back any other. Waits for the first bytes as long as
/// its caller does.
pub(crate) async fn take(node: &Arc<Node>, stream: TcpStream, peer: IpAddr) -> Option<TcpStream> {
    let Some((request, length)) = peek(&stream).await else { return Some(stream) };
    let address = client_address(node, peer, &request);
    match admit(node, &request, address).await {
        Err(Refused::NotWebSocket(_) | Refused::Version | Refused::NoEcho | Refused::BadDevice) => Some(stream),
        Err(refused) => {
            refuse(stream, length, refused.note(node, address)).await;
            None
        }
        Ok((response, entrance)) => {
            if skip(&stream, length).is_ok() {
                entrance.enter(Stream::Plain(stream), encode(&response), Bytes::new());
            }
            None
        }
    }
}

/// Whose address a request comes from, when our own proxies stand in between.
pub(crate) fn client_address<B>(node: &Node, peer: IpAddr, request: &Request<B>) -> IpAddr {
    let lists = request.headers().get_all(forwarded::HEADER).into_iter().filter_map(|value| value.to_str().ok());
    forwarded::client_address(peer, lists, node.http.trusted_proxies)
}

/// The request at the beginning of the stream, and the bytes of its head, which stay in the socket.
async fn peek(stream: &TcpStream) -> Option<(Request<()>, usize)> {
    let mut head = BytesMut::zeroed(HEAD_BYTES);
    let count = stream.peek(&mut head).await.ok()?;
    head.truncate(count);
    parse(&head.freeze())
}

fn parse(head: &Bytes) -> Option<(Request<()>, usize)> {
    if !head.starts_with(b"GET /ws") {
        return None;
    }
    let mut fields = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(length)) = parsed.parse(head) else { return None };
    let target = parsed.path.filter(|target| matches!(target.split('?').next(), Some("/ws" | "/ws/echo")))?;
    if parsed.version != Some(1) {
        return None;
    }
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).ok()?;
    let headers = request.headers_mut();
    headers.reserve(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if name == http::header::CONTENT_LENGTH || name == http::header::TRANSFER_ENCODING {
            return None; // a body follows
        }
        headers.append(name, HeaderValue::from_maybe_shared(head.slice_ref(field.value)).ok()?);
    }
    Some((request, length))
}

/// Takes the head out of the socket: it is there, [`peek`] has seen it.
fn skip(stream: &TcpStream, length: usize) -> io::Result<()> {
    let mut head = [0; HEAD_BYTES];
    match stream.try_read(&mut head[..length])? {
        count if count == length => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The client's request is read first: closing a socket with unread bytes resets it, and the reset can overtake the
/// answer.
async fn refuse(mut stream: TcpStream, length: usize, refused: Refused) {
    let answered = async {
        skip(&stream, length)?;
        stream.write_all(&encode(&refused.response())).await?;
        stream.shutdown().await
    };
    if let Err(problem) = answered.await {
        tracing::debug!(%problem, "failed to refuse a client");
    }
}

/// The answer as HTTP/1.1 has it. Whatever is no upgrade ends the connection.
fn encode(response: &Response<&'static str>) -> Bytes {
    let (status, body) = (response.status(), *response.body());
    let mut head = BytesMut::with_capacity(256 + body.len()).writer();
    let reason = status.canonical_reason().unwrap_or_default();
    write!(head, "HTTP/1.1 {} {reason}\r\n", status.as_str()).expect("memory takes any text");
    let mut head = head.into_inner();
    let mut put = |name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\r\n"] {
            head.put_slice(part);
        }
    };
    for (name, value) in response.headers() {
        put(name.as_str().as_bytes(), value.as_bytes());
    }
    if status != StatusCode::SWITCHING_PROTOCOLS {
        put(b"connection", b"close");
        put(b"content-length", body.len().to_string().as_bytes());
    }
    head.put_slice(b"\r\n");
    head.put_slice(body.as_bytes());
    head.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "GET /ws?device=d_1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n";

    fn parsed(head: &str) -> Option<(Request<()>, usize)> {
        parse(&Bytes::copy_from_slice(head.as_bytes()))
    }

    #[test]
    fn a_whole_head_is_understood_and_what_follows_it_is_left_alone() {
        let (request, length) = parsed(&format!("{HEAD}early")).unwrap();
        assert_eq!((length, request.uri().query()), (HEAD.len(), Some("device=d_1")));
        assert_eq!(request.headers().get_all("cookie").iter().count(), 2);
        let accepted = handshake::accept(&request).unwrap();
        let text = String::from_utf8(encode(&accepted).to_vec()).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(text.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
    }

    #[test]
    fn whatever_is_not_certain_is_left_to_the_http_server() {
        for end in 0..HEAD.len() {
            assert!(parsed(&HEAD[..end]).is_none(), "a head cut after {end} bytes");
        }
        for (from, to) in [
            ("/ws?", "/wss?"),
            ("/ws?", "/ws/other?"),
            ("GET", "POST"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("Host: x", "Content-Length: 3"),
            ("Host: x", "Transfer-Encoding: chunked"),
            ("Host: x", "Ho st: x"),
            ("/ws?device=d_1", "http://x/ws"),
        ] {
            assert!(parsed(&HEAD.replacen(from, to, 1)).is_none(), "{to}");
        }
        let many = "x: y\r\n".repeat(HEADERS);
        assert!(parsed(&HEAD.replacen("Host: x\r\n", &many, 1)).is_none(), "more header fields than are read here");
    }

    #[test]
    fn a_refusal_says_when_to_come_back_and_ends_the_connection() {
        let text = String::from_utf8(encode(&Refused::Overloaded.response()).to_vec()).unwrap();
        assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
        for part in
            ["retry-after: 2\r\n", "connection: close\r\n", "content-length: 17\r\n", "\r\n\r\nthis node is full"]
        {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
}
