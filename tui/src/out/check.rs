//! `--check`: numbers against bounds, as monitoring plugins do it.
//!
//! ```text
//! condition := ["warn:"] metric [":" pool] op number [unit]      op := < <= > >=
//! ```
//!
//! The condition says what is **fine**. Every node, and every pool, must meet it; the worst one decides. One line comes
//! out, and the exit code: 0 fine, 1 a `warn:` condition is not met, 2 another one is not, 3 nothing could be learned.

use super::{gather, print};
use crate::{cli::Cli, config::Settings, figures::plain, model::Picture};
use anyhow::Context as _;
use shared::protocol::admin::{Metric, Scope, Unit};
use std::{fmt, process::ExitCode};

/// Nothing could be learned.
pub(crate) fn unknown() -> ExitCode {
    ExitCode::from(Verdict::Unknown as u8)
}

/// How a condition, or all of them, came out, as exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

impl Verdict {
    /// The worse the larger: not to know is worse than a warning, and better than to know the worst.
    const fn rank(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Warning => 1,
            Self::Unknown => 2,
            Self::Critical => 3,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    text: String,
    warns: bool,
    metric: Metric,
    pool: Option<String>,
    op: &'static str,
    bound: f64,
}

impl Condition {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let rest = text.trim();
        let (warns, rest) = rest.strip_prefix("warn:").map_or((false, rest), |rest| (true, rest));
        let ops = ["<=", ">=", "<", ">"];
        let split =
            ops.iter().filter_map(|op| Some((rest.find(op)?, *op))).min_by_key(|(at, op)| (*at, usize::MAX - op.len()));
        let (at, op) = split.with_context(|| format!("{text:?} compares nothing: write pool.saturation<0.9"))?;
        let (name, number) = (rest[..at].trim(), rest[at + op.len()..].trim());
        let (name, pool) = name.split_once(':').map_or((name, None), |(name, pool)| (name, Some(pool.to_owned())));
        let metric: Metric = name.parse()?;
        let bound = bound(number, metric.unit()).with_context(|| format!("{number:?} is no number for {metric}"))?;
        Ok(Self { text: rest.to_owned(), warns, metric, pool, op, bound })
    }

    fn is_met(&self, value: f64) -> bool {
        match self.op {
            "<=" => value <= self.bound,
            ">=" => value >= self.bound,
            "<" => value < self.bound,
            _ => value > self.bound,
        }
    }

    /// Every number it is about, and whose.
    fn values(&self, picture: &Picture<'_>) -> Vec<(f64, String)> {
        let mut values = Vec::new();
        for node in picture.store.nodes() {
            let Some(tick) = node.tick() else { continue };
            match self.metric.scope() {
                Scope::Node => {
                    let value = tick.sample.get(self.metric, None);
                    values.extend(value.map(|value| (value, plain(node.name()))));
                }
                Scope::Pool => {
                    let wanted = |name: &&String| self.pool.as_ref().is_none_or(|pool| pool == *name);
                    for pool in tick.sample.pools.keys().filter(wanted) {
                        let value = tick.sample.get(self.metric, Some(pool));
                        values.extend(value.map(|value| (value, plain(&format!("{pool}@{}", node.name())))));
                    }
                }
            }
        }
        values
    }

    /// How it came out, and the number that decided it.
    fn judge(&self, picture: &Picture<'_>) -> (Verdict, String) {
        let upwards = self.op.starts_with('<');
        let worst = self.values(picture).into_iter().max_by(
            |(a, _), (b, _)| {
                if upwards { a.total_cmp(b) } else { b.total_cmp(a) }
            },
        );
        match worst {
            None => (Verdict::Unknown, format!("{}: no such number", plain(&self.text))),
            Some((value, whose)) => {
                let verdict = match (self.is_met(value), self.warns) {
                    (true, _) => Verdict::Fine,
                    (false, true) => Verdict::Warning,
                    (false, false) => Verdict::Critical,
                };
                (
                    verdict,
                    format!("{} {} of {whose}, wanted {}{}", self.metric, Figure(value), self.op, Figure(self.bound)),
                )
            }
        }
    }
}

