//! What every request goes through, in this order, and what every answer leaves with.
//!
//! ```text
//! id ─▶ route ─▶ csrf ─▶ address limit ─▶ identity ─▶ user limit ─▶ body ─▶ handler ─▶ render ─▶ headers ─▶ log
//!                └── a refusal anywhere goes straight to render, so that it looks like every other answer ──┘
//! ```
//!
//! Whatever may ask the store (the session's look-up, the handler) runs in a task of its own: a client that hangs up, or a
//! deadline, ends the waiting but never cuts a transaction in half (R-024), nor costs the pool a connection. Look-up and
//! handler share `REQUEST_TIMEOUT`. A panic ends the request, not the process (R-205).

use super::{
    ApiError, Body, Ctx, Outcome, Params, Reply, RequestId, client, csrf, empty,
    error::{RETRY_SOON, chain},
    headers,
    problem::{self, Scene},
    rate_limit::{self, Policy},
    request_id,
    response::Asked,
    session::{self, Visitor},
};
use crate::{
    app::App,
    embedded::{EVENTS, Sockets},
    router::{Access, Action, Endpoint, Found},
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use shared::{config::Place, cors, store::by_deadline};
use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// The request's side of the conversation, kept until its answer is complete.
struct Heard {
    id: RequestId,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// Headers the pipeline itself adds to the answer, whatever the handler says.
    extra: HeaderMap,
    user: Option<String>,
}

/// Answers one request. Never fails: what goes wrong is an answer too.
pub async fn handle(app: App, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    let under_way = app.metrics.request();
    let mut heard = Heard {
        id: RequestId::of(request.headers()),
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers: request.headers().clone(),
        extra: HeaderMap::new(),
        user: None,
    };
    let found = app.router.find(&heard.method, heard.uri.path());
    let template = found.template();
    let outcome = AssertUnwindSafe(answer(&app, peer, found, request, &mut heard)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    let code = outcome.as_ref().err().map(ApiError::code);
    let mut response = render(&app, &heard, outcome);
    finish(&app, &heard, &mut response);
    let status = response.status().as_u16();
    tracing::info!(
        request_id = heard.id.as_str(),
        trace_id = request_id::trace(&heard.headers),
        method = %heard.method,
        route = template,
        status,
        duration_ms = under_way.elapsed().as_millis(),
        user_id = heard.user,
        code,
        "request"
    );
    under_way.finish(heard.method.as_str(), template, status);
    response
}

async fn answer(
    app: &App,
    peer: SocketAddr,
    found: Found<'_>,
    request: Request<Incoming>,
    heard: &mut Heard,
) -> Outcome {
    match found {
        Found::Endpoint { endpoint, params, .. } => serve(app, peer, endpoint, params, request, heard).await,
        Found::WrongMethod { allow, .. } if heard.method == Method::OPTIONS => {
            Ok(Reply::no_content().header(header::ALLOW, allow.to_str().unwrap_or_default()))
        }
        Found::WrongMethod { allow, .. } => Err(ApiError::MethodNotAllowed(allow.clone())),
        Found::Slash(path) => {
            let query = heard.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            let mut moved = Response::new(empty());
            *moved.status_mut() = StatusCode::PERMANENT_REDIRECT;
            Ok(Reply::raw(moved).header(header::LOCATION, &format!("{path}{query}")))
        }
        Found::Nothing => Err(ApiError::NotFound("Address")),
    }
}

async fn serve(
    app: &App,
    peer: SocketAddr,
    endpoint: &Endpoint,
    params: Params,
    request: Request<Incoming>,
    heard: &mut Heard,
) -> Outcome {
    let http = &app.config.http;
    let ip = client::address(peer.ip(), &heard.headers, http.trusted_proxies);
    if !csrf::allows(&heard.method, &heard.headers, http) {
        return Err(ApiError::forbidden("Requests from this origin are not allowed"));
    }
    let mut of_address = None;
    if endpoint.access != Access::Open {
        let policy = Policy::new("address", http.rate_per_ip, 60);
        of_address = rate_limit::take(&app.engine.limits, policy, &client::bucket(ip)).await?;
        of_address.inspect(|standing| standing.write(&mut heard.extra));
    }
    let (limit, started) = (app.config.http.request_timeout, Instant::now());
    let visitor = identify(app, endpoint.access, heard, limit).await?;
    let left = limit.saturating_sub(started.elapsed());
    if let Some(visitor) = &visitor {
        let user = visitor.identity.user_id.to_string();
        let policy = Policy::new("user", http.rate_per_user, 60);
        let of_user = rate_limit::take(&app.engine.limits, policy, &user).await?;
        of_user.inspect(|standing| standing.tighter(of_address).write(&mut heard.extra));
        heard.user = Some(user);
    }
    match &endpoint.action {
        Action::Socket => Ok(Reply::raw(sockets(app)?.upgrade(request, ip).await)),
        Action::Events => Ok(Reply::raw(sockets(app)?.events(&request, ip).await)),
        Action::Handler(handler) => {
            let (parts, body) = request.into_parts();
            let changes = !parts.method.is_safe();
            let body = if changes { collect(app, &parts.headers, body).await? } else { Bytes::new() };
            let (identity, presented) = visitor.map(|visitor| (visitor.identity, visitor.presented)).unzip();
            let ctx =
                Ctx { app: app.clone(), head: parts, params, identity, presented, ip, id: heard.id.clone(), body };
            let work = handler(ctx);
            if changes {
                return run(app, left, work).await;
            }
            // What only reads need not go on after the deadline, and its units of work have ended before.
            run(app, left, async move { timeout(left, work).await.unwrap_or(Err(ApiError::Timeout)) }).await
        }
    }
}

/// Who asks, within the limit.
async fn identify(app: &App, access: Access, heard: &mut Heard, limit: Duration) -> Result<Option<Visitor>, ApiError> {
    let Some(presented) = session::presented(app, &heard.headers, access)? else { return Ok(None) };
    let known = match run(app, limit, session::look_up(app.clone(), presented.clone(), access)).await {
        // Nothing was begun yet: the next attempt may find the store awake.
        Err(ApiError::Timeout) => return Err(ApiError::unavailable("the session could not be looked up in time")),
        known => known?,
    };
    session::visitor(app, (presented, known), access, &mut heard.extra)
}

/// Runs work against its deadline, in a task of its own. The task outlives the deadline; its units of work do not: they
/// end a little earlier, so that the answer says that the store is what was waited for.
async fn run<T: Send + 'static>(
    app: &App,
    limit: Duration,
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let work = by_deadline(Instant::now() + limit.mul_f64(0.9), work);
    match timeout(limit, app.lifecycle.tracker().spawn(work)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => match failure.try_into_panic() {
            Ok(panic) => Err(panicked(panic.as_ref())),
            Err(cancelled) => Err(ApiError::unavailable(cancelled)),
        },
        Err(_) => Err(ApiError::Timeout),
    }
}

/// The gateway, if this process hosts one. Gateways of their own are other processes: who comes here was sent by a
/// balancer that mixes them up.
fn sockets(app: &App) -> Result<&Sockets, ApiError> {
    match app.sockets.get() {
        Some(sockets) => Ok(sockets),
        None if app.config.gateway.place == Place::Separate => Err(ApiError::NotFound("Address")),
        None => Err(ApiError::Unavailable { retry_after: RETRY_SOON, source: None }),
    }
}

/// The whole body, within its limit and its deadline.
async fn collect(app: &App, headers: &HeaderMap, body: Incoming) -> Result<Bytes, ApiError> {
    let limit = app.config.http.max_body_bytes;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) || body.size_hint().lower() > limit as u64 {
        return Err(ApiError::PayloadTooLarge { limit });
    }
    match timeout(app.config.http.body_timeout, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::PayloadTooLarge { limit }),
        Ok(Err(_)) => Err(ApiError::bad_request("The body was cut off")),
        Err(_) => Err(ApiError::BodyTimeout),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> ApiError {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(format!("a handler panicked: {}", text.unwrap_or("without a message")))
}

fn render(app: &App, heard: &Heard, outcome: Outcome) -> Response<Body> {
    let error = match outcome {
        Ok(reply) => {
            return reply.render(&Asked { headers: &heard.headers, uri: &heard.uri }, &heard.id, app.clock.now());
        }
        Err(error) => error,
    };
    if let Some(cause) = error.cause() {
        // The one place where a failure is logged; the client gets the id to quote.
        let (request_id, code) = (heard.id.as_str(), error.code());
        tracing::error!(request_id, code, method = %heard.method, path = heard.uri.path(), error = chain(cause), "failed");
    }
    if error.status().is_server_error() {
        app.metrics.error(error.code());
    }
    let scene = Scene {
        request: &heard.headers,
        path: heard.uri.path(),
        id: &heard.id,
        now: app.clock.now(),
        candid: app.config.environment.is_development(),
    };
    problem::render(&error, &scene)
}

/// What every answer leaves with.
fn finish(app: &App, heard: &Heard, response: &mut Response<Body>) {
    let is_api = heard.uri.path().starts_with("/api/") || heard.uri.path() == EVENTS;
    let headers = response.headers_mut();
    for name in heard.extra.keys() {
        // What the route said wins: the cookie of a new login over the order to forget the dead one, a strict limit's
        // numbers over the general ones.
        if !headers.contains_key(name) {
            headers.insert(name, heard.extra[name].clone());
        }
    }
    if headers.contains_key(header::SET_COOKIE) {
        // Whatever the route said of caching: a shared cache must never hand one visitor's cookie to another.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
    headers.insert(request_id::NAME, heard.id.header());
    headers::secure(headers, !app.config.environment.is_development());
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
        let preflight = cors::is_preflight(&heard.method, &heard.headers);
        let methods = preflight.then(|| app.router.allow(heard.uri.path())).flatten();
        cors::write(&app.config.http, &heard.headers, methods, headers);
    }
}
