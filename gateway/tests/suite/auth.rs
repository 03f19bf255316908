//! Who a socket acts for, and when it no longer does.

use crate::node::{ORIGIN, TestNode};
use serde_json::json;
use shared::{
    config::PoolConfig,
    engine::Control,
    protocol::{CloseReason, event::Received},
    secret::TokenHash,
    store::{sessions, testing},
    testkit::{Socket, TestStore},
};
use std::time::Duration;
use tokio::sync::oneshot;

#[tokio::test]
async fn hello_comes_first_and_a_ping_is_answered_before_authentication() {
    let node = TestNode::start().await;
    let mut socket = Socket::open(node.addr).await;
    let Received::Hello { heartbeat, max, .. } = socket.frame().await else { panic!("hello comes first") };
    assert_eq!((heartbeat, max), (30_000, 65_536));
    let Received::Pong { t, id } = socket.call(json!({"type": "ping", "id": "p", "t": [1]})).await else { panic!() };
    assert_eq!((t, id), (Some(json!([1])), Some(json!("p"))));
    drop(socket);
    node.stop().await;
}

#[tokio::test]
async fn a_session_token_authenticates_and_the_device_defaults_to_the_session() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (_socket, ready) = Socket::ready(node.addr, &ada.token).await;
    let Received::Ready { user, device, inbox, .. } = ready else { unreachable!() };
    assert_eq!((user, device), (ada.id, ada.session.to_string()));
    assert_eq!((inbox.pos, inbox.pending, inbox.recovered), (0, 0, true));
    let (_other, ready) = Socket::resume(node.addr, &ada.token, json!({"device": "phone"})).await;
    assert!(matches!(ready, Received::Ready { device, .. } if device == "phone"));
}

#[tokio::test]
async fn a_cookie_counts_only_with_an_allowed_origin() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let cookie = format!("theme=dark; pitchey-session={}", ada.token);

    let mut page =
        Socket::upgrade(node.addr, "/ws?device=web", &[("origin", ORIGIN), ("cookie", &cookie)]).await.unwrap();
    let ready = page.expect(|frame| matches!(frame, Received::Ready { .. })).await;
    assert!(matches!(ready, Received::Ready { user, device, .. } if user == ada.id && device == "web"));

    let mut script = Socket::upgrade(node.addr, "/ws", &[("cookie", &cookie)]).await.unwrap();
    let refused = script.call(json!({"type": "presence", "status": "away"})).await;
    assert!(matches!(refused, Received::Error { code, .. } if code == "unauthenticated"));
}

#[tokio::test]
async fn with_a_cookie_ready_comes_by_itself_and_a_later_auth_may_still_carry_positions() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..3 {
        node.message(&ada, bob.id.0, &format!("{n}")).await;
    }
    let cookie = format!("pitchey-session={}", bob.token);
    let headers = [("origin", ORIGIN), ("cookie", cookie.as_str())];
    let mut page = Socket::upgrade(node.addr, "/ws", &headers).await.unwrap();
    assert!(matches!(page.frame().await, Received::Hello { .. }));
    assert!(matches!(page.frame().await, Received::Ready { id: None, .. }));
    for pos in 1..=3 {
        assert_eq!(page.inbox().await.0, pos);
    }
    let Received::Ready { inbox, .. } = page.call(json!({"type": "auth", "inbox": "2"})).await else { panic!() };
    assert_eq!((inbox.pos, inbox.pending), (2, 1));
    assert_eq!(page.inbox().await.0, 3, "the replay started over where the client says it is");
    assert!(page.quiet().await.is_empty());
}

#[tokio::test]
async fn a_client_that_announces_its_positions_is_replayed_to_once_although_its_cookie_came_first() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    for n in 0..5 {
        node.message(&ada, bob.id.0, &format!("{n}")).await;
    }
    let cookie = format!("pitchey-session={}", bob.token);
    let headers = [("origin", ORIGIN), ("cookie", cookie.as_str())];
    let mut page = Socket::upgrade(node.addr, "/ws?device=web&resume=1", &headers).await.unwrap();
    assert!(matches!(page.frame().await, Received::Hello { .. }));
    assert!(page.quiet().await.is_empty(), "nothing comes before the client said where it is");
    let refused = page.call(json!({"type": "presence", "status": "away"})).await;
    assert!(matches!(refused, Received::Error { code, .. } if code == "unauthenticated"));
    let Received::Ready { user, device, inbox, .. } = page.call(json!({"type": "auth", "inbox": "3"})).await else {
        panic!()
    };
    assert_eq!((user, device.as_str(), inbox.pos, inbox.pending), (bob.id, "web", 3, 2));
    assert_eq!((page.inbox().await.0, page.inbox().await.0), (4, 5));
    assert!(page.quiet().await.is_empty());
}

