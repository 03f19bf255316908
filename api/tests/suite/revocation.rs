//! A session that ends while Redis is away: refused at once, and still refused when Redis is back with its copy of it.

use crate::support::{COOKIE, TestApp, eventually};
use serde_json::json;
use shared::{
    engine::CachedSession,
    model::Portal,
    secret::{Secret, TokenHash},
    testkit::{Proxy, RedisOptions, RedisServer, available},
};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_revoked_while_redis_is_away_is_refused_at_once_and_within_a_second_of_its_return() {
    let Some(server) = available("Redis", RedisServer::start(&RedisOptions::default()).await) else { return };
    let proxy = Proxy::start(server.addr()).unwrap();
    let url = server.url_through(proxy.addr());
    let app = TestApp::with(|config| config.redis.url = Some(Secret::new(url))).await;
    let engine = app.app().engine.clone();
    let until = async |up: bool| eventually(|| (engine.life().is_some() == up).then_some(())).await;
    until(true).await;

    let (ada, lost) = app.signed_in(&[Portal::Creator]).await;
    let at_hand = app.client();
    at_hand.set_cookie(COOKIE, app.session(ada, Portal::Creator).await.expose());
    let token = TokenHash::of(&lost.cookie(COOKIE).unwrap());
    assert_eq!(lost.get("/api/auth/session").await.status, 200);
    assert!(matches!(engine.sessions.get(&token).await, Ok(CachedSession::Live(_))), "Redis has a copy");

    proxy.refuse().await;
    until(false).await;
    let revoked = at_hand.post("/api/auth/sessions/revoke-others", &json!({})).await.data();
    assert_eq!(revoked["revoked"], 1);
    assert_eq!(lost.get("/api/auth/session").await.status, 401);
    assert_eq!(at_hand.get("/api/auth/session").await.status, 200, "sign-in needs no Redis");

    proxy.pass();
    until(true).await;
    let since = Instant::now();
    while !matches!(engine.sessions.get(&token).await, Ok(CachedSession::Revoked)) {
        assert!(since.elapsed() < Duration::from_secs(1), "it is still accepted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(lost.get("/api/auth/session").await.status, 401);
    assert_eq!(at_hand.get("/api/auth/session").await.status, 200);
    app.stop().await;
}
