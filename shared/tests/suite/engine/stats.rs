//! What nodes say about themselves.

use super::Fixture;
use bytes::Bytes;
use shared::engine::stats::TTL;
use std::time::Duration;

async fn bodies(fixture: &Fixture) -> Vec<(String, Bytes)> {
    fixture.engine.stats.all().await.unwrap().into_iter().map(|report| (report.node, report.body)).collect()
}

fn said(node: &str, body: &'static str) -> (String, Bytes) {
    (node.to_owned(), Bytes::from(body))
}

pub(crate) async fn a_report_replaces_the_nodes_earlier_one(fixture: Fixture) {
    let stats = &fixture.engine.stats;
    stats.report("gw-2", Bytes::from("{}")).await.unwrap();
    stats.report("gw-1", Bytes::from("1")).await.unwrap();
    fixture.advance(Duration::from_secs(1)).await;
    stats.report("gw-1", Bytes::from("2")).await.unwrap();
    assert_eq!(bodies(&fixture).await, [said("gw-1", "2"), said("gw-2", "{}")], "by name");
    let all = stats.all().await.unwrap();
    assert_eq!(all[0].at, fixture.clock.now());
    assert_eq!(all[0].at.since(all[1].at), Duration::from_secs(1), "the reader sees how old the last word is");
}

pub(crate) async fn a_node_that_stops_reporting_is_forgotten_after_a_minute(fixture: Fixture) {
    let stats = &fixture.engine.stats;
    stats.report("lost", Bytes::from("0")).await.unwrap();
    fixture.advance(TTL - Duration::from_secs(1)).await;
    stats.report("here", Bytes::from("1")).await.unwrap();
    assert_eq!(bodies(&fixture).await.len(), 2);
    fixture.advance(Duration::from_secs(1)).await;
    assert_eq!(bodies(&fixture).await, [said("here", "1")]);
}
