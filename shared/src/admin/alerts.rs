//! Alerts: rules held against every sample, with duration before they fire and hysteresis before they are over.
//!
//! Pure: samples and times go in. A number must stay at or above the threshold for the rule's time to fire; to be over
//! it must stay below nine tenths of it (or at zero, for thresholds that mean "at all") for ten seconds. A second
//! without the number changes nothing for as long: a gap is no recovery, and no outage either.

use super::rules::{Rule, Step};
use crate::{
    clock::Timestamp,
    protocol::admin::{Alert, AlertState, LookAt, Metric, Sample, Severity},
};
use std::{collections::BTreeMap, time::Duration};

/// How long a number must be back before its alert is over.
const CLEAR: Duration = Duration::from_secs(10);
/// How far back, as a share of the threshold.
const MILDER: f64 = 0.9;
/// How long an alert that is over is still shown.
const REMEMBER: Duration = Duration::from_hours(1);
/// Most alerts that are over and still shown.
const MOST_RESOLVED: usize = 100;
/// One node's alerts.
#[derive(Debug)]
pub(super) struct Alerts {
    node: String,
    rules: Vec<Rule>,
    watches: BTreeMap<(usize, Option<String>), Watch>,
    resolved: Vec<Alert>,
    /// Grows with every change.
    version: u64,
}

/// One rule for one pool, or for the node.
#[derive(Debug, Default)]
struct Watch {
    warn_since: Option<Timestamp>,
    crit_since: Option<Timestamp>,
    calm_since: Option<Timestamp>,
    firing: Option<Alert>,
}

impl Alerts {
    pub(super) fn new(node: &str, rules: Vec<Rule>) -> Self {
        Self { node: node.to_owned(), rules, watches: BTreeMap::new(), resolved: Vec::new(), version: 0 }
    }

    /// The rules.
    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Grows with every change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Firing, then over, each the newest first.
    pub(super) fn all(&self) -> Vec<Alert> {
        let firing = self.watches.values().filter_map(|watch| watch.firing.as_ref());
        let mut alerts: Vec<_> = firing.cloned().collect();
        alerts.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.since.cmp(&a.since)).then_with(|| a.id.cmp(&b.id)));
        alerts.extend(self.resolved.iter().rev().cloned());
        alerts
    }

    /// Holds every rule against a sample.
    pub(super) fn judge(&mut self, at: Timestamp, sample: &Sample) {
        for (index, rule) in self.rules.iter().enumerate() {
            let pools = sample.pools.keys().filter(|_| rule.of_pools()).cloned().map(Some);
            let of: Vec<_> = if rule.of_pools() { pools.collect() } else { vec![None] };
            for of in of {
                let Some(value) = sample.get(rule.metric, of.as_deref()) else { continue };
                if rule.metric == Metric::PoolSaturation && is_single(sample, of.as_deref()) {
                    continue; // a pool of one is always empty or full: waiting says whether it is short
                }
                let watch = self.watches.entry((index, of.clone())).or_default();
                let outcome = watch.judge(rule, at, value);
                self.version += u64::from(outcome != Outcome::Same);
                match outcome {
                    Outcome::Fires(severity) => watch.firing = Some(made(rule, severity, &self.node, of, at)),
                    Outcome::Graver => watch.aggravate(rule),
                    Outcome::Over => self.resolved.extend(watch.firing.take().map(|alert| over(alert, at))),
                    Outcome::Same => {}
                }
                if let Some(alert) = &mut watch.firing {
                    alert.value = value;
                }
            }
        }
        self.forget(at);
    }

    /// Somebody looks after it. False if there is no such alert firing here.
    pub(super) fn ack(&mut self, id: &str, operator: &str) -> bool {
        self.change(id, |alert| alert.acked_by = Some(operator.to_owned()))
    }

    /// It makes no noise until then; `None` ends the silence.
    pub(super) fn silence(&mut self, id: &str, until: Option<Timestamp>) -> bool {
        self.change(id, |alert| alert.silenced_until = until)
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Alert)) -> bool {
        let mut firing = self.watches.values_mut().filter_map(|watch| watch.firing.as_mut());
        let found = firing.find(|alert| alert.id == id);
        let known = found.map(change).is_some();
        self.version += u64::from(known);
        known
    }

    fn forget(&mut self, at: Timestamp) {
        let before = self.resolved.len();
        self.resolved.retain(|alert| alert.resolved_at.is_some_and(|over| at.since(over) < REMEMBER));
        let surplus = self.resolved.len().saturating_sub(MOST_RESOLVED);
        self.resolved.drain(..surplus);
        self.version += u64::from(self.resolved.len() != before);
    }
}

