//! What the store promises, as sentences, on SQLite and on PostgreSQL.
//!
//! Every test has a database of its own and a clock that only it moves, so their order does not matter. Waiting is
//! for an event with a deadline ([`eventually`]), never for a guessed time.

mod accounts;
mod away;
mod browse;
mod dashboard;
mod inbox;
mod installation;
mod leases;
mod operators;
mod pitches;
mod pool;
mod pooler;
mod schema;
mod tls;
mod work;

use shared::{
    config::PoolConfig,
    id::UserId,
    model::{Portal, Portals},
    store::{Store, StoreError, Tx, testing, users},
    testkit::TestStore,
};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Makes each of these functions a test on both databases: `sentence::sqlite` and `sentence::postgres`. A sentence
/// that needs other limits than the usual ones says so: `sentence with few()`.
macro_rules! on_both {
    ($($name:ident $(with $pool:expr)?,)+) => {$(
        mod $name {
            use super::*;

            fn limits() -> PoolConfig {
                [$($pool,)? PoolConfig::default()].into_iter().next().expect("there is one")
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(&TestStore::sqlite_with(limits()).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(kit) = TestStore::postgres_with(limits()).await {
                    super::$name(&kit).await;
                }
            }
        }
    )+};
}
pub(crate) use on_both;

/// Waits until it is so; far longer than anything here needs on an idle machine.
pub(crate) async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so().await {
        assert!(Instant::now() < deadline, "{what}: still not so");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Spawns as the platform does.
pub(crate) fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    TaskTracker::new().spawn(work)
}

/// Adds a verified creator called `name`.
async fn insert_user(tx: &mut Tx, name: &str) -> Result<UserId, StoreError> {
    let (id, email) = (UserId::new(), format!("{name}@example.test"));
    let user = users::NewUser {
        id,
        email: &email,
        username: name,
        name,
        user_type: Portal::Creator,
        portals: Portals::of([Portal::Creator]),
        password_hash: "not a hash, only long enough",
        email_verified: true,
    };
    users::insert(tx, user).await?;
    Ok(id)
}

/// Adds a verified creator in a unit of work of its own.
pub(crate) async fn user(kit: &TestStore, name: &str) -> UserId {
    kit.store.tx("test.user", async |tx| insert_user(tx, name).await).await.expect("a user is added")
}

async fn count_users(store: &Store) -> i64 {
    let count = store.read("test.count", async |c| testing::number(c, "select count(*) from users").await);
    count.await.expect("users are counted")
}

fn is_postgres(kit: &TestStore) -> bool {
    kit.store.database() == "postgres"
}
