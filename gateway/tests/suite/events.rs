//! The protocol as Server-Sent Events, for clients that cannot have a WebSocket: a real reader on the gateway's own
//! listener.

use crate::{
    node::{LOBBY, ORIGIN, Somebody, TestNode, send},
    raw::Raw,
};
use serde_json::{Value, json};
use shared::{
    protocol::{
        CloseReason,
        command::Status,
        event::{ReadyInbox, Received},
    },
    testkit::{Events, Socket, events::Piece, socket::within, tls::Authority},
};
use std::time::{Duration, Instant};

const LOBBY_PATH: &str = "/events?device=kiosk&rooms=public%3Alobby";

fn is_ready(frame: &Received) -> bool {
    matches!(frame, Received::Ready { .. })
}

/// What `ready` says of the inbox.
async fn inbox_at(stream: &mut Events) -> ReadyInbox {
    let Received::Ready { inbox, .. } = stream.expect(is_ready).await else { unreachable!() };
    inbox
}

/// The texts of the next inbox entries and room events, in the order they come.
async fn take(stream: &mut Events, count: usize) -> Vec<Value> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match stream.event().await.frame {
            Received::Inbox { data, .. } => taken.push(data["message"]["body"].clone()),
            Received::Event { data, .. } => taken.push(data),
            _ => {}
        }
    }
    taken
}

fn cookie(of: &Somebody) -> String {
    format!("theme=dark; pitchey-session={}", of.token)
}

async fn until_nobody_is_connected(node: &TestNode) {
    within(async {
        while node.gateway.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_event_stream_brings_what_a_socket_would() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    node.message(&ada, bob.id.0, "before").await;
    let mut stream = Events::bearer(node.addr, LOBBY_PATH, &bob.token).await;
    for line in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-cache, no-transform\r\n",
        "x-accel-buffering: no\r\n",
        "vary: origin\r\n",
    ] {
        assert!(stream.head.contains(line), "{line:?} in {}", stream.head);
    }
    assert!(!stream.head.contains("content-encoding"), "{}", stream.head);
    let hello = stream.event().await;
    assert!(matches!(hello.frame, Received::Hello { .. }) && hello.retry.is_some_and(|ms| ms >= 1_000), "{hello:?}");
    let Received::Ready { user, device, inbox, rooms, .. } = stream.expect(is_ready).await else { unreachable!() };
    assert_eq!((user, device.as_str(), inbox.pending), (bob.id, "kiosk", 1));
    assert!(rooms[&LOBBY.parse().unwrap()].recovered);
    assert_eq!(take(&mut stream, 1).await, [json!("before")]);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    adas.call(send(LOBBY, json!({"n": 1}))).await;
    assert_eq!(take(&mut stream, 1).await, [json!({"n": 1})]);
    node.message(&ada, bob.id.0, "live").await;
    assert_eq!(take(&mut stream, 1).await, [json!("live")]);
    drop((stream, adas));
    until_nobody_is_connected(&node).await;
    assert_eq!(node.closed(CloseReason::Gone), 2, "a stream its client left is over, and counted");
    node.stop().await;
}

#[tokio::test]
async fn reconnecting_with_last_event_id_acks_the_inbox_up_to_it_and_goes_on_without_gap_or_repeat() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let mut stream = Events::bearer(node.addr, LOBBY_PATH, &bob.token).await;
    stream.expect(is_ready).await;
    let mut last_id = stream.last_id.clone();
    drop(stream);
    // Cut after one more piece each time: after `ready` alone, in the middle of what was missed, after live ones.
    let (mut sent, mut got) = (Vec::new(), Vec::new());
    for round in 0..6 {
        for n in 0..3 {
            let text = json!(format!("{round}.{n}"));
            adas.call(send(LOBBY, text.clone())).await;
            node.message(&ada, bob.id.0, text.as_str().unwrap()).await;
            sent.push(text);
        }
        let mut stream = Events::resume(node.addr, LOBBY_PATH, &bob.token, &last_id).await;
        stream.expect(is_ready).await;
        got.extend(take(&mut stream, round).await);
        last_id = stream.last_id.clone();
    }
    let mut stream = Events::resume(node.addr, LOBBY_PATH, &bob.token, &last_id).await;
    let acked = inbox_at(&mut stream).await.pos;
    got.extend(take(&mut stream, 2 * sent.len() - got.len()).await);
    // Two sequences, each of them whole and in order, however they were woven.
    for text in &sent {
        assert_eq!(got.iter().filter(|other| *other == text).count(), 2, "{text}: once of each, in {got:?}");
    }
    let mut firsts: Vec<&Value> = Vec::new();
    for text in &got {
        if !firsts.contains(&text) {
            firsts.push(text);
        }
    }
    assert!(firsts.iter().zip(&sent).all(|(got, sent)| *got == sent), "{firsts:?}");
    let stored = node.ops.engine().mailbox.cursor(bob.id, "kiosk").await.unwrap();
    assert_eq!(stored, Some(acked), "what the client had when it came back is acknowledged");
    let (socket, ready) = Socket::resume(node.addr, &bob.token, json!({"device": "kiosk"})).await;
    assert!(matches!(ready, Received::Ready { inbox, .. } if inbox.pos == acked), "{ready:?}");
    drop((stream, adas, socket));
    node.stop().await;
}

