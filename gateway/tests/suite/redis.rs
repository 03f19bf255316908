//! A gateway on a real Redis: two nodes with nothing but it between them, and what a cut or a lost server may not do: lose
//! anything in silence, keep a socket open longer than its session, or close the others.

use crate::{
    node::{LOBBY, TestNode, send},
    rooms::{THE_YOUNGER_LEAVES, join},
};
use serde_json::json;
use shared::{
    protocol::{CloseReason, Position, command::Status, event::Received},
    store::testing,
    testkit::{Proxy, RedisOptions, RedisServer, Socket, available, socket::within},
};
use std::time::Duration;

async fn server() -> Option<RedisServer> {
    available("Redis", RedisServer::start(&RedisOptions::default()).await)
}

/// Waits until both of the node's connections to Redis are up, or neither is.
async fn until(node: &TestNode, up: bool) {
    within(async {
        loop {
            let health = node.ops.engine().health().unwrap();
            if health.commands.up == up && health.subscriptions.up == up {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_revoked_while_redis_is_away_loses_its_sockets_on_its_return_and_the_others_stay() {
    let Some(server) = server().await else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let node = TestNode::on_redis(server.url_through(proxy.addr())).await;
    until(&node, true).await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;

    proxy.refuse().await;
    until(&node, false).await;
    assert!(node.ops.revoke_session(ada.id, ada.session).await.unwrap());
    let mut late = Socket::open(node.addr).await;
    late.send(&json!({"type": "auth", "token": ada.token})).await;
    late.expect_close(CloseReason::Overloaded).await; // it might have been a ticket

    proxy.pass();
    adas.expect_close(CloseReason::SignedOut).await;
    assert!(matches!(bobs.call(json!({"type": "ping"})).await, Received::Pong { .. }));
    drop(bobs);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_ticket_is_not_called_bad_because_redis_is_away_and_works_when_it_is_back() {
    let Some(server) = server().await else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let node = TestNode::on_redis(server.url_through(proxy.addr())).await;
    until(&node, true).await;
    let ada = node.somebody().await;
    let ticket = node.ops.issue_ticket(&node.identity(&ada).await).await.unwrap();
    proxy.refuse().await;
    until(&node, false).await;
    let mut early = Socket::open(node.addr).await;
    early.send(&json!({"type": "auth", "token": ticket.expose()})).await;
    early.expect_close(CloseReason::Overloaded).await;
    proxy.pass();
    until(&node, true).await;
    let (socket, ready) = Socket::ready(node.addr, ticket.expose()).await;
    assert!(matches!(ready, Received::Ready { user, .. } if user == ada.id));
    drop((early, socket));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_goes_on_where_it_was_on_another_node() {
    let Some(server) = server().await else { return };
    let node = TestNode::on_redis(server.url()).await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::resume(node.addr, &bob.token, json!({"device": "web"})).await;
    let (at, _) = join(&mut bobs, LOBBY, None).await;
    node.message(&ada, bob.id.0, "1").await;
    assert_eq!(bobs.inbox().await.0, 1);
    bobs.call(json!({"type": "ack", "pos": "1"})).await;
    drop(bobs);

    for n in 1..=90_u64 {
        adas.call(send(LOBBY, json!(n))).await;
    }
    node.message(&ada, bob.id.0, "2").await;
    let (mut back, ready) =
        Socket::resume(other.addr, &bob.token, json!({"device": "web", "rooms": {LOBBY: at}})).await;
    let Received::Ready { inbox, rooms, .. } = ready else { panic!() };
    let resumed = rooms.values().next().unwrap();
    assert_eq!((resumed.pos, resumed.recovered), (Position { seq: at.seq + 90, ..at }, true));
    assert_eq!((inbox.pos, inbox.recovered), (1, true)); // the second may still be on its way to the mailbox
    // Live on both sides of the replay, from the node on which it was not published.
    adas.call(send(LOBBY, json!(91))).await;
    let (mut events, mut entries) = (Vec::new(), Vec::new());
    while events.len() < 91 || entries.is_empty() {
        match back.frame().await {
            Received::Event { pos, data, .. } => events.push((pos.seq - at.seq, data)),
            Received::Inbox { pos, .. } => entries.push(pos),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events, (1..=91).map(|n| (n, json!(n))).collect::<Vec<_>>());
    assert_eq!(entries, [2]);
    drop((adas, back));
    other.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_closes_sockets_on_the_other_node_too() {
    let Some(server) = server().await else { return };
    let node = TestNode::on_redis(server.url()).await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
    let (mut here, _) = Socket::ready(node.addr, &bob.token).await;
    let (mut there, _) = Socket::ready(other.addr, &bob.token).await;
    let (mut adas, _) = Socket::ready(other.addr, &ada.token).await;
    join(&mut there, &room, None).await;
    node.ops.engine().members.revoke(&room.parse().unwrap(), bob.id).await.unwrap();
    let left = there.expect(|frame| matches!(frame, Received::Left { .. })).await;
    assert!(matches!(left, Received::Left { room: which, .. } if which.as_str() == room));
    assert!(node.ops.revoke_session(bob.id, bob.session).await.unwrap());
    here.expect_close(CloseReason::SignedOut).await;
    there.expect_close(CloseReason::SignedOut).await;
    adas.quiet().await;
    drop((here, there, adas));
    other.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_id_sent_at_once_through_two_nodes_is_one_event() {
    let Some(server) = server().await else { return };
    let node = TestNode::on_redis(server.url()).await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut here, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut there, _) = Socket::ready(other.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(other.addr, &bob.token).await;
    let (start, _) = join(&mut bobs, LOBBY, None).await;
    for n in 1..=20_u64 {
        let command = send(LOBBY, json!(n));
        let (a, b) = tokio::join!(here.call(command.clone()), there.call(command));
        let (Received::Ack { pos: Some(a), .. }, Received::Ack { pos: Some(b), .. }) = (a, b) else { panic!() };
        assert_eq!((a, b), (Position { seq: start.seq + n, ..start }, a));
        assert_eq!(bobs.event().await, (start.seq + n, json!(n)), "delivered once, or the next one has another number");
    }
    drop((here, there, bobs));
    other.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_redis_makes_members_reload_once_and_loses_nothing_that_is_durable() {
    let Some(server) = server().await else { return };
    let node = TestNode::on_redis(server.url()).await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    node.message(&ada, bob.id.0, "1").await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::resume(other.addr, &bob.token, json!({"device": "web"})).await;
    assert_eq!(bobs.inbox().await.0, 1);
    let (start, _) = join(&mut bobs, LOBBY, None).await;
    adas.call(send(LOBBY, json!("before"))).await;
    assert_eq!(bobs.event().await.1, json!("before"));

    server.flush().await;
    adas.call(send(LOBBY, json!("the first of another life"))).await;
    let reload = bobs.expect(|frame| matches!(frame, Received::Joined { .. })).await;
    let Received::Joined { id: None, pos, recovered: false, .. } = reload else { panic!("{reload:?}") };
    assert_ne!(pos.epoch, start.epoch);
    for n in 0..3 {
        adas.call(send(LOBBY, json!(n))).await;
    }
    for n in 0..3 {
        let event = bobs.frame().await;
        let Received::Event { pos: at, data, .. } = event else { panic!("told again: {event:?}") };
        assert_eq!((at.epoch, at.seq, data), (pos.epoch, pos.seq + n + 1, json!(n)));
    }
    node.message(&ada, bob.id.0, "2").await;
    assert_eq!(bobs.inbox().await.0, 2, "what is live goes on");
    let (mut again, _) = Socket::resume(node.addr, &bob.token, json!({"device": "web", "inbox": "0"})).await;
    assert_eq!((again.inbox().await.0, again.inbox().await.0), (1, 2));
    let stale = join(&mut again, LOBBY, Some(Position { seq: start.seq + 1, ..start })).await;
    assert_eq!((stale.0.epoch, stale.1), (pos.epoch, false));
    drop((adas, bobs, again));
    other.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_cut_and_a_flush_every_entry_comes_and_who_left_a_room_is_out_of_it() {
    let Some(server) = server().await else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let node = TestNode::on_redis(server.url_through(proxy.addr())).await;
    until(&node, true).await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
    let (mut adas, _) = Socket::resume(node.addr, &ada.token, json!({"inbox": "1"})).await;
    let (mut bobs, _) = Socket::resume(node.addr, &bob.token, json!({"inbox": "1"})).await;
    join(&mut adas, &room, None).await;
    join(&mut bobs, &room, None).await;

    proxy.refuse().await;
    until(&node, false).await;
    node.message(&ada, bob.id.0, "while it is away").await;
    node.ops.store().tx("test.leave", async |tx| testing::execute(tx, THE_YOUNGER_LEAVES).await).await.unwrap();
    server.flush().await;
    proxy.pass();

    let (mut entry, mut left) = (None, None);
    while entry.is_none() || left.is_none() {
        match bobs.frame().await {
            Received::Inbox { pos, .. } => entry = Some(pos),
            Received::Left { room: which, .. } => left = Some(which),
            Received::Joined { recovered: false, .. } => {} // the room of another life, before he was put out of it
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((entry, left.unwrap().as_str()), (Some(2), room.as_str()));
    until(&node, true).await;
    let answer = bobs.call(json!({"type": "join", "room": room})).await;
    assert!(matches!(answer, Received::Error { code, .. } if code == "forbidden"));
    let said = adas.call(send(&room, json!("still here"))).await;
    assert!(matches!(said, Received::Ack { .. }), "{said:?}");
    drop((adas, bobs));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_whose_presence_cannot_be_told_is_let_in_and_told_of_later() {
    let Some(server) = server().await else { return };
    let node = TestNode::on_redis(server.url()).await;
    let ada = node.somebody().await;
    // What the roster keeps of her is of a kind that no script expects: to her alone, presence does not answer.
    let key = format!("pitchey:{{presence}}user:{}", ada.id);
    server.call(&["SET", &key, "broken"]).await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    adas.quiet().await;
    server.call(&["DEL", &key]).await;
    let presence = &node.ops.engine().presence;
    within(async {
        while presence.snapshot(&[ada.id]).await.unwrap()[0].status != Status::Online {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    drop(adas);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_its_last_writes_is_told_again_who_is_here_and_who_is_not() {
    let Some(server) = available("Redis", RedisServer::start(&RedisOptions::default()).await) else { return };
    let node = TestNode::on_redis(server.url()).await;
    let presence = node.ops.engine().presence.clone();
    let (ada, bob, eve) = (node.somebody().await, node.somebody().await, node.somebody().await);
    let users = [ada.id, bob.id, eve.id];
    let until_devices = async |wanted: [u32; 3]| {
        let are = async || {
            let states = presence.snapshot(&users).await.unwrap_or_default();
            states.into_iter().map(|state| state.devices).eq(wanted)
        };
        within(async {
            while !are().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    let (adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut eves, _) = Socket::ready(node.addr, &eve.token).await;
    until_devices([1, 0, 1]).await;
    server.call(&["SAVE"]).await;
    drop(adas);
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    until_devices([0, 1, 1]).await;

    server.kill();
    server.start_again().await.unwrap();
    until_devices([0, 1, 1]).await;
    for socket in [&mut bobs, &mut eves] {
        assert!(matches!(socket.call(json!({"type": "ping"})).await, Received::Pong { .. }));
    }
    drop((bobs, eves));
    node.stop().await;
}
