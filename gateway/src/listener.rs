//! The gateway's own listener: `/ws` and `/health/*`, nothing else.
//!
//! An accept error is not a reason to end, and not one to spin on either: "too many open files" goes away when
//! connections close, so the loop backs off and tries again.

use crate::Gateway;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// First pause after a failed accept; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts until the soft stop.
pub(crate) async fn serve(gateway: Gateway, listener: TcpListener) -> std::io::Result<()> {
    let lifecycle = gateway.node().lifecycle.clone();
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            biased;
            () = lifecycle.soft().cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                lifecycle.tracker().spawn(handshake(gateway.clone(), stream, peer));
            }
            Err(problem) => {
                tracing::warn!(%problem, "failed to accept a connection");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// One HTTP exchange on a fresh socket; after an upgrade the socket belongs to the connection's task.
async fn handshake(gateway: Gateway, stream: TcpStream, peer: SocketAddr) {
    if let Err(problem) = stream.set_nodelay(true) {
        tracing::debug!(%problem, "failed to set TCP_NODELAY");
    }
    let node = gateway.node();
    let (deadline, hard) = (node.config.handshake_timeout, node.lifecycle.hard().clone());
    let service = service_fn(move |request| {
        let gateway = gateway.clone();
        async move { Ok::<_, Infallible>(answer(&gateway, request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadline)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        biased;
        () = hard.cancelled() => {}
        ended = connection => {
            if let Err(problem) = ended {
                tracing::debug!(%problem, %peer, "failed to serve a request");
            }
        }
    }
}

async fn answer(gateway: &Gateway, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/ws" | "/ws/echo" => {
            let address = gateway.client_address(peer.ip(), &request);
            gateway.upgrade(request, address).await
        }
        "/health/live" if readable => plain(StatusCode::OK, "live\n"),
        "/health/ready" if readable && gateway.node().lifecycle.leaving() => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        }
        "/health/ready" if readable => plain(StatusCode::OK, "ready\n"),
        "/health/live" | "/health/ready" => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
            response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "not found\n"),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    // One exchange per connection: this listener is for sockets, and an idle HTTP client would only hold one open.
    response.headers_mut().insert(header::CONNECTION, http::HeaderValue::from_static("close"));
    response
}
