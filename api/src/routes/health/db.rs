//! `GET /api/health/db`: does the database answer, how fast, and how full are the pools.

use crate::{
    http::{Ctx, Outcome, Reply},
    services::health,
};
use http::StatusCode;
use serde_json::json;

/// The check.
pub async fn show(ctx: Ctx) -> Outcome {
    let took = health::database(&ctx.app).await;
    let status = if took.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Reply::with_status(
        status,
        &json!({
            "status": if took.is_some() { "healthy" } else { "unhealthy" },
            "latencyMs": took.map(|took| took.as_secs_f64() * 1_000.0),
            "database": ctx.app.store.database(),
            "pools": ctx.app.store.pool_stats(),
        }),
    ))
}
