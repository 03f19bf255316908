//! The accept loop and the life of one HTTP connection.
//!
//! A *listener* accepts, holds the permits and backs off; a *connection* is one tracked task. Everything a slow or
//! hostile peer could stretch has a bound: the first byte, every head, header size, streams, resets, silence. The end is
//! soft (finish what runs, take nothing new), then hard (drop).
//!
//! What is no HTTP at all hyper answers itself (400, 414, 431, without our headers): no request ever comes into being.

use crate::{activity::Activity, app::App, embedded::EVENTS, http};
use ::http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use shared::{
    backlog,
    places::{Place, Places},
    tcp,
    tls::{self, Tls},
};
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tower::{ServiceBuilder, ServiceExt as _, service_fn, util::BoxCloneSyncService};
use tower_http::compression::{CompressionBody, CompressionLayer};

/// Connections the kernel keeps for us while we are busy; beyond it clients retry their SYN.
const BACKLOG: u32 = 4_096;
/// HTTP connections open at once. A socket gives its place back when it is upgraded (the gateway counts its own). When
/// all are taken, new ones wait in the backlog until one ends.
const MAX_CONNECTIONS: usize = 8_192;
/// HTTP connections one address may have open (IPv6: one /64). A browser opens six; a large office behind one address
/// still fits. A socket gives its place back when it is upgraded.
const PER_ADDRESS: usize = 256;
/// The first wait after a failed accept; doubled each time. "Too many open files" must not become a hot loop.
const BACK_OFF: Duration = Duration::from_millis(10);
/// The longest such wait.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(1);

/// At the soft stop, how long a connection that has asked nothing yet may still begin to.
const FIRST_WORD: Duration = Duration::from_millis(300);

/// Streams one HTTP/2 client may have open.
const MAX_STREAMS: u32 = 128;
/// Resets one HTTP/2 client may cause before its connection is closed ("rapid reset").
const MAX_RESETS: usize = 64;
/// Largest head, in bytes, HTTP/1 and HTTP/2 alike.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How often a silent HTTP/2 connection is asked whether it is alive, and how long it may take to say so.
const H2_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How many times `HEADER_TIMEOUT` a connection may go without a request while none is open. HTTP/1 waits once for the
/// next head; HTTP/2 answers our pings for ever and would keep its place, yet is worth more to keep: 30 to 60 seconds.
const SILENCE: u32 = 3;

/// What the listener speaks inside TLS, as it prefers it.
pub const PROTOCOLS: [&str; 2] = [tls::HTTP_2, tls::HTTP_1];

/// Binds the public address. The listener is ready when this returns.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for old connections in TIME_WAIT; on Linux this never lets two servers share a port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until the soft stop, and then what the kernel has accepted for us already. Every connection is a task of the
/// lifecycle's tracker; with `tls` it begins with a handshake, which holds the connection's places and has the deadline
/// of a request's head.
pub async fn serve(app: App, listener: TcpListener, tls: Option<Tls>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let builder = Arc::new(connection_builder(app.config.http.header_timeout));
    let stop = app.lifecycle.soft().clone();
    let door = Door { app, builder, tls, places: Places::new(PER_ADDRESS) };
    loop {
        let (stream, peer, permit) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        door.enter(stream, peer, permit);
    }
    for (stream, peer) in backlog::last_of(listener) {
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            door.enter(stream, peer, permit);
        }
    }
}

/// What every connection needs.
struct Door {
    app: App,
    builder: Arc<auto::Builder<TokioExecutor>>,
    tls: Option<Tls>,
    places: Places,
}

impl Door {
    fn enter(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        // Answers are small and latency matters more than packets.
        if let Err(error) = stream.set_nodelay(true) {
            return tracing::debug!(%error, "the peer is gone already");
        }
        let (place, behind_proxy) = (self.places.take(peer.ip()), self.app.config.http.trusted_proxies > 0);
        if place.is_none() && !behind_proxy {
            return tracing::debug!(%peer, "an address has all the connections it may have");
        }
        let (app, builder, tls) = (self.app.clone(), self.builder.clone(), self.tls.clone());
        let held = Held { _permit: permit, _place: place };
        self.app.lifecycle.tracker().spawn(async move {
            let Some(tls) = tls else {
                let Some(stream) = past_the_gateway(&app, stream, peer).await else { return };
                give_up_on_the_dead(&app, &stream);
                return connection(app, builder, stream, peer, held).await;
            };
            give_up_on_the_dead(&app, &stream);
            if let Some(stream) = shake_hands(&app, &tls, stream, peer).await {
                connection(app, builder, stream, peer, held).await;
            }
        });
    }
}

/// What a connection holds of the server: given back at its end, or when it begins to carry an event stream.
struct Held {
    _permit: OwnedSemaphorePermit,
    _place: Option<Place>,
}

/// An event stream's client never says anything: that it is gone shows only in what it does not take.
fn give_up_on_the_dead(app: &App, stream: &TcpStream) {
    if let Err(error) = tcp::give_up_after(stream, app.config.gateway.dead_after) {
        tracing::debug!(%error, "failed to set TCP_USER_TIMEOUT");
    }
}

