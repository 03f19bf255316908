//! `POST /api/notifications/mark-read` (R-102…R-104): the same operation as the gateway's `read`, so that both at once
//! are one change and one event. Ids that are not the caller's, or were read before, are passed over.

use crate::http::{ApiError, Ctx, Outcome, Reply};
use serde::Deserialize;
use serde_json::json;
use shared::{id::NotificationId, ops::MarkRead};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    ids: Option<Vec<NotificationId>>,
    all: Option<bool>,
}

/// Marks them; answers with those that were unread before.
pub async fn create(ctx: Ctx) -> Outcome {
    let which = match ctx.json()? {
        Form { ids: Some(ids), all: None | Some(false) } => MarkRead::Ids(ids),
        Form { ids: None, all: Some(true) } => MarkRead::All,
        _ => return Err(ApiError::field("ids", "either ids, or all as true")),
    };
    let marked = ctx.app.ops.mark_read(ctx.user()?, which).await?;
    Ok(Reply::ok(&json!({ "ids": marked.ids, "unreadCount": marked.unread_count })))
}
