//! `POST /api/auth/register`: lets an account wait that can sign in once its address is proven.
//!
//! Nobody can find out here whether an address has an account: status, body and work are the same, and what really
//! happened is told by mail. A registration is one row of its own, also for an address that has an account, and makes
//! nothing else: whoever registered first has no hold on the address, its handle or its password. A mail to an address
//! that nobody has proven says nothing that a stranger chose, not even a name.

use super::{REGISTER, REGISTER_MAIL, REGISTER_MAIL_CAP};
use crate::{
    app::App,
    http::{ApiError, Ctx, Outcome, Problems, Reply, rate_limit},
    services::{Mail, policy},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use shared::{
    model::Portal,
    secret::Token,
    store::{
        StoreError, users,
        verifications::{self, Registration},
    },
};
use std::time::Duration;

/// How long the link works.
pub(super) const LINK_TTL: Duration = Duration::from_hours(24);

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
    let client = format!("{}:{}", form.email, ctx.ip_bucket());
    ctx.limit(REGISTER_MAIL, &client).await?;
    let password_hash = ctx.app.passwords.hash(form.password).await?;
    let new = Registration { email: form.email, password_hash, name: form.name, user_type: form.portal };
    // Said to nobody: who waits here may not be the one who filled the mailbox.
    if rate_limit::take(&ctx.app.engine.limits, REGISTER_MAIL_CAP, &new.email).await.is_ok() {
        let mail = wait(&ctx.app, &new).await?;
        post(&ctx.app, mail);
    }
    let message = "If this address is new here, a mail with a link is on its way to it";
    Ok(Reply::with_status(StatusCode::ACCEPTED, &json!({ "message": message })))
}

/// Lets the registration wait, and says what its address is to be told. The same statements whatever is there already.
async fn wait(app: &App, new: &Registration) -> Result<Mail, StoreError> {
    let token = Token::generate();
    let owner = app
        .store
        .tx("verifications.register", async |tx| {
            verifications::register(tx, new, token.hash(), LINK_TTL).await?;
            users::by_email(tx, &new.email).await
        })
        .await?;
    let base = app.config.http.base_url();
    Ok(match owner.filter(|owner| owner.email_verified) {
        Some(owner) => Mail::already_registered(&base, &owner.email, &owner.name),
        None => Mail::verification(&base, &new.email, token.expose()),
    })
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
}
