//! Presence without ghosts and without noise.

use super::{Fixture, node::Node};
use shared::{
    engine::{
        Incarnation, Presence, Renewal, Topic,
        presence::{GRACE, LEASE, REMEMBER, RENEW},
    },
    id::UserId,
    protocol::{command::Status, event::PresenceState},
};
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

use Status::{Away, Offline, Online};

fn incarnation(name: &str) -> Incarnation {
    Incarnation { node: name.into(), id: Uuid::now_v7() }
}

async fn join(fixture: &Fixture, node: &Incarnation, user: UserId, connection: u64, status: Status) {
    fixture.engine.presence.join(node, user, connection, status).await.unwrap();
}

async fn leave(fixture: &Fixture, node: &Incarnation, user: UserId, connection: u64) {
    fixture.engine.presence.leave(node, user, connection).await.unwrap();
}

async fn state(presence: &Presence, user: UserId) -> PresenceState {
    presence.snapshot(&[user]).await.unwrap()[0]
}

/// Lets time pass as a cluster does: these nodes renew on time, and somebody sweeps every second.
async fn live(fixture: &Fixture, nodes: &[&Incarnation], time: Duration) {
    for second in 0..time.as_secs() {
        if second % RENEW.as_secs() == 0 {
            for node in nodes {
                let _ = fixture.engine.presence.renew(node).await.unwrap();
            }
        }
        fixture.advance(Duration::from_secs(1)).await;
        fixture.engine.presence.sweep().await.unwrap();
    }
}

/// A watcher of these users, and what it hears.
struct Watcher(Node);

impl Watcher {
    async fn of(fixture: &Fixture, users: &[UserId]) -> Self {
        let topics: Vec<Topic> = users.iter().copied().map(Topic::Presence).collect();
        Self(Node::on(&fixture.engine, &topics).await)
    }

    async fn hears(&mut self, fixture: &Fixture) -> Vec<(UserId, Status)> {
        self.0.presence(&fixture.engine).await.into_iter().map(|state| (state.user, state.status)).collect()
    }
}

pub(crate) async fn a_first_connection_is_announced_and_a_second_is_only_counted(fixture: Fixture) {
    let (node, user, stranger) = (incarnation("gw"), UserId::new(), UserId::new());
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    join(&fixture, &node, user, 1, Online).await;
    join(&fixture, &node, user, 2, Online).await;
    join(&fixture, &node, user, 2, Online).await;
    join(&fixture, &node, stranger, 3, Online).await;
    assert_eq!(watcher.hears(&fixture).await, [(user, Online)], "and nobody hears of whom they do not watch");
    assert_eq!(state(&fixture.engine.presence, user).await.devices, 2);
    assert_eq!(fixture.engine.presence.count().await.unwrap(), 2);
    leave(&fixture, &node, user, 1).await;
    assert_eq!(watcher.hears(&fixture).await, []);
    assert_eq!(state(&fixture.engine.presence, user).await.devices, 1);
}

pub(crate) async fn the_merged_status_is_the_most_present_one(fixture: Fixture) {
    let (here, there, user) = (incarnation("gw-1"), incarnation("gw-2"), UserId::new());
    let presence = &fixture.engine.presence;
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    join(&fixture, &here, user, 1, Away).await;
    assert_eq!(watcher.hears(&fixture).await, [(user, Away)]);
    join(&fixture, &there, user, 1, Online).await;
    assert_eq!(watcher.hears(&fixture).await, [(user, Online)], "connection 1 of another node is another connection");
    presence.set(&here, user, 1, Online).await.unwrap();
    presence.set(&here, user, 1, Away).await.unwrap();
    assert_eq!(watcher.hears(&fixture).await, []);
    presence.set(&there, user, 1, Away).await.unwrap();
    assert_eq!(watcher.hears(&fixture).await, [(user, Away)]);
    presence.set(&there, user, 1, Online).await.unwrap();
    leave(&fixture, &there, user, 1).await;
    assert_eq!(watcher.hears(&fixture).await, [(user, Online), (user, Away)], "only the one that is away is left");
}

