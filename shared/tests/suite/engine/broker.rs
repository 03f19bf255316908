//! Delivery: who gets what, in which order, once, and what happens when it does not fit.

use super::{
    Fixture, many,
    node::{Node, event_seq},
    some_room,
};
use futures_util::FutureExt;
use shared::{
    engine::{Control, Delivery, Engine, EngineError, Signal, Topic, broker::HISTORY_AGE, broker::NODE_QUEUE},
    id::{SessionId, UserId},
    protocol::{
        RoomName,
        command::Status,
        event::{PresenceState, Received, room_event_halves},
    },
};
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

pub(crate) async fn a_node_gets_what_is_published_to_its_topics_and_nothing_else(fixture: Fixture) {
    let (mine, other) = (some_room(), some_room());
    let mut node = Node::on(&fixture.engine, &[Topic::Room(mine.clone())]).await;
    fixture.publish(&other).await;
    fixture.publish(&mine).await;
    let got = node.settled(&fixture.engine).await;
    assert!(matches!(&got[..], [Delivery::Event { room, .. }] if *room == mine), "{got:?}");
}

pub(crate) async fn a_frame_is_its_halves_around_the_position(fixture: Fixture) {
    let (room, user) = (some_room(), UserId::new());
    let mut node = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    let data = serde_json::value::to_raw_value(&[1, 2]).unwrap();
    let (before, after) = room_event_halves(&room, Some(user), &data);
    let published = fixture.engine.broker.publish(&room, Some(user), Uuid::now_v7(), &before, &after).await.unwrap();
    let Delivery::Event { pos, frame, .. } = node.next().await else { panic!("an event was published") };
    let Received::Event { room: in_frame, pos: pos_in_frame, .. } = serde_json::from_slice(&frame).unwrap() else {
        panic!("the frame is an event")
    };
    assert_eq!((in_frame, pos_in_frame, pos), (room.clone(), published.pos, published.pos));
    let start = shared::protocol::Position { seq: 0, ..pos };
    let history = fixture.engine.broker.history(&room, Some(start), 10).await.unwrap();
    assert_eq!(history.entries[0].frame, frame, "history has the same bytes");
}

pub(crate) async fn concurrent_publishers_get_contiguous_numbers_and_every_node_sees_them_in_order(fixture: Fixture) {
    const PUBLISHERS: u64 = 8;
    const EACH: u64 = 250;
    let room = some_room();
    let topic = [Topic::Room(room.clone())];
    let mut nodes = [Node::on(&fixture.engine, &topic).await, Node::on(&fixture.engine, &topic).await];
    let mut publishers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        let (engine, room) = (fixture.engine.clone(), room.clone());
        publishers.spawn(async move { publish_contiguous(&engine, &room, EACH).await });
    }
    let mut numbers: Vec<u64> = publishers.join_all().await.concat();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=PUBLISHERS * EACH), "every number once");
    for node in &mut nodes {
        assert!(node.event_seqs(&fixture.engine).await.into_iter().eq(1..=PUBLISHERS * EACH), "every event in order");
    }
}

/// One publisher's numbers, which only grow.
async fn publish_contiguous(engine: &Engine, room: &RoomName, count: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(engine.broker.publish(room, None, Uuid::now_v7(), "", "").await.unwrap().pos.seq);
        tokio::task::yield_now().await;
    }
    assert!(numbers.is_sorted());
    numbers
}

pub(crate) async fn a_repeated_id_gets_the_first_position_and_is_delivered_once(fixture: Fixture) {
    let (room, user, id) = (some_room(), UserId::new(), Uuid::now_v7());
    let mut node = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    let first = fixture.engine.broker.publish(&room, Some(user), id, "a", "b").await.unwrap();
    fixture.publish(&room).await;
    let second = fixture.engine.broker.publish(&room, Some(user), id, "c", "d").await.unwrap();
    assert_eq!((first.repeated, second.repeated, second.pos), (false, true, first.pos));
    assert_eq!(node.event_seqs(&fixture.engine).await, [1, 2]);
    assert_eq!(fixture.publish(&room).await, 3, "a repeat takes no number");
}

pub(crate) async fn a_repeated_id_is_one_event_however_many_send_it_at_once(fixture: Fixture) {
    let (room, id) = (some_room(), Uuid::now_v7());
    let mut node = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    let mut senders = JoinSet::new();
    for _ in 0..50 {
        let (engine, room) = (fixture.engine.clone(), room.clone());
        senders.spawn(async move { engine.broker.publish(&room, None, id, "", "").await.unwrap() });
    }
    let published = senders.join_all().await;
    assert_eq!(published.iter().filter(|published| !published.repeated).count(), 1);
    assert!(published.iter().all(|other| other.pos == published[0].pos && other.pos.seq == 1));
    assert_eq!(node.event_seqs(&fixture.engine).await, [1]);
}

