//! `GET /api/demo/accounts`: the demo accounts with their password, so that the page can offer them. Outside of
//! development there is no such address.

use crate::{
    demo::accounts::{ACCOUNTS, PASSWORD},
    http::{ApiError, Ctx, Outcome, Reply},
};
use serde_json::json;

/// Lists them.
pub async fn list(ctx: Ctx) -> Outcome {
    if !ctx.app.config.environment.is_development() {
        return Err(ApiError::NotFound("Address"));
    }
    let accounts: Vec<_> = ACCOUNTS
        .iter()
        .map(|account| {
            json!({
                "email": account.email,
                "password": PASSWORD,
                "name": account.name,
                "portal": account.portal,
                "portals": account.portals(),
            })
        })
        .collect();
    Ok(Reply::ok(&json!({ "accounts": accounts })))
}
