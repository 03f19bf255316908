//! A WebSocket client that speaks `pitchey.v1`, for tests: typed frames, a deadline on every wait, raw access where a
//! test wants to misbehave.

use crate::protocol::{CloseReason, event::Received};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error, Message, client::IntoClientRequest, http, protocol::WebSocketConfig},
};

/// Longest a test waits for anything. Generous: the machine is shared.
const PATIENCE: Duration = Duration::from_secs(20);

/// What arrived.
#[derive(Debug)]
pub enum Heard {
    /// A frame of the protocol.
    Frame(Box<Received>),
    /// A WebSocket ping.
    Ping,
    /// The end, with the close frame's code if there was one.
    Closed(Option<u16>),
}

/// A client, on a plain connection unless told otherwise.
#[derive(Debug)]
pub struct Socket<S = TcpStream> {
    ws: WebSocketStream<S>,
    next_id: u64,
}

impl Socket {
    /// Opens `/ws` without cookie or origin.
    pub async fn open(addr: SocketAddr) -> Self {
        Self::upgrade(addr, "/ws", &[]).await.expect("the upgrade is accepted")
    }

    /// Opens with a path and headers; an upgrade refused in HTTP is its status.
    pub async fn upgrade(addr: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let stream = TcpStream::connect(addr).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self::over(stream, &format!("ws://{addr}{path}"), headers).await
    }

    /// Opens, and authenticates with a token or ticket; returns what `ready` said.
    pub async fn ready(addr: SocketAddr, token: &str) -> (Self, Received) {
        Self::resume(addr, token, json!({})).await
    }

    /// Opens, and authenticates with the fields of `more` (`device`, `inbox`, `rooms`) in the `auth` frame.
    pub async fn resume(addr: SocketAddr, token: &str, more: Value) -> (Self, Received) {
        let mut socket = Self::open(addr).await;
        let mut auth = json!({"type": "auth", "token": token});
        auth.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        socket.send(&auth).await;
        let ready = socket.expect(|frame| matches!(frame, Received::Ready { .. })).await;
        (socket, ready)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Upgrades a connection that is open already; a refusal in HTTP is its status.
    pub async fn over(stream: S, url: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = url.into_client_request().expect("a URL");
        for (name, value) in headers {
            request.headers_mut().append(*name, http::HeaderValue::from_str(value).expect("a header value"));
        }
        let config = WebSocketConfig::default().read_buffer_size(4096);
        match within(Box::pin(client_async_with_config(request, stream, Some(config)))).await {
            Ok((ws, _)) => Ok(Self { ws, next_id: 1 }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(problem) => panic!("the upgrade failed: {problem}"),
        }
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    /// Sends anything.
    pub async fn send_raw(&mut self, message: Message) {
        within(self.ws.send(message)).await.expect("the socket takes a frame");
    }

    /// Sends without minding whether the server still listens; false when it does not.
    pub async fn try_send(&mut self, message: Message) -> bool {
        within(self.ws.send(message)).await.is_ok()
    }

    /// Sends a command with a fresh id, and returns the frame that answers it. Other frames are passed over.
    pub async fn call(&mut self, mut command: Value) -> Received {
        let id = self.next_id;
        self.next_id += 1;
        let fields = command.as_object_mut().expect("an object");
        fields.entry("id").or_insert_with(|| json!(id));
        let id = fields["id"].clone();
        self.send(&command).await;
        self.expect(|frame| answered(frame) == Some(&id)).await
    }

    /// The next thing that arrives.
    pub async fn hear(&mut self) -> Heard {
        match within(self.ws.next()).await {
            Some(Ok(Message::Text(text))) => {
                let frame = serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{problem}: {text}"));
                Heard::Frame(Box::new(frame))
            }
            Some(Ok(Message::Ping(_))) => Heard::Ping,
            Some(Ok(Message::Close(close))) => Heard::Closed(close.map(|close| close.code.into())),
            Some(Ok(other)) => panic!("unexpected {other:?}"),
            Some(Err(_)) | None => Heard::Closed(None),
        }
    }

    /// The next frame of the protocol.
    pub async fn frame(&mut self) -> Received {
        loop {
            match self.hear().await {
                Heard::Frame(frame) => return *frame,
                Heard::Ping => {}
                Heard::Closed(code) => panic!("closed with {code:?} while a frame was expected"),
            }
        }
    }

    /// The first frame that fits; others are passed over.
    pub async fn expect(&mut self, mut fits: impl FnMut(&Received) -> bool) -> Received {
        loop {
            let frame = self.frame().await;
            if fits(&frame) {
                return frame;
            }
        }
    }

    /// The next inbox entry: position and data.
    pub async fn inbox(&mut self) -> (u64, String, Value) {
        loop {
            if let Received::Inbox { pos, event, data } = self.frame().await {
                return (pos, event, data);
            }
        }
    }

    /// The next room event: sequence number and data.
    pub async fn event(&mut self) -> (u64, Value) {
        loop {
            if let Received::Event { pos, data, .. } = self.frame().await {
                return (pos.seq, data);
            }
        }
    }

    /// Reads until the server closes; panics unless it does so for this reason and said `bye` first.
    pub async fn expect_close(&mut self, reason: CloseReason) {
        let mut said_bye = false;
        loop {
            match self.hear().await {
                Heard::Frame(frame) => {
                    said_bye |= matches!(*frame, Received::Bye { code, .. } if code == reason.code());
                }
                Heard::Ping => {}
                Heard::Closed(code) => {
                    assert_eq!(code, Some(reason.code()), "close code");
                    assert!(said_bye, "no bye before the close");
                    return;
                }
            }
        }
    }

    /// Proves that nothing but what is passed over came before: pings, and reads until the pong. Returns the frames in
    /// between. Frames of one connection are answered in order, so this needs no waiting.
    pub async fn quiet(&mut self) -> Vec<Received> {
        let mark = uuid::Uuid::now_v7().to_string();
        self.send(&json!({"type": "ping", "t": mark})).await;
        let mut before = Vec::new();
        loop {
            match self.frame().await {
                Received::Pong { t: Some(t), .. } if t == json!(mark) => return before,
                frame => before.push(frame),
            }
        }
    }

    /// The socket itself.
    pub fn into_inner(self) -> WebSocketStream<S> {
        self.ws
    }
}

/// The id a frame answers.
fn answered(frame: &Received) -> Option<&Value> {
    match frame {
        Received::Ready { id, .. }
        | Received::Pong { id, .. }
        | Received::Joined { id, .. }
        | Received::Left { id, .. }
        | Received::Ack { id, .. }
        | Received::Error { id, .. } => id.as_ref(),
        _ => None,
    }
}

/// Awaits with the test's patience.
pub async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("something took longer than a test waits")
}