/// A share of whole connections: with one of them it is 0 or 1.
fn is_single(sample: &Sample, pool: Option<&str>) -> bool {
    let get = |metric| sample.get(metric, pool).unwrap_or(0.0);
    let (in_use, share) = (get(Metric::PoolInUse), get(Metric::PoolSaturation));
    share > 0.0 && (in_use / share).round() <= 1.0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Same,
    Fires(Severity),
    Graver,
    Over,
}

impl Watch {
    fn judge(&mut self, rule: &Rule, at: Timestamp, value: f64) -> Outcome {
        let beyond = |since: &mut Option<Timestamp>, step: Option<Step>| match step {
            Some(step) if value >= step.threshold => {
                let began = *since.get_or_insert(at);
                at.since(began) >= Duration::from_secs(step.for_s)
            }
            _ => {
                *since = None;
                false
            }
        };
        let warns = beyond(&mut self.warn_since, rule.warn);
        let critical = beyond(&mut self.crit_since, rule.crit);
        match &self.firing {
            None if critical => Outcome::Fires(Severity::Critical),
            None if warns => Outcome::Fires(Severity::Warning),
            None => Outcome::Same,
            Some(alert) if critical && alert.severity == Severity::Warning => Outcome::Graver,
            Some(_) if is_calm(rule, value) => {
                let began = *self.calm_since.get_or_insert(at);
                if at.since(began) < CLEAR {
                    return Outcome::Same;
                }
                self.calm_since = None;
                Outcome::Over
            }
            Some(_) => {
                self.calm_since = None;
                Outcome::Same
            }
        }
    }

    /// From a warning to critical; never back while it fires.
    fn aggravate(&mut self, rule: &Rule) {
        if let (Some(alert), Some(step)) = (&mut self.firing, rule.crit) {
            (alert.severity, alert.threshold) = (Severity::Critical, step.threshold);
        }
    }
}

/// Clearly below the mildest threshold.
fn is_calm(rule: &Rule, value: f64) -> bool {
    let mildest = rule.warn.or(rule.crit).map_or(f64::INFINITY, |step| step.threshold);
    value < mildest * MILDER
}

fn made(rule: &Rule, severity: Severity, node: &str, of: Option<String>, at: Timestamp) -> Alert {
    let step = if severity == Severity::Critical { rule.crit } else { rule.warn };
    let name = rule.metric.name();
    let id = of.as_ref().map_or_else(|| format!("{name}@{node}"), |of| format!("{name}:{of}@{node}"));
    Alert {
        id,
        rule: name.into(),
        severity,
        node: node.to_owned(),
        of,
        metric: Some(rule.metric),
        threshold: step.map_or(0.0, |step| step.threshold),
        since: at,
        text: rule.text.into(),
        look_at: Some(LookAt { screen: rule.screen.into(), filter: format!("node={node}") }),
        ..Alert::default()
    }
}

