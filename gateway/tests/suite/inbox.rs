//! The durable inbox: nothing lost, nothing twice after an ack, strictly in order.

use crate::{node::TestNode, raw::Raw};
use serde_json::json;
use shared::{
    protocol::event::{ReadyInbox, Received},
    store::inbox::{self, TrimLimits},
    testkit::{Socket, socket::within},
};
use std::time::Duration;
use uuid::Uuid;

fn inbox_of(ready: &Received) -> ReadyInbox {
    let Received::Ready { inbox, .. } = ready else { panic!("{ready:?}") };
    *inbox
}

#[tokio::test]
async fn what_is_sent_to_an_offline_user_arrives_in_order_and_not_again_after_the_ack() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..150 {
        node.message(&ada, bob.id.0, &format!("{n}")).await;
    }
    let device = json!({"device": "web"});
    let (mut socket, ready) = Socket::resume(node.addr, &bob.token, device.clone()).await;
    assert_eq!(inbox_of(&ready), ReadyInbox { pos: 0, pending: 150, recovered: true });
    for n in 0..150_u64 {
        let (pos, event, data) = socket.inbox().await;
        assert_eq!((pos, event.as_str()), (n + 1, "message.created"));
        assert_eq!(data["message"]["body"], json!(n.to_string()));
    }
    assert!(matches!(socket.call(json!({"type": "ack", "pos": "100"})).await, Received::Ack { .. }));
    drop(socket);

    let (mut again, ready) = Socket::resume(node.addr, &bob.token, device).await;
    assert_eq!(inbox_of(&ready), ReadyInbox { pos: 100, pending: 50, recovered: true });
    assert_eq!(again.inbox().await.0, 101, "what was not acknowledged comes again, from there");
}

#[tokio::test]
async fn replay_and_live_entries_join_without_a_gap_or_a_repeat() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..100 {
        node.message(&ada, bob.id.0, &format!("{n}")).await;
    }
    let (mut socket, _) = Socket::ready(node.addr, &bob.token).await;
    let writing = async {
        for n in 100..200 {
            node.message(&ada, bob.id.0, &format!("{n}")).await;
        }
    };
    let reading = async {
        for n in 0..200_u64 {
            let (pos, _, data) = socket.inbox().await;
            assert_eq!((pos, data["message"]["body"].clone()), (n + 1, json!(n.to_string())));
        }
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn a_client_that_names_its_position_resumes_there_in_one_round_trip() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..5 {
        node.message(&ada, bob.id.0, &format!("{n}")).await;
    }
    let (mut socket, ready) = Socket::resume(node.addr, &bob.token, json!({"inbox": "3"})).await;
    assert_eq!(inbox_of(&ready), ReadyInbox { pos: 3, pending: 2, recovered: true });
    assert_eq!(socket.inbox().await.0, 4);

    let foreign = json!({"inbox": "4000"});
    let (_socket, ready) = Socket::resume(node.addr, &bob.token, foreign).await;
    assert!(!inbox_of(&ready).recovered, "a position nobody was ever given is no position");
}

#[tokio::test]
async fn another_users_positions_and_device_open_nothing_and_move_nothing() {
    let node = TestNode::start().await;
    let (ada, bob, eve) = (node.somebody().await, node.somebody().await, node.somebody().await);
    let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
    for n in 0..5 {
        node.message(&ada, bob.id.0, &format!("{n}")).await;
    }
    let (mut bobs, _) = Socket::resume(node.addr, &bob.token, json!({"device": "phone"})).await;
    for _ in 0..6 {
        bobs.inbox().await;
    }
    bobs.call(json!({"type": "ack", "pos": "4"})).await;
    let Received::Joined { pos, .. } = bobs.call(json!({"type": "join", "room": room})).await else { panic!() };

    // Eve knows Bob's device, his position, his room and where he is in it.
    let stolen = json!({"device": "phone", "inbox": "2", "rooms": {&room: pos}});
    let (mut eves, ready) = Socket::resume(node.addr, &eve.token, stolen).await;
    assert_eq!(inbox_of(&ready), ReadyInbox { pos: 0, pending: 0, recovered: false });
    let Received::Error { room: refused, code, .. } = eves.frame().await else { panic!() };
    assert_eq!((refused.unwrap().as_str(), code.as_str()), (room.as_str(), "forbidden"));
    let answer = eves.call(json!({"type": "ack", "pos": "6"})).await;
    assert!(matches!(answer, Received::Error { code, .. } if code == "invalid_position"));
    node.message(&ada, bob.id.0, "for bob alone").await;
    assert_eq!(bobs.inbox().await.0, 7);
    assert!(eves.quiet().await.is_empty());
    let cursor = |user| {
        let node = &node;
        async move { node.ops.engine().mailbox.cursor(user, "phone").await.unwrap() }
    };
    assert_eq!((cursor(bob.id).await, cursor(eve.id).await.unwrap_or(0)), (Some(4), 0));
}

