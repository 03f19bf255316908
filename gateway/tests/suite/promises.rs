//! What the protocol promises and no other file is about.

use crate::{
    node::{LOBBY, TestNode, send},
    raw::{CONTINUATION, Raw, TEXT, frame, raw_upgrade},
};
use serde_json::{Value, json};
use shared::{
    config::{GatewayConfig, GatewayLimits, HttpConfig},
    engine::{Control, broker, presence, sessions},
    model::NewNotification,
    ops,
    protocol::{
        CloseReason,
        event::{Received, TYPING_TTL_MS},
    },
    relay,
    store::{devices, inbox::TrimLimits},
    testkit::{Socket, socket::within},
};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

#[test]
fn the_limits_are_the_protocols_unless_settings_say_otherwise() {
    let expected = GatewayLimits {
        message_bytes: 64 << 10,
        unauthenticated_message_bytes: 4 << 10,
        frames_per_second: 50,
        frame_burst: 100,
        rooms: 100,
        watches: 200,
        connections_per_user: 10,
        connections_per_ip: 100,
        connections: 50_000,
        handshakes_per_second: 500,
        outbox_messages: 1_024,
        outbox_bytes: 256 << 10,
        memory_bytes: None,
    };
    assert_eq!(GatewayLimits::default(), expected);
    let config = GatewayConfig::default();
    let seconds = [config.heartbeat, config.dead_after, config.auth_timeout, config.handshake_timeout];
    assert_eq!(seconds, [30, 75, 15, 5].map(Duration::from_secs));
    assert!(!config.allow_anonymous && !config.echo);
    assert_eq!(HttpConfig::default().drain_timeout, Duration::from_secs(30));
}

#[test]
fn the_times_and_windows_are_the_protocols() {
    let seconds = Duration::from_secs;
    assert_eq!((sessions::TTL, sessions::TICKET_TTL), (seconds(3_600), seconds(30)));
    assert_eq!((broker::HISTORY_EVENTS, broker::HISTORY_AGE), (500, seconds(600)));
    let presence = [presence::LEASE, presence::RENEW, presence::GRACE, presence::QUIET];
    assert_eq!(presence, [10, 3, 15, 20].map(seconds));
    assert_eq!((devices::MAX_DEVICES, devices::DEVICE_AGE), (20, seconds(30 * 86_400)));
    let kept = TrimLimits::default();
    assert_eq!((kept.entries, kept.age), (2_000, seconds(30 * 86_400)));
    assert_eq!((ops::PAGE_ENTRIES, ops::PAGE_BYTES), (64, 64 << 10));
    assert_eq!((relay::FLUSH, TYPING_TTL_MS), (seconds(1), 6_000));
}

