//! A master, its replicas, and three Sentinels that watch them.

use super::{Connection, RedisOptions, RedisServer, Reply};
use crate::servers::process::{Port, Setup, Supervised, until};
use std::{io, net::SocketAddr};

/// What the Sentinels call the master.
pub const SERVICE: &str = "pitchey";

/// A running set; gone with this value.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The first is the master until a failover.
    servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    process: Supervised,
    port: Port,
}

impl RedisSentinel {
    /// Starts a master with so many replicas, and returns when the Sentinels know all of them and each other.
    pub async fn start(replicas: usize) -> io::Result<Self> {
        let mut servers = vec![RedisServer::start(&RedisOptions::default()).await?];
        let master = servers[0].addr();
        for _ in 0..replicas {
            let settings = vec![format!("replicaof {} {}", master.ip(), master.port())];
            servers.push(RedisServer::start(&RedisOptions { settings, ..RedisOptions::default() }).await?);
        }
        // Sentinels look at a master every ten seconds: a replica they do not find at once costs that long.
        until("replicas to follow", async || {
            let mut linked = 0;
            for replica in &servers[1..] {
                linked += usize::from(replica.info("replication", "master_link_status").await.as_deref() == Some("up"));
            }
            linked == replicas
        })
        .await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Sentinel::start(master).await?);
        }
        let this = Self { servers, sentinels };
        until("Sentinels to know each other", async || this.is_settled(replicas).await).await;
        Ok(this)
    }

    /// What `REDIS_URL` would be, as fred spells it.
    pub fn url(&self) -> String {
        let addrs: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.port.addr().to_string()).collect();
        let nodes: Vec<_> = addrs[1..].iter().map(|addr| format!("node={addr}")).collect();
        format!("redis-sentinel://{}?{}&sentinelServiceName={SERVICE}", addrs[0], nodes.join("&"))
    }

    /// The server that is the master now, by what the Sentinels and the server itself say; `None` during a failover.
    pub async fn master(&self) -> Option<&RedisServer> {
        let mut connection = Connection::open(self.sentinels[0].port.addr(), None).await.ok()?;
        let reply = connection.call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).await.ok()?;
        let [_, port] = reply.list() else { return None };
        let server = self.servers.iter().find(|server| server.addr().port().to_string() == port.text())?;
        (server.info("replication", "role").await? == "master").then_some(server)
    }

    /// Kills the master and returns when a replica has taken over. The dead one stays dead.
    pub async fn fail_over(&self) {
        let dead = self.master().await.expect("a settled set has a master");
        dead.kill();
        until("a failover", async || self.master().await.is_some_and(|master| !std::ptr::eq(master, dead))).await;
    }

    /// Every server, dead or alive.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    async fn is_settled(&self, replicas: usize) -> bool {
        for sentinel in &self.sentinels {
            let known = async || {
                let mut connection = Connection::open(sentinel.port.addr(), None).await.ok()?;
                let reply = connection.call(&["SENTINEL", "MASTER", SERVICE]).await.ok()?;
                let field = |name| {
                    let pair = reply.list().chunks(2).find(|pair| pair[0].text() == name)?;
                    pair[1].text().parse::<usize>().ok()
                };
                Some((field("num-slaves")?, field("num-other-sentinels")?))
            };
            if known().await != Some((replicas, 2)) {
                return false;
            }
        }
        true
    }
}

impl Sentinel {
    async fn start(master: SocketAddr) -> io::Result<Self> {
        let port = Port::reserve()?;
        let setup = Setup::new("sentinel")?;
        let (ip, master_port) = (master.ip(), master.port());
        let conf = format!(
            "port {}\nbind 127.0.0.1\ndir {}\ndaemonize no\n\
             sentinel monitor {SERVICE} {ip} {master_port} 2\n\
             sentinel down-after-milliseconds {SERVICE} 1500\n\
             sentinel failover-timeout {SERVICE} 6000\n",
            port.number(),
            setup.folder().display(),
        );
        let conf = setup.write("sentinel.conf", &conf)?.display().to_string();
        let process = setup.supervise(&["redis-sentinel", &conf], "KILL")?;
        let this = Self { process, port };
        this.process.start();
        this.process.until_ready(async || this.answers().await).await?;
        Ok(this)
    }

    async fn answers(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.port.addr(), None).await else { return false };
        connection.call(&["PING"]).await.is_ok_and(|reply| reply == Reply::Text("PONG".into()))
    }
}
