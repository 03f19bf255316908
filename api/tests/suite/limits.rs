//! Rate limits as clients meet them.

use crate::support::{Call, TestApp};
use shared::model::Portal;
use std::time::Duration;

#[tokio::test]
async fn an_address_is_limited_told_when_to_come_back_and_forgiven() {
    let app = TestApp::with(|config| config.http.rate_per_ip = 3).await;
    let client = app.client();
    let first = client.get("/api/demo/accounts").await;
    let _ = first;
    let ask = async || client.get("/api/auth/session").await;
    assert_eq!(ask().await.header("x-ratelimit-remaining").as_deref(), Some("1"));
    ask().await;
    let limited = ask().await;
    assert_eq!(limited.refusal(), "429 RATE_LIMIT_EXCEEDED");
    assert_eq!(limited.header("ratelimit-policy").as_deref(), Some("\"address\";q=3;w=60"));
    assert_eq!(limited.header("x-ratelimit-limit").as_deref(), Some("3"));
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(limited.json()["error"]["details"]["retryAfter"], wait);
    // Probes and the page are never counted.
    assert_eq!(client.get("/health/live").await.status, 200);
    assert_eq!(client.get("/").await.status, 200);
    app.clock.advance(Duration::from_secs(wait));
    assert_eq!(ask().await.status, 401);
    app.stop().await;
}

#[tokio::test]
async fn a_user_is_limited_wherever_they_come_from_and_others_are_not() {
    let app = TestApp::with(|config| {
        config.http.rate_per_user = 2;
        config.http.trusted_proxies = 1;
    })
    .await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    let (_, other) = app.signed_in(&[Portal::Creator]).await;
    let from = |address: &str| Call::new("GET", "/api/auth/session").header("x-forwarded-for", address);
    assert_eq!(client.send(from("192.0.2.1")).await.status, 200);
    assert_eq!(client.send(from("192.0.2.2")).await.status, 200);
    let limited = client.send(from("192.0.2.3")).await;
    assert_eq!(limited.refusal(), "429 RATE_LIMIT_EXCEEDED");
    assert_eq!(limited.header("ratelimit-policy").as_deref(), Some("\"user\";q=2;w=60"));
    assert_eq!(other.send(from("192.0.2.3")).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_client_cannot_escape_its_bucket_by_forging_addresses() {
    let app = TestApp::with(|config| config.http.rate_per_ip = 2).await;
    let forged = |last: u8| Call::new("GET", "/api/auth/session").header("x-forwarded-for", format!("192.0.2.{last}"));
    let mut statuses = Vec::new();
    for last in 0..3 {
        statuses.push(app.client().send(forged(last)).await.status);
    }
    assert_eq!(statuses, [401, 401, 429]);
    app.stop().await;
}
