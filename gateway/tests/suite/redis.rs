//! What a cut from Redis may not do to open sockets: keep them open longer than their session, or close them.

use crate::node::TestNode;
use serde_json::json;
use shared::{
    protocol::{CloseReason, event::Received},
    testkit::{Proxy, RedisOptions, RedisServer, Socket, available, socket::within},
};

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
