//! The REST half of a user: one keep-alive connection, one read after the other at a fixed rate. A read is timed
//! from when it was due until its body has arrived.

use crate::{
    histogram::Latency,
    http::{Answer, Line},
    pacer::Pacer,
    report::Report,
    tally::Tally,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What users read, weighted by repetition: mostly browsing. The dashboard is the user's own portal's.
const READS: [(&str, &str); 12] = [
    ("session", "/api/auth/session"),
    ("browse", "/api/pitches?limit=20"),
    ("search", "/api/search?q=night&limit=20"),
    ("trending", "/api/pitches/trending"),
    ("dashboard", DASHBOARD),
    ("browse", "/api/pitches?limit=20&genre=Drama"),
    ("notifications", "/api/notifications"),
    ("new", "/api/pitches/new"),
    ("search", "/api/search?q=the&genre=Thriller"),
    ("featured", "/api/pitches/featured"),
    ("genres", "/api/genres"),
    ("conversations", "/api/conversations"),
];
/// Exists for creators; others browse instead.
const DASHBOARD: &str = "/api/dashboard/creator";

/// What all readers share.
#[derive(Debug)]
pub(super) struct Browsing {
    by_name: BTreeMap<&'static str, Latency>,
    answers: Tally,
    failures: Tally,
}

/// One user.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) line: Line,
    pub(super) token: String,
    /// Where in the list of reads this user begins.
    pub(super) start: usize,
}

impl Browsing {
    pub(super) fn new() -> Self {
        Self {
            by_name: READS.iter().map(|(name, _)| (*name, Latency::default())).collect(),
            answers: Tally::default(),
            failures: Tally::default(),
        }
    }

    /// All reads together.
    pub(super) fn all(&self) -> Latency {
        let all = Latency::default();
        self.by_name.values().for_each(|latency| all.merge(latency));
        all
    }

    /// Adds latencies, counts and verdicts.
    pub(super) fn conclude(&self, report: &mut Report, max_p95: Duration) {
        let all = self.all();
        report.latency("reads", &all);
        for (name, latency) in &self.by_name {
            report.latency(format!("  {name}"), latency);
        }
        let (answers, failures) = (self.answers.counts(), self.failures.counts());
        let having = |class: char| answers.iter().filter(|(status, _)| status.starts_with(class)).collect::<Vec<_>>();
        let (client, server) = (having('4'), having('5'));
        report.check("no 5xx", "none", format!("{server:?}"), server.is_empty());
        report.check("no 4xx", "none", format!("{client:?}"), client.is_empty());
        report.check("no failed request", "none", format!("{failures:?}"), failures.is_empty());
        let p95_ms = all.summary().map(|all| all.p95_us / 1e3);
        let within = p95_ms.is_some_and(|p95| p95 < max_p95.as_secs_f64() * 1e3);
        let seen = p95_ms.map_or_else(|| "no reads".to_owned(), |p95| format!("{p95:.2} ms"));
        report.check("95 % of reads", format!("< {max_p95:?}"), seen, within);
    }
}

impl Reader {
    /// Reads until it is enough.
    pub(super) async fn run(mut self, mut pacer: Pacer, browsing: Arc<Browsing>, enough: CancellationToken) {
        let (mut own_dashboard, mut turn) = (false, self.start);
        loop {
            let due = tokio::select! {
                () = enough.cancelled() => return,
                due = pacer.next() => due,
            };
            let (name, path) = READS[turn % READS.len()];
            turn += 1;
            let (name, path) = if path == DASHBOARD && !own_dashboard { READS[1] } else { (name, path) };
            let from = Pacer::counted_from(due, Instant::now());
            match self.line.get(path, Some(&self.token)).await {
                Ok(Answer { status, body, .. }) => {
                    browsing.by_name[name].record(from.elapsed());
                    browsing.answers.add(format!("{} {path}", status.as_u16()));
                    own_dashboard |= name == "session" && is_creator(&body);
                }
                Err(error) => browsing.failures.add(error.to_string()),
            }
        }
    }
}

/// Whether a session answer names the creators' portal as the active one.
fn is_creator(body: &[u8]) -> bool {
    let Ok(answer) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    [&answer["session"], &answer["data"]["session"]].iter().any(|session| session["portal"] == "creator")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portal_is_read_from_either_place() {
        assert!(is_creator(br#"{"success":true,"data":{"session":{"portal":"creator"}}}"#));
        assert!(is_creator(br#"{"session":{"portal":"creator"}}"#));
        assert!(!is_creator(br#"{"data":{"session":{"portal":"investor"}}}"#));
        assert!(!is_creator(b"garbage"));
    }

    #[test]
    fn a_server_error_a_refusal_or_a_slow_read_is_a_miss() {
        let verdict = |status: &str, took: Duration| {
            let browsing = Browsing::new();
            browsing.by_name["browse"].record(took);
            browsing.answers.add(status);
            let mut report = Report::new("mix", "x");
            browsing.conclude(&mut report, Duration::from_millis(50));
            report.finish(None).unwrap() == std::process::ExitCode::SUCCESS
        };
        assert!(verdict("200 /api/genres", Duration::from_millis(5)));
        assert!(!verdict("500 /api/genres", Duration::from_millis(5)));
        assert!(!verdict("429 /api/genres", Duration::from_millis(5)));
        assert!(!verdict("200 /api/genres", Duration::from_millis(80)));
    }
}
