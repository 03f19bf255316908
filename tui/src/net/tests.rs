//! The links against real sockets: a small server that can be good, rude, silent or gone.

use super::*;
use crate::model::{What, samples};
use futures_util::SinkExt as _;
use shared::protocol::admin::{Message as Said, TokenFile, VERSION};
use std::path::Path;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::StatusCode,
    },
};

struct Stage {
    folder: tempfile::TempDir,
    listener: TcpListener,
    life: Lifecycle,
    net: Net,
}

impl Stage {
    async fn set(token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        write_token(folder.path(), &listener, token);
        let life = Lifecycle::new();
        let net = Net::start(Place::new(folder.path().into(), None, None), "amy", &life);
        Self { folder, listener, life, net }
    }

    /// The next thing the link says, attempts aside.
    async fn heard(&mut self) -> What {
        loop {
            let event = timeout(Duration::from_secs(10), self.net.events.recv()).await.unwrap().unwrap();
            assert_eq!(event.link, "api");
            if !matches!(event.what, What::Connecting) {
                return event.what;
            }
        }
    }

    /// The next message.
    async fn said(&mut self) -> Said {
        match self.heard().await {
            What::Said(said) => *said,
            other => panic!("{other:?}"),
        }
    }

    async fn down(&mut self) -> String {
        loop {
            if let What::Down { why, .. } = self.heard().await {
                return why;
            }
        }
    }

    async fn accept(&self) -> TcpStream {
        timeout(Duration::from_secs(10), self.listener.accept()).await.unwrap().unwrap().0
    }
}

fn write_token(folder: &Path, listener: &TcpListener, token: &str) {
    let address = listener.local_addr().unwrap();
    let file = TokenFile { name: "api".into(), address, token: token.into(), pid: 1 };
    std::fs::write(folder.join("admin-api.token"), serde_json::to_string(&file).unwrap()).unwrap();
}

/// Shakes hands with whoever says `token`; refuses others with 401.
async fn welcome(stream: TcpStream, token: &str) -> Option<WebSocketStream<TcpStream>> {
    let wanted = format!("Bearer {token}");
    #[expect(clippy::result_large_err, reason = "tungstenite's callback is shaped so")]
    let check = |request: &Request, response: Response| {
        let said = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if request.uri().path() == "/admin/stream" && said == Some(&wanted) {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = StatusCode::UNAUTHORIZED;
        Err(refusal)
    };
    accept_hdr_async(stream, check).await.ok()
}

async fn say(socket: &mut WebSocketStream<TcpStream>, said: &Said) {
    socket.send(Message::text(serde_json::to_string(said).unwrap())).await.unwrap();
}

#[tokio::test]
async fn a_link_heals_by_itself_after_a_restart_with_another_token() {
    let mut stage = Stage::set("first").await;
    let mut socket = welcome(stage.accept().await, "first").await.unwrap();
    say(&mut socket, &Said::Hello(Box::new(samples::hello("api")))).await;
    say(&mut socket, &Said::Tick(Box::new(samples::tick("api", 1)))).await;
    assert!(matches!(stage.said().await, Said::Hello(_)));
    assert!(matches!(stage.said().await, Said::Tick(_)));

    drop(socket);
    let why = stage.down().await;
    assert!(why.contains("closed") || why.contains("broke"), "{why}");

    write_token(stage.folder.path(), &stage.listener, "second");
    let mut socket = welcome(stage.accept().await, "second").await.unwrap();
    say(&mut socket, &Said::Hello(Box::new(samples::hello("api")))).await;
    say(&mut socket, &Said::Lost { count: 4 }).await;
    assert!(matches!(stage.said().await, Said::Hello(_)));
    assert!(matches!(stage.said().await, Said::Lost { count: 4 }));
    stage.life.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_refused_token_is_named_as_that() {
    let mut stage = Stage::set("stale").await;
    let stream = stage.accept().await;
    assert!(welcome(stream, "fresh").await.is_none());
    let why = stage.down().await;
    assert!(why.contains("401"), "{why}");
    assert!(!why.contains("stale"), "the token itself is never told");
}

#[tokio::test]
async fn garbage_a_newer_protocol_and_a_missing_hello_are_clear_lines() {
    let mut newer = samples::hello("api");
    newer.proto = VERSION + 1;
    let newer = serde_json::to_string(&Said::Hello(Box::new(newer))).unwrap();
    let early = serde_json::to_string(&Said::Lost { count: 1 }).unwrap();
    for (sent, expected) in
        [("\u{1b}[2J{]", "no message"), (newer.as_str(), "update this console"), (early.as_str(), "did not say hello")]
    {
        let mut stage = Stage::set("t").await;
        let mut socket = welcome(stage.accept().await, "t").await.unwrap();
        socket.send(Message::text(sent)).await.unwrap();
        let why = stage.down().await;
        assert!(why.contains(expected), "{sent}: {why}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_named() {
    let mut stage = Stage::set("t").await;
    let mut stream = stage.accept().await;
    let mut request = [0; 1_024];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    stream.write_all(b"SSH-2.0-OpenSSH_9.7\r\n\r\n").await.unwrap();
    drop(stream);
    let why = stage.down().await;
    assert!(why.contains("does not speak WebSocket"), "{why}");
}

#[tokio::test]
async fn a_link_that_goes_silent_without_closing_is_given_up() {
    let mut stage = Stage::set("t").await;
    let mut socket = welcome(stage.accept().await, "t").await.unwrap();
    say(&mut socket, &Said::Hello(Box::new(samples::hello("api")))).await;
    assert!(matches!(stage.said().await, Said::Hello(_)));
    let why = stage.down().await;
    assert!(why.contains("silent"), "{why}");
}

#[tokio::test]
async fn a_process_that_appears_later_is_found() {
    let mut stage = Stage::set("t").await;
    let address = stage.listener.local_addr().unwrap();
    let file = TokenFile { name: "gw-1".into(), address, token: "t".into(), pid: 1 };
    std::fs::write(stage.folder.path().join("admin-gw-1.token"), serde_json::to_string(&file).unwrap()).unwrap();
    let seen = async {
        while let Some(event) = stage.net.events.recv().await {
            if event.link == "gw-1" {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), seen).await.expect("found within a few looks");
}