#[tokio::test]
async fn a_cookie_whose_session_ends_while_its_client_takes_its_time_is_worth_nothing() {
    let node = TestNode::with(|config| config.allow_anonymous = true).await;
    let ada = node.somebody().await;
    let cookie = format!("pitchey-session={}", ada.token);
    let headers = [("origin", ORIGIN), ("cookie", cookie.as_str())];
    let mut page = Socket::upgrade(node.addr, "/ws?resume=1", &headers).await.unwrap();
    page.quiet().await;
    assert!(node.ops.revoke_session(ada.id, ada.session).await.unwrap());
    node.ops.clock().advance(Duration::from_mins(5)); // long after the engine has forgotten when that was
    for _ in 0..2 {
        let refused = page.call(json!({"type": "auth"})).await;
        assert!(matches!(refused, Received::Error { code, .. } if code == "invalid"));
    }
    let refused = page.call(json!({"type": "presence", "status": "away"})).await;
    assert!(matches!(refused, Received::Error { code, .. } if code == "unauthenticated"));
    let bob = node.somebody().await;
    let Received::Ready { user, .. } = page.call(json!({"type": "auth", "token": bob.token})).await else { panic!() };
    assert_eq!(user, bob.id, "who has a token needs no cookie");
}

#[tokio::test]
async fn a_page_whose_session_cannot_be_checked_is_told_to_come_back_and_not_let_in_as_nobody() {
    let pool = PoolConfig { max_size: 1, wait_timeout: Duration::from_millis(50), ..PoolConfig::default() };
    let node = TestNode::over(TestStore::sqlite_with(pool).await).await;
    let ada = node.somebody().await;
    let (taken, is_taken) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let store = node.ops.store().clone();
    // The only connection that reads: to the gateway the store is away.
    let occupied = node.lifecycle.tracker().spawn(async move {
        let hold = async move |_: &mut _| {
            let _ = taken.send(());
            let _ = released.await;
            Ok(())
        };
        store.read("test.occupy", hold).await
    });
    is_taken.await.unwrap();
    let cookie = format!("pitchey-session={}", ada.token);
    let headers = [("origin", ORIGIN), ("cookie", cookie.as_str())];
    let lines = format!("Origin: {ORIGIN}\r\nCookie: {cookie}\r\n");
    let answer = crate::raw::raw_upgrade(node.addr, &lines).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: "), "{answer}");
    let mut script = Socket::open(node.addr).await;
    script.send(&json!({"type": "auth", "token": ada.token})).await;
    script.expect_close(CloseReason::Overloaded).await;
    let mut page = Socket::upgrade(node.addr, "/ws?resume=1", &headers).await.unwrap();
    page.send(&json!({"type": "auth"})).await;
    page.expect_close(CloseReason::Overloaded).await;

    drop(release);
    occupied.await.unwrap().unwrap();
    let mut page = Socket::upgrade(node.addr, "/ws", &headers).await.unwrap();
    let ready = page.expect(|frame| matches!(frame, Received::Ready { .. })).await;
    assert!(matches!(ready, Received::Ready { user, .. } if user == ada.id));
    drop((script, page));
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_announces_its_positions_and_never_names_them_is_closed_in_time() {
    let node = TestNode::with(|config| config.auth_timeout = Duration::from_secs(1)).await;
    let ada = node.somebody().await;
    let cookie = format!("pitchey-session={}", ada.token);
    let headers = [("origin", ORIGIN), ("cookie", cookie.as_str())];
    let mut page = Socket::upgrade(node.addr, "/ws?resume=1", &headers).await.unwrap();
    page.expect_close(CloseReason::AuthTimeout).await;
}

#[tokio::test]
async fn a_cross_origin_page_is_told_so_and_never_acts_for_the_cookies_owner() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let cookie = format!("pitchey-session={}", ada.token);
    let headers = [("origin", "https://evil.test"), ("cookie", cookie.as_str())];
    let mut page = Socket::upgrade(node.addr, "/ws", &headers).await.unwrap();
    page.expect_close(CloseReason::ForbiddenOrigin).await;
}

