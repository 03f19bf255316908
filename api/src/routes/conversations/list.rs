//! `GET /api/conversations`: those of the caller, the one spoken in last first, with what was said last.

use crate::http::{Ctx, Cursor, Outcome, Reply, pagination::bad_cursor};
use shared::{clock::Timestamp, id::ConversationId};

const LIST: &str = "conversations";

/// Lists a page.
pub async fn list(ctx: Ctx) -> Outcome {
    let (mut query, cursors) = (ctx.query()?, &ctx.app.cursors);
    let page = query.page(cursors, LIST);
    query.finish()?;
    let after = match &page.after {
        Some(cursor) => Some((Timestamp::parse(&cursor.key).map_err(|_| bad_cursor())?, ConversationId(cursor.id))),
        None => None,
    };
    let mut conversations = ctx.app.ops.conversations(ctx.user()?, after, page.limit + 1).await?;
    let next =
        page.cut(cursors, LIST, &mut conversations, |last| Cursor { key: last.updated_at.to_string(), id: last.id.0 });
    Ok(Reply::list("conversations", &conversations, next))
}
