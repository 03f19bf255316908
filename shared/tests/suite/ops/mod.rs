//! What the operations and the relay promise, on both databases where SQL decides.

#![expect(clippy::unwrap_used, clippy::unchecked_time_subtraction, reason = "tests: a panic is the report")]

mod inbox;
mod invalidations;
mod messages;
mod notifications;
mod relay;
mod rooms;
mod sessions;

use crate::store::{on_both, spawn, user};
use shared::{
    config::{PoolConfig, SessionConfig},
    engine::{Attachment, Delivery, Engine, Topic},
    id::{SessionId, UserId},
    model::{Identity, Portal},
    ops::{Ops, OpsError},
    secret::Token,
    store::{
        StoreError,
        inbox::{self as rows, Entry},
        sessions as session_rows, testing,
    },
    testkit::TestStore,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::oneshot, task::JoinHandle};
use uuid::Uuid;

/// Longer than anything here takes, shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(10);

/// The operations of a node that just started: an engine of its own, empty.
fn ops(kit: &TestStore) -> Ops {
    Ops::new(kit.store.clone(), Engine::memory(kit.clock.clone()), kit.clock.clone(), SessionConfig::default())
}

/// A user of that name, signed in.
async fn sign_in(kit: &TestStore, name: &str) -> (Token, Identity) {
    let user = user(kit, name).await;
    open_session(kit, user).await
}

/// One more session of the user.
async fn open_session(kit: &TestStore, user_id: UserId) -> (Token, Identity) {
    let token = Token::generate();
    let new = session_rows::NewSession {
        id: SessionId::new(),
        user_id,
        portal: Portal::Creator,
        token: token.hash(),
        ip: None,
        user_agent: None,
        ttl: SessionConfig::default().ttl,
    };
    let identity = kit.store.tx("test.session", async |tx| {
        session_rows::insert(tx, new).await?;
        session_rows::identity(tx, new.token).await
    });
    (token, identity.await.expect("a session is opened").expect("and found"))
}

/// Everything in the user's inbox, oldest first.
async fn inbox_of(kit: &TestStore, user: UserId) -> Vec<Entry> {
    let page = async |c: &mut _| rows::page(c, user, 0, 10_000, u64::MAX).await;
    kit.store.read("test.inbox", page).await.expect("the inbox is read")
}

/// The payload of an entry.
fn data(entry: &Entry) -> serde_json::Value {
    serde_json::from_str(entry.data.get()).expect("payloads are JSON")
}

/// Runs a statement of the test's choice.
async fn sql(kit: &TestStore, statement: &'static str) {
    kit.store.tx("test.sql", async |tx| testing::execute(tx, statement).await).await.expect("the statement runs");
}

/// How often the named unit of work ran.
fn runs(kit: &TestStore, name: &str) -> u64 {
    kit.store.statement_stats().iter().find(|work| work.name == name).map_or(0, |work| work.count)
}

/// A node that wants the inboxes of these users.
async fn node(engine: &Engine, users: &[UserId]) -> Attachment {
    let attachment = engine.broker.attach().await.expect("a node attaches");
    for user in users {
        engine.broker.subscribe(attachment.node, &Topic::Inbox(*user)).await.expect("it subscribes");
    }
    attachment
}

/// What has arrived at the node: positions by user, in the order of arrival.
fn arrived(node: &mut Attachment) -> BTreeMap<UserId, Vec<u64>> {
    let mut positions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    while let Some(delivery) = node.deliveries.try_recv() {
        match delivery {
            Delivery::Inbox { user, seq, .. } => positions.entry(user).or_default().push(seq),
            Delivery::Lost => panic!("the node's queue is large enough for this test"),
            Delivery::Event { .. } | Delivery::Signal(..) | Delivery::Control(_) => {}
        }
    }
    positions
}

/// Takes the only connection that reads, until the sender is dropped: the database is out of reach.
async fn occupy(kit: &TestStore) -> (oneshot::Sender<()>, JoinHandle<Result<(), StoreError>>) {
    let (store, (taken, is_taken), (release, until)) = (kit.store.clone(), oneshot::channel(), oneshot::channel());
    let occupied = spawn(async move {
        let hold = async move |_: &mut _| {
            taken.send(()).expect("the test waits");
            let _ = until.await;
            Ok(())
        };
        store.read("test.occupy", hold).await
    });
    is_taken.await.expect("the connection is taken");
    (release, occupied)
}
