//! What happens when something gives way: a full pool, a client that hangs up, another database.

use crate::support::{Call, PATIENCE, TestApp, eventually};
use api::{
    http::{Ctx, Outcome, Reply},
    router::Access,
    routes,
};
use serde_json::json;
use shared::{
    id::UserId,
    model::{Portal, Portals},
    store::users::{self, NewUser},
};
use std::time::{Duration, Instant};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Semaphore, time::timeout};

#[tokio::test]
async fn a_full_pool_is_503_with_retry_after_for_everybody_and_heals() {
    let app = TestApp::with(|config| {
        config.database.pool.max_size = 2;
        config.database.pool.wait_timeout = Duration::from_millis(300);
    })
    .await;
    let (go_on, held) = (Semaphore::new(0), Semaphore::new(0));
    let occupy = async || {
        let work = async |_: &mut _| {
            held.add_permits(1);
            let _ = go_on.acquire().await;
            Ok(())
        };
        app.app().store.read("test.hold", work).await.unwrap();
    };
    let crowd = async {
        let _both = held.acquire_many(2).await.unwrap();
        let clients: Vec<_> = (0..30).map(|_| app.client()).collect();
        for client in &clients {
            client.set_cookie("pitchey-session", "needs-the-store");
        }
        let started = Instant::now();
        let answers =
            futures_util::future::join_all(clients.iter().map(|client| client.get("/api/auth/session"))).await;
        for answer in &answers {
            assert_eq!(answer.refusal(), "503 SERVICE_UNAVAILABLE");
            assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
            assert_eq!(answer.header("set-cookie"), None, "nobody is signed out by a busy database");
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        // The page and the probes need no database.
        assert_eq!(app.client().get("/health/live").await.status, 200);
        let health = app.client().get("/health").await;
        assert_eq!((health.status, health.json()["checks"]["database"].as_str()), (503, Some("unhealthy")));
        go_on.add_permits(2);
    };
    tokio::join!(occupy(), occupy(), crowd);
    let client = app.client();
    client.set_cookie("pitchey-session", "needs-the-store");
    assert_eq!(client.get("/api/auth/session").await.status, 401);
    app.stop().await;
}

#[tokio::test]
async fn two_hundred_users_at_once_on_two_connections_are_all_answered() {
    let app = TestApp::with(|config| config.database.pool.max_size = 2).await;
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(app.signed_in(&[Portal::Creator]).await.1);
    }
    let asked = clients.iter().map(|client| client.get("/api/auth/session"));
    let answers = futures_util::future::join_all(asked).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).map(|answer| answer.status).collect();
    assert_eq!(refused, [0_u16; 0]);
    app.stop().await;
}

/// Rung when a handler is in the middle of its transaction, and when it may go on.
static IN_THE_MIDDLE: Semaphore = Semaphore::const_new(0);
static GO_ON: Semaphore = Semaphore::const_new(0);

const SLOW_ACCOUNT: &str = "slow@example.org";

async fn slow_change(ctx: Ctx) -> Outcome {
    let new = NewUser {
        id: UserId::new(),
        email: SLOW_ACCOUNT,
        username: "slow",
        name: "Slow",
        user_type: Portal::Creator,
        portals: Portals::of([Portal::Creator]),
        password_hash: "!nobody-knows-this-password",
        email_verified: true,
    };
    ctx.app
        .store
        .tx("test.slow", async |tx| {
            users::insert(tx, new).await?;
            IN_THE_MIDDLE.add_permits(1);
            GO_ON.acquire().await.expect("never closed").forget();
            users::replace_password_hash(tx, new.id, new.password_hash, "!still-nobody-knows-this-one").await
        })
        .await?;
    Ok(Reply::no_content())
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_of_a_change_cannot_cut_it_in_half() {
    let app = TestApp::with_routes(|_| {}, routes::table().post("/test/slow", Access::Public, slow_change)).await;
    let call = app.client().bytes(&Call::new("POST", "/test/slow").json(&json!({})));
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(&call).await.unwrap();
    IN_THE_MIDDLE.acquire().await.unwrap().forget();
    drop(stream);
    GO_ON.add_permits(1);
    let read = async || {
        let find = async |c: &mut shared::store::Conn| users::credentials(c, SLOW_ACCOUNT).await;
        app.app().store.read("test.look", find).await.unwrap()
    };
    let committed = async {
        loop {
            if let Some(account) = read().await {
                break account;
            }
        }
    };
    let account = timeout(PATIENCE, committed).await.expect("the change was committed as a whole");
    assert_eq!(account.password_hash, "!still-nobody-knows-this-one");
    let idle = || app.app().store.pool_stats().iter().all(|pool| pool.in_use == 0);
    eventually(|| idle().then_some(())).await;
    app.stop().await;
}

/// The same for a handler in the middle of a read.
static READS: Semaphore = Semaphore::const_new(0);
static READ_ON: Semaphore = Semaphore::const_new(0);

async fn slow_read(ctx: Ctx) -> Outcome {
    ctx.app
        .store
        .read("test.slow_read", async |c| {
            READS.add_permits(1);
            READ_ON.acquire().await.expect("never closed").forget();
            users::count(c).await
        })
        .await?;
    Ok(Reply::no_content())
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_of_a_read_costs_no_connection() {
    let app = TestApp::with_routes(|_| {}, routes::table().get("/test/slow-read", Access::Public, slow_read)).await;
    let call = app.client().bytes(&Call::new("GET", "/test/slow-read"));
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(&call).await.unwrap();
    READS.acquire().await.unwrap().forget();
    drop(stream);
    eventually(|| (app.app().metrics.requests_in_flight() == 0).then_some(())).await;
    READ_ON.add_permits(1);
    eventually(|| (app.runs_of("test.slow_read") == 1).then_some(())).await;
    let lost: u64 = app.app().store.pool_stats().iter().map(|pool| pool.closed_broken).sum();
    assert_eq!(lost, 0);
    app.stop().await;
}
