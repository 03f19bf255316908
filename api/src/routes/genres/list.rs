//! `GET /api/genres` (R-065, C4): the names stand in the envelope and, for clients of the old platform, beside it.

use crate::http::{Ctx, Outcome, Reply};
use http::header;
use shared::store::genres;

/// Genres change with a migration, so shared caches may keep them a while.
const FRESH: &str = "public, max-age=300";

#[derive(serde::Serialize)]
struct Genres<'a> {
    genres: &'a [String],
}

/// Every genre, in the order people expect.
pub async fn list(ctx: Ctx) -> Outcome {
    ctx.query()?.finish()?;
    let names = ctx.app.store.read("genres.list", async |c| genres::all(c).await).await?;
    let reply = Reply::ok(&Genres { genres: &names }).beside("genres", &names);
    Ok(reply.etag_from_data().header(header::CACHE_CONTROL, FRESH))
}
