//! A Redis Cluster of three masters with a replica each.

use super::{RedisOptions, RedisServer, Reply};
use crate::servers::process::{Port, until};
use std::{io, process::Command};

const MASTERS: usize = 3;
const NODES: usize = 2 * MASTERS;

/// A running Cluster; gone with this value.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    server: RedisServer,
    /// The name it has in `CLUSTER NODES`.
    id: String,
    _bus: Port,
}

impl RedisCluster {
    /// Starts six nodes and returns when every one of them sees all slots covered and replicas in step.
    pub async fn start() -> io::Result<Self> {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(Node::start().await?);
        }
        let mut cli = Command::new("redis-cli");
        cli.args(["--cluster", "create"]);
        cli.args(nodes.iter().map(|node| node.server.addr().to_string()));
        cli.args(["--cluster-replicas", "1", "--cluster-yes"]);
        let made = tokio::task::spawn_blocking(move || cli.output()).await.map_err(io::Error::other)??;
        if !made.status.success() {
            return Err(io::Error::other(format!("redis-cli failed: {}", String::from_utf8_lossy(&made.stdout))));
        }
        let this = Self { nodes };
        until("the cluster to be whole", async || this.is_whole().await).await;
        Ok(this)
    }

    /// What `REDIS_URL` would be, as fred spells it.
    pub fn url(&self) -> String {
        let addrs: Vec<_> = self.nodes.iter().map(|node| node.server.addr().to_string()).collect();
        let others: Vec<_> = addrs[1..].iter().map(|addr| format!("node={addr}")).collect();
        format!("redis-cluster://{}?{}", addrs[0], others.join("&"))
    }

    /// A node by its number below six. The first three start as masters.
    pub fn node(&self, number: usize) -> &RedisServer {
        &self.nodes[number].server
    }

    /// Every node, dead or alive.
    pub fn nodes(&self) -> impl Iterator<Item = &RedisServer> {
        self.nodes.iter().map(|node| &node.server)
    }

    /// The slot a key is in.
    pub async fn slot_of(&self, key: &str) -> u16 {
        let Reply::Number(slot) = self.any().await.call(&["CLUSTER", "KEYSLOT", key]).await else {
            panic!("KEYSLOT is a number")
        };
        u16::try_from(slot).expect("slots are below 16384")
    }

    /// The number of the master that serves a slot, as the living nodes see it.
    pub async fn owner_of(&self, slot: u16) -> usize {
        let map = self.any().await.call(&["CLUSTER", "SLOTS"]).await;
        let range = map.list().iter().find(|range| {
            let bound = |at: usize| match &range.list()[at] {
                Reply::Number(bound) => *bound,
                other => panic!("a slot range began with {other:?}"),
            };
            (bound(0)..=bound(1)).contains(&i64::from(slot))
        });
        let master = range.and_then(|range| range.list()[2].list().get(2)).expect("every slot has a master").text();
        self.nodes.iter().position(|node| node.id == master).expect("the master is one of ours")
    }

    /// Kills a master and returns when its replica has taken over.
    pub async fn fail_over(&self, master: usize) {
        self.nodes[master].server.kill();
        until("a replica to take over", async || self.is_served_without(master).await).await;
    }

    /// Moves a slot with its keys to another master while clients go on, as an operator does: they meet `ASK` and
    /// `MOVED` on the way.
    pub async fn migrate(&self, slot: u16, to: usize) {
        let from = self.owner_of(slot).await;
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let number = slot.to_string();
        target.server.call(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &source.id]).await;
        source.server.call(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &target.id]).await;
        let (ip, port) = (target.server.addr().ip().to_string(), target.server.addr().port().to_string());
        loop {
            let keys = source.server.call(&["CLUSTER", "GETKEYSINSLOT", &number, "100"]).await;
            if keys.list().is_empty() {
                break;
            }
            let head = ["MIGRATE", &ip, &port, "", "0", "5000", "KEYS"];
            let keys = keys.list().iter().map(Reply::text);
            source.server.call(&head.into_iter().chain(keys).collect::<Vec<_>>()).await;
        }
        // The new owner first: from then on a client that is sent there finds it serving.
        for node in [target, source] {
            node.server.call(&["CLUSTER", "SETSLOT", &number, "NODE", &target.id]).await;
        }
        until("every node to know the slot's new place", async || self.all_send(slot, to).await).await;
    }

    async fn any(&self) -> &RedisServer {
        for node in &self.nodes {
            if node.server.try_call(&["PING"]).await.is_ok() {
                return &node.server;
            }
        }
        panic!("every node of the cluster is dead")
    }

    async fn is_whole(&self) -> bool {
        for node in &self.nodes {
            let replica = node.server.info("replication", "role").await.as_deref() == Some("slave");
            let linked = node.server.info("replication", "master_link_status").await.as_deref() == Some("up");
            if !node.sees("ok", NODES).await || (replica && !linked) {
                return false;
            }
        }
        true
    }

    async fn is_served_without(&self, dead: usize) -> bool {
        for (number, node) in self.nodes.iter().enumerate() {
            if number != dead && node.server.try_call(&["PING"]).await.is_ok() {
                let nodes = node.server.call(&["CLUSTER", "NODES"]).await;
                let line = nodes.text().lines().find(|line| line.starts_with(&self.nodes[dead].id));
                // Its line ends with the slots it serves; one that serves none ends with its link's state.
                let serves = line.is_some_and(|line| line.split(' ').count() > 8);
                if serves || !node.sees("ok", NODES).await {
                    return false;
                }
            }
        }
        true
    }

    async fn all_send(&self, slot: u16, to: usize) -> bool {
        for node in &self.nodes {
            let Ok(map) = node.server.try_call(&["CLUSTER", "NODES"]).await else { continue };
            let line = map.text().lines().find(|line| line.starts_with(&self.nodes[to].id));
            let ranges = line.into_iter().flat_map(|line| line.split(' ').skip(8));
            let covers = |range: &str| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                first.parse().is_ok_and(|first: u16| last.parse().is_ok_and(|last: u16| (first..=last).contains(&slot)))
            };
            if !ranges.into_iter().any(covers) {
                return false;
            }
        }
        true
    }
}

impl Node {
    async fn start() -> io::Result<Self> {
        let bus = Port::reserve()?;
        let settings = vec![
            "cluster-enabled yes".to_owned(),
            format!("cluster-port {}", bus.number()),
            // A replica takes over in two to four seconds, and a machine that is busy for one is not taken for dead.
            "cluster-node-timeout 2000".to_owned(),
        ];
        let server = RedisServer::start(&RedisOptions { settings, ..RedisOptions::default() }).await?;
        let id = server.call(&["CLUSTER", "MYID"]).await.text().to_owned();
        Ok(Self { server, id, _bus: bus })
    }

    /// Whether the node takes the cluster for `ok` with so many nodes.
    async fn sees(&self, state: &str, nodes: usize) -> bool {
        let Ok(info) = self.server.try_call(&["CLUSTER", "INFO"]).await else { return false };
        let has =
            |name: &str, value: &str| info.text().lines().any(|line| line.trim_end() == format!("{name}:{value}"));
        has("cluster_state", state) && has("cluster_known_nodes", &nodes.to_string())
    }
}