#[tokio::test]
async fn a_forged_origin_is_no_origin_of_ours_however_much_it_looks_like_one() {
    let node = TestNode::with(|config| config.limits.handshakes_per_second = 10_000).await;
    let ada = node.somebody().await;
    let cookie = format!("pitchey-session={}", ada.token);
    for forged in [
        "null",
        "http://pitchey.test",
        "https://pitchey.test.evil.test",
        "https://evil.test/https://pitchey.test",
        "https://pitchey.test@evil.test",
        "https://pitchey.test:8443",
        "https://xpitchey.test",
        "https://www.pitchey.test",
        "",
    ] {
        let headers = [("origin", forged), ("cookie", cookie.as_str())];
        let mut page = Socket::upgrade(node.addr, "/ws", &headers).await.unwrap();
        page.expect_close(CloseReason::ForbiddenOrigin).await;
    }
    // A second line beside a good one, in either order.
    for pair in [[ORIGIN, "https://evil.test"], ["https://evil.test", ORIGIN]] {
        let headers = [("origin", pair[0]), ("origin", pair[1]), ("cookie", cookie.as_str())];
        let mut page = Socket::upgrade(node.addr, "/ws", &headers).await.unwrap();
        page.expect_close(CloseReason::ForbiddenOrigin).await;
    }
}

#[tokio::test]
async fn a_token_in_the_url_authenticates_nobody() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let path = format!("/ws?token={0}&access_token={0}&ticket={0}", ada.token);
    let mut socket = Socket::upgrade(node.addr, &path, &[("origin", ORIGIN)]).await.unwrap();
    let bearer = format!("bearer.{}, pitchey.v1", ada.token);
    let answer = crate::raw::raw_head(node.addr, &format!("Sec-WebSocket-Protocol: {bearer}\r\n")).await;
    assert!(answer.contains("sec-websocket-protocol: pitchey.v1\r\n"), "{answer}");
    assert!(!answer.contains(&ada.token), "a bearer entry is never echoed: {answer}");
    let refused = socket.call(json!({"type": "presence", "status": "away"})).await;
    assert!(matches!(refused, Received::Error { code, .. } if code == "unauthenticated"));
}

#[tokio::test]
async fn after_logout_neither_the_token_nor_the_cookie_nor_an_unused_ticket_is_worth_anything_on_any_node() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let ada = node.somebody().await;
    let ticket = node.ops.issue_ticket(&node.identity(&ada).await).await.unwrap();
    assert!(node.ops.revoke_session(ada.id, ada.session).await.unwrap());
    for addr in [node.addr, other.addr] {
        for token in [&ada.token, ticket.expose()] {
            let mut socket = Socket::open(addr).await;
            socket.send(&json!({"type": "auth", "token": token})).await;
            socket.expect_close(CloseReason::BadToken).await;
        }
        let cookie = format!("pitchey-session={}", ada.token);
        let headers = [("origin", ORIGIN), ("cookie", cookie.as_str())];
        let mut page = Socket::upgrade(addr, "/ws", &headers).await.unwrap();
        let refused = page.call(json!({"type": "presence", "status": "away"})).await;
        assert!(matches!(refused, Received::Error { code, .. } if code == "unauthenticated"));
    }
    other.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn a_ticket_replayed_on_two_nodes_at_once_opens_one_of_them() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let ada = node.somebody().await;
    for _ in 0..20 {
        let ticket = node.ops.issue_ticket(&node.identity(&ada).await).await.unwrap();
        let redeem = async |addr| {
            let mut socket = Socket::open(addr).await;
            socket.send(&json!({"type": "auth", "token": ticket.expose()})).await;
            let opened = |frame: &Received| matches!(frame, Received::Ready { .. } | Received::Bye { .. });
            matches!(socket.expect(opened).await, Received::Ready { .. })
        };
        let (here, there) = tokio::join!(redeem(node.addr), redeem(other.addr));
        assert!(here ^ there, "here {here}, there {there}");
    }
    other.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn an_operator_can_disconnect_a_user_who_may_come_back() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    node.ops.engine().broker.control(Control::Disconnect(ada.id)).await.unwrap();
    adas.expect_close(CloseReason::Disconnected).await;
    Socket::ready(node.addr, &ada.token).await;
}

#[tokio::test]
async fn unauthenticated_sockets_stay_where_anonymous_ones_are_allowed_and_may_only_join_public_rooms() {
    let node = TestNode::with(|config| {
        config.auth_timeout = Duration::from_secs(1);
        config.allow_anonymous = true;
    })
    .await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let private = format!("conversation:{}", node.conversation(&ada, &bob).await);
    let mut strict = Socket::open(node.addr).await;
    for (command, answer) in [
        (json!({"type": "join", "room": crate::node::LOBBY}), None),
        (json!({"type": "join", "room": private}), Some("unauthenticated")),
        (crate::node::send(crate::node::LOBBY, json!(1)), Some("unauthenticated")),
        (json!({"type": "typing", "room": crate::node::LOBBY}), Some("unauthenticated")),
        (json!({"type": "watch", "users": [ada.id]}), Some("unauthenticated")),
        (json!({"type": "ack", "pos": "0"}), Some("unauthenticated")),
    ] {
        let code = match strict.call(command.clone()).await {
            Received::Error { code, .. } => Some(code),
            _ => None,
        };
        assert_eq!(code.as_deref(), answer, "{command}");
    }
    // Past the moment at which it would have been closed: somebody who may not stay elsewhere is.
    let picky = TestNode::with(|config| config.auth_timeout = Duration::from_secs(2)).await;
    Socket::open(picky.addr).await.expect_close(CloseReason::AuthTimeout).await;
    strict.quiet().await;
}

