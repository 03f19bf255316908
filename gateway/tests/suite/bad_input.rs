//! Whatever a client sends gets a clear answer; nothing crashes, leaks or hangs.

use crate::{
    node::{LOBBY, TestNode},
    raw::{Raw, upgrade_request},
};
use serde_json::json;
use shared::{
    protocol::{CloseReason, event::Received},
    testkit::{
        Socket,
        socket::{Heard, within},
    },
};
use tokio_tungstenite::tungstenite::Message;

async fn code_of(socket: &mut Socket, raw: &str) -> String {
    socket.send_raw(Message::text(raw)).await;
    let frame = socket.expect(|frame| matches!(frame, Received::Error { .. })).await;
    let Received::Error { code, .. } = frame else { unreachable!() };
    code
}

#[tokio::test]
async fn malformed_json_gets_errors_and_after_a_few_a_close() {
    let node = TestNode::start().await;
    let mut socket = Socket::open(node.addr).await;
    for raw in ["{", "[1]", "nonsense", r#"{"no":"type"}"#] {
        assert_eq!(code_of(&mut socket, raw).await, "bad_json");
    }
    socket.send_raw(Message::text("{")).await;
    socket.expect_close(CloseReason::BadFrames).await;
}

#[tokio::test]
async fn an_unknown_type_or_field_never_closes() {
    let node = TestNode::start().await;
    let mut socket = Socket::open(node.addr).await;
    for _ in 0..20 {
        assert_eq!(code_of(&mut socket, r#"{"type":"dance"}"#).await, "unknown_type");
    }
    socket.call(json!({"type": "ping", "colour": {"deep": [1, 2]}})).await;
}

#[tokio::test]
async fn wrong_types_are_refused_by_field_and_the_id_is_echoed() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    for command in [
        json!({"type": "ack", "pos": 1}),
        json!({"type": "join", "room": 7}),
        json!({"type": "join", "room": "nowhere"}),
        json!({"type": "send", "id": "not-a-uuid", "room": LOBBY, "data": 1}),
        json!({"type": "watch", "users": "all"}),
        json!({"type": "presence", "status": "offline"}),
        json!({"type": "read", "notifications": ["x"]}),
    ] {
        let answer = socket.call(command.clone()).await;
        assert!(matches!(&answer, Received::Error { code, .. } if code == "invalid"), "{command}: {answer:?}");
    }
}

#[tokio::test]
async fn a_frame_that_announces_ten_mebibytes_is_refused_before_it_arrives() {
    let node = TestNode::start().await;
    let mut raw = Raw::connect(node.addr).await;
    let mut bytes = upgrade_request("").into_bytes();
    bytes.extend_from_slice(&[0x81, 0xff, 0, 0, 0, 0, 0, 0xa0, 0, 0, 1, 2, 3, 4]);
    raw.write(&bytes).await;
    let answer = raw.read_all().await;
    assert!(answer.contains(r#""code":1009"#) && answer.ends_with("too large"), "{answer}");
}

#[tokio::test]
async fn before_authentication_four_kibibytes_are_the_most_and_afterwards_sixty_four() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let long = json!({"type": "ping", "t": "x".repeat(8_000)});
    let mut anonymous = Socket::open(node.addr).await;
    anonymous.send(&long).await;
    anonymous.expect_close(CloseReason::TooLarge).await;

    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    socket.call(long).await;
    socket.send(&json!({"type": "ping", "t": "x".repeat(70_000)})).await;
    socket.expect_close(CloseReason::TooLarge).await;
}

#[tokio::test]
async fn invalid_utf8_binary_and_broken_framing_each_get_their_own_close_code() {
    let node = TestNode::start().await;
    for (frame, reason) in [
        (&[0x81_u8, 0x81, 0, 0, 0, 0, 0xff][..], CloseReason::InvalidUtf8),
        (&[0x82, 0x81, 0, 0, 0, 0, 1], CloseReason::Unsupported),
        (&[0xf1, 0x80, 0, 0, 0, 0], CloseReason::ProtocolError),
        (&[0x81, 0x01, b'x'], CloseReason::ProtocolError), // a client must mask
    ] {
        let mut raw = Raw::connect(node.addr).await;
        raw.write(upgrade_request("").as_bytes()).await;
        raw.write(frame).await;
        let answer = raw.read_all().await;
        assert!(answer.contains(&format!("\"code\":{}", reason.code())), "{reason:?}: {answer}");
        assert!(answer.ends_with(reason.text()), "{reason:?}: {answer}");
    }
}

#[tokio::test]
async fn a_hundred_thousand_unknown_frames_get_errors_and_then_4429() {
    let node = TestNode::start().await;
    let mut socket = Socket::open(node.addr).await;
    let (mut errors, mut closed) = (0, None);
    for _ in 0..100_000 {
        if !socket.try_send(Message::text(r#"{"type":"dance"}"#)).await {
            break;
        }
    }
    while closed.is_none() {
        match socket.hear().await {
            Heard::Frame(frame) => errors += usize::from(matches!(*frame, Received::Error { .. })),
            Heard::Ping => {}
            Heard::Closed(code) => closed = Some(code),
        }
    }
    // The server closes while the client still sends; its goodbye may be lost to the reset that follows.
    assert!(matches!(closed, Some(Some(4429) | None)), "{closed:?}");
    assert!(errors >= 100, "only {errors} errors");
    node.until_closed(CloseReason::RateLimited).await;
}

#[tokio::test]
async fn a_half_open_handshake_is_closed_by_the_deadline() {
    let node = TestNode::with(|config| config.handshake_timeout = std::time::Duration::from_millis(300)).await;
    let mut half = Raw::connect(node.addr).await;
    half.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n").await;
    half.read_all().await;
    Raw::connect(node.addr).await.read_all().await;
    node.stop().await;
}

#[tokio::test]
async fn what_is_no_upgrade_is_answered_in_http() {
    let node = TestNode::start().await;
    for (request, status) in [
        ("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "426"),
        ("POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "426"),
        ("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("DELETE /health/live HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
        ("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
        ("GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let mut raw = Raw::connect(node.addr).await;
        raw.write(request.as_bytes()).await;
        let answer = raw.read_all().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {answer}");
    }
    assert_eq!(Socket::upgrade(node.addr, "/ws?device=a%20b", &[]).await.unwrap_err(), 400);
}

#[tokio::test]
async fn one_address_and_one_node_have_limits() {
    let node = TestNode::start().await;
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(Socket::open(node.addr).await);
    }
    assert_eq!(Socket::upgrade(node.addr, "/ws", &[]).await.unwrap_err(), 429);
    open.pop();
    within(async {
        while node.gateway.connections() > 99 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    Socket::open(node.addr).await;

    let full = TestNode::with(|config| config.limits.connections = 0).await;
    assert_eq!(Socket::upgrade(full.addr, "/ws", &[]).await.unwrap_err(), 503);
}

#[tokio::test]
async fn upgrades_beyond_the_nodes_rate_are_answered_503_and_told_when_to_come_back() {
    let node = TestNode::with(|config| config.limits.handshakes_per_second = 1).await;
    Socket::open(node.addr).await;
    let answer = within(async {
        loop {
            let answer = crate::raw::raw_head(node.addr, "").await;
            if answer.starts_with("HTTP/1.1 503") {
                return answer;
            }
        }
    });
    assert!(answer.await.contains("retry-after: "));
}

#[tokio::test]
async fn markup_and_sql_in_a_message_arrive_as_the_text_they_are() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    let body = "<script>alert('x')</script>'; drop table users; -- \u{202e}\u{0}\"\\";
    let id = uuid::Uuid::now_v7();
    let answer = adas.call(json!({"type": "message", "id": id, "to": bob.id, "body": body})).await;
    if let Received::Error { code, .. } = &answer {
        assert_eq!(code, "invalid", "PostgreSQL's text has no NUL; refusing it everywhere is fine, nothing else is");
        let clean = body.replace('\0', "");
        adas.call(json!({"type": "message", "id": id, "to": bob.id, "body": clean})).await;
        assert_eq!(bobs.inbox().await.2["message"]["body"], json!(clean));
    } else {
        assert_eq!(bobs.inbox().await.2["message"]["body"], json!(body));
    }
}
