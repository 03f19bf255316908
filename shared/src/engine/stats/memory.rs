//! The nodes of one process.

use super::{NODES, Report, TTL};
use crate::{clock::Clock, engine::shards::lock};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// See [`super::NodeStats`]. A cheap clone.
#[derive(Clone, Debug)]
pub struct MemoryStats {
    clock: Clock,
    reports: Arc<Mutex<BTreeMap<String, Report>>>,
}

impl MemoryStats {
    pub(in crate::engine) fn new(clock: Clock) -> Self {
        Self { clock, reports: Arc::default() }
    }

    pub(super) fn report(&self, node: &str, body: Bytes) {
        let at = self.clock.now();
        let mut reports = lock(&self.reports);
        reports.retain(|_, report| at.since(report.at) < TTL);
        reports.insert(node.to_owned(), Report { node: node.to_owned(), at, body });
        if reports.len() > NODES
            && let Some(oldest) = reports.values().min_by_key(|report| report.at).map(|report| report.node.clone())
        {
            reports.remove(&oldest);
        }
    }

    pub(super) fn all(&self) -> Vec<Report> {
        let now = self.clock.now();
        let mut reports = lock(&self.reports);
        reports.retain(|_, report| now.since(report.at) < TTL);
        reports.values().cloned().collect()
    }
}
