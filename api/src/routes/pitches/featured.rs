//! `GET /api/pitches/featured` (R-066, C18): published **and** featured, newest first.

use super::page;
use crate::http::{Ctx, Outcome};
use shared::store::pitches::List;

/// As many as the old platform showed.
const LIMIT: u32 = 10;

/// A page of the editors' list.
pub async fn featured(ctx: Ctx) -> Outcome {
    page::fixed(&ctx, List::Featured, "featured", LIMIT).await
}