#[tokio::test]
async fn a_ticket_works_once() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let ticket = node.ops.issue_ticket(&node.identity(&ada).await).await.unwrap();
    let (_socket, ready) = Socket::ready(node.addr, ticket.expose()).await;
    assert!(matches!(ready, Received::Ready { user, .. } if user == ada.id));
    let mut replay = Socket::open(node.addr).await;
    replay.send(&json!({"type": "auth", "token": ticket.expose()})).await;
    replay.expect_close(CloseReason::BadToken).await;
}

#[tokio::test]
async fn an_unknown_token_is_told_so_and_closed_for_good() {
    let node = TestNode::start().await;
    let mut socket = Socket::open(node.addr).await;
    socket.send(&json!({"type": "auth", "token": "eyJhbGciOiJIUzI1NiJ9.e30.x"})).await;
    socket.expect_close(CloseReason::BadToken).await;
}

#[tokio::test]
async fn revoking_a_session_closes_its_sockets_on_every_node_and_spares_the_others() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut here, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut there, _) = Socket::ready(other.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    assert!(node.ops.revoke_session(ada.id, ada.session).await.unwrap());
    here.expect_close(CloseReason::SignedOut).await;
    there.expect_close(CloseReason::SignedOut).await;
    assert!(bobs.quiet().await.is_empty());

    let mut again = Socket::open(node.addr).await;
    again.send(&json!({"type": "auth", "token": ada.token})).await;
    again.expect_close(CloseReason::BadToken).await;
    drop(bobs);
    other.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn a_socket_that_does_not_authenticate_in_time_is_closed() {
    let node = TestNode::with(|config| config.auth_timeout = std::time::Duration::from_secs(1)).await;
    Socket::open(node.addr).await.expect_close(CloseReason::AuthTimeout).await;
}

#[tokio::test]
async fn one_socket_too_many_closes_the_users_oldest() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (mut first, _) = Socket::ready(node.addr, &ada.token).await;
    let mut others = Vec::new();
    for _ in 1..10 {
        others.push(Socket::ready(node.addr, &ada.token).await.0);
    }
    first.quiet().await;
    others.push(Socket::ready(node.addr, &ada.token).await.0);
    first.expect_close(CloseReason::Replaced).await;
    for other in &mut others {
        other.quiet().await;
    }
}

#[tokio::test]
async fn a_second_identity_on_one_socket_is_refused() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    let refused = socket.call(json!({"type": "auth", "token": bob.token})).await;
    assert!(matches!(refused, Received::Error { code, .. } if code == "already_authenticated"));
}

#[tokio::test]
async fn a_client_of_another_protocol_version_is_told_so() {
    let node = TestNode::start().await;
    let mut socket = Socket::upgrade(node.addr, "/ws", &[("sec-websocket-protocol", "pitchey.v1")]).await.unwrap();
    assert!(matches!(socket.frame().await, Received::Hello { .. }));
    // A client library refuses an answer without the protocol it asked for, so the handshake is written by hand.
    let answer = crate::raw::raw_upgrade(node.addr, "Sec-WebSocket-Protocol: pitchey.v2\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101") && answer.contains("protocol version"), "{answer}");
}

#[tokio::test]
async fn a_revocation_among_lost_deliveries_closes_its_sockets_all_the_same() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    // Past the functions that would tell anybody.
    let end_adas = "delete from sessions where id = (select min(id) from sessions)";
    node.ops.store().tx("test.end", async |tx| testing::execute(tx, end_adas).await).await.unwrap();
    assert!(adas.quiet().await.is_empty());
    node.lose_deliveries().await;
    adas.expect_close(CloseReason::SignedOut).await;
    bobs.quiet().await;
}

#[tokio::test]
async fn a_session_prolonged_elsewhere_keeps_its_sockets_and_one_that_ended_is_closed_4401() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    let now = node.ops.clock().now();
    let later = now + Duration::from_hours(1);
    let (token, since) = (TokenHash::of(&ada.token), now + Duration::from_secs(1));
    let prolong = async |tx: &mut _| sessions::refresh(tx, ada.session, token, since, later).await;
    assert!(node.ops.store().tx("test.prolong", prolong).await.unwrap());
    node.ops.clock().advance(Duration::from_mins(20));
    bobs.expect_close(CloseReason::SessionExpired).await;
    adas.quiet().await;
}
