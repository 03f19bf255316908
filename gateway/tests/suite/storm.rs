//! When a node ends, everybody comes back at once: the caches know them, however long ago they signed in.

use crate::node::{Somebody, TestNode};
use serde_json::{Value, json};
use shared::{
    protocol::{
        CloseReason,
        event::{ReadyInbox, Received},
    },
    store::{StoreError, sessions},
    testkit::{Socket, socket::within},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::task::JoinSet;

const CLIENTS: usize = 200;
/// Every socket has had its turn after this long.
const ROUND: Duration = Duration::from_mins(20);

async fn node() -> TestNode {
    TestNode::with(|config| {
        config.limits.connections_per_ip = 10 * CLIENTS;
        config.limits.handshakes_per_second = 1_000_000;
    })
    .await
}

/// How often the named unit of work ran.
fn runs(node: &TestNode, name: &str) -> u64 {
    node.queries().get(name).copied().unwrap_or(0)
}

/// Lets an hour and a bit pass, one round of renewals after the other.
async fn pass_an_hour(node: &TestNode, renewals: &str, shares: u64) {
    for _ in 0..4 {
        let before = runs(node, renewals);
        node.ops.clock().advance(ROUND);
        within(async {
            while runs(node, renewals) < before + shares {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

/// Everybody connects at the same time, each with what `of` says.
async fn connect_all(
    node: &TestNode,
    people: &[(Somebody, String)],
    of: impl Fn(usize, &str) -> Value,
) -> Vec<(Socket, Received)> {
    let mut arrivals = JoinSet::new();
    for (n, (somebody, room)) in people.iter().enumerate() {
        let (addr, token, more) = (node.addr, somebody.token.clone(), of(n, room));
        arrivals.spawn(async move { (n, Socket::resume(addr, &token, more).await) });
    }
    let mut arrived = arrivals.join_all().await;
    arrived.sort_by_key(|(n, _)| *n);
    arrived.into_iter().map(|(_, socket)| socket).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_come_back_all_at_once_an_hour_after_their_login_cost_the_database_nothing() {
    let node = node().await;
    let mut people = Vec::new();
    for _ in 0..CLIENTS / 2 {
        let (ada, bob) = (node.somebody_for(ROUND * 100).await, node.somebody_for(ROUND * 100).await);
        let room = format!("conversation:{}", node.conversation(&ada, &bob).await);
        people.extend([(ada, room.clone()), (bob, room)]);
    }
    let mut positions = Vec::new();
    let mut sockets = connect_all(&node, &people, |_, room| json!({"rooms": {room: null}})).await;
    for (socket, ready) in &mut sockets {
        let Received::Ready { rooms, inbox, .. } = ready else { panic!("{ready:?}") };
        // The second of each pair was sent a message, and says that it has it.
        let mut head = inbox.pos;
        if inbox.pending > 0 {
            head = socket.inbox().await.0;
            socket.call(json!({"type": "ack", "pos": head.to_string()})).await;
        }
        positions.push((head, rooms.clone()));
    }
    pass_an_hour(&node, "rooms.renew", 20).await;
    drop(sockets);

    let before = node.queries();
    let back = connect_all(&node, &people, |n, _| {
        let (head, rooms) = &positions[n];
        let rooms: BTreeMap<_, _> = rooms.iter().map(|(room, at)| (room, at.pos)).collect();
        // Half of them say where they are, half rely on the server's memory.
        if n % 4 < 2 { json!({"inbox": head.to_string(), "rooms": rooms}) } else { json!({"rooms": rooms}) }
    });
    for ((_socket, ready), (head, _)) in back.await.iter().zip(&positions) {
        let Received::Ready { inbox, rooms, .. } = ready else { panic!("{ready:?}") };
        assert_eq!(*inbox, ReadyInbox { pos: *head, pending: 0, recovered: true });
        assert!(rooms.len() == 1 && rooms.values().all(|room| room.recovered), "{ready:?}");
    }
    assert_eq!(node.queries(), before, "{CLIENTS} reconnects, each to its inbox and a room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_connects_that_come_at_once_share_their_queries() {
    let node = node().await;
    let mut people = Vec::new();
    for _ in 0..CLIENTS {
        people.push((node.somebody().await, String::new()));
    }
    let before: u64 = node.queries().values().sum();
    let sockets = connect_all(&node, &people, |_, _| json!({})).await;
    let cost = node.queries().values().sum::<u64>() - before;
    assert_eq!(sockets.len(), CLIENTS);
    // Apart they are three each: the session, where its inbox starts, and the note that the device is here.
    assert!(cost <= 3 * CLIENTS as u64 / 2, "{cost} units of work for {CLIENTS} connects: {:?}", node.queries());
}

#[tokio::test]
async fn a_session_that_ended_behind_everybodys_back_is_found_by_the_renewal() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody_for(ROUND * 100).await, node.somebody_for(ROUND * 100).await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;
    // The row goes, and no tombstone is left: as if the process that revoked it died in between.
    let revoke = async |tx: &mut _| sessions::revoke(tx, ada.id, ada.session).await;
    let revoked: Result<_, StoreError> = node.ops.store().tx("test.revoke", revoke).await;
    assert!(revoked.unwrap().is_some());
    node.ops.clock().advance(ROUND);
    adas.expect_close(CloseReason::SignedOut).await;
    assert!(bobs.quiet().await.is_empty());
}
