//! Whatever way a handler ends in the middle of its transaction, nothing of it stays: no change, no lock, no open
//! transaction.

use crate::support::{Call, PATIENCE, TestApp};
use api::{
    http::{Ctx, Outcome, Reply},
    router::Access,
    routes,
};
use serde_json::json;
use shared::{
    clock::Clock,
    model::Portal,
    store::{Store, StoreError, Tx, testing},
};
use std::time::Duration;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Semaphore, time::timeout};

/// Changes every account's row, and then ends as it is told.
async fn in_the_middle(ctx: &Ctx, end: impl AsyncFnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
    let work = async |tx: &mut Tx| {
        testing::execute(tx, "update users set name = 'half done'").await?;
        end().await
    };
    ctx.app.store.tx("test.middle", work).await
}

async fn fails(ctx: Ctx) -> Outcome {
    in_the_middle(&ctx, async || Err(StoreError::ForeignKeyViolation)).await?;
    Ok(Reply::no_content())
}

async fn panics(ctx: Ctx) -> Outcome {
    in_the_middle(&ctx, async || panic!("in the middle of a transaction")).await?;
    Ok(Reply::no_content())
}

/// Rung when a handler hangs in the middle of its transaction.
static HANGS: Semaphore = Semaphore::const_new(0);

async fn hangs(ctx: Ctx) -> Outcome {
    let for_ever = async || {
        HANGS.add_permits(1);
        std::future::pending().await
    };
    in_the_middle(&ctx, for_ever).await?;
    Ok(Reply::no_content())
}

async fn app() -> TestApp {
    let table = routes::table()
        .post("/test/fails", Access::Public, fails)
        .post("/test/panics", Access::Public, panics)
        .post("/test/hangs", Access::Public, hangs);
    let app = TestApp::with_routes(|config| config.http.request_timeout = Duration::from_millis(500), table).await;
    app.insert("ada@example.org", &[Portal::Creator], true, "!nobody-knows-this-password").await;
    app
}

/// From another session's point of view: the row can be locked without waiting, and no session of ours sits in a
/// transaction. A connection that was thrown away ends its transaction as soon as the server reads that it is closed.
async fn assert_nothing_is_held(app: &TestApp) {
    let config = &app.app().config;
    let other = Store::connect(&config.database, &config.data_dir.0, "observer", Clock::System).await.unwrap();
    let postgres = other.database() == "postgres";
    let look = async |tx: &mut Tx| {
        if !postgres {
            testing::execute(tx, "update users set email = email").await?;
            return Ok(true);
        }
        testing::execute(tx, "select id from users for update nowait").await?;
        let open = "select count(*) from pg_stat_activity where datname = current_database()
            and pid <> pg_backend_pid() and state like 'idle in transaction%'";
        Ok::<_, StoreError>(testing::number(tx, open).await? == 0)
    };
    let free = async {
        // Shorter than SQLite's busy timeout, so that waiting for a lock shows.
        while !matches!(timeout(Duration::from_secs(1), other.tx("test.look", look)).await, Ok(Ok(true))) {}
    };
    timeout(PATIENCE, free).await.expect("nothing is held");
    let names = async |tx: &mut Tx| testing::texts(tx, "select name from users").await;
    assert_eq!(other.tx("test.names", names).await.unwrap(), ["ada"], "nothing was changed");
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_in_a_transaction_leaves_nothing_behind() {
    let app = app().await;
    let client = app.client();
    assert_eq!(client.post("/test/fails", &json!({})).await.refusal(), "409 CONFLICT");
    assert_nothing_is_held(&app).await;
    assert_eq!(client.post("/test/panics", &json!({})).await.refusal(), "500 INTERNAL_ERROR");
    assert_nothing_is_held(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn a_handler_that_hangs_in_a_transaction_leaves_nothing_behind_once_it_was_answered() {
    let app = app().await;
    let answer = app.client().post("/test/hangs", &json!({})).await;
    // The request's deadline and its transaction's are the same instant; either may be noticed first.
    assert!(["504 TIMEOUT", "503 SERVICE_UNAVAILABLE"].contains(&answer.refusal().as_str()), "{answer:?}");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    assert_nothing_is_held(&app).await;

    let call = app.client().bytes(&Call::new("POST", "/test/hangs").json(&json!({})));
    let mut gone = TcpStream::connect(app.address()).await.unwrap();
    gone.write_all(&call).await.unwrap();
    HANGS.acquire_many(2).await.unwrap().forget();
    drop(gone);
    assert_nothing_is_held(&app).await;
    app.stop().await;
}
