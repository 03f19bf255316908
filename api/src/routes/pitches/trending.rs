//! `GET /api/pitches/trending`: published pitches by heat. What heat is, and why its order can be walked
//! with a cursor although it decays all the time, is told in `shared::store::trend`.

use super::page;
use crate::http::{Ctx, Outcome, pagination::DEFAULT_LIMIT};
use shared::store::pitches::List;

/// A page of what people look at, like and save these days.
pub async fn trending(ctx: Ctx) -> Outcome {
    page::fixed(&ctx, List::Trending, "trending", DEFAULT_LIMIT).await
}
