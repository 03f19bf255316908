//! Rooms: numbered events, the join gate, recovery, idempotent sends, who may enter.

use crate::node::{LOBBY, TestNode, send};
use serde_json::{Map, json};
use shared::{
    protocol::{Position, event::Received},
    store::testing,
    testkit::{Socket, socket::within},
};
use std::time::{Duration, Instant};

/// A conversation's younger account is no longer in it, past the functions that would tell anybody.
pub(crate) const THE_YOUNGER_LEAVES: &str = "update conversation_participants set left_at = joined_at
    where user_id = (select max(user_id) from conversation_participants)";

pub(crate) async fn join(socket: &mut Socket, room: &str, pos: Option<Position>) -> (Position, bool) {
    match socket.call(json!({"type": "join", "room": room, "pos": pos})).await {
        Received::Joined { pos, recovered, .. } => (pos, recovered),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_reaches_everybody_in_the_room_on_every_node_with_one_position() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut here, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut there, _) = Socket::ready(other.addr, &bob.token).await;
    let (start, _) = join(&mut here, LOBBY, None).await;
    join(&mut there, LOBBY, None).await;
    for n in 1..=50_u64 {
        let Received::Ack { pos, .. } = here.call(send(LOBBY, json!(n))).await else { panic!() };
        assert_eq!(pos.unwrap(), Position { seq: start.seq + n, ..start });
    }
    for n in 1..=50_u64 {
        assert_eq!(there.event().await, (start.seq + n, json!(n)));
    }
    drop((here, there));
    other.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn a_position_is_handed_out_even_if_nothing_was_ever_published() {
    let node = TestNode::start().await;
    let mut socket = Socket::open(node.addr).await;
    let (first, recovered) = join(&mut socket, LOBBY, None).await;
    assert_eq!((first.seq, recovered), (0, true));
    assert_eq!(join(&mut socket, LOBBY, Some(first)).await, (first, true));
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_missed_once_and_in_order() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    let (at, _) = join(&mut bobs, LOBBY, None).await;
    drop(bobs);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    for n in 1..=90_u64 {
        adas.call(send(LOBBY, json!(n))).await;
    }
    // 90 events are more than one page of replay; the rest is published while the replay runs.
    let (mut back, ready) = Socket::resume(node.addr, &bob.token, json!({"rooms": {LOBBY: at}})).await;
    let Received::Ready { rooms, .. } = ready else { unreachable!() };
    let resumed = rooms.values().next().unwrap();
    assert_eq!((resumed.pos.seq, resumed.recovered), (at.seq + 90, true));
    let publishing = async {
        for n in 91..=99_u64 {
            adas.call(send(LOBBY, json!(n))).await;
        }
    };
    let reading = async {
        for n in 1..=99_u64 {
            assert_eq!(back.event().await, (at.seq + n, json!(n)));
        }
    };
    tokio::join!(publishing, reading);
}

#[tokio::test]
async fn a_position_of_another_life_answers_recovered_false_and_never_a_partial_replay() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    socket.call(send(LOBBY, json!(1))).await;
    let stale: Position = "zz:1".parse().unwrap();
    let (top, recovered) = join(&mut socket, LOBBY, Some(stale)).await;
    assert_eq!((top.seq, recovered), (1, false));
    assert!(socket.quiet().await.is_empty(), "nothing is replayed");
    let beyond = Position { seq: top.seq + 5, ..top };
    assert_eq!(join(&mut socket, LOBBY, Some(beyond)).await, (top, false));
}

#[tokio::test]
async fn a_repeated_send_answers_with_the_first_position_and_is_delivered_once() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    let (start, _) = join(&mut bobs, LOBBY, None).await;
    let command = send(LOBBY, json!("once"));
    let mut positions = Vec::new();
    for _ in 0..3 {
        let Received::Ack { pos, .. } = adas.call(command.clone()).await else { panic!() };
        positions.push(pos.unwrap());
    }
    let first = Position { seq: start.seq + 1, ..start };
    assert_eq!(positions, [first; 3]);
    adas.call(send(LOBBY, json!("another"))).await;
    assert_eq!(bobs.event().await, (first.seq, json!("once")));
    assert_eq!(bobs.event().await, (first.seq + 1, json!("another")), "nothing came in between");
    assert!(bobs.quiet().await.is_empty());
}