#[tokio::test]
async fn an_ack_beyond_what_was_sent_is_refused_and_moves_nothing() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    node.message(&ada, bob.id.0, "one").await;
    let (mut socket, _) = Socket::resume(node.addr, &bob.token, json!({"device": "d"})).await;
    socket.inbox().await;
    let answer = socket.call(json!({"type": "ack", "pos": "2"})).await;
    assert!(matches!(answer, Received::Error { code, .. } if code == "invalid_position"));
    assert!(
        matches!(socket.call(json!({"type": "ack", "pos": "0"})).await, Received::Ack { .. }),
        "the past is no harm"
    );
    assert_eq!(node.ops.engine().mailbox.cursor(bob.id, "d").await.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn a_message_is_committed_before_its_ack_and_a_repeat_is_the_same_message() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut adas_phone, _) = Socket::resume(node.addr, &ada.token, json!({"device": "phone"})).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    let command = json!({"type": "message", "id": Uuid::now_v7(), "to": bob.id, "body": "hello"});
    let mut answers = Vec::new();
    for _ in 0..2 {
        let Received::Ack { message, conversation, .. } = adas.call(command.clone()).await else { panic!() };
        answers.push((message.unwrap(), conversation.unwrap()));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(bobs.inbox().await.2["message"]["id"], json!(answers[0].0));
    assert!(bobs.quiet().await.is_empty(), "the repeat was not delivered");
    assert_eq!(adas_phone.inbox().await.2["message"]["id"], json!(answers[0].0), "the sender's own devices get it too");
}

#[tokio::test]
async fn the_same_message_sent_twice_at_once_from_two_nodes_is_one_message() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    node.conversation(&ada, &bob).await;
    let (mut here, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut there, _) = Socket::ready(other.addr, &ada.token).await;
    let command = json!({"type": "message", "id": Uuid::now_v7(), "to": bob.id, "body": "once"});
    let (a, b) = tokio::join!(here.call(command.clone()), there.call(command));
    let (Received::Ack { message: a, .. }, Received::Ack { message: b, .. }) = (a, b) else { panic!("both are acked") };
    assert_eq!(a, b);
    let (_bobs, ready) = Socket::ready(node.addr, &bob.token).await;
    assert_eq!(inbox_of(&ready).pending, 2, "the conversation's first message and this one");
}

#[tokio::test]
async fn a_position_in_auth_is_no_ack_and_the_device_is_fixed_by_the_first_ready() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..4 {
        node.message(&ada, bob.id.0, &format!("{n}")).await;
    }
    let (mut socket, _) = Socket::resume(node.addr, &bob.token, json!({"device": "phone", "inbox": "3"})).await;
    assert_eq!(socket.inbox().await.0, 4);
    let cursor = |device: &'static str| {
        let node = &node;
        async move { node.ops.engine().mailbox.cursor(bob.id, device).await.unwrap().unwrap_or(0) }
    };
    assert_eq!(cursor("phone").await, 0, "naming a position acknowledges nothing");
    let Received::Ready { device, .. } = socket.call(json!({"type": "auth", "device": "web", "inbox": "4"})).await
    else {
        panic!()
    };
    assert_eq!(device, "phone");
    socket.call(json!({"type": "ack", "pos": "4"})).await;
    assert_eq!((cursor("phone").await, cursor("web").await), (4, 0));
}

#[tokio::test]
async fn every_device_keeps_its_own_position_and_a_new_one_starts_at_the_furthest() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..4 {
        node.message(&ada, bob.id.0, &format!("{n}")).await;
    }
    for (device, ack) in [("phone", "1"), ("web", "3")] {
        let (mut socket, _) = Socket::resume(node.addr, &bob.token, json!({"device": device, "inbox": "0"})).await;
        while socket.inbox().await.0 < 4 {}
        socket.call(json!({"type": "ack", "pos": ack})).await;
    }
    for (device, pos) in [("phone", 1), ("web", 3), ("tablet", 3)] {
        let (_socket, ready) = Socket::resume(node.addr, &bob.token, json!({"device": device})).await;
        assert_eq!(inbox_of(&ready).pos, pos, "{device}");
    }
}