pub(crate) async fn the_same_id_of_another_user_or_room_is_another_event(fixture: Fixture) {
    let (room, other, id) = (some_room(), some_room(), Uuid::now_v7());
    let (a, b) = (UserId::new(), UserId::new());
    for (room, from, seq) in [(&room, Some(a), 1), (&room, Some(b), 2), (&room, None, 3), (&other, Some(a), 1)] {
        let published = fixture.engine.broker.publish(room, from, id, "", "").await.unwrap();
        assert_eq!((published.repeated, published.pos.seq), (false, seq));
    }
}

pub(crate) async fn an_id_is_remembered_for_ten_minutes(fixture: Fixture) {
    let (room, id) = (some_room(), Uuid::now_v7());
    let _listener = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    let publish = async || fixture.engine.broker.publish(&room, None, id, "", "").await.unwrap();
    let first = publish().await;
    fixture.advance(HISTORY_AGE - Duration::from_secs(1)).await;
    assert_eq!((publish().await.repeated, publish().await.pos), (true, first.pos));
    fixture.advance(Duration::from_secs(1)).await;
    let again = publish().await;
    assert_eq!((again.repeated, again.pos.seq), (false, 2), "the ten minutes count from the first time");
}

pub(crate) async fn subscribing_twice_delivers_once(fixture: Fixture) {
    let (room, user) = (some_room(), UserId::new());
    let topics = [Topic::Room(room.clone()), Topic::Room(room.clone()), Topic::Inbox(user), Topic::Inbox(user)];
    let mut node = Node::on(&fixture.engine, &topics).await;
    fixture.publish(&room).await;
    assert_eq!(node.event_seqs(&fixture.engine).await, [1]);
    fixture.engine.broker.unsubscribe(node.id, &Topic::Room(room.clone())).await.unwrap();
    fixture.publish(&room).await;
    assert_eq!(node.event_seqs(&fixture.engine).await, [0; 0], "one unsubscribe ends it");
}

pub(crate) async fn an_unsubscribed_topic_is_silent_and_unsubscribing_again_is_harmless(fixture: Fixture) {
    let (room, kept) = (some_room(), some_room());
    let mut node = Node::on(&fixture.engine, &[Topic::Room(room.clone()), Topic::Room(kept.clone())]).await;
    for _ in 0..2 {
        fixture.engine.broker.unsubscribe(node.id, &Topic::Room(room.clone())).await.unwrap();
    }
    fixture.publish(&room).await;
    fixture.publish(&kept).await;
    let got = node.settled(&fixture.engine).await;
    assert!(matches!(&got[..], [Delivery::Event { room, .. }] if *room == kept), "{got:?}");
}

pub(crate) async fn a_dropped_node_is_detached_and_the_others_go_on(fixture: Fixture) {
    let topic = Topic::Room(some_room());
    let Topic::Room(room) = &topic else { unreachable!("it was just made") };
    let gone = Node::on(&fixture.engine, std::slice::from_ref(&topic)).await;
    let mut here = Node::on(&fixture.engine, std::slice::from_ref(&topic)).await;
    let id = gone.id;
    drop(gone);
    assert!(matches!(fixture.engine.broker.subscribe(id, &topic).await, Err(EngineError::NotAttached)));
    fixture.engine.broker.unsubscribe(id, &topic).await.unwrap();
    fixture.publish(room).await;
    assert_eq!(here.event_seqs(&fixture.engine).await, [1]);
}

pub(crate) async fn an_overflow_is_announced_once_and_then_everything_is_delivered_again(fixture: Fixture) {
    let room = some_room();
    let mut node = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    for round in 0..2 {
        fixture.publish_many(&room, NODE_QUEUE + 1_000).await;
        fixture.arrived().await;
        // Nothing more is published: the announcement comes all the same.
        let mut before = 0;
        while !matches!(node.next().await, Delivery::Lost) {
            before += 1;
        }
        assert!(before <= NODE_QUEUE, "{before}");
        fixture.publish_many(&room, 1_000).await;
        let got = node.settled(&fixture.engine).await;
        assert!(got.iter().all(|delivery| !matches!(delivery, Delivery::Lost)), "announced once, round {round}");
        let top = (round + 1) * (NODE_QUEUE as u64 + 2_000);
        assert!(got.iter().filter_map(event_seq).eq(top - 999..=top), "everything after, round {round}");
    }
}

