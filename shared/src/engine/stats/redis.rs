//! The nodes of many processes: one hash of reports, and when they were made.

use super::{NODES, Report, TTL};
use crate::{
    clock::Timestamp,
    engine::{
        EngineError,
        redis::{Link, Script, millis},
    },
};
use bytes::Bytes;
use fred::types::Value;

static REPORT: Script =
    Script::new(concat!(include_str!("../scripts/prelude.lua"), include_str!("../scripts/stats_report.lua")));
static ALL: Script =
    Script::new(concat!(include_str!("../scripts/prelude.lua"), include_str!("../scripts/stats_all.lua")));

/// See [`super::NodeStats`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct RedisStats(Link);

impl RedisStats {
    pub(in crate::engine) fn new(link: Link) -> Self {
        Self(link)
    }

    pub(super) async fn report(&self, node: &str, body: Bytes) -> Result<(), EngineError> {
        let link = &self.0;
        let most = i64::try_from(NODES).expect("it is a thousand");
        let args = vec![link.now(), millis(TTL), most.into(), node.into(), Value::Bytes(body)];
        link.run("report what a node does", &REPORT, link.keys().stats(), args).await.map(drop)
    }

    pub(super) async fn all(&self) -> Result<Vec<Report>, EngineError> {
        let link = &self.0;
        let args = vec![link.now(), millis(TTL)];
        let mut reply = link.run("read what nodes do", &ALL, link.keys().stats(), args).await?;
        let mut reports = Vec::new();
        for _ in 0..reply.number()? {
            let (node, at) = (reply.parsed()?, reply.parsed::<i64>()?);
            // Not the network's buffer, which a small part would keep alive as a whole.
            let body = Bytes::copy_from_slice(&reply.bytes()?);
            reports.push(Report { node, at: Timestamp::from_micros(at.saturating_mul(1_000)), body });
        }
        reports.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(reports)
    }
}