pub(crate) async fn a_page_reload_makes_no_noise(fixture: Fixture) {
    let (node, user) = (incarnation("gw"), UserId::new());
    join(&fixture, &node, user, 1, Online).await;
    let before = state(&fixture.engine.presence, user).await;
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    for connection in 2..10 {
        leave(&fixture, &node, user, connection - 1).await;
        live(&fixture, &[&node], GRACE - Duration::from_secs(1)).await;
        join(&fixture, &node, user, connection, Online).await;
    }
    live(&fixture, &[&node], 2 * GRACE).await;
    assert_eq!(watcher.hears(&fixture).await, []);
    assert_eq!(state(&fixture.engine.presence, user).await, before);
}

pub(crate) async fn offline_is_announced_once_after_the_grace(fixture: Fixture) {
    let (node, user) = (incarnation("gw"), UserId::new());
    let presence = &fixture.engine.presence;
    join(&fixture, &node, user, 1, Online).await;
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    leave(&fixture, &node, user, 1).await;
    live(&fixture, &[&node], GRACE - Duration::from_secs(1)).await;
    assert_eq!(watcher.hears(&fixture).await, []);
    let waiting = state(presence, user).await;
    assert_eq!((waiting.status, waiting.devices, presence.count().await.unwrap()), (Online, 0, 1));
    fixture.advance(Duration::from_secs(1)).await;
    assert_eq!(presence.sweep().await.unwrap(), 1);
    assert_eq!(presence.sweep().await.unwrap(), 0);
    assert_eq!(watcher.hears(&fixture).await, [(user, Offline)]);
    let gone = state(presence, user).await;
    assert_eq!((gone.status, gone.devices, presence.count().await.unwrap()), (Offline, 0, 0));
}

pub(crate) async fn who_comes_back_elsewhere_within_the_grace_is_not_announced(fixture: Fixture) {
    let (old, new, user) = (incarnation("gw-1"), incarnation("gw-2"), UserId::new());
    join(&fixture, &old, user, 1, Online).await;
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    // The old node is killed; its lease ends while the user is already coming back.
    live(&fixture, &[&new], LEASE + Duration::from_secs(2)).await;
    join(&fixture, &new, user, 1, Online).await;
    live(&fixture, &[&new], 2 * GRACE).await;
    assert_eq!(watcher.hears(&fixture).await, []);
    let state = state(&fixture.engine.presence, user).await;
    assert_eq!((state.status, state.devices), (Online, 1));
}

pub(crate) async fn a_killed_node_takes_its_users_offline_within_thirty_seconds(fixture: Fixture) {
    let (killed, alive) = (incarnation("gw-1"), incarnation("gw-2"));
    let users: Vec<UserId> = (0..100).map(|_| UserId::new()).collect();
    let mut watcher = Watcher::of(&fixture, &users).await;
    for (connection, user) in (0..).zip(&users) {
        join(&fixture, &killed, *user, connection, Online).await;
    }
    live(&fixture, &[&killed, &alive], Duration::from_mins(1)).await;
    assert_eq!(watcher.hears(&fixture).await.len(), 100, "online, once each");
    live(&fixture, &[&alive], Duration::from_secs(30)).await;
    let mut heard = watcher.hears(&fixture).await;
    heard.sort_by_key(|(user, _)| *user);
    assert!(heard.into_iter().eq(users.iter().map(|user| (*user, Offline))), "offline, once each");
    assert_eq!(fixture.engine.presence.count().await.unwrap(), 0);
}

pub(crate) async fn a_killed_node_takes_nobody_offline_who_is_elsewhere(fixture: Fixture) {
    let (killed, alive, user) = (incarnation("gw-1"), incarnation("gw-2"), UserId::new());
    join(&fixture, &killed, user, 1, Online).await;
    join(&fixture, &alive, user, 1, Away).await;
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    live(&fixture, &[&alive], Duration::from_secs(30)).await;
    assert_eq!(watcher.hears(&fixture).await, [(user, Away)], "what is left is the connection that is away");
    assert_eq!(state(&fixture.engine.presence, user).await.devices, 1);
}

pub(crate) async fn the_grace_of_a_killed_nodes_users_counts_from_its_last_renewal(fixture: Fixture) {
    let (node, user) = (incarnation("gw"), UserId::new());
    let presence = &fixture.engine.presence;
    join(&fixture, &node, user, 1, Online).await;
    live(&fixture, &[&node], Duration::from_secs(31)).await;
    // The last renewal was one second ago.
    live(&fixture, &[], GRACE - Duration::from_secs(2)).await;
    assert_eq!(state(presence, user).await.status, Online);
    live(&fixture, &[], Duration::from_secs(1)).await;
    assert_eq!(state(presence, user).await.status, Offline);
}

