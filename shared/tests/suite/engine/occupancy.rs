//! Who is in a room, on all nodes together.

use super::{Fixture, some_room};
use shared::{
    engine::{
        Incarnation,
        occupancy::{LISTED, LIVES, Occupants},
    },
    id::UserId,
    protocol::RoomName,
};
use std::{collections::HashSet, time::Duration};
use uuid::Uuid;

fn node(name: &str) -> Incarnation {
    Incarnation { node: name.into(), id: Uuid::now_v7() }
}

fn people(count: usize) -> Occupants {
    Occupants { count: count as u64, users: (0..count.min(LISTED)).map(|_| UserId::new()).collect() }
}

/// What a node sees that has nobody in the room.
async fn seen(fixture: &Fixture, room: &RoomName) -> Occupants {
    fixture.engine.occupancy.exchange(&node("bystander"), room, &Occupants::default()).await.unwrap()
}

async fn tell(fixture: &Fixture, node: &Incarnation, room: &RoomName, who: &Occupants) {
    fixture.engine.occupancy.tell(node, &[(room.clone(), who.clone())]).await.unwrap();
}

pub(crate) async fn a_node_hears_of_the_others_and_not_of_itself(fixture: Fixture) {
    let (occupancy, room, gw1, gw2) = (&fixture.engine.occupancy, some_room(), node("gw-1"), node("gw-2"));
    let (here, there) = (people(3), people(2));
    assert_eq!(occupancy.exchange(&gw1, &room, &here).await.unwrap(), Occupants::default());
    assert_eq!(occupancy.exchange(&gw2, &room, &there).await.unwrap(), here);
    assert_eq!(occupancy.exchange(&gw1, &room, &here).await.unwrap(), there);
    assert_eq!(seen(&fixture, &some_room()).await, Occupants::default(), "another room is another room");
}

pub(crate) async fn what_a_node_tells_replaces_what_it_told_and_nobody_ends_it(fixture: Fixture) {
    let (room, gw1, gw2) = (some_room(), node("gw-1"), node("gw-2"));
    tell(&fixture, &gw1, &room, &people(5)).await;
    let fewer = people(2);
    tell(&fixture, &gw1, &room, &fewer).await;
    assert_eq!(seen(&fixture, &room).await, fewer);
    tell(&fixture, &gw2, &room, &Occupants { count: 10_000, users: Vec::new() }).await;
    assert_eq!(seen(&fixture, &room).await, Occupants { count: 10_002, ..fewer.clone() });
    tell(&fixture, &gw2, &room, &Occupants::default()).await;
    tell(&fixture, &gw2, &room, &Occupants::default()).await;
    assert_eq!(seen(&fixture, &room).await, fewer);
    tell(&fixture, &gw1, &room, &Occupants::default()).await;
    assert_eq!(seen(&fixture, &room).await, Occupants::default());
}

pub(crate) async fn the_occupants_of_a_dead_node_vanish_and_those_of_a_living_one_stay(fixture: Fixture) {
    let (room, dead, alive) = (some_room(), node("dead"), node("alive"));
    let stay = people(1);
    tell(&fixture, &dead, &room, &people(4)).await;
    fixture.advance(LIVES - Duration::from_secs(1)).await;
    tell(&fixture, &alive, &room, &stay).await;
    assert_eq!(seen(&fixture, &room).await.count, 5);
    fixture.advance(Duration::from_secs(1)).await;
    assert_eq!(seen(&fixture, &room).await, stay);
}

pub(crate) async fn a_hundred_users_are_listed_each_once_and_everybody_is_counted(fixture: Fixture) {
    let room = some_room();
    let (first, mut second) = (people(70), people(70));
    second.users[..20].copy_from_slice(&first.users[..20]);
    for (name, who) in [("gw-1", &first), ("gw-2", &second)] {
        tell(&fixture, &node(name), &room, who).await;
    }
    let others = seen(&fixture, &room).await;
    assert_eq!((others.count, others.users.len()), (140, LISTED));
    let known: HashSet<_> = first.users.iter().chain(&second.users).collect();
    let listed: HashSet<_> = others.users.iter().collect();
    assert!(listed.len() == LISTED && listed.is_subset(&known));
}

pub(crate) async fn a_node_tells_of_all_its_rooms_at_once(fixture: Fixture) {
    let rooms: Vec<_> = (0..500).map(|n| (some_room(), people(n % 3))).collect();
    fixture.engine.occupancy.tell(&node("gw-1"), &rooms).await.unwrap();
    for (room, who) in rooms.iter().step_by(7) {
        assert_eq!(seen(&fixture, room).await, *who);
    }
}

pub(crate) async fn what_a_flushed_engine_forgot_is_told_again(mut fixture: Fixture) {
    let (room, gw1, who) = (some_room(), node("gw-1"), people(2));
    tell(&fixture, &gw1, &room, &who).await;
    fixture.flush().await;
    assert_eq!(seen(&fixture, &room).await, Occupants::default());
    tell(&fixture, &gw1, &room, &who).await;
    assert_eq!(seen(&fixture, &room).await, who);
}