fn over(alert: Alert, at: Timestamp) -> Alert {
    Alert { state: AlertState::Resolved, resolved_at: Some(at), ..alert }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::default() + Duration::from_secs(second)
    }

    fn alerts(metric: Metric, warn: Option<(f64, u64)>, crit: Option<(f64, u64)>) -> Alerts {
        let step = |(threshold, for_s)| Step { threshold, for_s };
        let (warn, crit) = (warn.map(step), crit.map(step));
        Alerts::new("gw-1", vec![Rule { metric, warn, crit, text: "it is bad", screen: "nodes" }])
    }

    fn judge(alerts: &mut Alerts, seconds: std::ops::Range<u64>, metric: Metric, value: f64) {
        for second in seconds {
            let mut sample = Sample::default();
            sample.node.set(metric, value);
            alerts.judge(at(second), &sample);
        }
    }

    fn firing(alerts: &Alerts) -> Vec<Severity> {
        alerts.all().iter().filter(|alert| alert.state == AlertState::Firing).map(|alert| alert.severity).collect()
    }

    #[test]
    fn a_number_must_stay_beyond_for_its_time_and_then_gets_graver_but_never_milder() {
        let mut alerts = alerts(Metric::LoopLagMs, Some((20.0, 10)), Some((100.0, 5)));
        judge(&mut alerts, 0..10, Metric::LoopLagMs, 50.0);
        assert!(firing(&alerts).is_empty(), "ten seconds are not over");
        judge(&mut alerts, 10..11, Metric::LoopLagMs, 50.0);
        assert_eq!(firing(&alerts), [Severity::Warning]);
        judge(&mut alerts, 11..17, Metric::LoopLagMs, 200.0);
        assert_eq!(firing(&alerts), [Severity::Critical]);
        let alert = &alerts.all()[0];
        assert_eq!((alert.value, alert.threshold, alert.since), (200.0, 100.0, at(10)));
        judge(&mut alerts, 17..60, Metric::LoopLagMs, 50.0);
        assert_eq!(firing(&alerts), [Severity::Critical], "still beyond the warning");
    }

    #[test]
    fn a_spike_that_is_over_in_time_fires_nothing() {
        let mut alerts = alerts(Metric::LoopLagMs, Some((20.0, 10)), None);
        for start in [0, 20, 40] {
            judge(&mut alerts, start..start + 9, Metric::LoopLagMs, 50.0);
            judge(&mut alerts, start + 9..start + 20, Metric::LoopLagMs, 0.0);
        }
        assert_eq!(alerts.all().len(), 0);
        assert_eq!(alerts.version(), 0);
    }

    #[test]
    fn on_the_edge_it_does_not_flap_and_it_is_over_after_ten_calm_seconds() {
        let mut alerts = alerts(Metric::LoopLagMs, Some((20.0, 0)), None);
        judge(&mut alerts, 0..1, Metric::LoopLagMs, 21.0);
        let fired = alerts.version();
        for second in 1..100 {
            judge(&mut alerts, second..second + 1, Metric::LoopLagMs, if second % 2 == 0 { 21.0 } else { 19.0 });
        }
        assert_eq!((firing(&alerts).len(), alerts.version()), (1, fired), "19 is not calm");
        judge(&mut alerts, 100..110, Metric::LoopLagMs, 5.0);
        assert_eq!(firing(&alerts).len(), 1);
        judge(&mut alerts, 110..111, Metric::LoopLagMs, 5.0);
        let over = &alerts.all()[0];
        assert_eq!((over.state, over.resolved_at), (AlertState::Resolved, Some(at(110))));
        judge(&mut alerts, 111..3_800, Metric::LoopLagMs, 5.0);
        assert_eq!(alerts.all().len(), 0, "forgotten after an hour");
    }

    #[test]
    fn a_second_without_the_number_neither_ends_nor_starts_anything() {
        let mut alerts = alerts(Metric::ErrorShare, Some((0.005, 3)), None);
        judge(&mut alerts, 0..4, Metric::ErrorShare, 0.5);
        assert_eq!(firing(&alerts).len(), 1);
        for second in 4..60 {
            alerts.judge(at(second), &Sample::default());
        }
        assert_eq!(firing(&alerts).len(), 1);
    }

    #[test]
    fn every_pool_has_an_alert_of_its_own_and_a_pool_of_one_is_never_called_saturated() {
        let mut alerts = alerts(Metric::PoolSaturation, Some((0.7, 0)), None);
        let mut sample = Sample::default();
        for (pool, in_use, share) in [("postgres", 12.0, 0.9), ("sqlite-write", 1.0, 1.0), ("sqlite-read", 1.0, 0.1)] {
            let values = sample.pools.entry(pool.into()).or_default();
            values.set(Metric::PoolInUse, in_use);
            values.set(Metric::PoolSaturation, share);
        }
        alerts.judge(at(0), &sample);
        let all = alerts.all();
        assert_eq!(all.iter().map(|alert| alert.id.as_str()).collect::<Vec<_>>(), ["pool_saturation:postgres@gw-1"]);
    }

    #[test]
    fn an_operator_acknowledges_and_silences_what_fires_and_nothing_else() {
        let mut alerts = alerts(Metric::LoopLagMs, Some((20.0, 0)), None);
        assert!(!alerts.ack("loop_lag_ms@gw-1", "amy"));
        judge(&mut alerts, 0..1, Metric::LoopLagMs, 50.0);
        assert!(alerts.ack("loop_lag_ms@gw-1", "amy") && alerts.silence("loop_lag_ms@gw-1", Some(at(60))));
        let alert = &alerts.all()[0];
        assert_eq!(
            (alert.acked_by.as_deref(), alert.is_loud(at(59)), alert.is_loud(at(60))),
            (Some("amy"), false, true)
        );
        assert!(!alerts.silence("other@gw-1", None));
    }
}