#[tokio::test]
async fn an_id_acks_no_inbox_but_the_one_it_comes_from_and_nothing_beyond_its_end() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..3 {
        node.message(&ada, bob.id.0, &n.to_string()).await;
        node.message(&bob, ada.id.0, &n.to_string()).await;
    }
    let mut bobs = Events::bearer(node.addr, "/events?device=shared", &bob.token).await;
    take(&mut bobs, 6).await; // what he sent is in his own inbox, too
    // The same browser, signed in as somebody else.
    let mut adas = Events::resume(node.addr, "/events?device=shared", &ada.token, &bobs.last_id).await;
    assert_eq!(inbox_at(&mut adas).await, ReadyInbox { pos: 0, pending: 6, recovered: true });
    let beyond = bobs.last_id.replacen("6.", "99.", 1);
    let mut future = Events::resume(node.addr, "/events?device=shared", &bob.token, &beyond).await;
    assert_eq!(inbox_at(&mut future).await, ReadyInbox { pos: 0, pending: 6, recovered: false });
    assert_eq!(node.ops.engine().mailbox.cursor(bob.id, "shared").await.unwrap(), None);
}

#[tokio::test]
async fn a_cookie_counts_only_from_a_page_of_ours_and_a_foreign_page_is_refused() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (cookie, bearer) = (cookie(&ada), format!("Bearer {}", ada.token));
    for ours in [("origin", ORIGIN), ("sec-fetch-site", "same-origin")] {
        let mut stream = Events::open(node.addr, "/events", &[("cookie", &cookie), ours]).await.unwrap();
        assert!(matches!(stream.expect(is_ready).await, Received::Ready { user, .. } if user == ada.id));
        let allowed = format!("access-control-allow-origin: {ORIGIN}\r\n");
        assert_eq!(stream.head.contains(&allowed), ours.0 == "origin", "{}", stream.head);
    }
    let refused = async |headers: &[(&str, &str)]| Events::open(node.addr, "/events", headers).await.unwrap_err();
    for site in ["cross-site", "same-site", "none"] {
        assert_eq!(refused(&[("cookie", &cookie), ("sec-fetch-site", site)]).await, 401, "{site}");
    }
    assert_eq!(refused(&[("cookie", &cookie)]).await, 401, "nobody vouches for the page");
    for foreign in ["https://evil.test", "null"] {
        for proof in [("cookie", &*cookie), ("authorization", &*bearer)] {
            assert_eq!(
                refused(&[proof, ("origin", foreign), ("sec-fetch-site", "same-origin")]).await,
                403,
                "{foreign}"
            );
        }
    }
}