#[tokio::test]
async fn the_same_id_sent_at_once_from_two_nodes_is_one_event() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut here, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut there, _) = Socket::ready(other.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
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

#[tokio::test]
async fn a_room_one_has_left_is_silent() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    join(&mut socket, LOBBY, None).await;
    assert!(matches!(socket.call(json!({"type": "leave", "room": LOBBY})).await, Received::Left { .. }));
    socket.call(send(LOBBY, json!(1))).await;
    assert!(socket.quiet().await.is_empty());
}

#[tokio::test]
async fn only_configured_public_rooms_and_rooms_one_belongs_to_can_be_entered() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    let strange = uuid::Uuid::now_v7();
    for room in ["public:elsewhere".into(), format!("pitch:{strange}"), format!("team:{strange}")] {
        let answer = socket.call(json!({"type": "join", "room": room})).await;
        assert!(matches!(answer, Received::Error { code, .. } if code == "forbidden"), "{room}");
    }
}

#[tokio::test]
async fn a_resume_names_each_room_that_could_not_be_entered_and_enters_the_others() {
    let node = TestNode::start().await;
    let ada = node.somebody().await;
    let strange = format!("team:{}", uuid::Uuid::now_v7());
    let mut socket = Socket::open(node.addr).await;
    let rooms = json!({LOBBY: null, &strange: null, "public:elsewhere": "k3:7"});
    let auth = json!({"type": "auth", "id": 9, "token": ada.token, "rooms": rooms});
    let Received::Ready { rooms, .. } = socket.call(auth).await else { panic!() };
    assert_eq!(rooms.keys().map(shared::protocol::RoomName::as_str).collect::<Vec<_>>(), [LOBBY]);
    let mut refused = Vec::new();
    for _ in 0..2 {
        let Received::Error { id, room, code, .. } = socket.frame().await else { panic!() };
        assert_eq!((id, code.as_str()), (Some(json!(9)), "forbidden"));
        refused.push(room.unwrap().to_string());
    }
    assert_eq!(refused, ["public:elsewhere", &strange]);
}

#[tokio::test]
async fn a_hundred_rooms_are_the_most_on_one_connection() {
    let node = TestNode::with(|config| config.public_rooms = (0..=100).map(|n| format!("r{n}")).collect()).await;
    let ada = node.somebody().await;
    let hundred: Map<_, _> = (0..100).map(|n| (format!("public:r{n}"), json!(null))).collect();
    let (mut socket, ready) = Socket::resume(node.addr, &ada.token, json!({ "rooms": hundred })).await;
    assert!(matches!(ready, Received::Ready { rooms, .. } if rooms.len() == 100));
    let answer = socket.call(json!({"type": "join", "room": "public:r100"})).await;
    assert!(matches!(answer, Received::Error { code, .. } if code == "limit"));
    // What one is in already is no room more: a client may name all of its positions again.
    join(&mut socket, "public:r7", None).await;
    let answer = socket.call(json!({"type": "auth", "rooms": hundred})).await;
    assert!(matches!(answer, Received::Ready { rooms, .. } if rooms.len() == 100));
    let answer = socket.call(json!({"type": "auth", "rooms": {"public:r100": null}})).await;
    assert!(matches!(answer, Received::Error { code, .. } if code == "limit"));
}

#[tokio::test]
async fn a_client_that_asks_for_everything_at_once_is_slowed_down_and_never_refused() {
    let node = TestNode::with(|config| config.public_rooms = (0..100).map(|n| format!("r{n}")).collect()).await;
    let ada = node.somebody().await;
    let (mut socket, _) = Socket::ready(node.addr, &ada.token).await;
    let hundred: Map<_, _> = (0..100).map(|n| (format!("public:r{n}"), json!(null))).collect();
    let started = Instant::now();
    for id in 0..3 {
        socket.send(&json!({"type": "auth", "id": id, "rooms": hundred})).await;
    }
    for id in 0..3 {
        let Received::Ready { id: answered, rooms, .. } = socket.frame().await else { panic!() };
        assert_eq!((answered, rooms.len()), (Some(json!(id)), 100));
    }
    // Three hundred rooms at fifty a second; a hundred were saved up.
    assert!(started.elapsed() > Duration::from_secs(3), "after {:?}", started.elapsed());
}

