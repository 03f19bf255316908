//! A server that comes back, or takes over, without the writes it acknowledged last. What was there before must not be
//! taken for all there is: no inbox entry may be withheld, nobody who left may stay online, nobody who came be missing.
//!
//! One story, told on each kind of server. That the writes were really lost is looked up behind the engine's back.

use super::{
    faults::{engine_at, is_lost, wait_for, when_it_works},
    node::Node,
};
use bytes::Bytes;
use shared::{
    clock::Timestamp,
    config::RedisConfig,
    engine::{
        Appended, Delivery, Engine, Incarnation, MailboxEntry, Renewal, Topic,
        mailbox::Place,
        presence::{GRACE, QUIET},
    },
    id::UserId,
    protocol::command::Status,
    secret::Secret,
    testkit::{
        RedisCluster, RedisOptions, RedisSentinel, RedisServer, available,
        redis::{Connection, Reply},
    },
};
use std::{ops::RangeInclusive, time::Duration};
use uuid::Uuid;

/// What a user and a node went through.
struct Story {
    engine: Engine,
    gateway: Incarnation,
    /// Whose mailbox it is about.
    owner: UserId,
    stays: UserId,
    leaves: UserId,
    comes: UserId,
    node: Node,
}

fn entries(seqs: RangeInclusive<u64>) -> Vec<MailboxEntry> {
    seqs.map(|seq| MailboxEntry { seq, frame: Bytes::from(format!("entry {seq}")) }).collect()
}

impl Story {
    /// What the server still knows in the end; its last write is the mailbox.
    async fn begin(engine: Engine, owner: UserId) -> Self {
        let node = Node::on(&engine, &[Topic::Inbox(owner)]).await;
        let gateway = Incarnation { node: "gw".into(), id: Uuid::now_v7() };
        let (stays, leaves, comes) = (UserId::new(), UserId::new(), UserId::new());
        let this = Self { engine, gateway, owner, stays, leaves, comes, node };
        assert_eq!(this.engine.presence.renew(&this.gateway).await.unwrap(), Renewal::Started);
        this.join(&[(stays, 1), (leaves, 2)]).await;
        assert_eq!(this.engine.mailbox.append(owner, &entries(1..=8)).await.unwrap(), Appended::UpTo(8));
        this
    }

    /// What is acknowledged, and lost.
    async fn go_on(&self) {
        assert_eq!(self.engine.mailbox.append(self.owner, &entries(9..=10)).await.unwrap(), Appended::UpTo(10));
        self.join(&[(self.comes, 3)]).await;
        self.engine.presence.leave(&self.gateway, self.leaves, 2).await.unwrap();
        assert_eq!(self.devices().await, [1, 0, 1]);
    }

    async fn join(&self, connections: &[(UserId, u64)]) {
        let online: Vec<_> = connections.iter().map(|(user, n)| (*user, *n, Status::Online)).collect();
        self.engine.presence.join_all(&self.gateway, &online).await.unwrap();
    }

    /// How many connections those who stay, leave and come have.
    async fn devices(&self) -> Vec<u32> {
        let users = [self.stays, self.leaves, self.comes];
        let states = when_it_works(|| self.engine.presence.snapshot(&users)).await;
        states.iter().map(|state| state.devices).collect()
    }

    /// How the story must end, on whatever these servers still know.
    async fn ends_well(&mut self, servers: impl IntoIterator<Item = &RedisServer>) {
        wait_for(&mut self.node, is_lost).await;
        let (mailbox, owner) = (&self.engine.mailbox, &self.owner);
        let head = when_it_works(|| mailbox.head(*owner)).await;
        assert_eq!(kept_head(servers, *owner).await.as_deref(), Some("8"), "the last entries are lost");
        assert_eq!(head, None, "and so the mailbox is");
        assert_eq!(mailbox.read(*owner, 8, 10).await.unwrap(), None, "nobody is told to be up to date at 8");
        assert_eq!(mailbox.look(*owner, "phone").await.unwrap(), None);
        let noted = Place { acked: 8, noted: Timestamp::from_micros(0) };
        mailbox.open(*owner, 10, "phone", noted).await.unwrap();
        assert_eq!(mailbox.look(*owner, "phone").await.unwrap().map(|look| (look.base, look.head)), Some((10, 10)));
        assert_eq!(mailbox.append(*owner, &entries(11..=11)).await.unwrap(), Appended::UpTo(11));
        wait_for(&mut self.node, |delivery| matches!(delivery, Delivery::Inbox { seq: 11, .. })).await;

        assert_eq!(self.devices().await, [1, 1, 0], "a ghost, and somebody missing");
        assert_eq!(self.renew().await, Renewal::Started);
        self.join(&[(self.stays, 1), (self.comes, 3)]).await;
        assert_eq!(self.devices().await, [1, 0, 1]);
        assert_eq!(self.renew().await, Renewal::Prolonged);
    }