pub(crate) async fn what_was_dropped_is_in_the_history_when_lost_arrives(fixture: Fixture) {
    let room = some_room();
    let mut node = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    fixture.publish_many(&room, NODE_QUEUE).await;
    let mut publishing = JoinSet::new();
    for _ in 0..4 {
        let (engine, room) = (fixture.engine.clone(), room.clone());
        publishing.spawn(async move { publish_contiguous(&engine, &room, 50).await });
    }
    // While they publish, the node drains. Whatever it did not get by `Lost`, history has; the rest comes live.
    let (mut last, top) = (None, NODE_QUEUE as u64 + 200);
    while last.is_none_or(|pos: shared::protocol::Position| pos.seq < top) {
        match node.next().await {
            Delivery::Event { pos, .. } => {
                assert!(last.is_none_or(|last| pos.seq <= last.seq + 1), "a silent gap before {pos}");
                last = Some(last.map_or(pos, |last| if pos.seq > last.seq { pos } else { last }));
            }
            Delivery::Lost => {
                let history = fixture.engine.broker.history(&room, last, usize::MAX).await.unwrap();
                assert!(history.recovered);
                last = Some(history.top);
            }
            other => panic!("{other:?}"),
        }
    }
    publishing.join_all().await;
}

pub(crate) async fn a_stuck_node_costs_the_others_nothing(fixture: Fixture) {
    let room = some_room();
    let _stuck = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    let mut live = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    let mut seen = Vec::new();
    for _ in 0..2 * NODE_QUEUE / 1_024 {
        fixture.publish_many(&room, 1_024).await;
        seen.extend(live.event_seqs(&fixture.engine).await);
    }
    assert!(seen.into_iter().eq(1..=2 * NODE_QUEUE as u64));
}

pub(crate) async fn signals_reach_the_subscribers_of_their_topic(fixture: Fixture) {
    let (room, user, other) = (some_room(), UserId::new(), UserId::new());
    let mut node = Node::on(&fixture.engine, &[Topic::Room(room.clone()), Topic::Presence(user)]).await;
    let typing = Signal::Typing { user, ttl_ms: 6_000 };
    let online = |user| Signal::Presence(PresenceState { user, status: Status::Online, v: 1, devices: 1 });
    for (topic, signal) in [
        (Topic::Room(room.clone()), typing),
        (Topic::Room(some_room()), typing),
        (Topic::Presence(user), online(user)),
        (Topic::Presence(other), online(other)),
        (Topic::Inbox(user), typing),
    ] {
        fixture.engine.broker.signal(&topic, signal).await.unwrap();
    }
    let got = node.settled(&fixture.engine).await;
    let signal = |wanted| move |delivery: &&Delivery| matches!(delivery, Delivery::Signal(_, got) if *got == wanted);
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!(got.iter().filter(signal(typing)).count(), 1);
    assert_eq!(got.iter().filter(signal(online(user))).count(), 1);
    let history = fixture.engine.broker.history(&room, None, 0).await.unwrap();
    assert_eq!(history.top.seq, 0, "signals are not remembered");
}

pub(crate) async fn typing_gives_way_before_events_do(fixture: Fixture) {
    let room = some_room();
    let topic = Topic::Room(room.clone());
    let mut node = Node::on(&fixture.engine, std::slice::from_ref(&topic)).await;
    many(2 * NODE_QUEUE, || async {
        let typing = Signal::Typing { user: UserId::new(), ttl_ms: 6_000 };
        fixture.engine.broker.signal(&topic, typing).await.unwrap();
    })
    .await;
    fixture.publish_many(&room, 1_000).await;
    let got = node.settled(&fixture.engine).await;
    assert!(got.iter().filter_map(event_seq).eq(1..=1_000));
    assert!(got.iter().all(|delivery| !matches!(delivery, Delivery::Lost)), "nobody is told about lost typing");
}

pub(crate) async fn control_messages_reach_every_node(fixture: Fixture) {
    let mut nodes = [Node::attach(&fixture.engine).await, Node::attach(&fixture.engine).await];
    let controls = [
        Control::SessionRevoked(SessionId::new()),
        Control::UserRevoked(UserId::new()),
        Control::MembershipRevoked(some_room(), UserId::new()),
        Control::Disconnect(UserId::new()),
    ];
    for control in &controls {
        fixture.engine.broker.control(control.clone()).await.unwrap();
    }
    for node in &mut nodes {
        assert_eq!(node.controls(&fixture.engine).await, controls);
    }
}

pub(crate) async fn a_waiting_node_is_woken_and_a_cancelled_wait_loses_nothing(fixture: Fixture) {
    let room = some_room();
    let mut node = Node::on(&fixture.engine, &[Topic::Room(room.clone())]).await;
    assert!(node.deliveries.try_recv().is_none());
    // Polled once, found nothing, dropped: as in a `select!` that another arm won.
    assert!(node.deliveries.recv().now_or_never().is_none());
    let engine = fixture.engine.clone();
    let waiting = tokio::join!(node.next(), async {
        engine.broker.publish(&room, None, Uuid::now_v7(), "", "").await.unwrap();
    });
    assert_eq!(event_seq(&waiting.0), Some(1));
    fixture.publish_many(&room, 10).await;
    let mut batch = Vec::new();
    while batch.len() < 10 {
        let room_left = 4.min(10 - batch.len());
        assert!(node.deliveries.recv_many(&mut batch, room_left).await <= 4);
    }
    assert!(batch.iter().filter_map(event_seq).eq(2..=11));
}