#[tokio::test]
async fn a_membership_that_ended_among_lost_deliveries_puts_its_member_out() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
    let (mut adas, _) = Socket::resume(node.addr, &ada.token, json!({"inbox": "1"})).await;
    let (mut bobs, _) = Socket::resume(node.addr, &bob.token, json!({"inbox": "1"})).await;
    join(&mut adas, &room, None).await;
    join(&mut bobs, &room, None).await;
    join(&mut bobs, LOBBY, None).await;
    node.ops.store().tx("test.leave", async |tx| testing::execute(tx, THE_YOUNGER_LEAVES).await).await.unwrap();
    node.lose_deliveries().await;
    let left = bobs.expect(|frame| matches!(frame, Received::Left { .. })).await;
    assert!(matches!(left, Received::Left { room: which, .. } if which.as_str() == room));
    assert!(bobs.quiet().await.is_empty(), "and of nothing else");
    assert!(adas.quiet().await.is_empty());
}

#[tokio::test]
async fn a_revoked_member_is_put_out_and_cannot_come_back() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
    let (mut bobs, _) = Socket::resume(node.addr, &bob.token, json!({"inbox": "1"})).await;
    join(&mut bobs, &room, None).await;
    node.ops.engine().members.revoke(&room.parse().unwrap(), bob.id).await.unwrap();
    let left = bobs.expect(|frame| matches!(frame, Received::Left { .. })).await;
    assert!(matches!(left, Received::Left { room: which, .. } if which.as_str() == room));
    let answer = bobs.call(json!({"type": "join", "room": room})).await;
    assert!(matches!(answer, Received::Error { code, .. } if code == "forbidden"));
}

#[tokio::test]
async fn a_join_says_who_is_there_in_a_conversation_and_only_how_many_in_public() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    for room in [&room, LOBBY] {
        join(&mut adas, room, None).await;
    }
    let Received::Joined { mut online, count, .. } = bobs.call(json!({"type": "join", "room": room})).await else {
        panic!()
    };
    online.sort_unstable();
    let mut both = vec![ada.id, bob.id];
    both.sort_unstable();
    assert_eq!((online, count), (both, 2));
    let Received::Joined { online, count, .. } = bobs.call(json!({"type": "join", "room": LOBBY})).await else {
        panic!()
    };
    assert_eq!((online, count), (vec![], 2));
}

#[tokio::test]
async fn a_join_counts_and_lists_who_is_there_on_other_nodes_and_not_who_has_left_them() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(other.addr, &bob.token).await;
    join(&mut adas, &room, None).await;
    join(&mut adas, LOBBY, None).await;
    let mut look = async |room: &str| {
        bobs.call(json!({"type": "leave", "room": room})).await;
        match bobs.call(json!({"type": "join", "room": room})).await {
            Received::Joined { mut online, count, .. } => {
                online.sort_unstable();
                (online, count)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(look(&room).await, (vec![ada.id.min(bob.id), ada.id.max(bob.id)], 2));
    assert_eq!(look(LOBBY).await, (vec![], 2));
    drop(adas);
    within(async {
        while look(&room).await != (vec![bob.id], 1) || look(LOBBY).await.1 != 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn typing_reaches_the_other_side_and_not_oneself_and_a_message_ends_it() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let conversation = node.conversation(&ada, &bob).await;
    let room = format!("conversation:{conversation}");
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    join(&mut adas, &room, None).await;
    join(&mut bobs, &room, None).await;
    for _ in 0..5 {
        adas.send(&json!({"type": "typing", "room": room})).await;
    }
    let typing = |frame: &Received| matches!(frame, Received::Typing { .. });
    let Received::Typing { user, ttl, .. } = bobs.expect(typing).await else { unreachable!() };
    assert_eq!((user, ttl), (ada.id, 6_000));
    adas.call(json!({"type": "message", "id": uuid::Uuid::now_v7(), "to": conversation, "body": "done"})).await;
    let Received::Typing { ttl, .. } = bobs.expect(typing).await else { unreachable!() };
    assert_eq!(ttl, 0, "only one of the five came through, and the message ended it");
    assert!(!adas.quiet().await.iter().any(typing));

    let answer = adas.call(json!({"type": "typing", "room": LOBBY})).await;
    assert!(matches!(answer, Received::Error { code, .. } if code == "not_joined"));
}