/// One accepted connection with a place to be in. Does not give up: whatever fails is tried again, ever slower.
async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    let mut wait = BACK_OFF;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                tracing::warn!(%error, wait_ms = wait.as_millis(), "failed to accept a connection");
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_BACK_OFF);
            }
        }
    }
}

fn connection_builder(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        // Without a timer the timeout below would silently do nothing.
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).expect("16 KiB fit into 32 bits"))
        .keep_alive_interval(H2_KEEP_ALIVE)
        .keep_alive_timeout(H2_KEEP_ALIVE);
    builder
}

type Service = BoxCloneSyncService<Request<Incoming>, Response<http::Body>, Infallible>;

/// The pipeline behind compression. Boxed, with a concrete error type: `Box<dyn Error>` within the types of a spawned
/// future is more than rustc can prove `Send`.
fn service(app: App, peer: SocketAddr, activity: Arc<Activity>) -> Service {
    let handler = move |mut request: Request<Incoming>| {
        let (app, open) = (app.clone(), activity.request());
        if request.uri().path() == EVENTS {
            request.extensions_mut().insert(Arc::clone(&activity));
        }
        async move {
            let answer = http::handle(app, peer, request).await;
            drop(open);
            Ok::<_, Infallible>(answer)
        }
    };
    let stack = ServiceBuilder::new()
        .map_request(|mut request: Request<Incoming>| {
            http::encoding::settle(request.headers_mut());
            request
        })
        .map_response(|response: Response<CompressionBody<http::Body>>| {
            response.map(|body| body.map_err(io::Error::other).boxed_unsync())
        })
        .layer(CompressionLayer::new())
        .service_fn(handler);
    // Outside of the compression, which would take an answer without a body for one that has nothing to compress.
    BoxCloneSyncService::new(service_fn(move |request: Request<Incoming>| {
        let (stack, head) = (stack.clone(), request.method() == Method::HEAD);
        async move {
            let answer = stack.oneshot(request).await?;
            Ok(if head { http::encoding::head(answer) } else { answer })
        }
    }))
}

async fn shake_hands(app: &App, tls: &Tls, stream: TcpStream, peer: SocketAddr) -> Option<tls::Stream> {
    let accepted = tokio::select! {
        biased;
        () = app.lifecycle.hard().cancelled() => return None,
        accepted = tls.accept(stream, app.config.http.header_timeout) => accepted,
    };
    accepted
        .inspect_err(|error| {
            app.metrics.refused("tls");
            tracing::debug!(%peer, %error, "failed to shake hands");
        })
        .ok()
}

/// Lets the gateway of this process, if there is one, take a socket that begins with its upgrade: most connections do,
/// and the pipeline costs many times what the upgrade does. `None` when it did, or when nothing came.
async fn past_the_gateway(app: &App, stream: TcpStream, peer: SocketAddr) -> Option<TcpStream> {
    let Some(sockets) = app.sockets.get() else { return Some(stream) };
    let nothing_comes = async {
        app.lifecycle.soft().cancelled().await;
        sleep(FIRST_WORD).await; // its first bytes may be on their way
    };
    tokio::select! {
        biased;
        () = nothing_comes => None,
        taken = timeout(app.config.http.header_timeout, sockets.take(stream, peer.ip())) => taken.ok()?,
    }
}

/// One connection, from its first byte to its last answer or its upgrade.
async fn connection<S>(app: App, builder: Arc<auto::Builder<TokioExecutor>>, stream: S, peer: SocketAddr, held: Held)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let service = service(app.clone(), peer, activity.clone());
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    // hyper's own timer starts when it knows the HTTP version: a peer that sends nothing, or half a preface, needs this.
    let header_timeout = app.config.http.header_timeout;
    let mut silence = std::pin::pin!(sleep(header_timeout));
    let mut drain = std::pin::pin!(async {
        tokio::select! {
            () = app.lifecycle.soft().cancelled() => {}
            () = activity.streamed.cancelled() => {}
        }
        if activity.asked() == 0 {
            // hyper closes a connection whose first bytes it has not seen, though they may be on their way.
            sleep(FIRST_WORD).await;
        }
    });
    let (mut draining, mut asked_before, mut held) = (false, 0, Some(held));
    loop {
        tokio::select! {
            biased;
            () = app.lifecycle.hard().cancelled() => return,
            () = activity.stuck.cancelled() => {
                return tracing::debug!(%peer, "the client of an event stream took nothing any more");
            }
            () = activity.streaming.cancelled(), if held.is_some() => held = None,
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%peer, error = crate::http::error::chain(error.as_ref()), "a connection ended early");
                }
                return;
            }
            () = drain.as_mut(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = silence.as_mut() => {
                let asked = activity.asked();
                let silent = asked == asked_before && !activity.is_open();
                if silent && (asked == 0 || draining) {
                    tracing::debug!(%peer, asked, "a connection was silent for too long");
                    return;
                }
                if silent {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                asked_before = asked;
                silence.as_mut().reset(Instant::now() + SILENCE * header_timeout);
            }
        }
    }
}
