//! The listener: accept, check, answer. Five routes, so no router.

use super::{
    Caller, Shared, actions,
    guard::{self, Refusal},
    page, stream,
};
use crate::metrics::text;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// The release this process was built as.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Connections at once, streams included. A full listener leaves callers in the kernel's backlog until one ends; idle
/// ones end by [`HEADER_TIMEOUT`].
const MOST_CONNECTIONS: usize = 64;

/// A request's head must arrive in this time, also on a connection that is kept open.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest head of a request: a token and a handshake are a few hundred bytes.
const HEAD_BYTES: usize = 16 * 1024;

/// How long to wait when accepting fails, as it does when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

pub(super) type Answer = Response<Full<Bytes>>;

/// Accepts until the end.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            biased;
            () = shared.end.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let shared = Arc::clone(&shared);
                shared.tracker.clone().spawn(async move {
                    serve(socket, peer.ip(), shared).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept an operator's connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(socket: TcpStream, peer: IpAddr, shared: Arc<Shared>) {
    let end = shared.end.clone();
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, peer, &shared).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::select! {
        biased;
        () = end.cancelled() => {}
        // A caller that breaks off or talks nonsense has been answered by hyper; there is nobody to tell.
        _ = connection => {}
    }
}

/// The whole listener on one screen.
async fn answer(mut request: Request<Incoming>, peer: IpAddr, shared: &Arc<Shared>) -> Answer {
    if let Err(refusal) = guard::check_origin(request.headers(), request.uri(), shared.port) {
        return refuse(refusal);
    }
    let path = request.uri().path().to_owned();
    if path != "/health/live"
        && let Err(refusal) = guard::check_token(request.headers(), &shared.token)
    {
        return refuse(refusal);
    }
    let caller = Caller::owner(request.headers(), peer);
    match (request.method(), path.as_str()) {
        (&Method::POST, "/admin/actions") => return actions::answer(shared, &caller, request).await,
        (_, "/admin/actions") => return wrong_method("POST"),
        (&Method::GET, "/health/live" | "/metrics" | "/admin/snapshot" | "/admin/stream") => {}
        (_, "/health/live" | "/metrics" | "/admin/snapshot" | "/admin/stream") => return wrong_method("GET"),
        _ => return problem(StatusCode::NOT_FOUND, "not_found", "no such page"),
    }
    if !request.body().is_end_stream() {
        let mut answer = problem(StatusCode::PAYLOAD_TOO_LARGE, "body", "this page takes no body");
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close")); // rather than reading it
        return answer;
    }
    match path.as_str() {
        "/health/live" => json(StatusCode::OK, &serde_json::json!({ "status": "alive" })),
        "/metrics" => {
            let work = shared.sources.store.as_ref().map(crate::store::Store::statement_stats).unwrap_or_default();
            let page = page::render(&shared.snapshot(), &work, VERSION);
            finish(StatusCode::OK, text::CONTENT_TYPE, page)
        }
        "/admin/snapshot" => json(StatusCode::OK, &shared.snapshot()),
        _ => stream::upgrade(&mut request, caller, shared),
    }
}

fn wrong_method(right: &'static str) -> Answer {
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &format!("only {right}"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(right));
    answer
}

fn refuse(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Page => problem(StatusCode::FORBIDDEN, "forbidden_origin", "web pages may not ask"),
        Refusal::Host => problem(StatusCode::FORBIDDEN, "forbidden_host", "ask for a loopback name with this port"),
        Refusal::Token => {
            let message = "the token is in $DATA_DIR/admin-<name>.token";
            let mut answer = problem(StatusCode::UNAUTHORIZED, "unauthorized", message);
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            answer
        }
    }
}

/// An error's answer.
pub(super) fn problem(status: StatusCode, code: &str, message: &str) -> Answer {
    json(status, &serde_json::json!({ "error": { "code": code, "message": message } }))
}

pub(super) fn json(status: StatusCode, body: &impl serde::Serialize) -> Answer {
    let body = serde_json::to_vec(body).expect("plain data with text keys becomes JSON");
    finish(status, "application/json", body)
}

fn finish(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    answer
}
