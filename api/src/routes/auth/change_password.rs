//! `POST /api/auth/change-password` (R-125…R-130), in the documents' words.

use super::CHANGE_PASSWORD;
use crate::{
    http::{ApiError, Ctx, Outcome, Problems, Reply},
    services::{PasswordVerdict, policy},
};
use serde::Deserialize;
use serde_json::json;
use shared::store::{StoreError, sessions, users};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    current_password: Option<String>,
    new_password: Option<String>,
    #[serde(default)]
    revoke_other_sessions: bool,
}

/// Changes it. The session that asks stays; the others end if asked to.
pub async fn create(ctx: Ctx) -> Outcome {
    let form: Form = ctx.json()?;
    let (Some(current), Some(new)) = (form.current_password, form.new_password) else {
        return Err(ApiError::bad_request("Current and new passwords are required"));
    };
    let who = ctx.user().map_err(|_| ApiError::Unauthorized("Not authenticated"))?;
    ctx.limit(CHANGE_PASSWORD, &format!("{}:{}", who.user_id, ctx.ip_bucket())).await?;

    let found = ctx
        .app
        .store
        .read("users.credentials", async |c| {
            let Some(user) = users::by_id(c, who.user_id).await? else { return Ok(None) };
            users::credentials(c, &user.email).await
        })
        .await?;
    let Some(found) = found else { return Err(ApiError::Unauthorized("Not authenticated")) };
    let mut problems = Problems::new();
    let context = [found.user.name.as_str(), found.user.username.as_str(), found.user.email.as_str()];
    if let Some(complaint) = policy::complaint(&new, &context) {
        problems.add("newPassword", complaint);
    }
    problems.finish()?;
    let incorrect = || ApiError::Unauthorized("Current password is incorrect");
    let proven = found.password_hash;
    if ctx.app.passwords.verify(current, Some(proven.clone())).await? == PasswordVerdict::Wrong {
        return Err(incorrect());
    }
    let hash = ctx.app.passwords.hash(new).await.map_err(failed)?;
    let revoked = ctx
        .app
        .store
        .tx("users.change_password", async |tx| {
            if !users::replace_password_hash(tx, who.user_id, &proven, &hash).await? {
                return Ok(None);
            }
            if !form.revoke_other_sessions {
                return Ok(Some(Vec::new()));
            }
            sessions::revoke_others(tx, who.user_id, who.session_id).await.map(Some)
        })
        .await
        .map_err(|error: StoreError| failed(error.into()))?;
    // Another change came first, so it no longer is the current one.
    ctx.app.ops.bury(&revoked.ok_or_else(incorrect)?).await;
    let revoked = if form.revoke_other_sessions { "all" } else { "none" };
    Ok(Reply::ok(&json!({ "message": "Password changed successfully", "revokedSessions": revoked })))
}

/// an unexpected failure has its own sentence.
fn failed(error: ApiError) -> ApiError {
    match error {
        ApiError::Internal { source, .. } => ApiError::Internal { message: "Failed to change password", source },
        other => other,
    }
}