#[tokio::test]
async fn who_is_nobody_is_refused_unless_strangers_may_stay_and_then_hears_public_rooms_only() {
    let node = TestNode::start().await;
    let refused = async |headers: &[(&str, &str)]| Events::open(node.addr, "/events", headers).await.unwrap_err();
    assert_eq!(refused(&[]).await, 401);
    for wrong in ["Bearer nonsense", "Bearer ", "Basic eDp5", "Bearer"] {
        assert_eq!(refused(&[("authorization", wrong)]).await, 401, "{wrong:?}");
    }
    let open = TestNode::with(|config| config.allow_anonymous = true).await;
    let (ada, bob) = (open.somebody().await, open.somebody().await);
    let private = format!("conversation:{}", open.conversation(&ada, &bob).await);
    let path = format!("/events?rooms={private}&rooms={LOBBY}");
    let mut stream = Events::open(open.addr, &path, &[]).await.unwrap();
    let answer = stream.expect(|frame| matches!(frame, Received::Error { .. })).await;
    assert!(
        matches!(&answer, Received::Error { room: Some(room), code, .. } if code == "forbidden" && room.as_str() == private)
    );
    stream.expect(|frame| matches!(frame, Received::Joined { room, .. } if room.as_str() == LOBBY)).await;
    let (mut adas, _) = Socket::ready(open.addr, &ada.token).await;
    adas.call(send(LOBBY, json!(1))).await;
    assert_eq!(take(&mut stream, 1).await, [json!(1)]);
    let last_id = stream.last_id.clone();
    drop(stream);
    adas.call(send(LOBBY, json!(2))).await;
    let path = format!("{path}&lastEventId={last_id}");
    let mut again = Events::open(open.addr, &path, &[]).await.unwrap();
    assert_eq!(take(&mut again, 1).await, [json!(2)], "strangers resume rooms, too, by the query if need be");
    let wrong = [("authorization", "Bearer nonsense")];
    assert_eq!(Events::open(open.addr, "/events", &wrong).await.unwrap_err(), 401, "a token that is sent must be good");
}

