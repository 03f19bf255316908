//! `GET /api/health/db`: does the database answer, how fast, and how full are the pools.

use crate::{
    http::{Ctx, Outcome, Reply},
    services::health,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use shared::model::PoolStats;

/// A pool as strangers may see it: how full it is, but no message of the database, which would tell where it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pool {
    name: String,
    max_size: u32,
    connections: u32,
    idle: u32,
    in_use: u32,
    /// Callers in the queue.
    waiting: u32,
    /// `inUse` of `maxSize`, from 0 to 1 (R-032: above 0.8 it is too small).
    utilisation: f64,
    gets: u64,
    timeouts: u64,
    wait_p95_us: u64,
    errors: u64,
}

/// The check.
pub async fn show(ctx: Ctx) -> Outcome {
    let took = health::database(&ctx.app).await;
    let status = if took.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let pools: Vec<_> = ctx.app.store.pool_stats().into_iter().map(Pool::from).collect();
    Ok(Reply::with_status(
        status,
        &json!({
            "status": if took.is_some() { "healthy" } else { "unhealthy" },
            "latencyMs": took.map(|took| took.as_secs_f64() * 1_000.0),
            "database": ctx.app.store.database(),
            "pools": pools,
        }),
    ))
}

impl From<PoolStats> for Pool {
    fn from(stats: PoolStats) -> Self {
        Self {
            utilisation: f64::from(stats.in_use) / f64::from(stats.max_size.max(1)),
            name: stats.name,
            max_size: stats.max_size,
            connections: stats.connections,
            idle: stats.idle,
            in_use: stats.in_use,
            waiting: stats.waiting,
            gets: stats.gets,
            timeouts: stats.timeouts,
            wait_p95_us: stats.wait_p95_us,
            errors: stats.errors,
        }
    }
}
