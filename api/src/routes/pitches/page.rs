//! From a list and a sealed cursor to one page of pitches.

use super::PITCH;
use crate::http::{ApiError, Ctx, Cursor, Outcome, Reply, pagination};
use shared::{
    id::PitchId,
    store::pitches::{self, After, List},
};

/// Answers one page. `name` is what the cursor is tied to: the list and everything that narrows it.
pub(super) async fn answer(ctx: &Ctx, list: &List, name: &str, page: pagination::Page) -> Outcome {
    let after = page.after.as_ref().map(after).transpose()?;
    let work = async |c: &mut _| pitches::page(c, list, after.as_ref(), page.limit).await;
    let found = ctx.app.store.read(statement(list), work).await?;
    let next = found.next.map(|after| ctx.app.cursors.seal(name, &cursor(&after)));
    Ok(Reply::list("pitches", &found.cards, next).etag_from_data())
}

/// One of the lists that nothing narrows.
pub(super) async fn fixed(ctx: &Ctx, list: List, name: &'static str, limit: u32) -> Outcome {
    let mut query = ctx.query()?;
    let page = query.page_of(&ctx.app.cursors, name, limit);
    query.finish()?;
    answer(ctx, &list, name, page).await
}

/// Its name in the statistics.
pub(super) fn statement(list: &List) -> &'static str {
    match list {
        List::Featured => "pitches.featured",
        List::Trending => "pitches.trending",
        List::New => "pitches.new",
        List::Browse(..) => "pitches.browse",
    }
}

fn cursor(after: &After) -> Cursor {
    Cursor { key: after.key.to_string(), id: after.id.0 }
}

/// The seal says that we wrote it, so only a cursor of another release can fail here.
fn after(cursor: &Cursor) -> Result<After, ApiError> {
    let key = cursor.key.parse().map_err(|_| pagination::bad_cursor())?;
    Ok(After { key, id: PitchId(cursor.id) })
}

/// The id in the path.
pub(super) fn id(ctx: &Ctx) -> Result<PitchId, ApiError> {
    ctx.param("id", PITCH)
}
