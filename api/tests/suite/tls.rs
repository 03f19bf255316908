//! TLS on the platform's one port: REST, pages and sockets behind one certificate.

use crate::support::{Answer, Call, Client, PATIENCE, TestApp, read_to_end};
use serde_json::json;
use shared::{
    model::Portal,
    protocol::event::Received,
    testkit::{Socket, tls::Authority},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

async fn start(authority: &Authority) -> TestApp {
    TestApp::with(|config| {
        authority.configure(&mut config.http);
        config.session.secure = None;
    })
    .await
}

async fn ask(app: &TestApp, authority: &Authority, client: &Client, call: &Call) -> Answer {
    let mut stream = authority.connect(app.address(), &["http/1.1"]).await.unwrap();
    stream.write_all(&client.bytes(call)).await.unwrap();
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer").expect("a clean end of TLS");
    Answer::parse(&bytes)
}

#[tokio::test]
async fn a_login_over_tls_sets_a_secure_cookie_for_an_https_origin() {
    let authority = Authority::new();
    let app = start(&authority).await;
    app.account("tess@example.org", &[Portal::Creator]).await;
    let base = app.app().config.http.base_url();
    assert_eq!(base, format!("https://{}", app.address()));
    let login = json!({ "email": "tess@example.org", "password": crate::support::PASSWORD });
    let call = Call::new("POST", "/api/auth/creator/login").json(&login);
    let answer = ask(&app, &authority, &app.client(), &call.clone().header("origin", base)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("; Secure"), "{cookie}");
    assert!(answer.header("strict-transport-security").is_some());
    let foreign = call.header("origin", format!("http://example.org:{}", app.address().port()));
    assert_eq!(ask(&app, &authority, &app.client(), &foreign).await.status, 403);
    app.stop().await;
}

#[tokio::test]
async fn a_socket_opens_with_the_cookie_over_tls() {
    let authority = Authority::new();
    let app = start(&authority).await;
    let (user, client) = app.signed_in(&[Portal::Creator]).await;
    let stream = authority.connect(app.address(), &["http/1.1"]).await.unwrap();
    let (cookie, origin) = (client.cookie(crate::support::COOKIE).unwrap(), app.app().config.http.base_url());
    let cookie = format!("{}={cookie}", crate::support::COOKIE);
    let headers = [("cookie", &*cookie), ("origin", &*origin)];
    let mut socket = Socket::over(stream, "wss://localhost/ws", &headers).await.unwrap();
    let ready = socket.expect(|frame| matches!(frame, Received::Ready { .. })).await;
    assert!(matches!(ready, Received::Ready { user: who, .. } if who == user), "{ready:?}");
    drop(socket);
    app.stop().await;
}

#[tokio::test]
async fn alpn_prefers_http_2_and_settles_for_http_1() {
    let authority = Authority::new();
    let app = start(&authority).await;
    let mut stream = authority.connect(app.address(), &["http/1.1", "h2"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head[3], 4, "the server's SETTINGS come first");
    drop(stream);
    let old = ask(&app, &authority, &app.client(), &Call::new("GET", "/health/live")).await;
    assert_eq!(old.status, 200);
    let refusal = authority.connect(app.address(), &["spdy/3"]).await.unwrap_err();
    assert!(refusal.to_string().contains("NoApplicationProtocol"), "{refusal}");
    app.stop().await;
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_to_use_https() {
    let authority = Authority::new();
    let app = start(&authority).await;
    let answer = app.client().get("/health/live").await;
    assert_eq!((answer.status, answer.text()), (400, "this port speaks TLS: use https\n"));
    app.stop().await;
}

#[tokio::test]
async fn a_handshake_that_stalls_is_ended_and_gives_its_place_back() {
    let authority = Authority::new();
    let app = TestApp::with(|config| {
        authority.configure(&mut config.http);
        config.http.header_timeout = Duration::from_millis(150);
    })
    .await;
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        read_to_end(&mut stream).await;
    }
    let refused = app.app().metrics.stats().sockets.refused;
    assert_eq!(refused.iter().find(|count| count.name == "tls").unwrap().count, 2);
    app.stop().await;
}
