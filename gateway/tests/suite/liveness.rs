//! Silence, and what an idle socket holds.

use crate::node::TestNode;
use futures_util::StreamExt;
use serde_json::json;
use shared::{
    protocol::CloseReason,
    testkit::{
        Socket,
        socket::{Heard, within},
    },
};
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

#[tokio::test]
async fn a_silent_client_is_pinged_and_one_that_never_answers_is_closed() {
    let node = TestNode::with(|config| {
        config.allow_anonymous = true;
        config.heartbeat = Duration::from_secs(1);
        config.dead_after = Duration::from_secs(3);
    })
    .await;
    let mut socket = Socket::open(node.addr).await;
    let mut pings = 0;
    while pings < 2 {
        pings += u32::from(matches!(socket.hear().await, Heard::Ping)); // hearing answers with a pong
    }
    // A client that no longer reads cannot answer; its socket stays open on its side.
    let mute = Socket::open(node.addr).await.into_inner();
    within(async {
        while node.closed(CloseReason::HeartbeatTimeout) == 0 {
            assert!(!matches!(socket.hear().await, Heard::Closed(_)), "the one that answers stays");
        }
    })
    .await;
    drop(mute);
}

#[tokio::test]
async fn a_goodbye_is_answered_with_the_same_code_and_counted_once() {
    let node = TestNode::start().await;
    for code in [1000_u16, 1001] {
        let mut ws = Socket::open(node.addr).await.into_inner();
        let goodbye = CloseFrame { code: code.into(), reason: "done".into() };
        within(ws.close(Some(goodbye.clone()))).await.unwrap();
        loop {
            match within(ws.next()).await.unwrap().unwrap() {
                Message::Text(hello) => assert!(hello.contains("hello")),
                Message::Close(Some(answer)) => break assert_eq!(answer.code, goodbye.code),
                other => panic!("{other:?}"),
            }
        }
    }
    drop(Socket::open(node.addr).await);
    node.until_closed(CloseReason::Gone).await;
    within(async {
        while node.gateway.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let counts: Vec<_> =
        node.metrics.stats().sockets.closed.into_iter().map(|close| (close.code, close.count)).collect();
    assert_eq!(counts, [(1000, 2), (1006, 1)], "each under one code, once");
    node.stop().await;
}

#[tokio::test]
async fn idle_sockets_hold_no_database_connection() {
    let node = TestNode::with(|config| config.limits.connections_per_ip = 1_000).await;
    let ada = node.somebody().await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(Socket::ready(node.addr, &ada.token).await.0);
    }
    for socket in &mut sockets {
        socket.quiet().await;
    }
    within(async {
        // The relay looks for work four times a second: a moment in which it does not is enough.
        while node.ops.store().pool_stats().iter().any(|pool| pool.in_use > 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(node.gateway.connections(), 10);
}

#[tokio::test]
async fn a_thousand_opened_and_closed_connections_leave_nothing_behind() {
    let node = TestNode::with(|config| {
        config.limits.connections_per_ip = 1_000;
        config.limits.handshakes_per_second = 100_000;
    })
    .await;
    let ada = node.somebody().await;
    for _ in 0..100 {
        let mut open = Vec::new();
        for _ in 0..10 {
            let mut socket = Socket::open(node.addr).await;
            socket.send(&json!({"type": "auth", "token": ada.token})).await;
            open.push(socket);
        }
        drop(open);
    }
    within(async {
        while !node.gateway.is_empty() || node.gateway.topics() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await; // the hub gives topics up once a second
        }
    })
    .await;
    node.stop().await;
}
