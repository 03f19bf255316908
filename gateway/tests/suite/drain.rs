//! The end of a node.

use crate::node::{LOBBY, TestNode, send};
use serde_json::json;
use shared::{
    protocol::{CloseReason, event::Received},
    testkit::{
        Socket,
        socket::{Heard, within},
    },
};
use std::io::Write as _;
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn a_draining_node_says_when_to_come_back_and_another_resumes_everything() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut bobs, _) = Socket::ready(other.addr, &bob.token).await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let Received::Joined { pos, .. } = bobs.call(json!({"type": "join", "room": LOBBY})).await else { panic!() };

    other.lifecycle.stop();
    let mut retry_after = None;
    let code = loop {
        match bobs.hear().await {
            Heard::Frame(frame) => {
                if let Received::Bye { retry_after: after, .. } = *frame {
                    retry_after = Some(after);
                }
            }
            Heard::Ping => {}
            Heard::Closed(code) => break code,
        }
    };
    assert_eq!(code, Some(CloseReason::Drain.code()));
    assert!(retry_after.expect("bye comes first") < 100, "drawn from the window");

    for n in 1..=3 {
        adas.call(send(LOBBY, json!(n))).await;
    }
    node.message(&ada, bob.id.0, "meanwhile").await;
    let (mut back, _) = Socket::resume(node.addr, &bob.token, json!({"inbox": "0", "rooms": {LOBBY: pos}})).await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        match back.frame().await {
            Received::Event { data, .. } => seen.push(data),
            Received::Inbox { data, .. } => seen.push(data["message"]["body"].clone()),
            _ => {}
        }
    }
    for expected in [json!(1), json!(2), json!(3), json!("meanwhile")] {
        assert!(seen.contains(&expected), "{expected} is missing from {seen:?}");
    }
    drop((back, adas));
    other.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn a_draining_node_takes_no_new_socket() {
    let node = TestNode::start().await;
    // Nothing of the node runs between these lines: the test's runtime has one thread.
    let mut late = std::net::TcpStream::connect(node.addr).unwrap();
    late.write_all(b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    node.lifecycle.stop();
    late.set_nonblocking(true).unwrap();
    let mut late = tokio::net::TcpStream::from_std(late).unwrap();
    let mut answer = String::new();
    within(late.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("draining\n"), "{answer}");
    assert!(tokio::net::TcpStream::connect(node.addr).await.is_err(), "the door is closed");
    node.stop().await;
}
