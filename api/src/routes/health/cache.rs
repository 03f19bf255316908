//! `GET /api/health/cache`: does the engine answer, and how fast.

use crate::{
    http::{Ctx, Outcome, Reply},
    services::health,
};
use http::StatusCode;
use serde_json::json;

/// The check.
pub async fn show(ctx: Ctx) -> Outcome {
    let took = health::cache(&ctx.app).await;
    let status = if took.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Reply::with_status(
        status,
        &json!({
            "status": if took.is_some() { "healthy" } else { "unhealthy" },
            "latencyMs": took.map(|took| took.as_secs_f64() * 1_000.0),
            "engine": if ctx.app.config.redis.url.is_some() { "redis" } else { "memory" },
        }),
    ))
}