#[tokio::test]
async fn a_stranger_gets_nothing_from_a_foreign_conversation() {
    let node = TestNode::start().await;
    let (ada, bob, eve) = (node.somebody().await, node.somebody().await, node.somebody().await);
    let conversation = node.conversation(&ada, &bob).await;
    let (mut eves, _) = Socket::ready(node.addr, &eve.token).await;
    for command in [
        json!({"type": "join", "room": format!("conversation:{conversation}")}),
        crate::node::send(&format!("conversation:{conversation}"), json!(1)),
        json!({"type": "message", "id": Uuid::now_v7(), "to": conversation, "body": "let me in"}),
    ] {
        let unknown: String =
            serde_json::to_string(&command).unwrap().replace(&conversation.to_string(), &Uuid::now_v7().to_string());
        let foreign = eves.call(command).await;
        let missing = eves.call(serde_json::from_str(&unknown).unwrap()).await;
        let (Received::Error { code: a, message: m, .. }, Received::Error { code: b, message: n, .. }) =
            (foreign, missing)
        else {
            panic!("both are refused")
        };
        assert_eq!((a, m), (b, n), "a foreign conversation looks like one that does not exist");
    }
    assert!(eves.quiet().await.is_empty());
}

#[tokio::test]
async fn losing_the_whole_engine_loses_no_inbox_entry() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..10 {
        node.message(&ada, bob.id.0, &format!("{n}")).await;
    }
    // A node with an engine that knows nothing of these, and then only of the next one.
    let node = node.restarted().await;
    assert_eq!(node.ops.engine().mailbox.head(bob.id).await.unwrap(), None);
    node.message(&ada, bob.id.0, "10").await;
    let (mut socket, ready) = Socket::ready(node.addr, &bob.token).await;
    assert_eq!(inbox_of(&ready), ReadyInbox { pos: 0, pending: 11, recovered: true });
    for n in 0..=10 {
        assert_eq!(socket.inbox().await.2["message"]["body"], json!(format!("{n}")));
    }
}

#[tokio::test]
async fn a_reader_whose_inbox_is_trimmed_while_it_takes_its_time_is_told_to_reload_and_skips_nothing_in_silence() {
    let node = TestNode::start().await;
    let bob = node.somebody().await;
    // More than the kernel holds for a socket that nobody reads.
    let data = serde_json::value::to_raw_value(&"x".repeat(32 * 1024)).unwrap();
    let fill = async |tx: &mut _| {
        for _ in 0..300 {
            inbox::append(tx, &[bob.id], "test", &data).await?;
        }
        Ok(())
    };
    node.ops.store().tx("test.fill", fill).await.unwrap();
    node.ops.engine().bell.ring();
    within(async {
        while node.ops.engine().mailbox.head(bob.id).await.unwrap() != Some(300) {
            tokio::time::sleep(Duration::from_millis(5)).await; // only what was delivered is ever trimmed
        }
    })
    .await;
    let mut slow = Raw::connect_narrow(node.addr).await.ready(&bob.token).await;
    slow.until("xxxx").await; // the replay is under way
    let limits = TrimLimits { entries: 1, ..TrimLimits::default() };
    let trim = async |tx: &mut _| inbox::trim(tx, None, 100, limits).await;
    assert_eq!(node.ops.store().tx("test.trim", trim).await.unwrap().removed, 299);
    let rest = slow.read_all().await;
    assert!(rest.contains(r#""code":4408"#), "it is closed");
    let entries = rest.split(r#"{"type":"inbox","pos":""#).skip(1);
    let got: Vec<u64> = entries.map(|entry| entry[..entry.find('"').unwrap()].parse().unwrap()).collect();
    assert!(got.windows(2).all(|pair| pair[1] == pair[0] + 1), "without a gap: {got:?}");
    let last = *got.last().unwrap();
    assert!(last < 300, "what came after the trimmed ones was kept back");

    let (mut back, ready) = Socket::resume(node.addr, &bob.token, json!({"inbox": last.to_string()})).await;
    assert_eq!(inbox_of(&ready), ReadyInbox { pos: 299, pending: 1, recovered: false });
    assert_eq!(back.inbox().await.0, 300);
}
