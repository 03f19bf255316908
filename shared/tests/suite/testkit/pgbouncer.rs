//! The pooler really is one: many clients, few server connections, one per transaction.

use shared::testkit::{PgBouncer, Postgres};
use sqlx::{Connection, Executor, PgConnection, Row};

#[tokio::test]
async fn clients_share_the_servers_connections_by_the_transaction() {
    let Some(pooler) = PgBouncer::shared().await else { return };
    let database = Postgres::shared().unwrap().create_empty_database().await;
    let mut clients = Vec::new();
    let mut backends = std::collections::HashSet::new();
    for _ in 0..40 {
        let mut client = PgConnection::connect(&pooler.url(&database)).await.unwrap();
        // The simple protocol: named statements do not survive a change of the server's connection.
        let row = client.fetch_one(sqlx::raw_sql("select pg_backend_pid()")).await.unwrap();
        backends.insert(row.get::<i32, _>(0));
        clients.push(client);
    }
    assert!(backends.len() < 20, "40 clients had {} connections between them", backends.len());
}
