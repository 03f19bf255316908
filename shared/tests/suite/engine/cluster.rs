//! Several nodes on one engine are a cluster; that is how multi-node behaviour is tested without Redis.

use super::{
    Fixture, many,
    node::{Node, event_seq},
    some_room,
};
use bytes::Bytes;
use shared::{
    clock::Clock,
    engine::{CachedSession, Control, Delivery, Engine, Incarnation, MailboxEntry, Signal, Topic},
    id::{SessionId, UserId},
    protocol::command::Status,
    secret::Token,
};
use uuid::Uuid;

pub(crate) async fn nodes_that_share_an_engine_hear_each_other(fixture: Fixture) {
    let (here, there) = (fixture.engine.clone(), fixture.engine.clone());
    let (room, user, token, session) = (some_room(), UserId::new(), Token::generate().hash(), SessionId::new());
    let topics = [Topic::Room(room.clone()), Topic::Inbox(user), Topic::Presence(user)];
    let mut node = Node::on(&there, &topics).await;

    here.broker.publish(&room, None, Uuid::now_v7(), "", "").await.unwrap();
    here.mailbox.append(user, &[MailboxEntry { seq: 1, frame: Bytes::new() }]).await.unwrap();
    let incarnation = Incarnation { node: "gw-1".into(), id: Uuid::now_v7() };
    here.presence.join(&incarnation, user, 1, Status::Online).await.unwrap();
    here.sessions.revoke(session, &[token]).await.unwrap();
    here.bell.ring();

    let got = node.settled(&there).await;
    assert_eq!(got.iter().find_map(event_seq), Some(1));
    assert!(got.iter().any(|delivery| matches!(delivery, Delivery::Inbox { seq: 1, .. })));
    assert!(got.iter().any(|delivery| matches!(delivery, Delivery::Signal(_, Signal::Presence(_)))));
    assert!(got.iter().any(|delivery| matches!(delivery, Delivery::Control(Control::SessionRevoked(_)))));
    assert_eq!(there.sessions.get(&token).await.unwrap(), CachedSession::Revoked);
    assert_eq!(there.presence.snapshot(&[user]).await.unwrap()[0].status, Status::Online);
    there.bell.wait().await;
}

pub(crate) async fn two_engines_know_nothing_of_each_other(fixture: Fixture) {
    let (one, other) = (fixture.engine, Engine::memory(Clock::System));
    let room = some_room();
    let mut node = Node::on(&other, &[Topic::Room(room.clone())]).await;
    one.broker.publish(&room, None, Uuid::now_v7(), "", "").await.unwrap();
    assert_eq!(node.event_seqs(&other).await, [0; 0]);
}

pub(crate) async fn any_number_of_typing_signals_leaves_nothing_behind(fixture: Fixture) {
    let (room, user) = (some_room(), UserId::new());
    let topic = Topic::Room(room.clone());
    let mut node = Node::on(&fixture.engine, std::slice::from_ref(&topic)).await;
    let typing = Signal::Typing { user, ttl_ms: 6_000 };
    for _ in 0..fixture.repeat(1_000, 10) {
        many(1_000, async || fixture.engine.broker.signal(&topic, typing).await.unwrap()).await;
        while node.deliveries.try_recv().is_some() {}
    }
    assert!(node.settled(&fixture.engine).await.len() <= 1_024);
    let history = fixture.engine.broker.history(&room, None, 0).await.unwrap();
    assert_eq!(history.top.seq, 0);
}
