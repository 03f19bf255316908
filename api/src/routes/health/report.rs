//! `GET /health` (R-140…R-146).

use super::bare;
use crate::http::{Ctx, Outcome, Reply};
use http::StatusCode;

/// The report: 200 if nothing that is configured is broken, else 503.
pub async fn show(ctx: Ctx) -> Outcome {
    let report = ctx.app.health.report(&ctx.app).await;
    let status = if report.is_healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Reply::raw(bare(status, &report)))
}
