//! `GET /api/pitches/new`: first published within the last 30 days, newest first.

use super::page;
use crate::http::{Ctx, Outcome, pagination::DEFAULT_LIMIT};
use shared::store::pitches::List;

/// A page of new releases.
pub async fn new(ctx: Ctx) -> Outcome {
    page::fixed(&ctx, List::New, "new", DEFAULT_LIMIT).await
}
