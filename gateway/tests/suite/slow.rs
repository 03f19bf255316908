//! Readers that do not keep up.

use crate::node::{LOBBY, TestNode, send};
use serde_json::json;
use shared::{
    protocol::{CloseReason, event::Received},
    testkit::{Socket, socket::within},
};

#[tokio::test]
async fn slow_consumer_is_closed_and_others_keep_receiving() {
    let node = TestNode::with(|config| {
        config.limits.frames_per_second = 100_000;
        config.limits.frame_burst = 100_000;
        config.allow_anonymous = true;
    })
    .await;
    let ada = node.somebody().await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let mut stuck = Socket::open(node.addr).await;
    stuck.call(json!({"type": "join", "room": LOBBY})).await;
    let mut reader = Socket::open(node.addr).await;
    let Received::Joined { pos, .. } = reader.call(json!({"type": "join", "room": LOBBY})).await else { panic!() };

    // `stuck` reads nothing from here on: first its socket buffers fill, then it falls behind the log.
    let closed = || node.closed(CloseReason::SlowConsumer);
    let filler = "x".repeat(32_000);
    let mut sent = 0_u64;
    within(async {
        while closed() == 0 {
            sent += 1;
            adas.call(send(LOBBY, json!([sent, filler]))).await;
            let (seq, data) = reader.event().await;
            assert_eq!((seq, data[0].as_u64()), (pos.seq + sent, Some(sent)), "the healthy reader misses nothing");
        }
    })
    .await;
    assert_eq!(closed(), 1);
    drop(stuck);
}

#[tokio::test]
async fn a_full_inbox_is_replayed_page_by_page_however_slowly_it_is_read() {
    let node = TestNode::with(|config| config.limits.outbox_messages = 8).await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..300 {
        node.message(&ada, bob.id.0, &format!("{n} {}", "y".repeat(2_000))).await;
    }
    let (mut socket, _) = Socket::ready(node.addr, &bob.token).await;
    for pos in 1..=300 {
        assert_eq!(socket.inbox().await.0, pos);
    }
}
