//! The gateway's own listener: `/ws`, `/events` and `/health/*`, nothing else.
//!
//! An accept error is not a reason to end, and not one to spin on either: "too many open files" goes away when
//! connections close, so the loop backs off and tries again.
//!
//! Until a connection is a socket, or an event stream has begun, it holds one of [`HANDSHAKES`] permits, for a bounded
//! time: the TLS handshake and the request's head have `WS_HANDSHAKE_TIMEOUT` each. One address has [`PER_ADDRESS`] of
//! them, and what comes beyond is closed: who never finishes a handshake keeps nobody else out.

use crate::{Carrier, EVENTS, EventBody, Gateway, upgrade};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::{
    backlog, cors,
    places::{Place, Places},
    tcp,
    tls::{self, Tls},
};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// What this listener speaks inside TLS: a WebSocket needs its connection for itself.
pub const PROTOCOLS: [&str; 1] = [tls::HTTP_1];

/// Connections that are no sockets yet. When all permits are taken, new ones wait in the kernel's backlog.
const HANDSHAKES: usize = 8_192;
/// Those of one address (IPv6: one /64). A thousand clients behind one address may come back in the same moment.
const PER_ADDRESS: usize = HANDSHAKES / 8;

/// Largest head, in bytes, and most of an answer that waits for its client here.
const BUFFER_BYTES: usize = 16 * 1024;
/// What an event stream's connection may still take to send its last bytes.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// First pause after a failed accept; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts until the soft stop, and then what the kernel has accepted for us already: those clients are answered, if only
/// that this node is draining.
pub(crate) async fn serve(gateway: Gateway, listener: TcpListener, tls: Option<Tls>) {
    let soft = gateway.node().lifecycle.soft().clone();
    let permits = Arc::new(Semaphore::new(HANDSHAKES));
    let places = Places::new(PER_ADDRESS);
    let mut pause = FIRST_PAUSE;
    loop {
        let (accepted, permit) = tokio::select! {
            biased;
            () = soft.cancelled() => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                enter(&gateway, stream, peer, tls.clone(), (permit, places.take(peer.ip())));
            }
            Err(problem) => {
                tracing::warn!(%problem, "failed to accept a connection");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    for (stream, peer) in backlog::last_of(listener) {
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            enter(&gateway, stream, peer, tls.clone(), (permit, places.take(peer.ip())));
        }
    }
}

/// What a connection holds until it is a socket. No place is no reason to refuse behind a proxy.
type Turn = (OwnedSemaphorePermit, Option<Place>);

/// Makes a connection a task, which the hard stop drops.
fn enter(gateway: &Gateway, stream: TcpStream, peer: SocketAddr, tls: Option<Tls>, turn: Turn) {
    if turn.1.is_none() && gateway.node().http.trusted_proxies == 0 {
        gateway.node().metrics.refused("address");
        return tracing::debug!(%peer, "an address has all the handshakes it may have");
    }
    let lifecycle = &gateway.node().lifecycle;
    let connection = connection(gateway.clone(), stream, peer, tls, turn);
    let hard = lifecycle.hard().clone();
    lifecycle.tracker().spawn(async move {
        tokio::select! {
            biased;
            () = hard.cancelled() => {}
            () = connection => {}
        }
    });
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (std::io::Result<(TcpStream, SocketAddr)>, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
    (listener.accept().await, permit)
}

/// One connection until it is a socket, or has been answered.
async fn connection(gateway: Gateway, stream: TcpStream, peer: SocketAddr, tls: Option<Tls>, turn: Turn) {
    if let Err(problem) = stream.set_nodelay(true) {
        tracing::debug!(%problem, "failed to set TCP_NODELAY");
    }
    let deadline = gateway.node().config.handshake_timeout;
    let Some(tls) = tls else {
        let Ok(Some(stream)) = timeout(deadline, gateway.take(stream, peer.ip())).await else { return };
        give_up_on_the_dead(&gateway, &stream);
        return exchange(gateway, stream, peer, turn).await;
    };
    give_up_on_the_dead(&gateway, &stream);
    match tls.accept(stream, deadline).await {
        Ok(stream) => exchange(gateway, stream, peer, turn).await,
        Err(problem) => {
            gateway.node().metrics.refused("tls");
            tracing::debug!(%problem, %peer, "failed to shake hands");
        }
    }
}

/// An event stream's client never says anything: that it is gone shows only in what it does not take.
fn give_up_on_the_dead(gateway: &Gateway, stream: &TcpStream) {
    if let Err(problem) = tcp::give_up_after(stream, gateway.node().config.dead_after) {
        tracing::debug!(%problem, "failed to set TCP_USER_TIMEOUT");
    }
}

/// What the answers of one connection share.
struct Exchange {
    gateway: Gateway,
    peer: SocketAddr,
    /// Given back when an event stream begins: from then on it counts as a socket.
    turn: Mutex<Option<Turn>>,
    carrier: Carrier,
}

/// One HTTP exchange; after an upgrade the stream belongs to the connection's task.
async fn exchange<S>(gateway: Gateway, stream: S, peer: SocketAddr, turn: Turn)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let deadline = gateway.node().config.handshake_timeout;
    let carrier = Carrier::default();
    let exchange = Exchange { gateway, peer, turn: Mutex::new(Some(turn)), carrier: carrier.clone() };
    let exchange = Arc::new(exchange);
    // Boxed: not every connection should be as large as the largest answer, nor types too deep for the compiler.
    let service = service_fn(move |request| {
        let exchange = Arc::clone(&exchange);
        async move { Ok::<_, Infallible>(Box::pin(exchange.answer(request)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadline)
        .max_headers(64)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => Some(served),
        () = carrier.stuck.cancelled() => None,
        () = carrier.done.cancelled() => timeout(LAST_BYTES, connection).await.ok(),
    };
    match served {
        Some(Ok(())) => {}
        Some(Err(problem)) => tracing::debug!(%problem, %peer, "failed to serve a request"),
        None => tracing::debug!(%peer, "the client of an event stream took nothing any more"),
    }
}

impl Exchange {
    async fn answer(&self, request: Request<Incoming>) -> Response<EventBody> {
        if request.uri().path() == EVENTS {
            return self.events(&request).await;
        }
        answer(&self.gateway, request, self.peer).await.map(Either::Left)
    }

    async fn events(&self, request: &Request<Incoming>) -> Response<EventBody> {
        let (gateway, asked) = (&self.gateway, request.headers());
        let preflight = cors::is_preflight(request.method(), asked);
        let mut response = if preflight {
            let mut response = Response::new(Either::Left(Full::default()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        } else {
            let address = upgrade::client_address(gateway.node(), self.peer.ip(), request);
            gateway.events(request, address, self.carrier.clone()).await
        };
        if matches!(response.body(), Either::Right(_)) {
            self.turn.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        let headers = response.headers_mut();
        let methods = preflight.then(|| HeaderValue::from_static("GET, OPTIONS"));
        cors::write(&gateway.node().http, asked, methods.as_ref(), headers);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

async fn answer(gateway: &Gateway, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/ws" | "/ws/echo" => {
            let address = upgrade::client_address(gateway.node(), peer.ip(), &request);
            gateway.upgrade(request, address).await
        }
        "/health/live" if readable => plain(StatusCode::OK, "live\n"),
        "/health/ready" if readable && gateway.node().is_leaving() => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        }
        "/health/ready" if readable => plain(StatusCode::OK, "ready\n"),
        "/health/live" | "/health/ready" => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "not found\n"),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    // One exchange per connection: this listener is for sockets, and an idle HTTP client would only hold one open.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