#[tokio::test]
async fn every_refusal_is_an_explicit_frame_before_the_close() {
    let node = TestNode::start().await;
    // `expect_close` fails unless a `bye` with the same code came before.
    for (what, reason) in [
        (Message::text(r#"{"type":"auth","token":"x"}"#), CloseReason::BadToken),
        (Message::text(json!({"type": "ping", "t": "x".repeat(5_000)}).to_string()), CloseReason::TooLarge),
        (Message::binary(vec![1]), CloseReason::Unsupported),
        (Message::text("{"), CloseReason::BadFrames),
        (Message::text(r#"{"type":"ping"}"#), CloseReason::RateLimited),
    ] {
        let mut socket = Socket::open(node.addr).await;
        for _ in 0..400 {
            if !socket.try_send(what.clone()).await {
                break;
            }
        }
        socket.expect_close(reason).await;
    }
    for (header, reason) in [
        ("Origin: https://evil.test\r\n", CloseReason::ForbiddenOrigin),
        ("Sec-WebSocket-Protocol: pitchey.v0\r\n", CloseReason::ProtocolVersion),
    ] {
        // A client library would give up on an answer without its protocol.
        let said = raw_upgrade(node.addr, header).await;
        assert!(said.contains(&format!(r#""type":"bye","code":{}"#, reason.code())), "no bye in {said}");
        assert_eq!(said.matches(reason.text()).count(), 2, "in the bye, and in the close frame: {said}");
    }
    let hasty = TestNode::with(|config| config.auth_timeout = Duration::from_secs(1)).await;
    Socket::open(hasty.addr).await.expect_close(CloseReason::AuthTimeout).await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    node.ops.revoke_session(ada.id, ada.session).await.unwrap();
    node.ops.engine().broker.control(Control::Disconnect(bob.id)).await.unwrap();
    adas.expect_close(CloseReason::SignedOut).await;
    bobs.expect_close(CloseReason::Disconnected).await;
}

#[tokio::test]
async fn any_inbound_byte_counts_as_alive() {
    let node = TestNode::with(|config| {
        config.allow_anonymous = true;
        config.heartbeat = Duration::from_secs(1);
        config.dead_after = Duration::from_secs(2);
    })
    .await;
    let mut slow = Raw::connect(node.addr).await.upgraded().await;
    let mute = Raw::connect(node.addr).await.upgraded().await;
    // One frame, a byte of it whenever the node's clock has moved on; none of them is whole before the end.
    let bytes = frame(TEXT, format!(r#"{{"type":"ping","t":"{}"}}"#, "x".repeat(100)).as_bytes());
    let mut left = bytes.iter().peekable();
    within(async {
        while node.closed(CloseReason::HeartbeatTimeout) == 0 {
            if let Some(byte) = left.next() {
                slow.write(&[*byte]).await;
            }
            assert!(left.peek().is_some(), "the mute one is closed before the frame is whole");
            tokio::time::sleep(Duration::from_millis(250)).await; // the rate at which it speaks
        }
    })
    .await;
    let rest: Vec<u8> = left.copied().collect();
    slow.write(&rest).await;
    slow.until(r#""type":"pong""#).await;
    assert_eq!(node.closed(CloseReason::HeartbeatTimeout), 1, "only the one that said nothing");
    drop(mute);
}

#[tokio::test]
async fn a_message_in_fragments_is_one_message() {
    let node = TestNode::start().await;
    let mut raw = Raw::connect(node.addr).await.upgraded().await;
    raw.write(&frame(TEXT & 0x7f, br#"{"type":"pi"#)).await;
    raw.write(&frame(CONTINUATION, br#"ng","t":"#)).await;
    raw.write(&frame(CONTINUATION | 0x80, b"7}")).await;
    raw.until(r#"{"type":"pong","t":7}"#).await;
}

#[tokio::test]
async fn a_read_is_one_change_and_one_event_on_every_device_however_often_it_is_said() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (mut desk, _) = Socket::resume(node.addr, &ada.token, json!({"device": "desk"})).await;
    let (mut phone, _) = Socket::resume(node.addr, &ada.token, json!({"device": "phone"})).await;
    let new = NewNotification {
        user: ada.id,
        kind: "test.happened",
        title: "It happened".into(),
        body: String::new(),
        metadata: std::collections::BTreeMap::new(),
    };
    let written = node.ops.notify(vec![new]).await.unwrap();
    let created = desk.inbox().await;
    assert_eq!((created.0, created.1.as_str()), (1, "notification.created"));
    assert_eq!(phone.inbox().await.0, 1);
    let read = json!({"type": "read", "notifications": [written[0].id]});
    desk.send(&read).await; // without an id nobody wants an answer, and what comes next is the event
    let answer = phone.call(read).await;
    assert!(matches!(answer, Received::Ack { .. }), "{answer:?}");
    let identity = node.identity(&ada).await;
    let again = node.ops.mark_read(&identity, shared::ops::MarkRead::Ids(vec![written[0].id])).await.unwrap();
    assert!(again.ids.is_empty() && again.version.is_none(), "what REST does finds it done");
    // A message of one's own comes behind whatever the reads have caused.
    node.message(&ada, node.somebody().await.id.0, "mark").await;
    let mut events = Vec::new();
    while events.last().is_none_or(|(_, event)| event != "message.created") {
        let (pos, event, _) = desk.inbox().await;
        events.push((pos, event));
    }
    let names: Vec<&str> = events.iter().map(|(_, event)| event.as_str()).collect();
    assert_eq!(names, ["notification.read", "message.created"]);
    assert_eq!(events.iter().map(|(pos, _)| *pos).collect::<Vec<_>>(), [2, 3]);
}

/// What a client got of the room and of its inbox, in the order it came.
#[derive(Default)]
struct Got {
    events: Vec<Value>,
    entries: Vec<Value>,
    room: Option<shared::protocol::Position>,
    inbox: u64,
}

impl Got {
    async fn take(&mut self, socket: &mut Socket, events: usize, entries: usize) {
        while self.events.len() < events || self.entries.len() < entries {
            match socket.frame().await {
                Received::Event { data, pos, .. } => {
                    self.events.push(data);
                    self.room = Some(pos);
                }
                Received::Inbox { data, pos, .. } => {
                    self.entries.push(data["message"]["body"].clone());
                    self.inbox = pos;
                }
                _ => {}
            }
        }
    }

    async fn resume(&self, node: &TestNode, token: &str) -> Socket {
        let more = json!({"device": "d", "inbox": self.inbox.to_string(), "rooms": {LOBBY: self.room}});
        Socket::resume(node.addr, token, more).await.0
    }
}

#[tokio::test]
async fn a_rolling_restart_of_every_node_loses_no_inbox_entry_and_no_room_event() {
    let first = TestNode::start().await;
    let second = first.beside().await;
    second.relay();
    let (ada, bob) = (first.somebody().await, first.somebody().await);
    let mut got = Got::default();
    let mut bobs = got.resume(&first, &bob.token).await;
    let (mut writer, _) = Socket::ready(second.addr, &ada.token).await;
    let say = async |writer: &mut Socket, node: &TestNode, n: u64| {
        writer.call(send(LOBBY, json!(n))).await;
        node.message(&ada, bob.id.0, &n.to_string()).await;
    };
    say(&mut writer, &second, 1).await;
    got.take(&mut bobs, 1, 1).await;

    // The node he is on goes; what happens before he is back elsewhere waits for him.
    let ((), ()) = tokio::join!(first.stop(), async {
        bobs.expect_close(CloseReason::Drain).await;
        drop(bobs);
    });
    say(&mut writer, &second, 2).await;
    let mut bobs = got.resume(&second, &bob.token).await;
    say(&mut writer, &second, 3).await;
    got.take(&mut bobs, 3, 3).await;

    // And the other one, with both of them on it, once its successor is there.
    let third = second.beside().await;
    third.relay();
    say(&mut writer, &second, 4).await;
    let ((), ()) = tokio::join!(second.stop(), async {
        writer.expect_close(CloseReason::Drain).await;
        bobs.expect(|frame| matches!(frame, Received::Bye { .. })).await;
        drop((writer, bobs));
    });
    let (mut writer, _) = Socket::ready(third.addr, &ada.token).await;
    say(&mut writer, &third, 5).await;
    let mut bobs = got.resume(&third, &bob.token).await;
    got.take(&mut bobs, 5, 5).await;
    assert_eq!(got.events, [1, 2, 3, 4, 5].map(|n| json!(n)));
    assert_eq!(got.entries, ["1", "2", "3", "4", "5"].map(|n| json!(n)));
    drop((writer, bobs));
    third.stop().await;
}
