//! `GET /api/dashboard/creator`, also `/api/creator/dashboard` (C23): a creator's numbers. A client that has
//! them already is told so, so asking again whenever a window gets the focus is cheap.

use crate::{
    http::{Ctx, Outcome, Reply},
    routes::portal::acting_in,
};
use shared::{model::Portal, store::dashboard};

/// The caller's own numbers.
pub async fn creator(ctx: Ctx) -> Outcome {
    let user = acting_in(&ctx, Portal::Creator)?.user_id;
    ctx.query()?.finish()?;
    let stats = ctx.app.store.read("dashboard.creator", async |c| dashboard::creator(c, user).await).await?;
    Ok(Reply::ok(&stats).etag_from_data())
}
