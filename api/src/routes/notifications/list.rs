//! `GET /api/notifications`: newest first, with how many are unread altogether.

use crate::http::{Ctx, Cursor, Outcome, Reply, pagination::bad_cursor};
use serde_json::json;
use shared::{clock::Timestamp, id::NotificationId, ops::Feed};

/// Lists a page; `unread=true` leaves out what was read.
pub async fn list(ctx: Ctx) -> Outcome {
    let (mut query, cursors) = (ctx.query()?, &ctx.app.cursors);
    let unread_only = query.flag("unread").unwrap_or(false);
    // A cursor belongs to its filter.
    let list = if unread_only { "unread notifications" } else { "notifications" };
    let page = query.page(cursors, list);
    query.finish()?;
    let after = match &page.after {
        Some(cursor) => Some((Timestamp::parse(&cursor.key).map_err(|_| bad_cursor())?, NotificationId(cursor.id))),
        None => None,
    };
    let feed = ctx.app.ops.notifications(ctx.user()?, unread_only, after, page.limit + 1).await?;
    let Feed { mut notifications, unread_count } = feed;
    let next =
        page.cut(cursors, list, &mut notifications, |last| Cursor { key: last.created_at.to_string(), id: last.id.0 });
    let data = json!({ "notifications": notifications, "unreadCount": unread_count, "nextCursor": next });
    Ok(Reply::ok(&data).next_page(next))
}