pub(crate) async fn a_lease_that_is_renewed_keeps_its_users_present(fixture: Fixture) {
    let (node, user) = (incarnation("gw"), UserId::new());
    assert_eq!(fixture.engine.presence.renew(&node).await.unwrap(), Renewal::Started);
    join(&fixture, &node, user, 1, Online).await;
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    for _ in 0..20 {
        fixture.advance(LEASE - Duration::from_secs(1)).await;
        assert_eq!(fixture.engine.presence.renew(&node).await.unwrap(), Renewal::Prolonged);
        fixture.engine.presence.sweep().await.unwrap();
    }
    assert_eq!(watcher.hears(&fixture).await, []);
}

pub(crate) async fn a_silent_node_that_comes_back_is_told_to_join_again_and_nobody_notices(fixture: Fixture) {
    let (silent, alive, user) = (incarnation("gw-1"), incarnation("gw-2"), UserId::new());
    let presence = &fixture.engine.presence;
    assert_eq!(presence.renew(&silent).await.unwrap(), Renewal::Started);
    join(&fixture, &silent, user, 1, Online).await;
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    live(&fixture, &[&alive], LEASE + Duration::from_secs(1)).await;
    assert_eq!(state(presence, user).await.devices, 0, "swept");
    // A connection that comes up first must not hide that the others were swept.
    let other = UserId::new();
    join(&fixture, &silent, other, 2, Online).await;
    assert_eq!(presence.renew(&silent).await.unwrap(), Renewal::Started);
    join(&fixture, &silent, user, 1, Online).await;
    assert_eq!(presence.renew(&silent).await.unwrap(), Renewal::Prolonged);
    live(&fixture, &[&silent, &alive], Duration::from_secs(30)).await;
    assert_eq!(watcher.hears(&fixture).await, []);
    assert_eq!(state(presence, user).await.devices, 1);
}

pub(crate) async fn a_restarted_node_is_not_its_predecessor(fixture: Fixture) {
    let (before, after) = (incarnation("gw"), incarnation("gw"));
    let (stays, returns) = (UserId::new(), UserId::new());
    join(&fixture, &before, stays, 1, Online).await;
    join(&fixture, &before, returns, 2, Online).await;
    let mut watcher = Watcher::of(&fixture, &[stays, returns]).await;
    assert_eq!(fixture.engine.presence.renew(&after).await.unwrap(), Renewal::Started);
    join(&fixture, &after, returns, 2, Online).await;
    live(&fixture, &[&after], Duration::from_secs(30)).await;
    assert_eq!(watcher.hears(&fixture).await, [(stays, Offline)]);
}

pub(crate) async fn a_retired_node_is_as_if_all_had_left(fixture: Fixture) {
    let (node, user) = (incarnation("gw"), UserId::new());
    let presence = &fixture.engine.presence;
    join(&fixture, &node, user, 1, Online).await;
    join(&fixture, &node, user, 2, Online).await;
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    live(&fixture, &[&node], Duration::from_secs(9)).await;
    presence.retire(&node).await.unwrap();
    presence.retire(&node).await.unwrap();
    assert_eq!(state(presence, user).await.devices, 0);
    live(&fixture, &[], GRACE - Duration::from_secs(1)).await;
    assert_eq!(watcher.hears(&fixture).await, [], "the grace counts from now, not from the last renewal");
    live(&fixture, &[], Duration::from_secs(1)).await;
    assert_eq!(watcher.hears(&fixture).await, [(user, Offline)]);
}

pub(crate) async fn versions_grow_and_are_never_behind_the_clock(fixture: Fixture) {
    let (node, user) = (incarnation("gw"), UserId::new());
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    join(&fixture, &node, user, 1, Online).await;
    for status in [Away, Online, Away, Online] {
        fixture.engine.presence.set(&node, user, 1, status).await.unwrap();
    }
    fixture.advance(Duration::from_secs(1)).await;
    fixture.engine.presence.set(&node, user, 1, Away).await.unwrap();
    let versions: Vec<u64> = watcher.0.presence(&fixture.engine).await.into_iter().map(|state| state.v).collect();
    let now = u64::try_from(fixture.clock.now().as_millis()).unwrap();
    assert_eq!(versions, [now - 1_000, now - 999, now - 998, now - 997, now - 996, now]);
    assert_eq!(state(&fixture.engine.presence, user).await.v, now, "a snapshot says what was announced last");
}

