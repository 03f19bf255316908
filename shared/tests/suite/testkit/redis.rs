//! Redis servers that are killed, frozen, failed over.

use shared::testkit::{
    RedisCluster, RedisOptions, RedisSentinel, RedisServer, available,
    redis::{Connection, Reply},
};
use std::{process::Command, time::Duration};

async fn server(options: RedisOptions) -> Option<RedisServer> {
    available("Redis", RedisServer::start(&options).await)
}

/// Writes, and waits until a replica has this write and all before it.
async fn set_safely(server: &RedisServer, key: &str, value: &str) {
    let mut connection = Connection::open(server.addr(), None).await.unwrap();
    assert_eq!(connection.call(&["SET", key, value]).await.unwrap(), text("OK"));
    assert_eq!(connection.call(&["WAIT", "1", "9000"]).await.unwrap(), Reply::Number(1));
}

fn text(text: &str) -> Reply {
    Reply::Text(text.to_owned())
}

#[tokio::test]
async fn a_killed_server_comes_back_on_its_port_with_what_it_appended_to_its_file() {
    let Some(keeps) = server(RedisOptions { aof: true, ..RedisOptions::default() }).await else { return };
    let Some(forgets) = server(RedisOptions::default()).await else { return };
    for (server, found) in [(&keeps, text("v")), (&forgets, Reply::Nil)] {
        server.call(&["SET", "k", "v"]).await;
        server.kill();
        assert!(server.try_call(&["PING"]).await.is_err());
        server.start_again().await.unwrap();
        assert_eq!(server.call(&["GET", "k"]).await, found);
    }
    keeps.flush().await;
    assert_eq!(keeps.call(&["GET", "k"]).await, Reply::Nil);
}

#[tokio::test]
async fn a_frozen_server_keeps_its_connections_and_answers_when_it_is_thawed() {
    let Some(server) = server(RedisOptions::default()).await else { return };
    let mut connection = Connection::open(server.addr(), None).await.unwrap();
    server.freeze();
    let mut ping = std::pin::pin!(connection.call(&["PING"]));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut ping).await.is_err());
    server.thaw();
    assert_eq!(ping.await.unwrap(), text("PONG"));
}

#[tokio::test]
async fn a_server_with_an_acl_knows_only_its_user() {
    let Some(server) = server(RedisOptions { acl: true, ..RedisOptions::default() }).await else { return };
    assert_eq!(server.call(&["ACL", "WHOAMI"]).await, text("pitchey"));
    let mut stranger = Connection::open(server.addr(), None).await.unwrap();
    assert!(matches!(stranger.call(&["GET", "k"]).await.unwrap(), Reply::Error(error) if error.starts_with("NOAUTH")));
    assert!(server.url().starts_with("redis://pitchey:"));
}

#[tokio::test]
async fn a_server_with_tls_shows_a_certificate_its_authority_signed() {
    let Some(server) = server(RedisOptions { tls: true, ..RedisOptions::default() }).await else { return };
    let (certificates, url) = (server.certificates().unwrap(), server.url());
    let port = url.rsplit_once(':').unwrap().1;
    let ping = |authority: &std::path::Path| {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", port, "--tls", "--cacert"]).arg(authority).arg("PING");
        String::from_utf8_lossy(&cli.output().unwrap().stdout).trim().to_owned()
    };
    assert_eq!(ping(&certificates.ca), "PONG");
    let strangers = shared::testkit::Certificates::new().unwrap();
    assert_ne!(ping(&strangers.ca), "PONG");
}

#[tokio::test]
async fn a_replica_takes_over_from_a_killed_master() {
    let Some(set) = available("Redis Sentinel", RedisSentinel::start(1).await) else { return };
    let master = set.master().await.unwrap();
    set_safely(master, "k", "v").await;
    set.fail_over().await;
    let new = set.master().await.unwrap();
    assert_ne!(new.addr(), set.servers()[0].addr());
    assert_eq!(new.call(&["GET", "k"]).await, text("v"));
}

#[tokio::test]
async fn a_cluster_survives_a_master_and_a_slot_moves_with_its_keys() {
    let Some(cluster) = available("Redis Cluster", RedisCluster::start().await) else { return };
    let slot = cluster.slot_of("{room}:a").await;
    let from = cluster.owner_of(slot).await;
    for key in ["{room}:a", "{room}:b"] {
        cluster.node(from).call(&["SET", key, key]).await;
    }
    let to = (0..3).find(|node| *node != from).unwrap();
    cluster.migrate(slot, to).await;
    assert_eq!(cluster.owner_of(slot).await, to);
    assert_eq!(cluster.node(to).call(&["GET", "{room}:b"]).await, text("{room}:b"));
    assert!(
        cluster.node(from).try_call(&["GET", "{room}:b"]).await.is_ok_and(|reply| matches!(reply, Reply::Error(_)))
    );

    set_safely(cluster.node(to), "{room}:c", "v").await;
    cluster.fail_over(to).await;
    let heir = cluster.owner_of(slot).await;
    assert!(heir >= 3, "one of the replicas");
    assert_eq!(cluster.node(heir).call(&["GET", "{room}:a"]).await, text("{room}:a"));
    assert_eq!(cluster.nodes().count(), 6);
}
