//! Event streams on the platform's one port: through the pipeline of REST, over HTTP/1.1 and HTTP/2.

use crate::support::{COOKIE, Call, PATIENCE, TestApp};
use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use serde_json::json;
use shared::{
    model::Portal,
    protocol::{CloseReason, event::Received},
    testkit::{
        Events, Socket,
        events::{Parser, Piece, SentEvent},
    },
};
use std::time::Duration;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

const LOBBY_PATH: &str = "/events?rooms=public:lobby";

fn is_ready(frame: &Received) -> bool {
    matches!(frame, Received::Ready { .. })
}

/// Somebody who is signed in: a client with the cookie, and the token in it.
async fn signed_in(app: &TestApp) -> (crate::support::Client, String) {
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    let token = client.cookie(COOKIE).unwrap();
    (client, token)
}

async fn say(app: &TestApp, token: &str, data: serde_json::Value) {
    let (mut socket, _) = Socket::ready(app.address(), token).await;
    let id = uuid::Uuid::now_v7();
    socket.call(json!({"type": "send", "id": id, "room": "public:lobby", "data": data})).await;
}

#[tokio::test]
async fn a_page_of_ours_listens_with_its_cookie_and_nothing_is_compressed_or_held_back() {
    let app = TestApp::start().await;
    let (_, token) = signed_in(&app).await;
    let (cookie, origin) = (format!("{COOKIE}={token}"), app.app().config.http.base_url());
    let headers = [("cookie", &*cookie), ("origin", &*origin), ("accept-encoding", "gzip, br")];
    let mut stream = Events::open(app.address(), LOBBY_PATH, &headers).await.unwrap();
    stream.expect(is_ready).await;
    for line in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-cache, no-transform\r\n",
        "x-accel-buffering: no\r\n",
        "x-request-id: ",
        "x-content-type-options: nosniff\r\n",
        &format!("access-control-allow-origin: {origin}\r\n"),
    ] {
        assert!(stream.head.contains(line), "{line:?} in {}", stream.head);
    }
    assert!(!stream.head.contains("content-encoding"), "{}", stream.head);
    say(&app, &token, json!("hello")).await;
    let event = stream.expect(|frame| matches!(frame, Received::Event { .. })).await;
    assert!(matches!(event, Received::Event { data, .. } if data == json!("hello")));

    // A new connection goes on behind the last id, and the end of the process is said.
    let last_id = stream.last_id.clone();
    drop(stream);
    say(&app, &token, json!("meanwhile")).await;
    let mut again = Events::resume(app.address(), LOBBY_PATH, &token, &last_id).await;
    let event = again.expect(|frame| matches!(frame, Received::Event { .. })).await;
    assert!(matches!(event, Received::Event { data, .. } if data == json!("meanwhile")));
    app.app().lifecycle.stop();
    again.expect_bye(CloseReason::Drain).await;
    app.stop().await;
}

