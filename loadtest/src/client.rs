//! One simulated user's WebSocket: small buffers, typed helpers, no reconnecting (a scenario decides what a close
//! means). Works against Pitchey and against the plain baseline server, which has no hello and no rooms.

use crate::{frames, target::Target, transport::Transport};
use futures_util::{SinkExt as _, StreamExt as _};
use shared::{
    id::UserId,
    protocol::{SUBPROTOCOL, event::Received},
};
use std::{net::IpAddr, time::Duration};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message, Utf8Bytes,
        client::IntoClientRequest as _,
        handshake::client::Request,
        http::{HeaderValue, header},
        protocol::WebSocketConfig,
    },
};

/// How long a handshake or an expected answer may take before the run calls it a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes read at a time: a few messages, so that ten thousand readers need 20 MiB and not 1.3 GiB.
const READ_BYTES: usize = 2 * 1024;
/// Largest message taken; the platform's own limit.
const MESSAGE_BYTES: usize = 64 * 1024;

/// Who answers at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Pitchey: hello, auth, rooms.
    Pitchey,
    /// The plain broadcast server of [`crate::baseline`]: every frame goes to everybody.
    Baseline,
}

/// Why a socket could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("failed to connect: {0}")]
    Connect(#[source] std::io::Error),
    #[error("refused with HTTP {status}")]
    Refused { status: u16, retry_after: Option<u64> },
    #[error("WebSocket failed: {0}")]
    Socket(Box<tungstenite::Error>),
    #[error("closed with {code} {reason}")]
    Closed { code: u16, reason: String },
    #[error("no {0} within {PATIENCE:?}")]
    Silence(&'static str),
    #[error("{code}: {message}")]
    Answer { code: String, message: String },
}

impl From<tungstenite::Error> for ClientError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(response) => Self::Refused {
                status: response.status().as_u16(),
                retry_after: response
                    .headers()
                    .get(header::RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.parse().ok()),
            },
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
                Self::Closed { code: 1006, reason: "the connection ended".into() }
            }
            other => Self::Socket(Box::new(other)),
        }
    }
}

impl ClientError {
    /// A short name under which failures of one kind are counted together.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Connect(error) => format!("connect: {}", error.kind()),
            Self::Refused { status, .. } => format!("http {status}"),
            Self::Socket(error) => format!("socket: {error}"),
            Self::Closed { code, .. } => format!("closed {code}"),
            Self::Silence(what) => format!("no {what}"),
            Self::Answer { code, .. } => format!("error {code}"),
        }
    }
}

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    ws: WebSocketStream<Transport>,
}

impl Socket {
    /// Connects from `source` (any address if none) and shakes hands; waits for `hello` from Pitchey.
    pub(crate) async fn open(target: &Target, source: Option<IpAddr>, dialect: Dialect) -> Result<Self, ClientError> {
        let opening = async {
            let stream = Transport::open(target, source).await.map_err(ClientError::Connect)?;
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BYTES)
                .write_buffer_size(1_024)
                .max_write_buffer_size(2 * MESSAGE_BYTES)
                .max_message_size(Some(MESSAGE_BYTES))
                .max_frame_size(Some(MESSAGE_BYTES));
            // A large future that lives shortly: boxed, so that the task of every user stays small.
            let shaken = Box::pin(client_async_with_config(request(target, dialect)?, stream, Some(config))).await;
            Ok::<_, ClientError>(Self { ws: shaken?.0 })
        };
        let mut socket = timeout(PATIENCE, opening).await.map_err(|_| ClientError::Silence("handshake"))??;
        if dialect == Dialect::Pitchey {
            socket.expect("hello", |frame| matches!(frame, Received::Hello { .. }).then_some(())).await?;
        }
        Ok(socket)
    }

    /// Signs in and returns whom the token belongs to.
    pub(crate) async fn auth(&mut self, token: &str) -> Result<UserId, ClientError> {
        self.say(frames::auth(token)).await?;
        self.expect("ready", |frame| match frame {
            Received::Ready { user, .. } => Some(user),
            _ => None,
        })
        .await
    }

    /// Enters a room.
    pub(crate) async fn join(&mut self, room: &str) -> Result<(), ClientError> {
        self.say(frames::join(room)).await?;
        self.expect("joined", |frame| matches!(frame, Received::Joined { .. }).then_some(())).await
    }

    /// Sends one text frame at once.
    pub(crate) async fn say(&mut self, text: String) -> Result<(), ClientError> {
        Ok(self.ws.send(Message::text(text)).await?)
    }

    /// Puts one text frame behind those that wait; the next [`Socket::say`] sends them all.
    pub(crate) async fn queue(&mut self, text: String) -> Result<(), ClientError> {
        Ok(self.ws.feed(Message::text(text)).await?)
    }

    /// The next text frame. Pings are answered on the way; a close is an error with its code. Cancel-safe.
    pub(crate) async fn hear(&mut self) -> Result<Utf8Bytes, ClientError> {
        loop {
            match self.ws.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                    return Err(ClientError::Closed { code, reason });
                }
                // tungstenite queued the pong; the next poll of the stream writes it.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(tungstenite::Error::ConnectionClosed.into()),
            }
        }
    }

    /// Waits for the frame that `pick` takes; others pass by. An `error` frame ends the wait.
    pub(crate) async fn expect<T>(
        &mut self,
        what: &'static str,
        mut pick: impl FnMut(Received) -> Option<T>,
    ) -> Result<T, ClientError> {
        let waiting = async {
            loop {
                let text = self.hear().await?;
                match serde_json::from_str::<Received>(&text) {
                    Ok(Received::Error { code, message, .. }) => return Err(ClientError::Answer { code, message }),
                    Ok(frame) => {
                        if let Some(found) = pick(frame) {
                            return Ok(found);
                        }
                    }
                    // A type this harness does not know is no fault of the server's.
                    Err(_) => {}
                }
            }
        };
        timeout(PATIENCE, waiting).await.map_err(|_| ClientError::Silence(what))?
    }

    /// Says goodbye, without waiting for the answer longer than a moment.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            self.ws.close(None).await?;
            while let Some(Ok(_)) = self.ws.next().await {}
            Ok::<_, tungstenite::Error>(())
        };
        // Whether the goodbye was heard changes nothing here.
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }
}

fn request(target: &Target, dialect: Dialect) -> Result<Request, ClientError> {
    let scheme = if target.tls { "wss" } else { "ws" };
    let mut request = format!("{scheme}://{}{}", target.addr, target.ws_path).into_client_request()?;
    if dialect == Dialect::Pitchey {
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(request)
}
