//! How the process is (R-140…R-147): the checks run at once, each with a deadline, and their result is kept for a
//! moment, so that probes, however many, cannot use up the pool.
//!
//! A check of something that is not configured says `unknown` and does not degrade the whole.

use crate::app::App;
use serde::Serialize;
use shared::{clock::Timestamp, engine::ServerInfo};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, time::timeout};

/// Longest time one check may take.
const DEADLINE: Duration = Duration::from_secs(1);
/// How long a result is good for.
const KEPT: Duration = Duration::from_secs(2);

/// What one check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Not configured, so not checked.
    Unknown,
    /// It answered in time.
    Healthy,
    /// It did not.
    Unhealthy,
}

/// The four checks of the documents.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Checks {
    /// `select 1`, the wait for a connection included.
    pub database: Verdict,
    /// A question to the engine and its answer.
    pub cache: Verdict,
    /// No object store yet.
    pub storage: Verdict,
    /// No mail provider yet.
    pub email: Verdict,
}

/// The documents' report.
#[derive(Clone, Debug, Serialize)]
pub struct HealthReport {
    /// `healthy` or `degraded`.
    pub status: &'static str,
    /// When it was made.
    pub timestamp: Timestamp,
    /// `development` or `production`.
    pub environment: &'static str,
    /// The release.
    pub version: &'static str,
    /// Check by check.
    pub checks: Checks,
    /// What the process is busy with.
    pub metrics: Numbers,
}

/// Numbers of the report.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// How long the checks took, in milliseconds.
    pub response_time: f64,
    /// Open sockets and requests under way.
    pub active_connections: u64,
    /// Resident memory, in bytes; 0 where the system does not tell.
    pub memory_usage: u64,
}

impl HealthReport {
    /// Whether nothing that is configured is broken.
    pub fn is_healthy(&self) -> bool {
        self.status == "healthy"
    }
}

/// The last report, and the turn to make the next one.
#[derive(Clone, Debug)]
pub struct Health {
    last: Arc<Mutex<Option<(Instant, HealthReport)>>>,
    turn: Arc<Semaphore>,
}

impl Default for Health {
    fn default() -> Self {
        Self { last: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Health {
    /// The report, at most [`KEPT`] old. Whoever comes while one is being made waits for it.
    pub async fn report(&self, app: &App) -> HealthReport {
        if let Some(report) = self.recent() {
            return report;
        }
        let _turn = self.turn.acquire().await.expect("the semaphore is never closed");
        if let Some(report) = self.recent() {
            return report;
        }
        let report = make(app).await;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), report.clone()));
        report
    }

    fn recent(&self) -> Option<HealthReport> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < KEPT).map(|(_, report)| report.clone())
    }
}

async fn make(app: &App) -> HealthReport {
    let started = Instant::now();
    let (database, cache) = tokio::join!(database(app), cache(app));
    let checks = Checks {
        database: verdict(database.is_some()),
        cache: verdict(cache.is_some()),
        storage: Verdict::Unknown,
        email: Verdict::Unknown,
    };
    let broken = [checks.database, checks.cache, checks.storage, checks.email].contains(&Verdict::Unhealthy);
    HealthReport {
        status: if broken { "degraded" } else { "healthy" },
        timestamp: app.clock.now(),
        environment: app.config.environment.as_str(),
        version: env!("CARGO_PKG_VERSION"),
        checks,
        metrics: Numbers {
            response_time: started.elapsed().as_secs_f64() * 1_000.0,
            active_connections: app.metrics.open_sockets() + app.metrics.requests_in_flight(),
            memory_usage: resident_bytes(),
        },
    }
}

const fn verdict(answered: bool) -> Verdict {
    if answered { Verdict::Healthy } else { Verdict::Unhealthy }
}

/// How long the database took to answer; `None` if it did not.
pub(crate) async fn database(app: &App) -> Option<Duration> {
    match timeout(DEADLINE, app.store.ping()).await {
        Ok(Ok(took)) => Some(took),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database is unhealthy");
            None
        }
        Err(_) => {
            tracing::warn!("the database did not answer the health check in time");
            None
        }
    }
}

/// How long the engine took to answer, and what its server says about itself if it has one; `None` if it did not.
pub(crate) async fn cache(app: &App) -> Option<(Duration, Option<ServerInfo>)> {
    let started = Instant::now();
    match timeout(DEADLINE, app.engine.check()).await {
        Ok(Ok(info)) => Some((started.elapsed(), info)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the engine is unhealthy");
            None
        }
        Err(_) => {
            tracing::warn!("the engine did not answer the health check in time");
            None
        }
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().map_or(0, |kib| kib * 1_024)
}
