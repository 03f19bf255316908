//! Changes to the alert rules: `error_share:1%/2m:5%/1m`, `loop_lag_ms:off`.

use super::value::{Codec, Span};
use crate::protocol::admin::{Metric, Unit};
use std::time::Duration;

/// What the settings say about one rule. Neither step means that the rule is off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlertRule {
    /// The number that is watched.
    pub metric: Metric,
    /// A warning from this threshold on, after so many seconds.
    pub warn: Option<(f64, u64)>,
    /// Critical from this threshold on, after so many seconds.
    pub crit: Option<(f64, u64)>,
}

/// `<metric>:off`, `<metric>:<warn>/<for>`, `<metric>:<warn>/<for>:<crit>/<for>`; `-` for a step there is not.
pub(super) struct Alert;

impl Codec for Alert {
    type Value = AlertRule;

    fn expected() -> String {
        "a rule such as error_share:1%/2m:5%/1m or loop_lag_ms:off".into()
    }

    fn parse(text: &str) -> Option<AlertRule> {
        let mut parts = text.split(':');
        let metric: Metric = parts.next()?.trim().parse().ok()?;
        let (warn, crit) = match (parts.next()?, parts.next(), parts.next()) {
            ("off", None, None) => (None, None),
            (warn, crit, None) => (step(warn)?, crit.map_or(Some(None), step)?),
            _ => return None,
        };
        Some(AlertRule { metric, warn, crit })
    }

    fn show(rule: &AlertRule) -> String {
        let AlertRule { metric, warn, crit } = rule;
        let step = |step: &Option<(f64, u64)>| {
            step.map_or_else(
                || "-".to_owned(),
                |(threshold, seconds)| {
                    let threshold = if metric.unit() == Unit::Share {
                        format!("{}%", (threshold * 1e4).round() / 1e2)
                    } else {
                        threshold.to_string()
                    };
                    format!("{threshold}/{}", Span::<0>::show(&Duration::from_secs(seconds)))
                },
            )
        };
        match (warn, crit) {
            (None, None) => format!("{metric}:off"),
            (warn, None) => format!("{metric}:{}", step(warn)),
            (warn, crit) => format!("{metric}:{}:{}", step(warn), step(crit)),
        }
    }
}

/// `-`, or a threshold and a time of whole seconds.
#[expect(clippy::option_option, reason = "no step is a value; no value is a mistake")]
fn step(text: &str) -> Option<Option<(f64, u64)>> {
    if text == "-" {
        return Some(None);
    }
    let (threshold, span) = text.split_once('/')?;
    let threshold = match threshold.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => threshold.parse().ok()?,
    };
    let seconds = Span::<0>::parse(span)?;
    (threshold.is_finite() && threshold > 0.0).then_some(Some((threshold, seconds.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_as_they_are_shown() {
        for (text, warn, crit) in [
            ("error_share:1%/2m:5%/1m", Some((0.01, 120)), Some((0.05, 60))),
            ("loop_lag_ms:off", None, None),
            ("pool_waiting:-:11/5s", None, Some((11.0, 5))),
            ("rss_bytes:1000000000/30s", Some((1e9, 30)), None),
            ("pool_timeouts_per_s:0.5/0", Some((0.5, 0)), None),
        ] {
            let rule = Alert::parse(text).unwrap();
            assert_eq!((rule.warn, rule.crit), (warn, crit), "{text}");
            assert_eq!(Alert::parse(&Alert::show(&rule)), Some(rule), "{text}");
        }
        assert_eq!(Alert::show(&Alert::parse("pool.saturation:70%/1m").unwrap()), "pool_saturation:70%/1m");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            "error_share",
            "error_share:",
            "error_share:1",
            "error_share:x/1m",
            "error_share:-1/1m",
            "beauty:1/1m",
            "error_share:1/1m:2/1m:3/1m",
            "error_share:1/soon",
        ] {
            assert_eq!(Alert::parse(text), None, "{text}");
        }
    }
}
