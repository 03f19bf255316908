//! Redis under Sentinel and as a Cluster: the same contracts, and what happens when a server dies or slots move.

use super::{
    faults::{engine_at, is_lost, publish, wait_for, when_it_works},
    node::{Node, event_seq},
    some_room, until_up,
};
use shared::{
    engine::{Control, Delivery, Engine, Incarnation, Renewal, Signal, Topic},
    id::UserId,
    protocol::{RoomName, command::Status},
    testkit::{RedisCluster, RedisSentinel, available},
};
use std::{collections::HashSet, time::Duration};
use uuid::Uuid;

async fn cluster() -> Option<RedisCluster> {
    available("Redis Cluster", RedisCluster::start().await)
}

/// Publishes until one of its events arrives at the node; on the way it may hear of losses.
async fn until_heard(engine: &Engine, node: &mut Node, room: &RoomName) {
    let heard = async {
        loop {
            let published = publish(engine, room).await;
            let next = tokio::time::timeout(Duration::from_millis(100), node.deliveries.recv()).await;
            let Ok(pos) = published else { continue };
            if let Ok(Some(Delivery::Event { room: of, pos: at, .. })) = next
                && of == *room
                && at.epoch == pos.epoch
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), heard).await.expect("events arrive again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_failover_is_a_loss_and_new_epochs_and_then_all_is_well() {
    let Some(sentinel) = available("Redis Sentinel", RedisSentinel::start(1).await) else { return };
    let (engine, room, user) = (engine_at(sentinel.url()), some_room(), UserId::new());
    let gateway = Incarnation { node: "gw".into(), id: Uuid::now_v7() };
    let mut node = Node::on(&engine, &[Topic::Room(room.clone()), Topic::Presence(user)]).await;
    for _ in 0..3 {
        publish(&engine, &room).await.unwrap();
    }
    let before = engine.broker.history(&room, None, 0).await.unwrap().top;
    engine.presence.join(&gateway, user, 1, Status::Online).await.unwrap();
    let version = engine.presence.snapshot(&[user]).await.unwrap()[0].v;

    sentinel.fail_over().await;
    wait_for(&mut node, is_lost).await;
    let after = when_it_works(|| publish(&engine, &room)).await;
    assert_ne!(after.epoch, before.epoch, "the replica may lack the last writes");
    wait_for(&mut node, |delivery| matches!(delivery, Delivery::Event { pos, .. } if *pos == after)).await;
    assert!(!engine.broker.history(&room, Some(before), 10).await.unwrap().recovered);
    // Whether the replica knew of the lease or not, the node joins again and versions go on.
    assert_eq!(when_it_works(|| engine.presence.renew(&gateway)).await, Renewal::Started);
    engine.presence.join(&gateway, user, 1, Status::Online).await.unwrap();
    engine.presence.set(&gateway, user, 1, Status::Away).await.unwrap();
    assert!(engine.presence.snapshot(&[user]).await.unwrap()[0].v > version);
    assert_eq!(engine.health().unwrap().deployment, "sentinel");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_carries_every_topic_between_processes() {
    let Some(cluster) = cluster().await else { return };
    let (here, there) = (engine_at(cluster.url()), engine_at(cluster.url()));
    let rooms: Vec<_> = (0..300).map(|_| some_room()).collect();
    let user = UserId::new();
    let topics: Vec<_> = rooms.iter().cloned().map(Topic::Room).chain([Topic::Presence(user)]).collect();
    let mut node = Node::on(&there, &topics).await;
    for room in &rooms {
        let top = here.broker.history(room, None, 0).await.unwrap().top;
        assert_eq!(publish(&here, room).await.unwrap(), shared::protocol::Position { seq: 1, ..top });
    }
    let gateway = Incarnation { node: "gw".into(), id: Uuid::now_v7() };
    here.presence.join(&gateway, user, 1, Status::Online).await.unwrap();
    here.broker.control(Control::Disconnect(user)).await.unwrap();
    here.bell.ring();
    // Different topics are on different servers: each is in order, together they are in none.
    let (mut heard, mut told, mut present) = (HashSet::new(), false, false);
    while heard.len() < rooms.len() || !told || !present {
        match node.next().await {
            Delivery::Event { room, pos, .. } => {
                assert_eq!(pos.seq, 1);
                assert!(heard.insert(room), "once");
            }
            Delivery::Control(_) => told = true,
            Delivery::Signal(_, Signal::Presence(state)) => present = state.status == Status::Online,
            other => panic!("{other:?}"),
        }
    }
    tokio::time::timeout(Duration::from_secs(20), there.bell.wait()).await.expect("the bell is heard");
    assert_eq!(here.presence.snapshot(&[user]).await.unwrap()[0].devices, 1);
    assert_eq!(here.health().unwrap().deployment, "cluster");
    for topic in &topics {
        there.broker.unsubscribe(node.id, topic).await.unwrap();
    }
    drop(node);
    let nobody = async {
        while there.health().unwrap().topics > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), nobody).await.expect("nothing is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_its_subscriptions_along_in_the_end() {
    let Some(cluster) = cluster().await else { return };
    let (here, there, room) = (engine_at(cluster.url()), engine_at(cluster.url()), some_room());
    let mut node = Node::on(&there, &[Topic::Room(room.clone())]).await;
    publish(&here, &room).await.unwrap();
    wait_for(&mut node, |delivery| event_seq(delivery) == Some(1)).await;
    let slot = cluster.slot_of(&format!("pitchey:{{p{}}}", partition(&cluster, &room).await)).await;
    let from = cluster.owner_of(slot).await;
    cluster.migrate(slot, (from + 1) % 3).await;
    // Redis ends the subscription without a word that fred would pass on; the canary finds out.
    wait_for(&mut node, is_lost).await;
    until_heard(&here, &mut node, &room).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_hears_of_revocations_again_when_the_slot_they_travel_on_has_moved() {
    let Some(cluster) = cluster().await else { return };
    let (here, there, user) = (engine_at(cluster.url()), engine_at(cluster.url()), UserId::new());
    let mut node = Node::attach(&there).await;
    until_up(&there).await;
    let told = |delivery: &Delivery| matches!(delivery, Delivery::Control(Control::UserRevoked(who)) if *who == user);
    here.broker.control(Control::UserRevoked(user)).await.unwrap();
    wait_for(&mut node, told).await;
    let slot = cluster.slot_of("{control}").await;
    let from = cluster.owner_of(slot).await;
    cluster.migrate(slot, (from + 1) % 3).await;
    wait_for(&mut node, is_lost).await;
    when_it_works(|| here.broker.control(Control::UserRevoked(user))).await;
    wait_for(&mut node, told).await;
}

/// The partition of a room, found by where its keys are.
async fn partition(cluster: &RedisCluster, room: &RoomName) -> u16 {
    cluster.slot_of(room.as_str()).await % 64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_a_master_serves_again_when_its_replica_took_over() {
    let Some(cluster) = cluster().await else { return };
    let (here, there) = (engine_at(cluster.url()), engine_at(cluster.url()));
    let rooms: Vec<_> = (0..30).map(|_| some_room()).collect();
    let topics: Vec<_> = rooms.iter().cloned().map(Topic::Room).collect();
    let mut node = Node::on(&there, &topics).await;
    for room in &rooms {
        publish(&here, room).await.unwrap();
    }
    cluster.fail_over(0).await;
    wait_for(&mut node, is_lost).await;
    for engine in [&here, &there] {
        until_up(engine).await;
    }
    for room in &rooms {
        until_heard(&here, &mut node, room).await;
    }
}
