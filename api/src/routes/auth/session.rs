//! `GET` and `POST /api/auth/session`: the session that asks. GET changes nothing; POST may move its expiry,
//! as every other request with a session does.

use super::account::{CurrentSession, SignedIn};
use crate::http::{ApiError, Ctx, Outcome, Reply};
use shared::store::users;

/// Shows it.
pub async fn show(ctx: Ctx) -> Outcome {
    let who = ctx.user()?;
    let user = ctx.app.store.read("users.by_id", async |c| users::by_id(c, who.user_id).await).await?;
    // The row is gone only if the account was deleted a moment ago.
    let user = user.ok_or(ApiError::unauthorized())?;
    Ok(Reply::ok(&SignedIn::new(&user, CurrentSession::from(who))))
}
