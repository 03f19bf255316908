//! What a run found: a table for people, JSON with a schema version for machines, and the verdict.
//!
//! A figure is in the report because it was measured in this run; what was not measured is left out.

use crate::{
    curve::{Curve, Point},
    histogram::{Latency, Summary},
    process::Usage,
};
use serde::Serialize;
use serde_json::Value;
use shared::clock::{Clock, Timestamp};
use std::{collections::BTreeMap, fmt, path::Path, process::ExitCode};

/// Version of the JSON's shape; grows when a field changes its meaning or goes away.
const SCHEMA_VERSION: u32 = 1;

/// Everything a run has to say.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    schema_version: u32,
    scenario: &'static str,
    target: String,
    started_at: Timestamp,
    /// Debug builds of the harness are fine for checks, not for benchmarks.
    build: &'static str,
    cores: usize,
    parameters: BTreeMap<&'static str, Value>,
    /// Figures by name, in the order they were added; the unit is in the name.
    figures: Vec<Figure>,
    latencies: BTreeMap<String, Summary>,
    /// The server's memory over the run, where that is what was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    memory_curve: Vec<Point>,
    /// CPU and memory of the server, if its process id was given.
    server: Option<Usage>,
    /// The same of the harness.
    harness: Option<Usage>,
    checks: Vec<Check>,
    notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
}

#[derive(Clone, Debug, Serialize)]
struct Check {
    name: String,
    wanted: String,
    seen: String,
    ok: bool,
}

impl Report {
    /// An empty report of a run that begins now.
    pub(crate) fn new(scenario: &'static str, target: impl fmt::Display) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            scenario,
            target: target.to_string(),
            started_at: Clock::System.now(),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            parameters: BTreeMap::new(),
            figures: Vec::new(),
            latencies: BTreeMap::new(),
            memory_curve: Vec::new(),
            server: None,
            harness: None,
            checks: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Remembers how the run was set up.
    pub(crate) fn parameter(&mut self, name: &'static str, value: impl Into<Value>) {
        self.parameters.insert(name, value.into());
    }

    /// Adds a figure, if there is one.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            self.figures.push(Figure { name: name.into(), value });
        }
    }

    /// Adds latencies, if any were recorded.
    pub(crate) fn latency(&mut self, name: impl Into<String>, latency: &Latency) {
        if let Some(summary) = latency.summary() {
            self.latencies.insert(name.into(), summary);
        }
    }

    /// Adds the server's memory over time, and the check that it stayed flat.
    pub(crate) fn memory(&mut self, curve: &Curve, most_growth_mib: f64) {
        self.note(format!("server's RSS, work done and MiB: {}", curve.line()));
        let (growth, wanted) = (curve.growth_mib(), format!("at most {most_growth_mib} MiB of growth"));
        let seen = growth.map_or("too few samples".to_owned(), |growth| format!("{growth:.1} MiB"));
        self.figure("rss_mib_growth", growth);
        self.check("memory stays flat", wanted, seen, growth.is_some_and(|growth| growth <= most_growth_mib));
        curve.points().clone_into(&mut self.memory_curve);
    }

    /// Adds what the server's process and the harness used, and says so when the harness was the bottleneck.
    pub(crate) fn usage(&mut self, server: Option<Usage>, harness: Option<Usage>, threads: usize) {
        if let Some(harness) = &harness
            && harness.cores() > 0.9 * crate::numbers::float_len(threads)
        {
            self.note(format!(
                "the harness used {:.0} % of its {threads} thread(s): it was the bottleneck, rates are its own",
                harness.cores() * 100.0
            ));
        }
        (self.server, self.harness) = (server, harness);
    }

    /// Adds a promise and whether it was kept.
    pub(crate) fn check(
        &mut self,
        name: impl Into<String>,
        wanted: impl fmt::Display,
        seen: impl fmt::Display,
        ok: bool,
    ) {
        let (wanted, seen) = (wanted.to_string(), seen.to_string());
        self.checks.push(Check { name: name.into(), wanted, seen, ok });
    }

    /// Adds a remark.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints the table, writes the JSON if asked to, and turns the verdict into an exit code.
    pub(crate) fn finish(&self, json: Option<&Path>) -> anyhow::Result<ExitCode> {
        println!("{self}");
        if let Some(path) = json {
            std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        }
        Ok(if self.checks.iter().all(|check| check.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, target, started_at, build, cores, .. } = self;
        writeln!(f, "{scenario} · {target} · {started_at} · {build} build · {cores} cores")?;
        for (name, value) in &self.parameters {
            writeln!(f, "  {name:<28} {value}")?;
        }
        self.write_figures(f)?;
        self.write_latencies(f)?;
        for check in &self.checks {
            let sign = if check.ok { "ok  " } else { "MISS" };
            writeln!(f, "{sign} {}: wanted {}, seen {}", check.name, check.wanted, check.seen)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

impl Report {
    fn write_figures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.figures.is_empty() {
            writeln!(f, "\nfigures")?;
        }
        for Figure { name, value } in &self.figures {
            writeln!(f, "  {name:<40} {value:>14.3}")?;
        }
        for (who, usage) in [("server", &self.server), ("harness", &self.harness)] {
            if let Some(usage) = usage {
                let (cpu, rss) = (usage.cores() * 100.0, crate::numbers::float(usage.rss_bytes) / 1_048_576.0);
                let what = format!("{who}: % of one core, RSS MiB ({})", usage.cpu_source);
                writeln!(f, "  {what:<48} {cpu:>6.1} {rss:>8.1}")?;
            }
        }
        Ok(())
    }

    fn write_latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.latencies.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nlatency, ms{:>19} {:>9} {:>9} {:>9} {:>9} {:>9}", "count", "p50", "p95", "p99", "p99.9", "max")?;
        for (name, s) in &self.latencies {
            write!(f, "  {name:<18} {:>9}", s.count)?;
            for micros in [s.p50_us, s.p95_us, s.p99_us, s.p999_us, s.max_us] {
                write!(f, " {:>9.3}", micros / 1e3)?;
            }
            writeln!(f)?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sample() -> Report {
        let mut report = Report::new("ping", "127.0.0.1:8001");
        report.started_at = Timestamp::from_micros(0);
        (report.build, report.cores) = ("release", 2);
        report.parameter("users", 200);
        report.figure("pongs_per_second", 1_000.0);
        report.figure("server_cpu_us_per_ping", None);
        let latency = Latency::default();
        latency.record(Duration::from_millis(1));
        report.latency("rtt", &latency);
        report.latency("lag", &Latency::default());
        report.check("all connected", 200, 199, false);
        report.note("a remark");
        report
    }

    #[test]
    fn the_table_shows_what_was_measured_and_leaves_out_what_was_not() {
        insta::assert_snapshot!(sample());
    }

    #[test]
    fn the_json_carries_its_schema_version_and_units_in_its_names() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&sample()).unwrap());
    }

    #[test]
    fn one_missed_check_fails_the_run() {
        assert_eq!(sample().finish(None).unwrap(), ExitCode::FAILURE);
        let mut kept = Report::new("ping", "x");
        kept.check("all connected", 1, 1, true);
        assert_eq!(kept.finish(None).unwrap(), ExitCode::SUCCESS);
    }
}