    async fn renew(&self) -> Renewal {
        self.engine.presence.renew(&self.gateway).await.unwrap()
    }
}

/// The head of the user's mailbox as one of these servers has it, whoever may believe it.
async fn kept_head(servers: impl IntoIterator<Item = &RedisServer>, user: UserId) -> Option<String> {
    for server in servers {
        let Ok(mut connection) = Connection::open(server.addr(), None).await else { continue };
        // A replica in a Cluster answers only who says so; others do not know the word.
        let _ = connection.call(&["READONLY"]).await;
        let Ok(keys) = connection.call(&["KEYS", &format!("*box:{user}")]).await else { continue };
        if let [Reply::Text(key)] = keys.list()
            && let Ok(Reply::Text(head)) = connection.call(&["HGET", key, "head"]).await
        {
            return Some(head);
        }
    }
    None
}

/// A replica hears nothing of its master any more, and stays fit to take over.
async fn cut_off(replica: &RedisServer) {
    replica.call(&["CONFIG", "SET", "masterauth", "not-the-password"]).await;
    replica.call(&["CLIENT", "KILL", "TYPE", "master"]).await;
    let down = async || replica.info("replication", "master_link_status").await.as_deref() == Some("down");
    until("the replica is cut off", down).await;
}

async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.unwrap_or_else(|_| panic!("waited too long: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_from_a_snapshot_withholds_nothing_and_keeps_no_ghost() {
    let Some(server) = available("Redis", RedisServer::start(&RedisOptions::default()).await) else { return };
    let clock = super::clock();
    let config = RedisConfig { url: Some(Secret::new(server.url())), ..RedisConfig::default() };
    let mut story = Story::begin(Engine::redis(&config, clock.clone()).unwrap(), UserId::new()).await;
    server.call(&["SAVE"]).await;
    story.go_on().await;
    server.kill();
    server.start_again().await.unwrap();
    story.ends_well([&server]).await;

    // Who only seemed to be there goes offline, once, and nobody else does.
    clock.advance(GRACE);
    assert_eq!(story.renew().await, Renewal::Prolonged);
    clock.advance(QUIET - GRACE);
    assert_eq!(story.engine.presence.sweep().await.unwrap(), 1);
    let states = story.engine.presence.snapshot(&[story.stays, story.leaves, story.comes]).await.unwrap();
    assert!(states.iter().map(|state| state.status).eq([Status::Online, Status::Offline, Status::Online]));
    assert_eq!(story.engine.presence.count().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_without_the_last_writes_withholds_nothing_and_keeps_no_ghost() {
    let Some(sentinel) = available("Redis Sentinel", RedisSentinel::start(1).await) else { return };
    let mut story = Story::begin(engine_at(sentinel.url()), UserId::new()).await;
    let replica = &sentinel.servers()[1];
    let in_step = async || kept_head([replica], story.owner).await.as_deref() == Some("8");
    until("the replica is in step", in_step).await;
    cut_off(replica).await;
    story.go_on().await;
    sentinel.fail_over().await;
    story.ends_well([replica]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_lost_the_last_writes_withholds_nothing_and_keeps_no_ghost() {
    let Some(cluster) = available("Redis Cluster", RedisCluster::start().await) else { return };
    let master = cluster.owner_of(cluster.slot_of("{presence}").await).await;
    let mut story = Story::begin(engine_at(cluster.url()), with_mailbox_on(&cluster, master).await).await;
    let replica = replica_of(&cluster, master).await;
    let in_step = async || kept_head([replica], story.owner).await.as_deref() == Some("8");
    until("the replica is in step", in_step).await;
    cut_off(replica).await;
    story.go_on().await;
    cluster.fail_over(master).await;
    story.ends_well([replica]).await;
}

/// A user whose mailbox is on this master.
async fn with_mailbox_on(cluster: &RedisCluster, master: usize) -> UserId {
    loop {
        let user = UserId::new();
        let partition = cluster.slot_of(&user.to_string()).await % 64;
        let slot = cluster.slot_of(&format!("{{p{partition}}}")).await;
        if cluster.owner_of(slot).await == master {
            return user;
        }
    }
}

async fn replica_of(cluster: &RedisCluster, master: usize) -> &RedisServer {
    let port = cluster.node(master).addr().port().to_string();
    for node in cluster.nodes() {
        if node.info("replication", "master_port").await.as_ref() == Some(&port) {
            return node;
        }
    }
    panic!("every master has a replica")
}
