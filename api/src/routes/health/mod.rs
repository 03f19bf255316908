//! How the process is: `/health` for people and the documents' monitors, `/health/live` and `/health/ready` for
//! orchestrators, `/api/health/*` for scripts. None asks who is asking; none says more than that something is broken.

pub mod cache;
pub mod db;
pub mod probes;
pub mod report;

use crate::http::{Body, full};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// Bare JSON, two spaces deep, as the documents show it.
fn bare<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    let text = serde_json::to_string_pretty(value).expect("reports are structs with text keys");
    let mut answer = Response::new(full(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
