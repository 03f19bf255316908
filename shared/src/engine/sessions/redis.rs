//! The session cache of many processes.
//!
//! Entries are spread over a few partitions by their token. A token that is read must be compared with the sessions
//! that ended a moment ago, in the same round trip, and on a Cluster one script sees one partition: so a revocation
//! leaves its mark in each of them, which costs the seldom case and not the frequent one.

use super::{CachedSession, MARK_TTL, TICKET_TTL, TTL};
use crate::{
    engine::{
        Control, EngineError,
        broker::RedisBroker,
        redis::{
            CACHE_FORGET, CACHE_GET, CACHE_PUT, Link, Reply, SESSION_PARTITIONS, Script, millis, session_partition,
        },
    },
    id::SessionId,
    model::Identity,
    secret::TokenHash,
};
use fred::types::Value;
use futures_util::future::try_join_all;
use std::{sync::Arc, time::Duration};

static GET: Script = Script::new(concat!(
    include_str!("../scripts/prelude.lua"),
    include_str!("../scripts/cache.lua"),
    include_str!("../scripts/session_get.lua")
));
static REVOKE: Script = Script::new(concat!(
    include_str!("../scripts/prelude.lua"),
    include_str!("../scripts/cache.lua"),
    include_str!("../scripts/session_revoke.lua")
));

/// See [`super::SessionCache`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct RedisSessions {
    link: Link,
    broker: RedisBroker,
}

impl RedisSessions {
    pub(in crate::engine) fn new(link: Link, broker: RedisBroker) -> Self {
        Self { link, broker }
    }

    pub(super) async fn get(&self, token: &TokenHash) -> Result<CachedSession, EngineError> {
        self.read("look a session up", self.link.keys().token(token), token, "").await
    }

    pub(super) async fn fill(&self, token: &TokenHash, identity: &Identity) -> Result<(), EngineError> {
        self.write(self.link.keys().token(token), "everything", TTL, identity).await
    }

    pub(super) async fn put(&self, token: &TokenHash, identity: &Identity) -> Result<(), EngineError> {
        self.write(self.link.keys().token(token), "tombstones", TTL, identity).await
    }

    pub(super) async fn renew(&self, token: &TokenHash, identity: &Identity) -> Result<(), EngineError> {
        self.write(self.link.keys().token(token), "others", TTL, identity).await
    }

    pub(super) async fn prolong(
        &self,
        token: &TokenHash,
        seen: &Identity,
        later: &Identity,
    ) -> Result<(), EngineError> {
        let [seen, later] = [seen, later].map(|identity| value(identity).into());
        let args = vec![self.link.now(), millis(TTL), Value::from_static_str("unseen"), later, seen];
        self.link.run("prolong a session", &CACHE_PUT, vec![self.link.keys().token(token)], args).await.map(drop)
    }

    pub(super) async fn forget(&self, token: &TokenHash) -> Result<(), EngineError> {
        let (key, args) = (self.link.keys().token(token), vec![self.link.now()]);
        self.link.run("forget a session", &CACHE_FORGET, vec![key], args).await.map(drop)
    }

    pub(super) async fn bury(&self, token: &TokenHash) -> Result<(), EngineError> {
        let [stays, tombstone] = ["nothing", "-"].map(Value::from_static_str);
        let args = vec![self.link.now(), millis(TTL), stays, tombstone];
        self.link.run("bury a token", &CACHE_PUT, vec![self.link.keys().token(token)], args).await.map(drop)
    }

    pub(super) async fn revoke(&self, session: SessionId, tokens: &[TokenHash]) -> Result<(), EngineError> {
        let keys = self.link.keys();
        let bury = |partition| {
            let here = tokens.iter().filter(move |token| session_partition(token) == partition);
            let keys = std::iter::once(keys.ended(partition, session)).chain(here.map(|token| keys.token(token)));
            let args = vec![self.link.now(), millis(MARK_TTL), millis(TTL)];
            self.link.run("bury a session", &REVOKE, keys.collect(), args)
        };
        try_join_all((0..SESSION_PARTITIONS).map(bury)).await?;
        // Last, so that a node that hears of it and looks finds the tombstone.
        self.broker.control(&Control::SessionRevoked(session)).await
    }

    pub(super) async fn issue_ticket(&self, ticket: &TokenHash, identity: &Identity) -> Result<(), EngineError> {
        self.write(self.link.keys().ticket(ticket), "everything", TICKET_TTL, identity).await
    }

    pub(super) async fn redeem_ticket(&self, ticket: &TokenHash) -> Result<Option<Arc<Identity>>, EngineError> {
        let found = self.read("redeem a ticket", self.link.keys().ticket(ticket), ticket, "take").await?;
        Ok(match found {
            CachedSession::Live(identity) => Some(identity),
            CachedSession::Revoked | CachedSession::Unknown => None,
        })
    }

    pub(super) async fn is_revoked(&self, session: SessionId) -> Result<bool, EngineError> {
        // Any partition has the mark; the last byte of an id is random.
        let partition = session.0.as_bytes()[15] % SESSION_PARTITIONS;
        let (key, args) = (self.link.keys().ended(partition, session), vec![self.link.now()]);
        Ok(self.link.run("look for a session's end", &CACHE_GET, vec![key], args).await?.number()? == 1)
    }

    async fn read(
        &self,
        what: &'static str,
        key: String,
        hash: &TokenHash,
        how: &'static str,
    ) -> Result<CachedSession, EngineError> {
        let args = vec![self.link.now(), self.link.keys().ended_base(hash).into(), Value::from_static_str(how)];
        let mut reply: Reply = self.link.run(what, &GET, vec![key], args).await?;
        match reply.number()? {
            0 => return Ok(CachedSession::Unknown),
            1 => {}
            _ => return Ok(CachedSession::Revoked),
        }
        Ok(match serde_json::from_slice(&reply.bytes()?) {
            Ok(identity) => CachedSession::Live(Arc::new(identity)),
            // Another version of this program wrote it.
            Err(problem) => {
                tracing::debug!(%problem, "a cached session is not understood");
                CachedSession::Unknown
            }
        })
    }

    async fn write(
        &self,
        key: String,
        stays: &'static str,
        lives: Duration,
        identity: &Identity,
    ) -> Result<(), EngineError> {
        let args = vec![self.link.now(), millis(lives), Value::from_static_str(stays), value(identity).into()];
        self.link.run("remember a session", &CACHE_PUT, vec![key], args).await.map(drop)
    }
}

/// An identity as an entry's value: the same text for the same identity.
fn value(identity: &Identity) -> String {
    let json = serde_json::to_string(identity).expect("an identity is plain data");
    format!("{} {json}", identity.session_id)
}
