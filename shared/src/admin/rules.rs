//! The rules alerts come from, and how the settings change them.

use crate::{
    config::AlertRule,
    protocol::admin::{Metric, RuleInfo, Scope},
};

/// One rule: a number, from where on it is bad, and for how long it must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) metric: Metric,
    pub(super) warn: Option<Step>,
    pub(super) crit: Option<Step>,
    /// For people: "… of the node's limit".
    pub(super) text: &'static str,
    /// The screen that shows the cause.
    pub(super) screen: &'static str,
}

/// A threshold, and how many seconds the number must stay at or above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) threshold: f64,
    pub(super) for_s: u64,
}

impl Rule {
    /// As operators can read it.
    pub(super) fn info(&self) -> RuleInfo {
        RuleInfo {
            name: self.metric.name().into(),
            metric: self.metric,
            warn: self.warn.map(|step| step.threshold),
            crit: self.crit.map(|step| step.threshold),
            for_s: (self.warn.map_or(0, |step| step.for_s), self.crit.map_or(0, |step| step.for_s)),
        }
    }

    /// Whether it is about each pool.
    pub(super) fn of_pools(&self) -> bool {
        self.metric.scope() == Scope::Pool
    }
}

/// Anything at all: rates are multiples of one in a second.
const ANY: f64 = 0.001;

/// The rules, with what the settings say about them.
pub(super) fn rules(changes: &[AlertRule]) -> Vec<Rule> {
    let mut rules = defaults();
    for change in changes {
        let step = |(threshold, for_s)| Step { threshold, for_s };
        let (warn, crit) = (change.warn.map(step), change.crit.map(step));
        match rules.iter_mut().find(|rule| rule.metric == change.metric) {
            Some(rule) => (rule.warn, rule.crit) = (warn, crit),
            None => {
                rules.push(Rule { metric: change.metric, warn, crit, text: change.metric.help(), screen: "overview" });
            }
        }
    }
    rules.retain(|rule| rule.warn.is_some() || rule.crit.is_some());
    rules
}

/// Proposals that suit a small installation: every one can be changed or switched off.
fn defaults() -> Vec<Rule> {
    use Metric as M;
    let rule = |metric, warn: (f64, u64), crit: Option<(f64, u64)>, text, screen| Rule {
        metric,
        warn: Some(Step { threshold: warn.0, for_s: warn.1 }),
        crit: crit.map(|(threshold, for_s)| Step { threshold, for_s }),
        text,
        screen,
    };
    vec![
        rule(M::PoolSaturation, (0.7, 60), Some((0.9, 30)), "the pool is nearly exhausted", "pools"),
        rule(M::PoolWaiting, (1.0, 30), Some((11.0, 5)), "callers wait for a connection", "pools"),
        rule(M::PoolTimeoutsPerS, (ANY, 1), Some((1.0, 5)), "callers gave up waiting for a connection", "pools"),
        rule(M::PoolFaultsPerS, (ANY, 1), None, "connections broke or did not answer", "pools"),
        rule(M::ErrorShare, (0.005, 120), Some((0.02, 60)), "answers are 5xx", "errors"),
        rule(M::LatencyP95Ms, (250.0, 60), Some((1_000.0, 60)), "requests are slow", "endpoints"),
        rule(M::SlowConnections, (1.0, 30), Some((50.0, 30)), "sockets take nothing while frames wait", "connections"),
        rule(M::DroppedPerS, (ANY, 10), None, "ephemeral frames are dropped", "connections"),
        rule(M::AbnormalShare, (0.1, 60), None, "sockets end without a close frame", "closed"),
        rule(M::LoopLagMs, (20.0, 10), Some((100.0, 10)), "the event loop is late", "nodes"),
        rule(M::ConnectionShare, (0.8, 10), Some((0.95, 10)), "the node's sockets run out", "connections"),
        rule(M::FdShare, (0.7, 10), Some((0.9, 10)), "the node's file descriptors run out", "nodes"),
        rule(M::RelayFailuresPerS, (ANY, 10), Some((1.0, 30)), "the relay fails", "errors"),
        rule(M::RelayLagP95Ms, (1_000.0, 30), Some((10_000.0, 30)), "deliveries are late", "overview"),
        rule(M::RedisPingMs, (5.0, 30), Some((50.0, 10)), "Redis answers slowly", "overview"),
        rule(M::RedisMemoryShare, (0.8, 60), Some((0.95, 30)), "Redis' memory runs out", "overview"),
        rule(M::RedisEvictedPerS, (ANY, 5), None, "Redis gives up keys for want of memory", "overview"),
        rule(M::OfflineOldestS, (3_600.0, 60), Some((86_400.0, 60)), "an offline queue is old", "queues"),
        rule(M::LoggedErrorsPerS, (0.1, 60), None, "errors are logged again and again", "logs"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_default_rule_is_about_another_number_and_critical_is_worse_than_a_warning() {
        let rules = rules(&[]);
        let metrics: HashSet<_> = rules.iter().map(|rule| rule.metric).collect();
        assert_eq!(metrics.len(), rules.len());
        for Rule { metric, warn, crit, .. } in rules {
            if let (Some(warn), Some(crit)) = (warn, crit) {
                assert!(warn.threshold < crit.threshold, "{metric}");
            }
        }
    }

    #[test]
    fn settings_change_a_rule_switch_it_off_or_add_one() {
        let change = |metric, warn, crit| AlertRule { metric, warn, crit };
        let rules = rules(&[
            change(Metric::ErrorShare, Some((0.1, 5)), None),
            change(Metric::LoopLagMs, None, None),
            change(Metric::RssBytes, None, Some((1e9, 10))),
        ]);
        let of = |metric| rules.iter().find(|rule| rule.metric == metric);
        assert_eq!(of(Metric::ErrorShare).unwrap().warn, Some(Step { threshold: 0.1, for_s: 5 }));
        assert_eq!(of(Metric::ErrorShare).unwrap().crit, None);
        assert!(of(Metric::LoopLagMs).is_none());
        assert_eq!(of(Metric::RssBytes).unwrap().text, "resident memory");
    }
}
