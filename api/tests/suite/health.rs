//! How the process says how it is (R-140…R-148).

use crate::support::{Call, TestApp};

#[tokio::test]
async fn the_report_is_bare_pretty_and_healthy_without_what_is_not_configured() {
    let app = TestApp::start().await;
    let answer = app.client().get("/health").await;
    assert_eq!((answer.status, answer.header("content-type").as_deref()), (200, Some("application/json")));
    assert!(answer.text().starts_with("{\n  \"status\": \"healthy\",\n  \"timestamp\": \"20"), "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["environment"], &body["version"]), (&"production".into(), &"1.0.0".into()));
    let checks = &body["checks"];
    assert_eq!((&checks["database"], &checks["cache"]), (&"healthy".into(), &"healthy".into()));
    assert_eq!((&checks["storage"], &checks["email"]), (&"unknown".into(), &"unknown".into()));
    let metrics = &body["metrics"];
    assert!(metrics["responseTime"].as_f64().unwrap() >= 0.0 && metrics["memoryUsage"].as_u64().unwrap() > 1 << 20);
    assert!(metrics["activeConnections"].as_u64().unwrap() >= 1);
    app.stop().await;
}

#[tokio::test]
async fn probes_however_many_ask_the_database_once() {
    let app = TestApp::start().await;
    let before = app.runs_of("health.ping");
    let clients: Vec<_> = (0..20).map(|_| app.client()).collect();
    let probes = clients.iter().map(|client| client.get("/health"));
    let answers = futures_util::future::join_all(probes).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(app.runs_of("health.ping") - before, 1);
    app.stop().await;
}

#[tokio::test]
async fn live_depends_on_nothing_and_ready_ends_with_the_drain() {
    let app = TestApp::start().await;
    // A connection that is open when the drain begins may still ask.
    let mut stream = tokio::net::TcpStream::connect(app.address()).await.unwrap();
    assert_eq!(app.client().get("/health/live").await.json()["status"], "live");
    assert_eq!(app.client().get("/health/ready").await.json()["status"], "ready");
    let ask = async |stream: &mut tokio::net::TcpStream, path: &str| {
        use tokio::io::AsyncWriteExt as _;
        let call = app.client().bytes(&Call::new("GET", path));
        stream.write_all(&call[..call.len() - 2]).await.unwrap();
    };
    ask(&mut stream, "/health/ready").await;
    app.app().lifecycle.stop();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"\r\n").await.unwrap();
    let bytes = crate::support::read_to_end(&mut stream).await;
    // Either the half-written request is still answered, and says so, or the drain has closed the connection.
    if !bytes.is_empty() {
        let answer = crate::support::Answer::parse(&bytes);
        assert_eq!((answer.status, answer.json()["status"].as_str()), (503, Some("draining")));
    }
    app.stop().await;
}

#[tokio::test]
async fn scripts_see_latency_and_pools() {
    let app = TestApp::start().await;
    let db = app.client().get("/api/health/db").await.data();
    assert_eq!((&db["status"], &db["database"]), (&"healthy".into(), &app.app().store.database().into()));
    assert!(db["latencyMs"].as_f64().is_some(), "{db}");
    let pool = &db["pools"][0];
    let utilisation = pool["inUse"].as_f64().unwrap() / pool["maxSize"].as_f64().unwrap();
    // The relay may be waiting for its first connection.
    assert!(pool["utilisation"].as_f64() == Some(utilisation) && pool["waiting"].is_u64(), "{pool}");
    assert!(pool["gets"].as_u64().unwrap() >= 1 && pool.get("lastError").is_none(), "nothing a stranger could use");
    let cache = app.client().get("/api/health/cache").await.data();
    assert_eq!((&cache["status"], &cache["engine"]), (&"healthy".into(), &"memory".into()));
    app.stop().await;
}
