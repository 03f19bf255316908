//! One life of a connection: a fred client that is used from its first connect to its first failure, and then never
//! again.
//!
//! fred reconnects by itself, keeps what was in flight and sends it again, remembers subscriptions and restores them.
//! Each of these has a hole (10.1; the numbers are those of the design page's table): commands that were in flight are
//! repeated (7), a failed restore of subscriptions is only logged (4, 5), some ends of a connection are never noticed
//! (8), the retry of one server holds up all commands. So none of it is used: no reconnect policy, and so no
//! repeated command. The end of the connection is the end of the client, what was in flight fails, and whoever owns the life
//! begins another one. That is one state fewer, and it is what makes "sent at most once" true.
//!
//! What else fred must be told: its queue of commands is unbounded and its commands never time out (6); pub/sub is
//! delivered through a broadcast channel of 32 places (1); Nagle's algorithm is on.
//!
//! A reply that is an array of three and begins with the text `message` or `subscribe` would be taken for pub/sub by
//! fred even where nothing was subscribed: no script answers so.

use super::address::Address;
use fred::{
    clients::Client,
    error::{Error, ErrorKind},
    interfaces::ClientLike,
    types::{
        ClusterHash, CustomCommand, Value,
        config::{ConnectionConfig, Options, PerformanceConfig, TcpConfig},
    },
};
use std::time::Duration;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Longest time for a connection to be usable, from the first packet on. Short, because a connect that hangs behind a
/// dead network delays the one that would work.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a ping's answer: beyond it the connection is given up. Far longer than any pause of a busy server.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Commands that may wait to be written; beyond, callers get "busy". At 20 µs a command this is a fifth of a second.
const COMMANDS: usize = 10_000;
/// How often a command may be written. Only a Cluster's redirections count beyond the first: what they send on was not
/// carried out. Without a reconnect policy fred repeats nothing else.
const ATTEMPTS: u32 = 4;
/// Messages that may wait for the broker's dispatcher; beyond, fred drops them and says so, and every topic is filled
/// from its history. A dispatcher that takes 500 000 a second bridges a pause of 60 ms.
const MESSAGES: usize = 32_768;

/// A connected client, or what is left of it.
#[derive(Debug)]
pub(in crate::engine) struct Life {
    pub(in crate::engine) client: Client,
    /// Cancelled when this life is over: nothing sent later is answered.
    over: CancellationToken,
    cluster: bool,
}

/// Ends the life when it is dropped.
#[derive(Debug)]
pub(in crate::engine) struct Task {
    connection: JoinHandle<Result<(), Error>>,
    over: CancellationToken,
}

impl Life {
    /// Connects.
    pub(in crate::engine) async fn begin(address: &Address, command_timeout: Duration) -> Result<(Self, Task), Error> {
        let performance = PerformanceConfig {
            default_command_timeout: command_timeout,
            broadcast_channel_capacity: MESSAGES,
            ..PerformanceConfig::default()
        };
        let connection = ConnectionConfig {
            connection_timeout: CONNECT_TIMEOUT,
            internal_command_timeout: CONNECT_TIMEOUT,
            max_command_attempts: ATTEMPTS,
            max_command_buffer_len: COMMANDS,
            tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
            ..ConnectionConfig::default()
        };
        let client = Client::new(address.fred.clone(), Some(performance), Some(connection), None);
        let over = CancellationToken::new();
        let connection = match timeout(CONNECT_TIMEOUT, client.init()).await {
            Ok(connected) => connected?,
            Err(_) => return Err(Error::new(ErrorKind::Timeout, "no connection in time")),
        };
        let task = Task { connection, over: over.clone() };
        let life = Self { client, over, cluster: address.is_cluster() };
        life.check_version()?;
        Ok((life, task))
    }

    /// Sharded pub/sub came with Redis 7, and a Cluster is of no use without it.
    fn check_version(&self) -> Result<(), Error> {
        let version = self.client.server_version();
        match version {
            Some(version) if self.cluster && version.major < 7 => {
                Err(Error::new(ErrorKind::Config, format!("a Cluster must be Redis 7 or newer, this is {version}")))
            }
            _ => Ok(()),
        }
    }

    /// Waits for an answer, at most as long as this life lasts: fred forgets some of what was queued when a connection
    /// ends, and the wait would be for nothing.
    pub(in crate::engine) async fn answer<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        // fred's futures are kilobytes, and this one becomes part of every connection's.
        let call = Box::pin(call);
        tokio::select! {
            biased;
            result = call => result,
            () = self.over.cancelled() => Err(Error::new(ErrorKind::Canceled, "the connection ended")),
        }
    }

    /// Asks every server this life is connected to whether it is there. On the subscriber's connection this proves
    /// more: everything sent before has been carried out.
    pub(in crate::engine) async fn ping(&self) -> Result<(), Error> {
        let ping = || CustomCommand::new_static("PING", ClusterHash::Random, false);
        let options = |server| Options { timeout: Some(PING_TIMEOUT), cluster_node: server, ..Options::default() };
        if !self.cluster {
            let client = self.client.with_options(&options(None));
            return self.answer(client.custom::<Value, Value>(ping(), Vec::new())).await.map(drop);
        }
        for server in self.client.active_connections() {
            let client = self.client.with_options(&options(Some(server)));
            self.answer(client.custom::<Value, Value>(ping(), Vec::new())).await?;
        }
        Ok(())
    }
}

impl Task {
    /// Waits for the connection's end; says why it came.
    pub(in crate::engine) async fn ended(&mut self) -> Error {
        let ended = (&mut self.connection).await;
        self.over.cancel();
        match ended {
            Ok(Err(error)) => error,
            Ok(Ok(())) => Error::new(ErrorKind::Canceled, "the connection was closed"),
            Err(problem) => Error::new(ErrorKind::Unknown, format!("the connection's task ended: {problem}")),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.over.cancel();
        // Closes the sockets. fred asks not to do this to a client that is used again, and this one is not.
        self.connection.abort();
    }
}
