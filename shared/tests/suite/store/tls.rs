//! How far a PostgreSQL server is trusted (`sslmode`); the names of the modes are in the store's `postgres/address.rs`.

use super::*;
use shared::{
    clock::Clock,
    config::DatabaseConfig,
    secret::Secret,
    store::testing::number,
    testkit::{Postgres, available, tls::Authority},
};
use std::path::Path;

/// Whether the connection that such an address gives is encrypted.
async fn encrypted(url: String) -> Result<bool, StoreError> {
    let mut config = DatabaseConfig { url: Some(Secret::new(url)), ..DatabaseConfig::default() };
    // What is refused because of trust is refused at once.
    config.pool.start_timeout = Duration::from_hours(1);
    let store = Store::connect(&config, Path::new("."), "test", Clock::System).await?;
    let ssl = "select count(*) from pg_stat_ssl where pid = pg_backend_pid() and ssl";
    store.read("test.ssl", async |c| number(c, ssl).await).await.map(|count| count == 1)
}

#[track_caller]
fn refused(outcome: &Result<bool, StoreError>, because: &str) {
    let Err(StoreError::Unavailable(why)) = outcome else { panic!("{outcome:?}, not refused for {because}") };
    assert!(why.contains(because), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_must_prove_who_it_is_where_that_was_asked() {
    let Some(server) = available("PostgreSQL", Postgres::start()) else { return };
    let server: &'static Postgres = Box::leak(Box::new(server));
    let (authority, port) = (Authority::new(), server.addr().port());
    let ca = authority.ca().display().to_string();
    // The certificate is for this name; the address of the same server is another one.
    let (name, number) =
        (format!("postgres://pitchey@localhost:{port}"), format!("postgres://pitchey@127.0.0.1:{port}"));
    let url = |server: &str, parameters: &str| format!("{server}/postgres?{parameters}");

    assert!(!encrypted(url(&number, "sslmode=prefer")).await.expect("it connects in the clear"));
    refused(&encrypted(url(&name, "sslmode=verify-full")).await, "TLS");

    server.speak_tls(&authority.cert(), &authority.key()).await.expect("it speaks TLS");
    let trusting = format!("sslrootcert={ca}");
    assert!(encrypted(url(&name, &format!("sslmode=verify-full&{trusting}"))).await.expect("it is proven"));
    assert!(encrypted(url(&number, &format!("sslmode=verify-ca&{trusting}"))).await.expect("its issuer is proven"));
    refused(&encrypted(url(&number, &format!("sslmode=verify-full&{trusting}"))).await, "ertificate");
    refused(&encrypted(url(&name, "sslmode=verify-full")).await, "ertificate");
    refused(&encrypted(url(&name, "sslmode=verify-full&sslrootcert=system")).await, "ertificate");
    // Nobody stands between this machine and itself.
    assert!(encrypted(url(&name, "sslmode=require")).await.expect("it is encrypted"));
    assert!(!encrypted(url(&name, "sslmode=disable")).await.expect("it was not asked to"));
}
