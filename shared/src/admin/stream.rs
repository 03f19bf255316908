//! `/admin/stream`: one console's WebSocket.
//!
//! The console's task owns its socket and takes the newest tick whenever the last one is written, so a slow console
//! skips ticks and costs one encoded tick of memory, no more. What it sends is read and ignored; there is nothing to
//! ask for yet.

use super::{Shared, sampler::encode, server};
use crate::protocol::admin::{Hello, Message, TICK_MS, VERSION};
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use std::{
    sync::{
        Arc,
        atomic::Ordering::{AcqRel, Relaxed},
    },
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

/// Consoles at once; one more is answered 503.
const MOST_CONSOLES: u32 = 32;

/// A console that takes no byte for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest message from a console; it has nothing to say but pings.
const MESSAGE_BYTES: usize = 4 * 1024;

/// Answers the handshake and leaves the stream to a task of its own.
pub(super) fn upgrade(request: &mut Request<Incoming>, shared: &Arc<Shared>) -> server::Answer {
    let Some(key) = handshake_key(request.headers()) else {
        return server::problem(StatusCode::BAD_REQUEST, "bad_handshake", "this page speaks WebSocket, version 13");
    };
    let Some(seat) = Seat::take(shared) else {
        return server::problem(StatusCode::SERVICE_UNAVAILABLE, "too_many_consoles", "32 consoles are listening");
    };
    shared.tracker.spawn(run(hyper::upgrade::on(request), seat));
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, key);
    answer
}

/// The handshake's answer, if the request is one.
fn handshake_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name, word: &str| {
        let text = headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        text.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let asks = has(CONNECTION, "upgrade") && has(UPGRADE, "websocket") && has(SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| asks)?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()
}

/// One console's place among [`MOST_CONSOLES`], given back when dropped.
struct Seat(Arc<Shared>);

impl Seat {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let more = |taken: u32| (taken < MOST_CONSOLES).then_some(taken + 1);
        shared.consoles.fetch_update(AcqRel, Relaxed, more).ok()?;
        Some(Self(Arc::clone(shared)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.consoles.fetch_sub(1, AcqRel);
    }
}

async fn run(upgrade: OnUpgrade, seat: Seat) {
    let Ok(upgraded) = upgrade.await else { return }; // the caller left before the answer
    let config = WebSocketConfig::default()
        .read_buffer_size(MESSAGE_BYTES)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    // An error here is a console that went away, which is no news.
    let _ = talk(&mut socket, &seat.0).await;
}

/// Hello, then ticks, until either side ends it.
pub(super) async fn talk<S>(socket: &mut WebSocketStream<S>, shared: &Shared) -> Result<(), tungstenite::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ticks = shared.sampler.subscribe();
    let mut sent = ticks.borrow_and_update().0;
    send(socket, encode(&Message::Hello(hello(shared)))).await?;
    loop {
        tokio::select! {
            biased;
            () = shared.end.cancelled() => return goodbye(socket).await,
            heard = socket.next() => match heard {
                Some(Ok(message)) if !message.is_close() => {}
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) | None => return Ok(()),
            },
            _ = ticks.changed() => {
                let (seq, tick) = ticks.borrow_and_update().clone();
                let lost = seq - sent - 1;
                sent = seq;
                if lost > 0 {
                    send(socket, encode(&Message::Lost { count: lost })).await?;
                }
                send(socket, tick).await?;
            }
        }
    }
}

/// Waits until the frame is written, but not for ever.
async fn send<S>(socket: &mut WebSocketStream<S>, text: Utf8Bytes) -> Result<(), tungstenite::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(WRITE_TIMEOUT, socket.send(tungstenite::Message::Text(text))).await {
        Ok(sent) => sent,
        Err(_) => Err(tungstenite::Error::ConnectionClosed),
    }
}

async fn goodbye<S>(socket: &mut WebSocketStream<S>) -> Result<(), tungstenite::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = CloseFrame { code: CloseCode::Away, reason: "the process ends".into() };
    let closing = socket.send(tungstenite::Message::Close(Some(frame)));
    tokio::time::timeout(Duration::from_millis(200), closing).await.unwrap_or(Ok(()))
}

fn hello(shared: &Shared) -> Hello {
    Hello {
        proto: VERSION,
        name: shared.sources.name.clone(),
        version: server::VERSION.into(),
        environment: shared.sources.environment.as_str().into(),
        pid: std::process::id(),
        server_time: shared.sources.clock.now(),
        started_at: shared.started_at,
        tick_ms: TICK_MS,
        socket_limit: shared.sources.socket_limit as u64,
    }
}
