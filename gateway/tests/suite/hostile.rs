//! Clients that want to do harm: none of them costs the node more than it may, and nobody else notices.

use crate::{
    alone::alone,
    node::{LOBBY, TestNode, send},
    raw::{CONTINUATION, PING, PONG, Raw, TEXT, frame},
};
use serde_json::json;
use shared::{
    config::GatewayConfig,
    engine::{Signal, Topic},
    id::UserId,
    memory,
    protocol::{CloseReason, RoomName, event::Received},
    testkit::{Socket, socket::within},
};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

const MIB: u64 = 1024 * 1024;

/// What the rate limits would stop before the test has seen what it wants to see.
fn unlimited(config: &mut GatewayConfig) {
    config.limits.frames_per_second = 1_000_000;
    config.limits.frame_burst = 1_000_000;
    config.limits.handshakes_per_second = 100_000;
    config.limits.connections_per_ip = 100_000;
    config.limits.connections_per_user = 100_000;
    config.allow_anonymous = true;
}

/// Resident memory since `before`, in MiB.
pub(crate) fn grown_mib(before: u64) -> u64 {
    memory::resident().unwrap().saturating_sub(before) / MIB
}

#[test]
fn clients_that_never_read_are_closed_4408_while_memory_stays_flat() {
    alone("hostile::clients_that_never_read_are_closed_4408_while_memory_stays_flat", 1_024, async {
        const STUCK: u64 = 40;
        let node = TestNode::with(unlimited).await;
        let ada = node.somebody().await;
        let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
        let mut stuck = Vec::new();
        for _ in 0..STUCK {
            let mut raw = Raw::connect_narrow(node.addr).await.upgraded().await;
            raw.write(&frame(TEXT, br#"{"type":"join","room":"public:lobby"}"#)).await;
            raw.until(r#""type":"joined""#).await;
            stuck.push(raw);
        }
        let before = memory::resident().unwrap();
        let (filler, mut sent, mut most) = ("x".repeat(32_000), 0, 0);
        let give_up = Instant::now() + Duration::from_mins(2);
        while node.closed(CloseReason::SlowConsumer) < STUCK {
            assert!(Instant::now() < give_up, "{} closed after {sent}", node.closed(CloseReason::SlowConsumer));
            adas.call(send(LOBBY, json!(filler))).await;
            sent += 1;
            most = most.max(grown_mib(before));
        }
        // A second like it: whoever is gone holds nothing back.
        for _ in 0..sent {
            adas.call(send(LOBBY, json!(filler))).await;
        }
        most = most.max(grown_mib(before));
        println!("{sent} messages of 32 KB for {STUCK} sockets: {most} MiB more at most");
        // The shared log, the history, and a batch of 64 KiB for each; not what each of them was sent.
        assert!(most < 24, "{most} MiB more");
        drop((stuck, adas));
        node.stop().await;
    });
}

#[test]
fn a_client_that_asks_and_never_reads_the_answers_is_no_longer_heard() {
    alone("hostile::a_client_that_asks_and_never_reads_the_answers_is_no_longer_heard", 1_024, async {
        let node = TestNode::with(unlimited).await;
        let ada = node.somebody().await;
        let mut raw = Raw::connect_narrow(node.addr).await.ready(&ada.token).await;
        let before = memory::resident().unwrap();
        let ping = frame(TEXT, json!({"type": "ping", "t": "x".repeat(60_000)}).to_string().as_bytes());
        let mut taken = 0;
        // The kernel's buffers fill in both directions, then nothing moves any more.
        while let Ok(Ok(count)) =
            tokio::time::timeout(Duration::from_secs(2), raw.stream.write(&ping[taken % ping.len()..])).await
        {
            taken += count;
            assert!(taken < 256 << 20, "the server reads on and on");
        }
        println!("{} KiB were taken, {} MiB more", taken / 1024, grown_mib(before));
        assert!(grown_mib(before) < 8);
        drop(raw);
        node.stop().await;
    });
}

#[test]
fn a_frame_of_ten_mebibytes_is_refused_by_its_header_and_no_memory_is_set_aside() {
    alone("hostile::a_frame_of_ten_mebibytes_is_refused_by_its_header_and_no_memory_is_set_aside", 1_024, async {
        let node = TestNode::with(unlimited).await;
        let ada = node.somebody().await;
        let mut clients = Vec::new();
        for _ in 0..200 {
            clients.push(Raw::connect(node.addr).await.ready(&ada.token).await);
        }
        let before = memory::resident().unwrap();
        for client in &mut clients {
            // The header, and as much as a sender gets out before it could hear the refusal.
            let mut bytes = vec![TEXT, 0xff];
            bytes.extend((10 * MIB).to_be_bytes());
            bytes.resize(4_096, b'x');
            client.write(&bytes).await;
        }
        for client in &mut clients {
            let end = client.read_all().await;
            assert!(end.contains(r#""code":1009"#) && end.ends_with("too large"), "{end}");
        }
        assert!(grown_mib(before) < 16, "{} MiB more", grown_mib(before));
        drop(clients);
        node.stop().await;
    });
}

#[tokio::test]
async fn fragments_that_never_end_are_closed_1009_when_they_are_too_much() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let mut raw = Raw::connect(node.addr).await.ready(&ada.token).await;
    let start = frame(TEXT & 0x0f, b"\"");
    let more = frame(CONTINUATION, &[b'x'; 1_000]);
    raw.write(&start).await;
    for _ in 0..66 {
        if !raw.try_write(&more).await {
            break;
        }
    }
    let end = raw.read_all().await;
    assert!(end.contains(r#""code":1009"#), "{end}");
    node.until_closed(CloseReason::TooLarge).await;
}

/// Sends frames by the thousand until the server ends it.
async fn flood(node: &TestNode, one: &[u8], reason: CloseReason) {
    let mut raw = Raw::connect(node.addr).await.upgraded().await;
    let many = one.repeat(1_000);
    within(async { while raw.stream.write_all(&many).await.is_ok() && node.closed(reason) == 0 {} }).await;
    node.until_closed(reason).await;
}

#[tokio::test]
async fn a_ping_flood_is_closed_4429_and_gets_no_more_pongs_than_the_burst_allows() {
    let node = TestNode::start().await;
    let mut raw = Raw::connect(node.addr).await.upgraded().await;
    raw.try_write(&frame(PING, b"!").repeat(1_000)).await;
    let answers = raw.read_all().await;
    // RFC 6455 lets a server answer the latest of several pings only. What is beyond the burst is not answered faster.
    let pongs = answers.matches("\u{1}!").count();
    assert!(pongs <= 250, "{pongs} pongs");
    node.until_closed(CloseReason::RateLimited).await;
}

#[tokio::test]
async fn a_flood_of_control_frames_is_closed_4429() {
    let node = TestNode::start().await;
    flood(&node, &frame(PONG, b""), CloseReason::RateLimited).await;
    assert_eq!(node.closed(CloseReason::RateLimited), 1);
}

#[tokio::test]
async fn a_flood_of_empty_fragments_is_closed_4429_although_it_never_makes_a_message() {
    let node = TestNode::start().await;
    let mut raw = Raw::connect(node.addr).await.upgraded().await;
    raw.write(&frame(TEXT & 0x0f, b"")).await;
    let many = frame(CONTINUATION, b"").repeat(10_000);
    within(async { while raw.stream.write_all(&many).await.is_ok() && node.closed(CloseReason::RateLimited) == 0 {} })
        .await;
    node.until_closed(CloseReason::RateLimited).await;
}

#[tokio::test]
async fn a_client_that_sends_a_byte_now_and_then_has_until_the_auth_timeout_and_afterwards_is_alive() {
    let node = TestNode::with(|config| {
        config.auth_timeout = Duration::from_secs(2);
        config.heartbeat = Duration::from_secs(1);
        config.dead_after = Duration::from_secs(3);
    })
    .await;
    let ada = node.somebody().await;
    let auth = frame(TEXT, json!({"type": "auth", "token": ada.token}).to_string().as_bytes());
    let mut stranger = Raw::connect(node.addr).await.upgraded().await;
    let mut known = Raw::connect(node.addr).await.ready(&ada.token).await;
    let ping = frame(TEXT, br#"{"type":"ping","id":"at last"}"#);
    // It never answers a ping of ours, and is heard all the same: any byte counts, also one in the middle of a frame.
    let slowly = async {
        for byte in &ping {
            known.write(&[*byte]).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        known.until("at last").await;
    };
    let in_vain = async {
        for byte in &auth {
            if !stranger.try_write(&[*byte]).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::join!(slowly, in_vain);
    assert_eq!((node.closed(CloseReason::AuthTimeout), node.closed(CloseReason::HeartbeatTimeout)), (1, 0));
}

#[tokio::test]
async fn a_hundred_thousand_rooms_asked_for_leave_nothing_behind() {
    let node = TestNode::with(unlimited).await;
    let ada = node.somebody().await;
    let mut raw = Raw::connect(node.addr).await.ready(&ada.token).await;
    let (mut reading, mut writing) = raw.stream.split();
    let ask = async {
        for n in 0..100_000 {
            let join = format!(r#"{{"type":"join","room":"public:r{n}"}}"#);
            writing.write_all(&frame(TEXT, join.as_bytes())).await.unwrap();
        }
        writing.write_all(&frame(TEXT, br#"{"type":"ping","id":"done"}"#)).await.unwrap();
    };
    let hear = async {
        use tokio::io::AsyncReadExt;
        let (mut buffer, mut tail) = (vec![0; 1 << 16], Vec::new());
        let mut refused = 0;
        loop {
            let count = within(reading.read(&mut buffer)).await.unwrap();
            tail.extend(&buffer[..count]);
            let text = String::from_utf8_lossy(&tail);
            refused += text.matches("forbidden").count();
            if text.contains("done") {
                return refused;
            }
            // A word cut in two is found with the next read.
            let keep = tail.len().saturating_sub(8);
            tail.drain(..keep);
            if tail.ends_with(b"orbidden") {
                tail.clear();
            }
        }
    };
    let ((), refused) = tokio::join!(ask, hear);
    assert!((100_000..=100_100).contains(&refused), "{refused}");
    assert!(node.gateway.topics() <= 1, "only the inbox");
    drop(raw);
    node.stop().await;
}

#[tokio::test]
async fn deep_json_is_refused_or_passed_over_and_never_followed() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let id = uuid::Uuid::now_v7();
    for (frame, code) in [
        (deep.clone(), "bad_json"),
        (format!(r#"{{"type":{deep}}}"#), "bad_json"),
        (format!(r#"{{"type":"ping","id":{deep}}}"#), "bad_json"),
        (format!(r#"{{"type":"join","room":{objects}}}"#), "invalid"),
        (format!(r#"{{"type":"send","id":"{id}","room":"{LOBBY}","data":{deep}}}"#), "invalid"),
        (format!(r#"{{"type":"send","id":"{id}","room":"{LOBBY}","data":{objects}}}"#), "invalid"),
    ] {
        socket.send_raw(tokio_tungstenite::tungstenite::Message::text(frame)).await;
        let Received::Error { code: found, .. } = socket.frame().await else { panic!("{code}") };
        assert_eq!(found, code);
    }
    // A field that we do not know is passed over, however deep it is.
    let unknown = format!(r#"{{"type":"ping","id":1,"colour":{deep}}}"#);
    socket.send_raw(tokio_tungstenite::tungstenite::Message::text(unknown)).await;
    assert!(matches!(socket.frame().await, Received::Pong { .. } | Received::Error { .. }));
    socket.quiet().await;
}

#[tokio::test]
async fn messages_made_of_thousands_of_empty_fragments_cost_what_their_fragments_cost() {
    let node = TestNode::start().await;
    let mut raw = Raw::connect(node.addr).await.upgraded().await;
    let message = [
        frame(TEXT & 0x0f, br#"{"type":"ping"}"#),
        frame(CONTINUATION, b"").repeat(2_000),
        frame(CONTINUATION | 0x80, b""),
    ]
    .concat();
    within(async {
        while raw.stream.write_all(&message).await.is_ok() && node.closed(CloseReason::RateLimited) == 0 {}
    })
    .await;
    node.until_closed(CloseReason::RateLimited).await;
}

#[tokio::test]
async fn the_largest_messages_at_the_full_rate_are_welcome() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    // The burst less one for `auth`: each 64 KiB, back to back, so that several are always under way.
    let largest = json!({"type": "ping", "id": "x".repeat(100), "t": "y".repeat(65_000)});
    let mut raw = Raw::connect(node.addr).await.ready(&ada.token).await;
    let frames = frame(TEXT, largest.to_string().as_bytes()).repeat(99);
    let (mut reading, mut writing) = raw.stream.split();
    let hear = async {
        use tokio::io::AsyncReadExt;
        let (mut heard, mut buffer) = (0, vec![0; 1 << 16]);
        while heard < 99 * 65_000 {
            let count = within(reading.read(&mut buffer)).await.unwrap();
            assert!(count > 0 && !buffer[..count].windows(12).any(|window| window == b"rate_limited"));
            heard += count;
        }
    };
    let (sent, ()) = tokio::join!(within(writing.write_all(&frames)), hear);
    sent.unwrap();
    socket.quiet().await;
}

#[test]
fn a_million_typing_events_leave_memory_flat() {
    alone("hostile::a_million_typing_events_leave_memory_flat", 1_024, async {
        let node = TestNode::with(unlimited).await;
        let (ada, bob) = (node.somebody().await, node.somebody().await);
        let room: RoomName = format!("conversation:{}", node.conversation(&ada, &bob).await).parse().unwrap();
        let join = json!({"type": "join", "room": room});
        let (mut reads, _) = Socket::ready(node.addr, &ada.token).await;
        reads.call(join.clone()).await;
        let mut stuck = Raw::connect_narrow(node.addr).await.ready(&bob.token).await;
        stuck.write(&frame(TEXT, join.to_string().as_bytes())).await;
        stuck.until(r#""type":"joined""#).await;
        let (before, key) = (memory::resident().unwrap(), Topic::Room(room.clone()));
        let typists: Vec<UserId> = (0..1_000).map(|_| UserId::new()).collect();
        for round in 0..1_000 {
            for user in &typists {
                let signal = Signal::Typing { user: *user, ttl_ms: 6_000 };
                node.ops.engine().broker.signal(&key, signal).await.unwrap();
            }
            if round % 10 == 0 {
                reads.quiet().await;
            }
        }
        println!("a million typing events: {} MiB more", grown_mib(before));
        assert!(grown_mib(before) < 16, "{} MiB more", grown_mib(before));
        drop((reads, stuck));
        node.stop().await;
    });
}
