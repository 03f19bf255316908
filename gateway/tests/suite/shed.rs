//! A node that runs out of memory: the least important gives way first, and everything comes back.

use crate::{
    node::{LOBBY, TestNode, send},
    raw::{Raw, TEXT, frame, raw_upgrade},
};
use serde_json::json;
use shared::{
    protocol::{CloseReason, command::Status, event::Received},
    testkit::{Socket, socket::within},
};
use std::time::Duration;

/// Any process holds more.
const NOTHING: u64 = 1;

/// Waits until the node has measured, and refuses or welcomes upgrades.
async fn until_upgrades(node: &TestNode, welcome: bool) {
    within(async {
        while Socket::upgrade(node.addr, "/ws", &[]).await.is_ok() != welcome {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_short_of_memory_drops_ephemeral_frames_and_answers_upgrades_503_until_it_has_some_again() {
    let node = TestNode::with(|config| config.limits.connections_per_ip = 10_000).await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    adas.call(json!({"type": "join", "room": room})).await;
    bobs.call(json!({"type": "join", "room": room})).await;
    adas.call(json!({"type": "watch", "users": [bob.id]})).await;

    node.gateway.set_memory_ceiling(NOTHING);
    until_upgrades(&node, false).await;
    let answer = raw_upgrade(node.addr, "").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: "), "{answer}");
    bobs.call(json!({"type": "typing", "room": room})).await;
    bobs.call(json!({"type": "presence", "status": "away"})).await;
    bobs.call(send(&room, json!("still here"))).await;
    let before = adas.expect(|frame| matches!(frame, Received::Event { .. })).await;
    assert!(matches!(before, Received::Event { data, .. } if data == json!("still here")));
    let ephemeral = |frame: &Received| matches!(frame, Received::Typing { .. } | Received::Presence(_));
    assert!(!adas.quiet().await.iter().any(ephemeral), "what is durable or numbered goes on, the rest does not");
    assert!(node.metrics.stats().sockets.ephemeral_dropped >= 2);

    node.gateway.set_memory_ceiling(u64::MAX);
    let told = adas.expect(|frame| matches!(frame, Received::Presence(_))).await;
    assert!(matches!(told, Received::Presence(state) if state.user == bob.id && state.status == Status::Away));
    until_upgrades(&node, true).await;
}

#[tokio::test]
async fn a_node_at_its_memory_ceiling_closes_the_sockets_that_take_nothing_and_only_those() {
    let node = TestNode::with(|config| {
        config.limits.frames_per_second = 1_000_000;
        config.limits.frame_burst = 1_000_000;
        config.limits.outbox_bytes = 1 << 30; // so that being behind alone closes nobody
        config.limits.outbox_messages = 1 << 20;
    })
    .await;
    let ada = node.somebody().await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let mut stuck = Raw::connect_narrow(node.addr).await.ready(&ada.token).await;
    stuck.write(&frame(TEXT, br#"{"type":"join","room":"public:lobby"}"#)).await;
    stuck.until(r#""type":"joined""#).await;
    node.gateway.set_memory_ceiling(NOTHING);
    let filler = "x".repeat(60_000);
    within(async {
        while node.closed(CloseReason::Overloaded) == 0 {
            adas.call(send(LOBBY, json!(filler))).await;
        }
    })
    .await;
    assert_eq!(node.closed(CloseReason::Overloaded), 1);
    assert!(adas.quiet().await.is_empty(), "who reads stays");
    drop(stuck);
}
