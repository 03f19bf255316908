//! `GET /api/health/cache`: does the engine answer, how fast, and what does its server say about itself.

use crate::{
    http::{Ctx, Outcome, Reply},
    services::health,
};
use http::StatusCode;
use serde_json::json;

/// The check.
pub async fn show(ctx: Ctx) -> Outcome {
    let answered = health::cache(&ctx.app).await;
    let status = if answered.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (took, server) = answered.map_or((None, None), |(took, server)| (Some(took), server));
    Ok(Reply::with_status(
        status,
        &json!({
            "status": if took.is_some() { "healthy" } else { "unhealthy" },
            "latencyMs": took.map(|took| took.as_secs_f64() * 1_000.0),
            "server": server,
            "engine": if ctx.app.config.redis.url.is_some() { "redis" } else { "memory" },
        }),
    ))
}
