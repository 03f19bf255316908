//! The REST half of a user: one keep-alive connection, one read after the other at a fixed rate. A read is timed
//! from when it was due until its body has arrived.

use super::Tally;
use crate::{histogram::Latency, pacer::Pacer, report::Report, target::Target, transport::Transport};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Longest answer taken.
const ANSWER_BYTES: usize = 4 << 20;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

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
    pub(super) target: Target,
    pub(super) source: Option<IpAddr>,
    pub(super) token: String,
    /// Where in the list of reads this user begins.
    pub(super) start: usize,
    pub(super) tracker: TaskTracker,
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
    pub(super) async fn run(self, mut pacer: Pacer, browsing: Arc<Browsing>, enough: CancellationToken) {
        let (mut line, mut own_dashboard, mut turn) = (None, false, self.start);
        loop {
            let due = tokio::select! {
                () = enough.cancelled() => return,
                due = pacer.next() => due,
            };
            let (name, path) = READS[turn % READS.len()];
            turn += 1;
            let (name, path) = if path == DASHBOARD && !own_dashboard { READS[1] } else { (name, path) };
            let from = Pacer::counted_from(due, Instant::now());
            match timeout(PATIENCE, self.read(&mut line, path)).await {
                Ok(Ok((status, body))) => {
                    let took = from.elapsed();
                    browsing.by_name[name].record(took);
                    browsing.answers.add(format!("{} {path}", status.as_u16()));
                    own_dashboard |= name == "session" && is_creator(&body);
                }
                Ok(Err(error)) => {
                    line = None;
                    browsing.failures.add(error.to_string());
                }
                Err(_) => {
                    line = None;
                    browsing.failures.add(format!("no answer within {PATIENCE:?}"));
                }
            }
        }
    }

    async fn read(
        &self,
        line: &mut Option<SendRequest<Empty<Bytes>>>,
        path: &str,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        // A server may end a keep-alive connection at any time between two requests: then a new one is opened.
        if let Some(sender) = line
            && sender.ready().await.is_err()
        {
            *line = None;
        }
        let usable = match line {
            Some(sender) => sender,
            None => line.insert(self.connect().await?),
        };
        let request = Request::get(path)
            .header(header::HOST, self.target.addr.to_string())
            .header(header::ACCEPT, "application/json")
            .header(header::COOKIE, format!("pitchey-session={}", self.token))
            .body(Empty::new())?;
        let (head, body) = usable.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(anyhow::Error::from_boxed)?;
        Ok((head.status, body.to_bytes()))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
        let stream = Transport::open(&self.target, self.source).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends when the sender is dropped; its errors reach the request they concern.
        self.tracker.spawn(async move { drop(connection.await) });
        Ok(sender)
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
