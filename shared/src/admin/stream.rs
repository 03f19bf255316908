//! `/admin/stream`: one console's WebSocket.
//!
//! The console's task owns its socket and takes the newest beat whenever the last one is written, so a slow console
//! skips ticks and lists and costs one of each in memory, no more. Lists are made when they are due and there is room
//! for them.

use super::{
    Caller, Shared, actions, lists,
    rules::Rule,
    sampler::{Beat, encode},
    select::Refusal,
    server,
    subscriptions::Subscriptions,
};
use crate::protocol::admin::{Hello, Message, Request as Asked, TICK_MS, VERSION};
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
        Arc, PoisonError,
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

/// Largest message from a console: a subscription with the longest filter is a quarter of it.
const MESSAGE_BYTES: usize = 4 * 1024;

/// Answers the handshake and leaves the stream to a task of its own.
pub(super) fn upgrade(request: &mut Request<Incoming>, caller: Caller, shared: &Arc<Shared>) -> server::Answer {
    let Some(key) = handshake_key(request.headers()) else {
        return server::problem(StatusCode::BAD_REQUEST, "bad_handshake", "this page speaks WebSocket, version 13");
    };
    let Some(seat) = Seat::take(shared) else {
        return server::problem(StatusCode::SERVICE_UNAVAILABLE, "too_many_consoles", "32 consoles are listening");
    };
    shared.tracker.spawn(run(hyper::upgrade::on(request), caller, seat));
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

async fn run(upgrade: OnUpgrade, caller: Caller, seat: Seat) {
    let Ok(upgraded) = upgrade.await else { return }; // the caller left before the answer
    let config = WebSocketConfig::default()
        .read_buffer_size(MESSAGE_BYTES)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    // An error here is a console that went away, which is no news.
    let _ = talk(&mut socket, &caller, &seat.0).await;
}

/// Hello, what is remembered, then a beat a second, until either side ends it.
pub(super) async fn talk<S>(
    socket: &mut WebSocketStream<S>,
    caller: &Caller,
    shared: &Shared,
) -> Result<(), tungstenite::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut console =
        Console { socket, shared, subscriptions: Subscriptions::default(), alerts: 0, jobs: shared.jobs.changes() };
    let mut beats = shared.sampler.subscribe();
    let mut sent = beats.borrow_and_update().seq;
    console.greet(caller).await?;
    loop {
        tokio::select! {
            biased;
            () = shared.end.cancelled() => return console.goodbye(CloseCode::Away, "the process ends").await,
            heard = console.socket.next() => match heard {
                Some(Ok(tungstenite::Message::Text(text))) => console.heard(&text).await?,
                Some(Ok(message)) if !message.is_close() => {}
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) | None => return Ok(()),
            },
            _ = beats.changed() => {
                let beat = beats.borrow_and_update().clone();
                console.beat(&beat, beat.seq - sent - 1).await?;
                sent = beat.seq;
            }
        }
    }
}

/// One console.
struct Console<'a, S> {
    socket: &'a mut WebSocketStream<S>,
    shared: &'a Shared,
    subscriptions: Subscriptions,
    /// Which alerts were told.
    alerts: u64,
    /// Which changes of jobs were told.
    jobs: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Console<'_, S> {
    async fn greet(&mut self, caller: &Caller) -> Result<(), tungstenite::Error> {
        self.say(&Message::Hello(Box::new(hello(self.shared, caller)))).await?;
        let told = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner).tell(&self.shared.sources.name);
        for history in told {
            self.say(&Message::History(history)).await?;
        }
        self.say(&Message::Nodes { nodes: vec![self.shared.status()] }).await?;
        self.tell_alerts(true).await
    }

    /// The alerts, if they have changed since they were told.
    async fn tell_alerts(&mut self, first: bool) -> Result<(), tungstenite::Error> {
        let told = {
            let alerts = self.shared.alerts.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = std::mem::replace(&mut self.alerts, alerts.version()) != alerts.version();
            (changed || first).then(|| alerts.all())
        };
        match told {
            Some(alerts) => self.say(&Message::Alerts { alerts }).await,
            None => Ok(()),
        }
    }

    async fn beat(&mut self, beat: &Beat, lost: u64) -> Result<(), tungstenite::Error> {
        if lost > 0 {
            self.say(&Message::Lost { count: lost }).await?;
        }
        for tick in beat.ticks.iter() {
            self.send(tick.clone()).await?;
        }
        self.tell_alerts(false).await?;
        let (jobs, told) = self.shared.jobs.since(self.jobs);
        self.jobs = told;
        for job in jobs {
            self.say(&Message::Job(Box::new(job))).await?;
        }
        self.tell().await
    }

    /// Lists that are due.
    async fn tell(&mut self) -> Result<(), tungstenite::Error> {
        for message in self.subscriptions.due(self.shared).await {
            self.say(&message).await?;
        }
        Ok(())
    }

    async fn heard(&mut self, text: &str) -> Result<(), tungstenite::Error> {
        let refused = match serde_json::from_str(text) {
            Ok(Asked::Subscribe(wish)) => {
                let id = wish.id;
                self.subscriptions.add(self.shared, wish).map_err(|refusal| (Some(id), refusal))
            }
            Ok(Asked::Unsubscribe { id }) => {
                self.subscriptions.remove(id);
                Ok(())
            }
            // serde's own message could quote what was sent at length.
            Err(_) => Err((None, Refusal::new("bad_request", "this is no request of the admin protocol"))),
        };
        match refused {
            Ok(()) => self.tell().await,
            Err((id, Refusal { code, message })) => {
                self.say(&Message::Refused { id, code: code.into(), message }).await
            }
        }
    }

    async fn say(&mut self, message: &Message) -> Result<(), tungstenite::Error> {
        self.send(encode(message)).await
    }

    /// Waits until the frame is written, but not for ever.
    async fn send(&mut self, text: Utf8Bytes) -> Result<(), tungstenite::Error> {
        self.shared.console_bytes.fetch_add(text.len() as u64, Relaxed);
        let sending = self.socket.send(tungstenite::Message::Text(text));
        if let Ok(sent) = tokio::time::timeout(WRITE_TIMEOUT, sending).await {
            return sent;
        }
        tracing::info!("dropped a console that took nothing for {WRITE_TIMEOUT:?}");
        self.goodbye(CloseCode::Policy, "too slow").await?;
        Err(tungstenite::Error::ConnectionClosed)
    }

    async fn goodbye(&mut self, code: CloseCode, reason: &'static str) -> Result<(), tungstenite::Error> {
        let frame = CloseFrame { code, reason: reason.into() };
        let closing = self.socket.send(tungstenite::Message::Close(Some(frame)));
        tokio::time::timeout(Duration::from_millis(200), closing).await.unwrap_or(Ok(()))
    }
}

fn hello(shared: &Shared, caller: &Caller) -> Hello {
    Hello {
        proto: VERSION,
        cluster: shared.sources.environment.as_str().into(),
        node: shared.info(),
        server_time: shared.now(),
        tick_ms: TICK_MS,
        operator: caller.operator.clone(),
        role: caller.role,
        views: lists::views(shared).iter().map(|view| view.name().to_owned()).collect(),
        actions: actions::supported(shared),
        rules: shared.alerts.lock().unwrap_or_else(PoisonError::into_inner).rules().iter().map(Rule::info).collect(),
        nodes: vec![shared.status()],
    }
}