pub(crate) async fn versions_do_not_go_back_over_a_flushed_engine(mut fixture: Fixture) {
    let (node, user) = (incarnation("gw"), UserId::new());
    join(&fixture, &node, user, 1, Online).await;
    let before = state(&fixture.engine.presence, user).await;
    fixture.flush().await;
    fixture.advance(Duration::from_millis(1)).await;
    assert_eq!(fixture.engine.presence.renew(&node).await.unwrap(), Renewal::Started, "the node joins all again");
    join(&fixture, &node, user, 1, Online).await;
    assert!(state(&fixture.engine.presence, user).await.v > before.v);
}

pub(crate) async fn an_offline_users_version_is_remembered_for_a_day(fixture: Fixture) {
    let (node, user) = (incarnation("gw"), UserId::new());
    join(&fixture, &node, user, 1, Online).await;
    leave(&fixture, &node, user, 1).await;
    fixture.advance(GRACE).await;
    assert_eq!(fixture.engine.presence.sweep().await.unwrap(), 1);
    let gone = state(&fixture.engine.presence, user).await;
    fixture.advance(REMEMBER - Duration::from_secs(1)).await;
    fixture.engine.presence.sweep().await.unwrap();
    assert_eq!(state(&fixture.engine.presence, user).await, gone);
}

pub(crate) async fn strangers_are_offline_and_answers_come_in_the_order_asked(fixture: Fixture) {
    let node = incarnation("gw");
    let users: Vec<UserId> = (0..10).map(|_| UserId::new()).collect();
    for user in users.iter().step_by(2) {
        join(&fixture, &node, *user, 1, Online).await;
    }
    let asked: Vec<UserId> = users.iter().rev().chain(&users).copied().collect();
    let states = fixture.engine.presence.snapshot(&asked).await.unwrap();
    assert!(states.iter().map(|state| state.user).eq(asked));
    for (n, state) in states[10..].iter().enumerate() {
        if n % 2 == 0 {
            assert_eq!((state.status, state.devices), (Online, 1));
        } else {
            assert_eq!((state.status, state.v, state.devices), (Offline, 0, 0));
        }
    }
}

pub(crate) async fn what_is_not_there_cannot_leave_or_change(fixture: Fixture) {
    let (node, other, user) = (incarnation("gw-1"), incarnation("gw-2"), UserId::new());
    let presence = &fixture.engine.presence;
    let mut watcher = Watcher::of(&fixture, &[user]).await;
    presence.set(&node, user, 1, Online).await.unwrap();
    leave(&fixture, &node, user, 1).await;
    presence.retire(&node).await.unwrap();
    assert_eq!(watcher.hears(&fixture).await, []);
    join(&fixture, &node, user, 1, Online).await;
    leave(&fixture, &other, user, 1).await;
    leave(&fixture, &node, user, 2).await;
    presence.set(&other, user, 1, Away).await.unwrap();
    assert_eq!(watcher.hears(&fixture).await, [(user, Online)]);
    assert_eq!(state(presence, user).await.devices, 1);
}

pub(crate) async fn sweepers_at_the_same_time_announce_everybody_once(fixture: Fixture) {
    let node = incarnation("gw");
    let users: Vec<UserId> = (0..3_000).map(|_| UserId::new()).collect();
    for user in &users {
        join(&fixture, &node, *user, 1, Online).await;
    }
    let mut watcher = Watcher::of(&fixture, &users).await;
    fixture.advance(GRACE).await;
    let mut sweepers = JoinSet::new();
    for _ in 0..8 {
        let engine = fixture.engine.clone();
        sweepers.spawn(async move { engine.presence.sweep().await.unwrap() });
    }
    assert_eq!(sweepers.join_all().await.into_iter().sum::<usize>(), users.len());
    let mut heard = watcher.hears(&fixture).await;
    heard.sort_by_key(|(user, _)| *user);
    assert!(heard.into_iter().eq(users.into_iter().map(|user| (user, Offline))));
}