#[tokio::test]
async fn ids_rooms_users_and_devices_that_are_none_are_refused() {
    let node = TestNode::with(|config| {
        config.limits.rooms = 2;
        config.limits.watches = 1;
    })
    .await;
    let ada = node.somebody().await;
    let bearer = format!("Bearer {}", ada.token);
    let refused = async |path: &str, id: &str| {
        let headers = [("authorization", &*bearer), ("last-event-id", id)];
        Events::open(node.addr, path, &headers).await.unwrap_err()
    };
    for id in ["nonsense", "41", "-41.00000000", "1.00000000~x", "' or 1=1", "\u{fffd}"] {
        assert_eq!(refused("/events", id).await, 400, "{id}");
    }
    for path in [
        "/events?rooms=lobby",
        "/events?rooms=public:a,public:b,public:c",
        "/events?watch=ada",
        &format!("/events?watch={0},{0}", ada.id),
        "/events?device=a%20b",
    ] {
        assert_eq!(refused(path, "").await, 400, "{path}");
    }
    for method in ["POST", "HEAD", "DELETE"] {
        let mut raw = Raw::connect(node.addr).await;
        raw.write(format!("{method} /events HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        let answer = raw.read_all().await;
        assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET, OPTIONS"), "{answer}");
    }
}

#[tokio::test]
async fn a_script_of_another_page_of_ours_may_ask_beforehand() {
    let node = TestNode::start().await;
    for (origin, allowed) in [(ORIGIN, true), ("https://evil.test", false)] {
        let mut raw = Raw::connect(node.addr).await;
        let ask = format!(
            "OPTIONS /events HTTP/1.1\r\nhost: x\r\norigin: {origin}\r\naccess-control-request-method: GET\r\n\
             access-control-request-headers: authorization\r\n\r\n"
        );
        raw.write(ask.as_bytes()).await;
        let answer = raw.read_all().await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        let says = |line: &str| answer.contains(line);
        assert_eq!(says(&format!("access-control-allow-origin: {origin}\r\n")), allowed, "{answer}");
        assert_eq!(says("access-control-allow-methods: GET, OPTIONS\r\n"), allowed, "{answer}");
        assert_eq!(says("last-event-id"), allowed, "{answer}");
    }
}

#[tokio::test]
async fn revoking_a_session_ends_its_event_stream_within_a_second_and_for_good() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let mut stream = Events::bearer(node.addr, LOBBY_PATH, &ada.token).await;
    stream.expect(is_ready).await;
    assert!(node.ops.revoke_session(ada.id, ada.session).await.unwrap());
    let revoked = Instant::now();
    stream.expect_bye(CloseReason::SignedOut).await;
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    let bearer = format!("Bearer {}", ada.token);
    assert_eq!(Events::open(node.addr, "/events", &[("authorization", &bearer)]).await.unwrap_err(), 401);
    node.stop().await;
}

#[tokio::test]
async fn event_streams_count_against_every_limit_of_sockets() {
    let node = TestNode::with(|config| {
        config.limits.connections_per_user = 1;
        config.limits.connections_per_ip = 3;
    })
    .await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let mut oldest = Events::bearer(node.addr, "/events", &ada.token).await;
    oldest.expect(is_ready).await;
    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    oldest.expect_bye(CloseReason::Replaced).await;
    let mut newest = Events::bearer(node.addr, "/events", &ada.token).await;
    newest.expect(is_ready).await;
    socket.expect_close(CloseReason::Replaced).await;
    drop((oldest, socket));
    within(async {
        while node.gateway.connections() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let _others = (Socket::open(node.addr).await, Events::bearer(node.addr, "/events", &bob.token).await);
    let bearer = format!("Bearer {}", bob.token);
    let refused = async |addr| Events::open(addr, "/events", &[("authorization", &bearer)]).await.unwrap_err();
    assert_eq!(refused(node.addr).await, 429);

    let full = TestNode::with(|config| config.limits.connections = 0).await;
    assert_eq!(refused(full.addr).await, 503);
    let short = TestNode::start().await;
    let eve = short.somebody().await;
    let bearer = format!("Bearer {}", eve.token);
    short.gateway.set_memory_ceiling(1);
    let shed = within(async {
        loop {
            match Events::open(short.addr, "/events", &[("authorization", &bearer)]).await {
                Err(status) => return status,
                Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await, // it measures once a second
            }
        }
    });
    assert_eq!(shed.await, 503);
}

#[tokio::test]
async fn a_drain_says_bye_and_when_to_come_back_and_another_node_goes_on_from_there() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let mut stream = Events::bearer(other.addr, LOBBY_PATH, &bob.token).await;
    stream.expect(is_ready).await;
    let hello = stream.retry;
    other.lifecycle.stop();
    let last_id = stream.last_id.clone();
    stream.expect_bye(CloseReason::Drain).await;
    // Drawn from a window of 100 ms, so it may be 0, which is left to the browser.
    assert!(stream.retry == hello || stream.retry.is_some_and(|ms| ms < 100), "{:?}", stream.retry);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    adas.call(send(LOBBY, json!("meanwhile"))).await;
    let mut again = Events::resume(node.addr, LOBBY_PATH, &bob.token, &last_id).await;
    assert_eq!(take(&mut again, 1).await, [json!("meanwhile")]);
    other.stop().await;
    drop((again, adas));
    node.stop().await;
}

/// A node where one may publish as fast as one can, and somebody who does.
async fn flooded() -> (TestNode, Somebody, Socket) {
    let node = TestNode::with(|config| {
        config.limits.frames_per_second = 1_000_000;
        config.limits.frame_burst = 1_000_000;
    })
    .await;
    let ada = node.somebody().await;
    let (adas, _) = Socket::ready(node.addr, &ada.token).await;
    (node, ada, adas)
}

/// A listener in the lobby that reads nothing more, and the events that were published until it was put out of it.
async fn stall(node: &TestNode, listener: &Somebody, adas: &mut Socket) -> (Events, u64) {
    let narrow = Raw::connect_narrow(node.addr).await.stream;
    let bearer = format!("Bearer {}", listener.token);
    let mut stream = Events::over(narrow, LOBBY_PATH, &[("authorization", &bearer)]).await.unwrap();
    stream.expect(is_ready).await;
    adas.call(json!({"type": "join", "room": LOBBY})).await;
    let delivered = || node.metrics.stats().sockets.event_deliveries;
    let filler = "x".repeat(60_000);
    let mut published = 0;
    within(async {
        loop {
            published += 1;
            let before = delivered();
            adas.send(&send(LOBBY, json!([published, filler]))).await;
            adas.event().await;
            if delivered() == before + 1 {
                return; // to whoever publishes, and to nobody else
            }
        }
    })
    .await;
    (stream, published)
}

#[tokio::test]
async fn a_listener_that_stalls_costs_a_pipe_and_is_told_4408_when_it_reads_again() {
    let (node, ada, mut adas) = flooded().await;
    let before = shared::memory::resident().unwrap();
    let (mut stream, published) = stall(&node, &ada, &mut adas).await;
    let grown = shared::memory::resident().unwrap().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes more for one listener that takes nothing");
    let heard = stream.expect_bye(CloseReason::SlowConsumer).await;
    let number = |frame| if let Received::Event { data, .. } = frame { data[0].as_u64() } else { None };
    let numbers: Vec<u64> = heard.into_iter().filter_map(number).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "whole and in order until then: {numbers:?}");
    assert!((numbers.len() as u64) < published);
    // Nothing is lost: it comes back with its last id and gets the rest.
    let mut again = Events::resume(node.addr, LOBBY_PATH, &ada.token, &stream.last_id).await;
    for number in numbers.len() as u64 + 1..=published {
        assert_eq!(take(&mut again, 1).await[0][0], json!(number));
    }
    drop((again, adas, stream));
    until_nobody_is_connected(&node).await;
    assert_eq!(node.closed(CloseReason::SlowConsumer), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_listener_that_never_reads_again_is_cut_off() {
    let alone = TestNode::start().await;
    let tasks_of_a_node = alone.lifecycle.tracker().len();
    alone.stop().await;
    let (node, ada, mut adas) = flooded().await;
    let (stream, _) = stall(&node, &ada, &mut adas).await;
    drop(adas);
    until_nobody_is_connected(&node).await;
    assert_eq!(node.closed(CloseReason::SlowConsumer), 1);
    // Not only forgotten: the connection itself is gone, so nothing is left for the end to wait for.
    within(async {
        while node.lifecycle.tracker().len() > tasks_of_a_node {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    node.stop().await;
    drop(stream);
}

#[tokio::test]
async fn a_quiet_stream_gets_comments_and_lives_on() {
    let node = TestNode::with(|config| {
        config.heartbeat = Duration::from_secs(1);
        config.dead_after = Duration::from_secs(2);
    })
    .await;
    let ada = node.somebody().await;
    let mut stream = Events::bearer(node.addr, "/events", &ada.token).await;
    stream.expect(is_ready).await;
    for _ in 0..4 {
        assert!(matches!(stream.piece().await, Some(Piece::Comment)));
    }
    assert_eq!(node.closed(CloseReason::HeartbeatTimeout), 0);
    drop(stream);
    node.stop().await;
}

#[tokio::test]
async fn a_listener_is_online_and_sees_whom_it_watches() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    node.conversation(&ada, &bob).await;
    let path = format!("/events?watch={}", bob.id);
    let status = async |stream: &mut Events| {
        let frame = stream.expect(|frame| matches!(frame, Received::Presence(_))).await;
        let Received::Presence(state) = frame else { unreachable!() };
        (state.user, state.status)
    };
    let mut adas = Events::bearer(node.addr, &path, &ada.token).await;
    assert_eq!(status(&mut adas).await, (bob.id, Status::Offline));
    let mut bobs = Events::bearer(node.addr, "/events", &bob.token).await;
    bobs.expect(is_ready).await;
    assert_eq!(status(&mut adas).await, (bob.id, Status::Online));
    drop((adas, bobs));
    node.stop().await;
}

#[tokio::test]
async fn who_is_put_out_of_a_room_is_told_and_does_not_come_back_with_its_old_id() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
    let path = format!("/events?rooms={room}");
    let mut stream = Events::bearer(node.addr, &path, &bob.token).await;
    stream.expect(is_ready).await;
    node.ops.engine().members.revoke(&room.parse().unwrap(), bob.id).await.unwrap();
    stream.expect(|frame| matches!(frame, Received::Left { room: left, .. } if left.as_str() == room)).await;
    let mut again = Events::resume(node.addr, &path, &bob.token, &stream.last_id).await;
    let answer = again.expect(|frame| matches!(frame, Received::Error { .. })).await;
    assert!(matches!(answer, Received::Error { code, .. } if code == "forbidden"));
}

#[tokio::test]
async fn an_event_stream_works_over_tls() {
    let authority = Authority::new();
    let node = TestNode::with_tls(&authority, |_| {}).await;
    let ada = node.somebody().await;
    let stream = within(authority.connect(node.addr, &["http/1.1"])).await.unwrap();
    let bearer = format!("Bearer {}", ada.token);
    let mut stream = Events::over(stream, LOBBY_PATH, &[("authorization", &bearer)]).await.unwrap();
    stream.expect(is_ready).await;
    node.lifecycle.stop();
    stream.expect_bye(CloseReason::Drain).await;
    node.stop().await;
}
