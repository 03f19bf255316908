//! The presence of many processes: the roster of `scripts/roster.lua`, changed and announced in one step each.
//!
//! All of it has one hash tag, so on a Cluster it is on one node: a change costs Redis some 20 µs, so that node takes
//! tens of thousands of connections coming or going a second, far more than gateways accept.

use super::{Incarnation, QUIET, Renewal};
use crate::{
    engine::{
        EngineError,
        broker::redis::{letter, presence},
        redis::{Link, PRESENCE, Reply, Script},
    },
    id::UserId,
    protocol::{command::Status, event::PresenceState},
};
use fred::types::Value;

/// Users that one script works off or looks up: some milliseconds of Redis' time.
const SHARE: usize = 256;

macro_rules! roster_script {
    ($($name:ident = $file:literal;)+) => {$(
        static $name: Script = Script::new(concat!(
            include_str!("../scripts/prelude.lua"),
            include_str!("../scripts/roster.lua"),
            include_str!(concat!("../scripts/", $file))
        ));
    )+};
}

roster_script! {
    RENEW = "presence_renew.lua";
    JOIN = "presence_join.lua";
    SET = "presence_set.lua";
    SWEEP = "presence_sweep.lua";
    RETIRE = "presence_retire.lua";
    SNAPSHOT = "presence_snapshot.lua";
    COUNT = "presence_count.lua";
}

/// See [`super::Presence`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct RedisPresence(Link);

impl RedisPresence {
    pub(in crate::engine) fn new(link: Link) -> Self {
        Self(link)
    }

    pub(super) async fn renew(&self, node: &Incarnation) -> Result<Renewal, EngineError> {
        let mut reply = self.run("renew a node's lease", &RENEW, vec![node.id.to_string().into()]).await?;
        let (started, ended): (_, String) = (reply.number()? == 1, reply.parsed()?);
        if !ended.is_empty() {
            // If this fails a sweep does it. The answer must not be lost over it: it is given once.
            let _ = self.work_off(node, ended).await;
        }
        Ok(if started { Renewal::Started } else { Renewal::Prolonged })
    }

    pub(super) async fn join(
        &self,
        node: &Incarnation,
        connections: &[(UserId, u64, Status)],
    ) -> Result<(), EngineError> {
        for share in connections.chunks(SHARE) {
            let mut args = vec![node.id.to_string().into()];
            for (user, connection, status) in share {
                let status = Value::from_static_str(letter(*status));
                args.extend([user.to_string().into(), connection.to_string().into(), status]);
            }
            self.run("note that a connection came up", &JOIN, args).await?;
        }
        Ok(())
    }

    pub(super) async fn set(
        &self,
        node: &Incarnation,
        user: UserId,
        connection: u64,
        status: Option<Status>,
    ) -> Result<(), EngineError> {
        let status = Value::from_static_str(status.map_or("", letter));
        let args = vec![node.id.to_string().into(), user.to_string().into(), connection.to_string().into(), status];
        self.run("note a connection's status", &SET, args).await.map(drop)
    }

    pub(super) async fn snapshot(&self, users: &[UserId]) -> Result<Vec<PresenceState>, EngineError> {
        const WHAT: &str = "look up who is present";
        let mut states = Vec::with_capacity(users.len());
        for share in users.chunks(SHARE) {
            let mut reply =
                self.run(WHAT, &SNAPSHOT, share.iter().map(|user| user.to_string().into()).collect()).await?;
            for user in share {
                let text: String = reply.parsed()?;
                states.push(presence(*user, &text).ok_or(EngineError::Unavailable { what: WHAT })?);
            }
        }
        Ok(states)
    }

    pub(super) async fn count(&self) -> Result<usize, EngineError> {
        let mut reply = self.run("count who is present", &COUNT, Vec::new()).await?;
        Ok(usize::try_from(reply.number()?).unwrap_or(usize::MAX))
    }

    pub(super) async fn sweep(&self) -> Result<usize, EngineError> {
        let now = self.0.clock().now();
        if self.0.up_since().is_none_or(|since| now.since(since) < QUIET) {
            return Ok(0);
        }
        let mut total = 0;
        loop {
            let share = i64::try_from(SHARE).expect("it is small");
            let mut reply = self.run("sweep presence", &SWEEP, vec![share.into()]).await?;
            total += usize::try_from(reply.number()?).unwrap_or(0);
            if reply.number()? == 0 {
                return Ok(total);
            }
        }
    }

    pub(super) async fn retire(&self, node: &Incarnation) -> Result<(), EngineError> {
        self.work_off(node, String::new()).await
    }

    /// Lets everybody leave whom a lease holds: the node's present one, or one that ended already, by its number.
    async fn work_off(&self, node: &Incarnation, mut lease: String) -> Result<(), EngineError> {
        loop {
            let share = i64::try_from(SHARE).expect("it is small");
            let args = vec![node.id.to_string().into(), share.into(), lease.into()];
            lease = self.run("end a node's lease", &RETIRE, args).await?.parsed()?;
            if lease.is_empty() {
                return Ok(());
            }
        }
    }

    async fn run(&self, what: &'static str, script: &Script, own: Vec<Value>) -> Result<Reply, EngineError> {
        let link = &self.0;
        let base = link.keys().tagged(PRESENCE, "");
        let key = format!("{base}leases");
        let args = [vec![base.into(), link.publish_command(), link.now()], own].concat();
        link.run(what, script, vec![key], args).await
    }
}
