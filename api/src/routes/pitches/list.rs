//! `GET /api/pitches` and `GET /api/search`: filter, sort, and leaf through.
//!
//! By cursor, or for clients of the old platform by `?page`, which also counts the whole list (`meta.pagination`).

use super::{
    filter::{self, Wanted},
    page,
};
use crate::http::{ApiError, Ctx, Outcome, Reply};
use serde::Serialize;
use shared::store::{
    genres,
    pitches::{self, List},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    page: u32,
    limit: u32,
    total: i64,
    has_more: bool,
}

/// A page of what the query finds.
pub async fn list(ctx: Ctx) -> Outcome {
    let caller = ctx.identity.as_ref().map(|identity| identity.user_id);
    let mut query = ctx.query()?;
    let wanted = filter::read(&mut query, caller)?;
    let page = query.page(&ctx.app.cursors, &wanted.name);
    let both = page.after.is_some() && wanted.page.is_some();
    query.problems().require(!both, "page", "cannot be combined with cursor");
    query.finish()?;
    check_genre(&ctx, &wanted).await?;
    match wanted.page {
        Some(number) => counted(&ctx, &wanted.list, number, page.limit).await,
        None => page::answer(&ctx, &wanted.list, &wanted.name, page).await,
    }
}

/// Genres are rows, so only the table knows whether a filter's genre exists.
async fn check_genre(ctx: &Ctx, wanted: &Wanted) -> Result<(), ApiError> {
    let List::Browse(filter, _) = &wanted.list else { return Ok(()) };
    let Some(genre) = &filter.genre else { return Ok(()) };
    let known = ctx.app.store.read("genres.exists", async |c| genres::exists(c, genre).await).await?;
    if known { Ok(()) } else { Err(ApiError::field("genre", "is none of the genres of /api/genres")) }
}

async fn counted(ctx: &Ctx, list: &List, number: u32, limit: u32) -> Outcome {
    let offset = filter::offset(number, limit)?;
    let work = async |c: &mut _| {
        let cards = pitches::page_at(c, list, offset, limit).await?;
        Ok((cards, pitches::count(c, list).await?))
    };
    let (cards, total) = ctx.app.store.read("pitches.browse_page", work).await?;
    let has_more = i64::from(offset) + i64::from(limit) < total;
    let pagination = Pagination { page: number, limit, total, has_more };
    Ok(Reply::list("pitches", &cards, None).meta("pagination", &pagination))
}
