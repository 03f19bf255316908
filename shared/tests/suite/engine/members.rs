//! The membership cache: a revocation wins against every answer that was already on its way.

use super::{Fixture, node::Node, some_room};
use shared::{
    engine::{Control, Engine, Membership, members::TTL},
    id::UserId,
    protocol::RoomName,
};
use std::time::Duration;
use tokio::task::JoinSet;

async fn get(engine: &Engine, room: &RoomName, user: UserId) -> Membership {
    engine.members.get(room, user).await.unwrap()
}

pub(crate) async fn an_answer_is_unknown_until_it_is_filled(fixture: Fixture) {
    let (engine, room, ada, bob) = (&fixture.engine, some_room(), UserId::new(), UserId::new());
    assert_eq!(get(engine, &room, ada).await, Membership::Unknown);
    engine.members.fill(&room, ada, true).await.unwrap();
    engine.members.fill(&room, bob, false).await.unwrap();
    assert_eq!(get(engine, &room, ada).await, Membership::Allowed);
    assert_eq!(get(engine, &room, bob).await, Membership::Denied);
    assert_eq!(get(engine, &some_room(), ada).await, Membership::Unknown);
}

pub(crate) async fn a_fill_never_replaces(fixture: Fixture) {
    let (engine, room, user) = (&fixture.engine, some_room(), UserId::new());
    engine.members.grant(&room, user).await.unwrap();
    engine.members.fill(&room, user, false).await.unwrap();
    assert_eq!(get(engine, &room, user).await, Membership::Allowed, "a late fill is older than a grant");
    engine.members.revoke(&room, user).await.unwrap();
    engine.members.fill(&room, user, true).await.unwrap();
    assert_eq!(get(engine, &room, user).await, Membership::Denied, "a late fill is older than a revocation");
}

pub(crate) async fn a_fill_that_races_a_revoke_loses(fixture: Fixture) {
    for _ in 0..50 {
        let (room, user) = (some_room(), UserId::new());
        let mut tasks = JoinSet::new();
        for n in 0..8 {
            let (engine, room) = (fixture.engine.clone(), room.clone());
            tasks.spawn(async move {
                match n {
                    0 => engine.members.revoke(&room, user).await.unwrap(),
                    _ => engine.members.fill(&room, user, true).await.unwrap(),
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(get(&fixture.engine, &room, user).await, Membership::Denied);
    }
}

pub(crate) async fn a_grant_ends_a_revocation(fixture: Fixture) {
    let (engine, room, user) = (&fixture.engine, some_room(), UserId::new());
    engine.members.revoke(&room, user).await.unwrap();
    engine.members.grant(&room, user).await.unwrap();
    assert_eq!(get(engine, &room, user).await, Membership::Allowed);
}

pub(crate) async fn every_node_hears_of_a_revocation_and_finds_the_tombstone(fixture: Fixture) {
    let (engine, room, user) = (&fixture.engine, some_room(), UserId::new());
    let mut nodes = [Node::attach(engine).await, Node::attach(engine).await];
    engine.members.grant(&room, user).await.unwrap();
    engine.members.revoke(&room, user).await.unwrap();
    for node in &mut nodes {
        assert_eq!(node.controls(engine).await, [Control::MembershipRevoked(room.clone(), user)]);
        assert_eq!(get(engine, &room, user).await, Membership::Denied);
    }
}

pub(crate) async fn a_renewal_prolongs_a_yes_and_leaves_a_no_alone(fixture: Fixture) {
    let (engine, room) = (&fixture.engine, some_room());
    let [inside, unknown, denied, put_out] = [UserId::new(), UserId::new(), UserId::new(), UserId::new()];
    engine.members.fill(&room, inside, true).await.unwrap();
    engine.members.fill(&room, denied, false).await.unwrap();
    engine.members.revoke(&room, put_out).await.unwrap();
    fixture.advance(TTL - Duration::from_secs(1)).await;
    for user in [inside, unknown, denied, put_out] {
        engine.members.renew(&room, user).await.unwrap();
    }
    for user in [denied, put_out] {
        assert_eq!(get(engine, &room, user).await, Membership::Denied);
    }
    fixture.advance(Duration::from_secs(1)).await;
    for user in [inside, unknown] {
        assert_eq!(get(engine, &room, user).await, Membership::Allowed);
    }
}

pub(crate) async fn answers_are_believed_for_an_hour(fixture: Fixture) {
    let (engine, room) = (&fixture.engine, some_room());
    let users = [UserId::new(), UserId::new(), UserId::new()];
    engine.members.fill(&room, users[0], true).await.unwrap();
    engine.members.grant(&room, users[1]).await.unwrap();
    engine.members.revoke(&room, users[2]).await.unwrap();
    fixture.advance(TTL - Duration::from_secs(1)).await;
    for user in users {
        assert_ne!(get(engine, &room, user).await, Membership::Unknown);
    }
    fixture.advance(Duration::from_secs(1)).await;
    for user in users {
        assert_eq!(get(engine, &room, user).await, Membership::Unknown);
    }
}
