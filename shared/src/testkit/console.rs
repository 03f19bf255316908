//! An operators' console for tests: the stream with a deadline on every wait, and actions over plain HTTP.

use super::socket::within;
use crate::protocol::admin::{
    ActionRequest, Hello, Job, List, Message, OPERATOR_HEADER, ProblemBody, Query, Request, Subscribe, Tick, TokenFile,
};
use futures_util::{SinkExt as _, StreamExt as _};
use std::path::Path;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite, tungstenite::client::IntoClientRequest as _};

/// A console.
#[derive(Debug)]
pub struct Console {
    /// Who answered.
    pub hello: Hello,
    file: TokenFile,
    stream: WebSocketStream<TcpStream>,
    next_id: u32,
}

impl Console {
    /// Opens the stream of the process whose token file this is.
    pub async fn open(token_file: &Path) -> Self {
        let file: TokenFile =
            serde_json::from_slice(&std::fs::read(token_file).expect("a token file")).expect("a token file");
        let mut request =
            format!("ws://{}/admin/stream", file.address).into_client_request().expect("an address and a path");
        let bearer = format!("Bearer {}", file.token).parse().expect("a token is a header value");
        request.headers_mut().insert("authorization", bearer);
        let socket = TcpStream::connect(file.address).await.expect("the listener is there");
        let (mut stream, _) = within(client_async(request, socket)).await.expect("the token opens");
        let hello = match next(&mut stream).await {
            Message::Hello(hello) => *hello,
            other => panic!("hello comes first, not {other:?}"),
        };
        Self { hello, file, stream, next_id: 1 }
    }

    /// The next message, whatever it is.
    pub async fn next(&mut self) -> Message {
        next(&mut self.stream).await
    }

    /// The first message that is wanted; others are passed over.
    pub async fn expect<T>(&mut self, mut wanted: impl FnMut(Message) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// The next tick of a node.
    pub async fn tick(&mut self, node: &str) -> Tick {
        self.expect(|message| match message {
            Message::Tick(tick) if tick.node == node => Some(*tick),
            _ => None,
        })
        .await
    }

    /// Subscribes; the number of the subscription.
    pub async fn subscribe(&mut self, query: Query) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&Request::Subscribe(Subscribe { id, query, every_ms: 1_000 })).await;
        id
    }

    /// The next answer to a subscription.
    pub async fn list(&mut self, subscription: u32) -> List {
        self.expect(|message| match message {
            Message::List(list) if list.id == subscription => Some(*list),
            Message::Refused { id, code, message } if id == Some(subscription) => panic!("{code}: {message}"),
            _ => None,
        })
        .await
    }

    /// Subscribes and waits until the answer is as wanted.
    pub async fn until(&mut self, query: Query, mut wanted: impl FnMut(&List) -> bool) -> List {
        let id = self.subscribe(query).await;
        let list = loop {
            let list = self.list(id).await;
            if wanted(&list) {
                break list;
            }
        };
        self.send(&Request::Unsubscribe { id }).await;
        list
    }

    /// Sends a request.
    pub async fn send(&mut self, request: &Request) {
        let text = serde_json::to_string(request).expect("plain data");
        within(self.stream.send(tungstenite::Message::text(text))).await.expect("the stream is open");
    }

    /// Asks for an action: the job, or status and problem.
    pub async fn act(&self, request: &ActionRequest) -> Result<Job, (u16, ProblemBody)> {
        let body = serde_json::to_string(request).expect("plain data");
        let (status, body) = self.post("/admin/actions", &body).await;
        if status < 300 {
            return Ok(serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")));
        }
        let problem: crate::protocol::admin::Problem =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        Err((status, problem.error))
    }

    /// Posts JSON; status and body of the answer.
    pub async fn post(&self, path: &str, body: &str) -> (u16, String) {
        let TokenFile { address, token, .. } = &self.file;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{OPERATOR_HEADER}: amy\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut socket = TcpStream::connect(address).await.expect("the listener is there");
        within(socket.write_all(request.as_bytes())).await.expect("the request is taken");
        let mut answer = String::new();
        within(socket.read_to_string(&mut answer)).await.expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status, body)
    }
}

async fn next(stream: &mut WebSocketStream<TcpStream>) -> Message {
    loop {
        match within(stream.next()).await.expect("the stream goes on").expect("the stream is whole") {
            tungstenite::Message::Text(text) => {
                return serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            }
            tungstenite::Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }
}
