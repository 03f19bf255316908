//! One `redis-server`.

use super::{Connection, Reply};
use crate::servers::{
    Certificates,
    process::{Port, Setup, Supervised},
};
use std::{io, net::SocketAddr};

/// The user of servers with an ACL, and its password.
const USER: (&str, &str) = ("pitchey", "correct-horse");

/// How a server differs from the plainest one.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// Keeps an append-only file, so that a killed server comes back with its data.
    pub aof: bool,
    /// Knows no default user, only `pitchey`, as production should.
    pub acl: bool,
    /// Listens with TLS beside the plain port; [`RedisServer::url`] is then the TLS one.
    pub tls: bool,
    /// Further lines of `redis.conf`.
    pub settings: Vec<String>,
}

/// A running server; gone with this value.
#[derive(Debug)]
pub struct RedisServer {
    process: Supervised,
    port: Port,
    tls: Option<(Port, Certificates)>,
    acl: bool,
}

impl RedisServer {
    /// Starts a server; [`io::ErrorKind::NotFound`] if the machine has none.
    pub async fn start(options: &RedisOptions) -> io::Result<Self> {
        let port = Port::reserve()?;
        let setup = Setup::new("redis")?;
        let tls = if options.tls { Some((Port::reserve()?, Certificates::new()?)) } else { None };
        let mut conf = vec![
            format!("port {}\nbind 127.0.0.1\ndir {}", port.number(), setup.folder().display()),
            "daemonize no\nsave \"\"\nenable-debug-command yes".to_owned(),
        ];
        if options.aof {
            conf.push("appendonly yes".to_owned());
        }
        if options.acl {
            let (name, password) = USER;
            conf.push(format!("user default off\nuser {name} on >{password} ~* &* +@all"));
        }
        if let Some((port, certificates)) = &tls {
            let (cert, key) = (certificates.server_cert.display(), certificates.server_key.display());
            let (port, ca) = (port.number(), certificates.ca.display());
            conf.push(format!("tls-port {port}\ntls-cert-file {cert}\ntls-key-file {key}\ntls-ca-cert-file {ca}"));
            conf.push("tls-auth-clients no".to_owned());
        }
        conf.extend_from_slice(&options.settings);
        let conf = setup.write("redis.conf", &conf.join("\n"))?.display().to_string();
        let process = setup.supervise(&["redis-server", &conf], "KILL")?;
        let this = Self { process, port, tls, acl: options.acl };
        this.start_again().await?;
        Ok(this)
    }

    /// Where the plain port is.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// What `REDIS_URL` would be.
    pub fn url(&self) -> String {
        self.url_through(self.tls.as_ref().map_or_else(|| self.addr(), |(port, _)| port.addr()))
    }

    /// The same, through something that stands in front of the server.
    pub fn url_through(&self, addr: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let user = if self.acl { format!("{}:{}@", USER.0, USER.1) } else { String::new() };
        format!("{scheme}://{user}{addr}")
    }

    /// Who signed the TLS port's certificate.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.tls.as_ref().map(|(_, certificates)| certificates)
    }

    /// Ends the server as a crash does.
    pub fn kill(&self) {
        self.process.end("KILL");
    }

    /// Ends the server in good order.
    pub fn stop(&self) {
        self.process.end("TERM");
    }

    /// Starts a server that ended, on the same port, with what its append-only file has, and waits until it answers.
    pub async fn start_again(&self) -> io::Result<()> {
        self.process.start();
        let ready = async || self.try_call(&["PING"]).await.is_ok_and(|reply| reply == Reply::Text("PONG".into()));
        self.process.until_ready(ready).await
    }

    /// Stops the process without ending it: connections stay open and nobody answers.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// Removes every key.
    pub async fn flush(&self) {
        self.call(&["FLUSHALL", "SYNC"]).await;
    }

    /// Sends a command on a connection of its own; a refusal is a panic.
    pub async fn call(&self, command: &[&str]) -> Reply {
        match self.try_call(command).await {
            Ok(Reply::Error(error)) => panic!("{command:?}: {error}"),
            Ok(reply) => reply,
            Err(error) => panic!("{command:?}: {error}"),
        }
    }

    /// The same, for when the server may be away.
    pub async fn try_call(&self, command: &[&str]) -> io::Result<Reply> {
        Connection::open(self.addr(), self.acl.then_some(USER)).await?.call(command).await
    }

    /// The value of a line such as `role` in a section of `INFO`.
    pub async fn info(&self, section: &str, name: &str) -> Option<String> {
        let reply = self.try_call(&["INFO", section]).await.ok()?;
        let line = reply.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }
}