/// A number with as many digits as it needs.
struct Figure(f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 1e4).round() / 1e4)
    }
}

/// A number with the unit of its metric, if one is written.
fn bound(text: &str, unit: Unit) -> Option<f64> {
    let (number, suffix) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let factor = match (suffix, unit) {
        ("", _) | ("ms", Unit::Millis) | ("s", Unit::Seconds) => 1.0,
        ("%", Unit::Share) => 0.01,
        ("m", Unit::Seconds) => 60.0,
        ("h", Unit::Seconds) => 3_600.0,
        ("s", Unit::Millis) | ("k", Unit::Count | Unit::PerSecond) => 1e3,
        ("KiB", Unit::Bytes | Unit::BytesPerSecond) => 1_024.0,
        ("MiB", Unit::Bytes | Unit::BytesPerSecond) => 1_048_576.0,
        ("GiB", Unit::Bytes | Unit::BytesPerSecond) => 1_073_741_824.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

/// See the module.
pub(crate) async fn check(cli: &Cli, settings: &Settings) -> anyhow::Result<ExitCode> {
    let conditions = cli.output.check.iter().map(|text| Condition::parse(text));
    let conditions = conditions.collect::<anyhow::Result<Vec<_>>>()?;
    let (store, now) = gather(cli, settings, None).await?;
    let (verdict, line) = judge(&conditions, &Picture { store: &store, now, at: None });
    print(&line)?;
    Ok(ExitCode::from(verdict as u8))
}

/// The worst verdict, and one line about all of them, the worst first.
fn judge(conditions: &[Condition], picture: &Picture<'_>) -> (Verdict, String) {
    let mut verdicts: Vec<_> = conditions.iter().map(|condition| condition.judge(picture)).collect();
    verdicts.sort_by_key(|(verdict, _)| std::cmp::Reverse(verdict.rank()));
    let worst = verdicts.first().map_or(Verdict::Unknown, |(verdict, _)| *verdict);
    let word = match worst {
        Verdict::Fine => "OK",
        Verdict::Warning => "WARNING",
        Verdict::Critical => "CRITICAL",
        Verdict::Unknown => "UNKNOWN",
    };
    let details: Vec<_> = verdicts.into_iter().map(|(_, detail)| detail).collect();
    (worst, format!("{word} - {}\n", details.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    fn judged(conditions: &[&str]) -> (Verdict, String) {
        let (store, now) = samples::listened(&["api"], 5);
        let conditions: Vec<_> = conditions.iter().map(|text| Condition::parse(text).unwrap()).collect();
        judge(&conditions, &Picture { store: &store, now, at: None })
    }

    #[test]
    fn a_condition_says_what_is_fine_and_the_worst_pool_decides() {
        assert_eq!(judged(&["connections<10k"]).0, Verdict::Fine);
        let (verdict, line) = judged(&["pool.saturation<90%"]);
        assert_eq!(verdict, Verdict::Critical);
        assert_eq!(line, "CRITICAL - pool_saturation 1 of sqlite-write@api, wanted <0.9\n");
        assert_eq!(judged(&["pool.saturation:sqlite-read<=0.25"]).0, Verdict::Fine);
        assert_eq!(judged(&["connections>0", "warn:pool_waiting<1"]).0, Verdict::Warning);
    }

    #[test]
    fn what_is_not_known_is_unknown_unless_something_is_critical() {
        assert_eq!(judged(&["redis.ping_ms<5ms"]).0, Verdict::Unknown);
        assert_eq!(judged(&["redis.ping_ms<5ms", "connections<1"]).0, Verdict::Critical);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "connections", "levitation<1", "connections<lots", "latency_p95_ms<5%"] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
        let bound = Condition::parse("latency_p95_ms<1s").unwrap().bound;
        assert!((bound - 1e3).abs() < 1e-9, "{bound}");
    }
}
