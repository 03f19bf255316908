//! `GET /health/live` and `GET /health/ready`.
//!
//! *Live* depends on nothing: a database that blinks must not make an orchestrator restart healthy processes. *Ready*
//! is false before everything is started and as soon as the process is told to stop, so that balancers look
//! elsewhere (`DRAIN_DELAY` gives them time to).

use super::bare;
use crate::http::{Ctx, Outcome, Reply};
use http::StatusCode;
use serde_json::json;

/// The process answers.
pub async fn live(_: Ctx) -> Outcome {
    Ok(Reply::raw(bare(StatusCode::OK, &json!({ "status": "live" }))))
}

/// The process takes new work.
pub async fn ready(ctx: Ctx) -> Outcome {
    if ctx.app.lifecycle.leaving() {
        return Ok(Reply::raw(bare(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "draining" }))));
    }
    Ok(Reply::raw(bare(StatusCode::OK, &json!({ "status": "ready" }))))
}
