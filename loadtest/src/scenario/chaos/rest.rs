//! REST beside the sockets: logins, session checks and browsing at a steady rate through a balancer over the apis. Every
//! answer is kept with its time, so that the verdict can say when something failed.

use super::board::Board;
use crate::{
    fleet::Balancer,
    histogram::Latency,
    http::{HttpError, Line},
    numbers::float_len,
    pacer::Pacer,
    target::Sources,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The demo's accounts and doors; everybody knows their password.
const ACCOUNTS: [(&str, &str); 4] =
    [("creator", "creator"), ("investor", "investor"), ("production", "production"), ("studio", "creator")];
const PASSWORD: &str = "Demo-2026-reel";
/// Requests under way at once; one more is not asked, and counted.
const AT_ONCE: usize = 256;
/// Addresses of those who log in begin here: an account takes few attempts a minute from one address.
const FIRST_ADDRESS: usize = 1_000_000;

/// What is asked, and how often a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    Login,
    Session,
    Browse,
}

impl Ask {
    pub(super) const ALL: [(Self, f64); 3] = [(Self::Login, 1.0), (Self::Session, 15.0), (Self::Browse, 15.0)];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Session => "session",
            Self::Browse => "browse",
        }
    }
}

/// One answer.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// On the run's clock.
    pub(super) at: Duration,
    pub(super) ask: Ask,
    /// The status, or why there was none.
    pub(super) what: String,
    pub(super) ok: bool,
    /// A 503 that says when to come back.
    pub(super) polite: bool,
}

/// Everything that was answered.
#[derive(Debug, Default)]
pub(super) struct Rest {
    answers: Mutex<Vec<Answered>>,
    latency: BTreeMap<Ask, Latency>,
}

impl Rest {
    pub(super) fn new() -> Self {
        let latency = Ask::ALL.iter().map(|(ask, _)| (*ask, Latency::default())).collect();
        Self { latency, ..Self::default() }
    }

    pub(super) fn answers(&self) -> Vec<Answered> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn latencies(&self) -> impl Iterator<Item = (&'static str, &Latency)> {
        self.latency.iter().map(|(ask, latency)| (ask.name(), latency))
    }

    fn note(&self, answered: Answered) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answered);
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) rest: Arc<Rest>,
    pub(super) board: Arc<Board>,
    pub(super) apis: Balancer,
    pub(super) sources: Sources,
    pub(super) tokens: Arc<[String]>,
    pub(super) tracker: TaskTracker,
}

impl Asker {
    /// Asks one kind at its rate until it is enough, whatever the answers take.
    pub(super) async fn run(self, ask: Ask, per_second: f64, enough: CancellationToken) {
        let mut pacer = Pacer::new(Instant::now(), Duration::from_secs_f64(1.0 / per_second));
        let under_way = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        for number in 0_usize.. {
            let due = tokio::select! {
                () = enough.cancelled() => return,
                due = pacer.next() => due,
            };
            let from = Pacer::counted_from(due, Instant::now());
            match Arc::clone(&under_way).try_acquire_owned() {
                Ok(permit) => {
                    let asker = self.clone();
                    self.tracker.spawn(async move {
                        asker.one(ask, number, from).await;
                        drop(permit);
                    });
                }
                Err(_) => self.failed(ask, format!("{AT_ONCE} requests were still open")),
            }
        }
    }

    async fn one(&self, ask: Ask, number: usize, from: Instant) {
        let mut api = self.apis.pick();
        let mut outcome = Err(HttpError::Silence);
        for _ in 0..self.apis.len() {
            outcome = self.attempt(ask, number, api).await;
            // Nobody took the connection: a balancer asks the next one, and so do we.
            if !matches!(outcome, Err(HttpError::Connect(_))) {
                break;
            }
            self.apis.refused(api);
            api = self.apis.pick();
        }
        match outcome {
            Ok((status, polite)) => {
                self.rest.latency[&ask].record(from.elapsed());
                let ok = (200..300).contains(&status);
                self.rest.note(Answered { at: self.board.now(), ask, what: status.to_string(), ok, polite });
            }
            Err(error) => self.failed(ask, error.to_string()),
        }
    }

    async fn attempt(&self, ask: Ask, number: usize, api: usize) -> Result<(u16, bool), HttpError> {
        let address = if ask == Ask::Login { FIRST_ADDRESS + number } else { number % 64 };
        let mut line = Line::new(self.apis.target(api).clone(), self.sources.of(address), self.tracker.clone());
        let token = self.tokens.get(number % self.tokens.len()).map(String::as_str);
        let answer = match ask {
            Ask::Login => {
                let (who, door) = ACCOUNTS[number % ACCOUNTS.len()];
                let form = json!({"email": format!("{who}@demo.pitchey.test"), "password": PASSWORD});
                line.post(&format!("/api/auth/{door}/login"), form.to_string()).await?
            }
            Ask::Session => line.get("/api/auth/session", token).await?,
            Ask::Browse => line.get("/api/pitches?limit=20", None).await?,
        };
        let status = answer.status.as_u16();
        Ok((status, status == 503 && answer.retry_after))
    }

    fn failed(&self, ask: Ask, what: String) {
        self.rest.note(Answered { at: self.board.now(), ask, what, ok: false, polite: false });
    }
}

/// How often each kind was asked, for the report.
pub(super) fn rates() -> String {
    Ask::ALL.map(|(ask, rate)| format!("{} {rate}/s", ask.name())).join(", ")
}

/// How many in a hundred.
pub(super) fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * float_len(part) / float_len(whole) }
}
