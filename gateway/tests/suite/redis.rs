//! What a cut from Redis may not do to open sockets: keep them open longer than their session, or close them.

use crate::node::TestNode;
use serde_json::json;
use shared::{
    protocol::{CloseReason, event::Received},
    testkit::{Proxy, RedisOptions, RedisServer, Socket, available, socket::within},
};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_revoked_while_redis_is_away_loses_its_sockets_on_its_return_and_the_others_stay() {
    let Some(server) = available("Redis", RedisServer::start(&RedisOptions::default()).await) else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let node = TestNode::on_redis(server.url_through(proxy.addr())).await;
    let engine = node.ops.engine().clone();
    let until = async |up: bool| {
        within(async {
            while engine.life().is_some() != up {
                engine.other_life(engine.life()).await;
            }
        })
        .await;
    };
    until(true).await;
    let (ada, bob) = (node.somebody().await, node.somebody().await);
    let (mut adas, _) = Socket::ready(node.addr, &ada.token).await;
    let (mut bobs, _) = Socket::ready(node.addr, &bob.token).await;

    proxy.refuse().await;
    until(false).await;
    assert!(node.ops.revoke_session(ada.id, ada.session).await.unwrap());
    let mut late = Socket::open(node.addr).await;
    late.send(&json!({"type": "auth", "token": ada.token})).await;
    late.expect_close(CloseReason::BadToken).await;

    proxy.pass();
    adas.expect_close(CloseReason::SignedOut).await;
    assert!(matches!(bobs.call(json!({"type": "ping"})).await, Received::Pong { .. }));
    drop(bobs);
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
