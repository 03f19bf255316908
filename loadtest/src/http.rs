//! One HTTP/1 connection of a simulated user, opened when it is needed and again when the server has ended it.

use crate::{target::Target, transport::Transport};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use std::{net::IpAddr, time::Duration};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Longest answer taken.
const ANSWER_BYTES: usize = 4 << 20;
/// Longest wait for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// Nobody took the connection: nothing was asked, and somebody else may be.
    #[error("connect: {}", .0.kind())]
    Connect(#[source] std::io::Error),
    #[error("no answer: {0}")]
    Broken(#[source] hyper::Error),
    #[error("an answer that cannot be read: {0}")]
    Body(String),
    #[error("no answer within {PATIENCE:?}")]
    Silence,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Whether the answer says when to come back.
    pub(crate) retry_after: bool,
    pub(crate) body: Bytes,
}

/// A keep-alive connection.
#[derive(Debug)]
pub(crate) struct Line {
    target: Target,
    source: Option<IpAddr>,
    tracker: TaskTracker,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    /// To `target`, from `source` (any address if none); not open yet. The tasks of its connections are spawned on
    /// `tracker` and end with them.
    pub(crate) fn new(target: Target, source: Option<IpAddr>, tracker: TaskTracker) -> Self {
        Self { target, source, tracker, sender: None }
    }

    /// Reads `path`, signed in with a session's token if one is given.
    pub(crate) async fn get(&mut self, path: &str, token: Option<&str>) -> Result<Answer, HttpError> {
        let mut request = self.request(Method::GET, path);
        if let Some(token) = token {
            request = request.header(header::COOKIE, format!("pitchey-session={token}"));
        }
        self.ask(request.body(Full::default()).expect("a path and a token make a request")).await
    }

    /// Posts JSON to `path`.
    pub(crate) async fn post(&mut self, path: &str, json: String) -> Result<Answer, HttpError> {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        self.ask(request.body(Full::from(json)).expect("a path makes a request")).await
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.target.addr.to_string())
            .header(header::ACCEPT, "application/json")
    }

    async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        let outcome = timeout(PATIENCE, self.exchange(request)).await.unwrap_or(Err(HttpError::Silence));
        if outcome.is_err() {
            self.sender = None;
        }
        outcome
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        // A server may end a keep-alive connection at any time between two requests: then a new one is opened.
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        if self.sender.is_none() {
            self.sender = Some(self.connect().await?);
        }
        let usable = self.sender.as_mut().expect("it was opened above");
        let (head, body) = usable.send_request(request).await.map_err(HttpError::Broken)?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await;
        Ok(Answer {
            status: head.status,
            retry_after: head.headers.contains_key(header::RETRY_AFTER),
            body: body.map_err(|error| HttpError::Body(error.to_string()))?.to_bytes(),
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        let stream = Transport::open(&self.target, self.source).await.map_err(HttpError::Connect)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(HttpError::Broken)?;
        // Ends when the sender is dropped; its errors reach the request they concern.
        self.tracker.spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}
