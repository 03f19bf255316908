//! Prometheus' text format, version 0.0.4.
//!
//! Own code of one page instead of a registry crate: the numbers are already collected, what is left is escaping and
//! the order of lines (HELP, TYPE, then every sample of one name together).

use crate::protocol::admin::{BOUNDS_US, Histogram, Stats};
use std::fmt::Write as _;

/// The `Content-Type` of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics being written.
#[derive(Debug, Default)]
pub struct Page(String);

/// Labels of one sample.
pub type Labels<'a> = [(&'a str, &'a str)];

impl Page {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }

    /// A value that goes up and down, with no labels.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are doubles")]
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.sample(name, &[], value as f64);
    }

    /// A value that only grows, with no labels.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are doubles")]
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.sample(name, &[], value as f64);
    }

    /// HELP and TYPE; every sample of the name must follow before the next head.
    pub fn head(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing to a string");
    }

    /// One line.
    pub fn sample(&mut self, name: &str, labels: &Labels<'_>, value: f64) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(self.0, "{open}{label}=\"{text}\"").expect("writing to a string");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{close} {value}").expect("writing to a string");
    }

    /// The lines of one histogram of durations, in seconds; `name` has its head already.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are doubles")]
    pub fn histogram(&mut self, name: &str, labels: &Labels<'_>, histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (at, count) in histogram.counts.iter().enumerate() {
            below += count;
            let bound = BOUNDS_US.get(at).map_or_else(|| "+Inf".into(), |us| (*us as f64 / 1e6).to_string());
            self.sample(&bucket, &[labels, &[("le", bound.as_str())]].concat(), below as f64);
        }
        self.sample(&format!("{name}_sum"), labels, histogram.sum_us as f64 / 1e6);
        self.sample(&format!("{name}_count"), labels, below as f64);
    }

    /// Everything [`super::Metrics`] counts.
    pub fn stats(&mut self, stats: &Stats) {
        self.http(stats);
        self.sockets(stats);
        self.relay_and_errors(stats);
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are doubles")]
    fn http(&mut self, stats: &Stats) {
        const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let http = &stats.http;
        self.gauge("pitchey_http_requests_in_flight", "REST requests being handled now.", http.in_flight);
        self.counter("pitchey_http_requests_abandoned_total", "Requests that ended without an answer.", http.abandoned);
        let name = "pitchey_http_requests_total";
        self.head(name, "counter", "REST requests answered, by route template and class of status.");
        for route in &http.routes {
            for (class, count) in CLASSES.into_iter().zip(route.by_class).filter(|(_, count)| *count > 0) {
                let labels = [("method", route.method.as_str()), ("route", route.route.as_str()), ("status", class)];
                self.sample(name, &labels, count as f64);
            }
        }
        let name = "pitchey_http_request_duration_seconds";
        self.head(name, "histogram", "From a request's head to its answer's head.");
        for route in &http.routes {
            let labels = [("method", route.method.as_str()), ("route", route.route.as_str())];
            self.histogram(name, &labels, &route.durations);
        }
    }

    fn sockets(&mut self, stats: &Stats) {
        let sockets = &stats.sockets;
        let by_state = [("authenticated", sockets.authenticated), ("anonymous", sockets.anonymous)];
        self.family("pitchey_ws_connections", "gauge", "Sockets open now.", "state", &by_state);
        self.counter("pitchey_ws_accepted_total", "Upgrades that became sockets.", sockets.accepted);
        let refused: Vec<_> = sockets.refused.iter().map(|row| (row.name.as_str(), row.count)).collect();
        self.family("pitchey_ws_refused_total", "counter", "Upgrades that were refused.", "reason", &refused);
        let closed: Vec<_> = sockets.closed.iter().map(|row| (row.code.to_string(), row.count)).collect();
        self.family("pitchey_ws_closed_total", "counter", "Sockets that ended, by close code.", "code", &closed);
        let slow = sockets.closed_with(crate::protocol::CloseReason::SlowConsumer.code());
        self.counter("pitchey_ws_slow_closes_total", "Sockets closed because they read too slowly.", slow);
        let frames = [("in", sockets.frames_in), ("out", sockets.frames_out)];
        self.family("pitchey_ws_frames_total", "counter", "Frames from and to clients.", "direction", &frames);
        let bytes = [("in", sockets.bytes_in), ("out", sockets.bytes_out)];
        self.family("pitchey_ws_bytes_total", "counter", "Payload from and to clients.", "direction", &bytes);
        let deliveries = [
            ("inbox", sockets.inbox_deliveries),
            ("event", sockets.event_deliveries),
            ("ephemeral", sockets.ephemeral_deliveries),
        ];
        self.family("pitchey_ws_deliveries_total", "counter", "Frames put into outboxes.", "class", &deliveries);
        let dropped = "Ephemeral frames that were replaced or found no room.";
        self.counter("pitchey_ws_ephemeral_dropped_total", dropped, sockets.ephemeral_dropped);
    }

    fn relay_and_errors(&mut self, stats: &Stats) {
        let relay = &stats.relay;
        self.counter("pitchey_relay_delivered_total", "Inbox rows handed to the engine.", relay.delivered);
        self.counter("pitchey_relay_failures_total", "Rounds of the relay that failed.", relay.failures);
        let lag = "pitchey_relay_lag_seconds";
        self.head(lag, "histogram", "From a row's commit to its delivery.");
        self.histogram(lag, &[], &relay.lag);
        let errors: Vec<_> = stats.errors.iter().map(|row| (row.name.as_str(), row.count)).collect();
        self.family("pitchey_errors_total", "counter", "Errors, by stable code.", "type", &errors);
    }

    /// A name with one label: its head and a line per value.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are doubles")]
    pub fn family<S: AsRef<str>>(&mut self, name: &str, kind: &str, help: &str, label: &str, rows: &[(S, u64)]) {
        self.head(name, kind, help);
        for (value, count) in rows {
            self.sample(name, &[(label, value.as_ref())], *count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use std::{collections::HashSet, time::Duration};

    #[test]
    fn labels_and_help_are_escaped() {
        let mut page = Page::new();
        page.head("a_total", "counter", "back\\slash and\nnewline");
        page.sample("a_total", &[("path", "a\"b\\c\nd")], 1.0);
        assert_eq!(
            page.finish(),
            "# HELP a_total back\\\\slash and\\nnewline\n# TYPE a_total counter\na_total{path=\"a\\\"b\\\\c\\nd\"} 1\n"
        );
    }

    #[test]
    fn buckets_add_up_and_end_at_infinity() {
        let metrics = Metrics::new();
        metrics.relayed(Duration::from_millis(3));
        metrics.relayed(Duration::from_mins(1));
        let mut page = Page::new();
        page.histogram("lag_seconds", &[], &metrics.stats().relay.lag);
        let page = page.finish();
        for line in [
            "lag_seconds_bucket{le=\"0.0025\"} 0",
            "lag_seconds_bucket{le=\"0.005\"} 1",
            "lag_seconds_bucket{le=\"10\"} 1",
            "lag_seconds_bucket{le=\"+Inf\"} 2",
            "lag_seconds_sum 60.003",
            "lag_seconds_count 2",
        ] {
            assert!(page.lines().any(|it| it == line), "{line} is missing in:\n{page}");
        }
    }

    #[test]
    fn every_sample_stands_under_its_own_head_and_names_follow_the_rules() {
        let metrics = Metrics::new();
        metrics.request().finish("GET", "/api/pitches/{id}", 200);
        metrics.error("INTERNAL_ERROR");
        metrics.refused("origin");
        drop(metrics.socket());
        let mut page = Page::new();
        page.stats(&metrics.stats());
        let (mut heads, mut head) = (HashSet::new(), "");
        let page = page.finish();
        for line in page.lines().filter(|line| !line.starts_with("# HELP")) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(heads.insert(name), "{name} has two heads");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
                head = name;
            } else {
                assert!(line.starts_with(head), "{line} stands under {head}");
            }
        }
        assert!(
            page.contains("pitchey_http_requests_total{method=\"GET\",route=\"/api/pitches/{id}\",status=\"2xx\"} 1\n")
        );
    }
}