#[tokio::test]
async fn refusals_and_other_methods_are_answered_as_everywhere() {
    let app = TestApp::start().await;
    let (client, _) = signed_in(&app).await;
    assert_eq!(client.get("/events").await.status, 401, "a cookie without a page of ours is nobody's");
    let foreign = Call::new("GET", "/events").header("origin", "https://evil.example");
    let answer = client.send(foreign).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));
    for method in ["POST", "HEAD"] {
        let answer = app.client().send(Call::new(method, "/events")).await;
        assert_eq!((answer.status, answer.header("allow").as_deref()), (405, Some("GET, OPTIONS")), "{method}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_stream_outlives_every_deadline_of_http_and_its_quiet_is_filled_with_comments() {
    let app = TestApp::with(|config| {
        config.http.header_timeout = Duration::from_millis(100);
        config.http.request_timeout = Duration::from_millis(100);
        config.gateway.heartbeat = Duration::from_secs(1);
    })
    .await;
    let (_, token) = signed_in(&app).await;
    let mut stream = Events::bearer(app.address(), LOBBY_PATH, &token).await;
    stream.expect(is_ready).await;
    for _ in 0..2 {
        assert!(matches!(stream.piece().await, Some(Piece::Comment)));
    }
    drop(stream);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_gives_its_connections_place_back() {
    const MORE_THAN_PLACES: usize = 260;
    let app = TestApp::with(|config| {
        config.gateway.limits.connections_per_ip = 1_000;
        config.gateway.limits.connections_per_user = 1_000;
        config.gateway.limits.handshakes_per_second = 10_000;
    })
    .await;
    let (client, token) = signed_in(&app).await;
    let mut streams = Vec::new();
    for _ in 0..MORE_THAN_PLACES {
        let mut stream = Events::bearer(app.address(), "/events", &token).await;
        stream.expect(is_ready).await;
        streams.push(stream);
    }
    assert_eq!(client.get("/api/auth/session").await.status, 200);
    drop(streams);
    app.stop().await;
}

/// One stream of an HTTP/2 connection.
struct Stream {
    body: RecvStream,
    parser: Parser,
}

impl Stream {
    async fn open(sender: &SendRequest<Bytes>, token: &str) -> Self {
        let request = http::Request::get(format!("http://pitchey.test{LOBBY_PATH}"))
            .header("authorization", format!("Bearer {token}"))
            .body(())
            .unwrap();
        let mut sender = sender.clone().ready().await.unwrap();
        let (answer, _) = sender.send_request(request, true).unwrap();
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { body: answer.into_body(), parser: Parser::default() }
    }

    /// The next event; `None` at the end.
    async fn event(&mut self) -> Option<SentEvent> {
        loop {
            match self.parser.pop() {
                Some(Piece::Event(event)) => return Some(*event),
                Some(Piece::Comment) => {}
                None => {
                    let bytes = timeout(PATIENCE, self.body.data()).await.unwrap()?.unwrap();
                    self.body.flow_control().release_capacity(bytes.len()).unwrap();
                    self.parser.push(&bytes);
                }
            }
        }
    }

    async fn expect(&mut self, fits: impl Fn(&Received) -> bool) -> Received {
        loop {
            let frame = self.event().await.expect("the stream goes on").frame;
            if fits(&frame) {
                return frame;
            }
        }
    }
}

#[tokio::test]
async fn streams_and_requests_share_an_http_2_connection_until_a_stream_is_over() {
    let app = TestApp::start().await;
    let (_, token) = signed_in(&app).await;
    let (_, other) = signed_in(&app).await;
    let tcp = TcpStream::connect(app.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(tcp).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { connection.await.is_ok() });
    let mut mine = Stream::open(&sender, &token).await;
    let mut others = Stream::open(&sender, &other).await;
    mine.expect(is_ready).await;
    others.expect(is_ready).await;
    let health = http::Request::get("http://pitchey.test/health/live").body(()).unwrap();
    let (answer, _) = sender.clone().ready().await.unwrap().send_request(health, true).unwrap();
    assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap().status(), 200);
    say(&app, &other, json!("both")).await;
    for stream in [&mut mine, &mut others] {
        let event = stream.expect(|frame| matches!(frame, Received::Event { .. })).await;
        assert!(matches!(event, Received::Event { data, .. } if data == json!("both")));
    }

    let who = app.app().ops.authenticate(&token).await.unwrap().unwrap();
    assert!(app.app().ops.revoke_session(who.user_id, who.session_id).await.unwrap());
    let bye = mine.expect(|frame| matches!(frame, Received::Bye { .. })).await;
    assert!(matches!(bye, Received::Bye { code, .. } if code == CloseReason::SignedOut.code()));
    assert!(mine.event().await.is_none());
    drop(mine);
    // The other stream goes on; when it is over, too, so is the connection, though its client would keep it.
    say(&app, &other, json!("still here")).await;
    others.expect(|frame| matches!(frame, Received::Event { .. })).await;
    drop(others);
    let ended = timeout(PATIENCE, tasks.join_next()).await.expect("the server ends the connection").unwrap();
    assert!(ended.unwrap(), "in good order");
    drop(sender);
    app.stop().await;
}
