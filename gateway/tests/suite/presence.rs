//! Presence: only watchers are told, only of people they know, and never about a reload.

use crate::node::TestNode;
use serde_json::json;
use shared::{
    id::UserId,
    protocol::{
        command::Status,
        event::{PresenceState, Received},
    },
    testkit::Socket,
};

async fn change(socket: &mut Socket) -> PresenceState {
    let frame = socket.expect(|frame| matches!(frame, Received::Presence(_))).await;
    let Received::Presence(state) = frame else { unreachable!() };
    state
}

#[tokio::test]
async fn a_watcher_gets_a_snapshot_and_then_every_change_with_growing_versions() {
    let node = TestNode::start().await;
    let other = node.beside().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    node.conversation(&ada, &bob).await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    adas.call(json!({"type": "watch", "users": [bob.id]})).await;
    // `call` read past the snapshot; asking again replaces the list and sends it once more.
    adas.send(&json!({"type": "watch", "users": [bob.id]})).await;
    assert_eq!(change(&mut adas).await.status, Status::Offline);

    let (mut bobs, _) = Socket::ready(other.addr, &bob.token).await;
    let online = change(&mut adas).await;
    assert_eq!((online.user, online.status), (bob.id, Status::Online));
    bobs.call(json!({"type": "presence", "status": "away"})).await;
    let away = change(&mut adas).await;
    assert_eq!(away.status, Status::Away);
    assert!(away.v > online.v);
    drop((adas, bobs));
    other.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn a_page_reload_makes_no_noise() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    node.conversation(&ada, &bob).await;
    let (bobs, _) = Socket::ready(node.addr, &bob.token).await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    adas.call(json!({"type": "watch", "users": [bob.id]})).await;
    drop(bobs);
    let (mut back, _) = Socket::ready(node.addr, &bob.token).await;
    // Away and back travel the same way as the reload would have: if it had made a noise, it would come first.
    back.call(json!({"type": "presence", "status": "away"})).await;
    assert_eq!(change(&mut adas).await.status, Status::Away);
}

#[tokio::test]
async fn strangers_cannot_be_watched() {
    let node = TestNode::start().await;
    let (ada, eve) = (node.somebody().await, node.somebody().await);
    let (mut eves, _) = Socket::ready(node.addr, &eve.token).await;
    eves.call(json!({"type": "watch", "users": [ada.id]})).await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    adas.call(json!({"type": "presence", "status": "away"})).await;
    assert!(eves.quiet().await.is_empty());
}

#[tokio::test]
async fn two_hundred_watches_are_the_most() {
    let node = TestNode::start().await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    node.conversation(&ada, &bob).await;
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    // The last of two hundred is the one she may watch.
    let mut users: Vec<UserId> = (0..199).map(|_| UserId::new()).collect();
    users.push(bob.id);
    let answer = adas.call(json!({"type": "watch", "users": users})).await;
    assert!(matches!(answer, Received::Ack { .. }), "{answer:?}");
    users.push(UserId::new());
    let answer = adas.call(json!({"type": "watch", "users": users})).await;
    assert!(matches!(answer, Received::Error { code, .. } if code == "limit"));
    let (_bobs, _) = Socket::ready(node.addr, &bob.token).await;
    assert_eq!(change(&mut adas).await.user, bob.id, "a refused list does not replace the one before");
}
