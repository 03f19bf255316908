//! `POST /api/auth/register`: makes an account that can sign in once its address is proven.
//!
//! Nobody can find out here whether an address has an account: status, body and work are the same, and what really
//! happened is told by mail. That is also why the handle is made here and not chosen: "this name is taken" would tell
//! whether an earlier attempt had made an account.

use super::{MAIL, REGISTER};
use crate::{
    app::App,
    http::{ApiError, Ctx, Outcome, Problems, Reply},
    services::{Mail, policy},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use shared::{
    id::UserId,
    model::{Portal, Portals},
    secret::Token,
    store::{
        StoreError,
        users::{self, EMAIL_TAKEN, NewUser, USERNAME_TAKEN},
        verifications,
    },
};
use std::time::Duration;

/// How long the link works.
pub(super) const LINK_TTL: Duration = Duration::from_hours(24);
/// Handles that are tried before giving up; two in a row are taken once in a billion times.
const HANDLES: u32 = 3;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    email: String,
    password: String,
    name: String,
    portal: Portal,
}

/// Registers.
pub async fn create(ctx: Ctx) -> Outcome {
    let mut form: Form = ctx.json()?;
    form.email = form.email.trim().to_lowercase();
    form.name = form.name.trim().to_owned();
    check(&form)?;
    ctx.limit(REGISTER, &ctx.ip_bucket()).await?;
    let hash = ctx.app.passwords.hash(std::mem::take(&mut form.password)).await?;
    let mail = match insert(&ctx.app, &form, &hash).await? {
        Some(token) => Mail::verification(&ctx.app.config.http.base_url(), &form.email, &form.name, token.expose()),
        None => Mail::already_registered(&ctx.app.config.http.base_url(), &form.email, &form.name),
    };
    if ctx.limit(MAIL, &form.email).await.is_ok() {
        post(&ctx.app, mail);
    }
    let message = "If this address is new here, a mail with a link is on its way to it";
    Ok(Reply::with_status(StatusCode::ACCEPTED, &json!({ "message": message })))
}

fn check(form: &Form) -> Result<(), ApiError> {
    let mut problems = Problems::new();
    if !is_address(&form.email) {
        problems.add("email", "must be an e-mail address");
    }
    problems.text("name", &form.name, 1..=100);
    problems.require(!form.name.contains(['\n', '\r', '\t']), "name", "must be one line");
    if let Some(complaint) = policy::complaint(&form.password, &[&form.name, &form.email]) {
        problems.add("password", complaint);
    }
    problems.finish()
}

/// Whether a mail could be sent there. The proof is the mail itself; here only what cannot be one is refused.
pub(super) fn is_address(text: &str) -> bool {
    let plain = text.len() <= 254
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\",;:\\()[]".contains(c));
    let parts =
        text.rsplit_once('@').filter(|(local, _)| !local.is_empty() && local.len() <= 64 && !local.contains('@'));
    let domain = |domain: &str| {
        domain.contains('.')
            && domain
                .split('.')
                .all(|label| !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-'))
    };
    plain && parts.is_some_and(|(_, host)| domain(host))
}

/// The new account's verification token; `None` if the address has an account already.
async fn insert(app: &App, form: &Form, password_hash: &str) -> Result<Option<Token>, ApiError> {
    for _ in 0..HANDLES {
        let (id, token, username) = (UserId::new(), Token::generate(), handle(&form.name));
        let new = NewUser {
            id,
            email: &form.email,
            username: &username,
            name: &form.name,
            user_type: form.portal,
            portals: Portals::of([form.portal]),
            password_hash,
            email_verified: false,
        };
        let made = app
            .store
            .tx("users.register", async |tx| {
                users::insert(tx, new).await?;
                verifications::insert(tx, id, &form.email, token.hash(), LINK_TTL).await
            })
            .await;
        match made {
            Ok(()) => return Ok(Some(token)),
            Err(error) if error.is_unique(EMAIL_TAKEN) => return Ok(None),
            Err(error) if error.is_unique(USERNAME_TAKEN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::unavailable(StoreError::Conflict))
}

/// A handle nobody has yet, most likely: the name's letters and something random.
fn handle(name: &str) -> String {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    let random: String = Token::generate().expose().chars().filter(char::is_ascii_alphanumeric).take(6).collect();
    let letters = if letters.is_empty() { "user".to_owned() } else { letters };
    format!("{letters}-{random}").to_lowercase()
}

/// Sends a mail behind the answer's back: its time tells nothing, and a client that leaves cannot stop it.
pub(super) fn post(app: &App, mail: Mail) {
    let (mailer, now) = (app.mailer.clone(), app.clock.now());
    app.lifecycle.tracker().spawn(async move {
        if let Err(error) = mailer.send(&mail, now).await {
            tracing::error!(error = crate::http::error::chain(&error), "failed to send a mail");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_cannot_be_one() {
        for fine in ["a@example.org", "o'brien+films@sub.example.co.uk", "käthe@exämple.de"] {
            assert!(is_address(fine), "{fine}");
        }
        for wrong in
            ["", "a", "@example.org", "a@", "a@b", "a@b..c", "a b@example.org", "a@-b.org", "a@b@c.org", "<a@b.org>"]
        {
            assert!(!is_address(wrong), "{wrong}");
        }
    }

    #[test]
    fn handles_are_made_of_the_name_and_differ() {
        let (one, two) = (handle("Ada Lovelace"), handle("Ada Lovelace"));
        assert!(one.starts_with("adalovelace-") && one != two, "{one} {two}");
        assert!(handle("李安").starts_with("user-"));
    }
}
