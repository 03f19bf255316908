//! TLS on the gateway's own listener: real sockets, certificates made on the spot.

use crate::node::{LOBBY, ORIGIN, TestNode, send};
use serde_json::json;
use shared::{
    metrics::Metrics,
    protocol::{CloseReason, event::Received},
    testkit::{Socket, socket::within, tls::Authority},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

type Secure = Socket<TlsStream<TcpStream>>;

async fn open(node: &TestNode, authority: &Authority) -> Secure {
    let stream = within(authority.connect(node.addr, &["http/1.1"])).await.unwrap();
    Socket::over(stream, "wss://localhost/ws", &[]).await.unwrap()
}

fn refused(metrics: &Metrics) -> u64 {
    metrics.stats().sockets.refused.iter().filter(|count| count.name == "tls").map(|count| count.count).sum()
}

#[tokio::test]
async fn a_wss_client_signs_in_talks_and_is_told_goodbye() {
    let authority = Authority::new();
    let node = TestNode::with_tls(&authority, |_| {}).await;
    let somebody = node.somebody().await;
    let mut socket = open(&node, &authority).await;
    let ready = socket.call(json!({"type": "auth", "token": somebody.token})).await;
    assert!(matches!(ready, Received::Ready { .. }), "{ready:?}");
    let joined = socket.call(json!({"type": "join", "room": LOBBY})).await;
    assert!(matches!(joined, Received::Joined { .. }), "{joined:?}");
    // More than TLS and socket buffer at once, so that records and frames do not coincide.
    for n in 0..40 {
        let acked = socket.call(send(LOBBY, json!({"n": n, "text": "x".repeat(3_000)}))).await;
        assert!(matches!(acked, Received::Ack { .. }), "{acked:?}");
    }
    node.lifecycle.stop();
    socket.expect_close(CloseReason::Drain).await;
    node.stop().await;
}

#[tokio::test]
async fn room_events_reach_plain_and_tls_members_alike_once_and_in_order() {
    let authority = Authority::new();
    let node = TestNode::with_tls(&authority, |_| {}).await;
    let somebody = node.somebody().await;
    let mut reader = open(&node, &authority).await;
    reader.call(json!({"type": "join", "room": LOBBY})).await;
    let mut writer = open(&node, &authority).await;
    writer.call(json!({"type": "auth", "token": somebody.token})).await;
    for n in 0..50 {
        writer.send(&send(LOBBY, json!({"n": n, "text": "y".repeat(n * 100)}))).await;
    }
    for n in 0..50 {
        let (_, data) = reader.event().await;
        assert_eq!((data["n"].clone(), data["text"].as_str().unwrap().len()), (json!(n), n * 100));
    }
    drop((reader, writer));
    node.stop().await;
}

#[tokio::test]
async fn alpn_answers_http_1_and_a_client_that_names_none_is_let_in() {
    let authority = Authority::new();
    let node = TestNode::with_tls(&authority, |_| {}).await;
    let named = within(authority.connect(node.addr, &["h2", "http/1.1"])).await.unwrap();
    assert_eq!(named.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let unnamed = within(authority.connect(node.addr, &[])).await.unwrap();
    assert_eq!(unnamed.get_ref().1.alpn_protocol(), None);
    drop((named, unnamed));
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_speaks_only_http_2_is_refused_in_the_handshake() {
    let authority = Authority::new();
    let node = TestNode::with_tls(&authority, |_| {}).await;
    let refusal = within(authority.connect(node.addr, &["h2"])).await.unwrap_err();
    assert!(refusal.to_string().contains("NoApplicationProtocol"), "{refusal}");
    within(async {
        while refused(&node.metrics) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_to_use_https_and_ends_clean() {
    let authority = Authority::new();
    let node = TestNode::with_tls(&authority, |_| {}).await;
    let mut stream = TcpStream::connect(node.addr).await.unwrap();
    let request =
        format!("GET /ws HTTP/1.1\r\nhost: localhost\r\norigin: {ORIGIN}\r\nx: {}\r\n\r\n", "y".repeat(10_000));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.expect("an end, no reset");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("use https\n"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
    drop(stream);
    node.stop().await;
}

#[tokio::test]
async fn rubbish_and_a_hang_up_in_the_handshake_harm_nobody_else() {
    let authority = Authority::new();
    let node = TestNode::with_tls(&authority, |_| {}).await;
    for rubbish in [&b"\x16\x03\x01\xff\xff"[..], b"\0\0\0", b"\x16\x03\x01\x00\x05hello", b""] {
        let mut stream = TcpStream::connect(node.addr).await.unwrap();
        stream.write_all(rubbish).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // An alert, or nothing; a reset is an end too.
        let _ended = within(stream.read_to_end(&mut rest)).await;
        assert!(!rest.starts_with(b"HTTP"));
    }
    let mut socket = open(&node, &authority).await;
    assert!(matches!(socket.frame().await, Received::Hello { .. }));
    drop(socket);
    node.stop().await;
}

#[tokio::test]
async fn a_handshake_that_stalls_is_ended_and_counted() {
    let authority = Authority::new();
    let node = TestNode::with_tls(&authority, |config| config.handshake_timeout = Duration::from_millis(200)).await;
    // Silent from the start, and silent after the first record's head.
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let before = refused(&node.metrics);
        let mut stream = TcpStream::connect(node.addr).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        let _ended = within(stream.read_to_end(&mut rest)).await;
        assert_eq!(refused(&node.metrics), before + 1);
    }
    // Shaken hands, and then silent: the request's head has its own deadline.
    let mut stream = within(authority.connect(node.addr, &[])).await.unwrap();
    let mut rest = Vec::new();
    let _ended = within(stream.read_to_end(&mut rest)).await;
    drop(stream);
    node.stop().await;
}

#[tokio::test]
async fn a_reload_serves_the_new_certificate_while_old_connections_live_on() {
    let authority = Authority::new();
    let node = TestNode::with_tls(&authority, |_| {}).await;
    let served = async || {
        let stream = within(authority.connect(node.addr, &[])).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let (mut old, first) = (open(&node, &authority).await, served().await);
    assert!(matches!(old.frame().await, Received::Hello { .. }));

    let renewed = authority.issue();
    assert_eq!(served().await, first, "nothing changes before the reload");
    let tls = node.tls.as_ref().unwrap();
    tls.reload().unwrap();
    assert_eq!(served().await, renewed);

    std::fs::write(authority.cert(), "no certificate").unwrap();
    assert!(tls.reload().unwrap_err().to_string().starts_with("TLS_CERT="));
    assert_eq!(served().await, renewed, "a bad new certificate changes nothing");
    assert!(old.quiet().await.is_empty(), "the connection from before the reload still answers");
    drop(old);
    node.stop().await;
}
