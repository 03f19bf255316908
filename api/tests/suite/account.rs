//! Making an account, proving its address, changing its password (R-120…R-130).

use crate::support::{COOKIE, Call, Client, PASSWORD, TestApp};
use serde_json::{Value, json};
use shared::model::Portal;
use std::time::Duration;

fn form(email: &str, name: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": name, "portal": "investor"})
}

async fn register(app: &TestApp, form: &Value) -> crate::support::Answer {
    app.client().post("/api/auth/register", form).await
}

/// The link of a verification mail, without the host.
fn link(mail: &str) -> String {
    let base = "http://127.0.0.1:";
    let link = mail.split_whitespace().find(|word| word.starts_with(base)).expect("the mail has a link");
    link[base.len()..].split_once('/').map(|(_, path)| format!("/{path}")).unwrap()
}

#[tokio::test]
async fn registering_verifying_by_the_mails_link_and_signing_in_is_one_flow() {
    let app = TestApp::start().await;
    let answer = register(&app, &form("Ada@Example.org", "Ada Lovelace")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let mail = app.mails(1).await.remove(0);
    assert!(mail.contains("To: ada@example.org\n"), "{mail}");
    assert_eq!(app.login(&app.client(), "investor", "ada@example.org").await.refusal(), "403 EMAIL_NOT_VERIFIED");

    let followed = app.client().get(&link(&mail)).await;
    assert_eq!((followed.status, followed.header("location").as_deref()), (303, Some("/?verified=true")));
    let again = app.client().get(&link(&mail)).await;
    assert_eq!(again.header("location").as_deref(), Some("/?verified=false"), "a link works once");
    let client = app.client();
    let user = app.login(&client, "investor", "ada@example.org").await.data()["user"].clone();
    assert_eq!((&user["name"], &user["emailVerified"]), (&json!("Ada Lovelace"), &json!(true)));
    app.stop().await;
}

#[tokio::test]
async fn a_taken_address_in_any_spelling_answers_like_a_free_one_and_its_owner_gets_a_mail() {
    let app = TestApp::start().await;
    let owner = app.account("taken@example.org", &[Portal::Creator]).await;
    let (free, taken) =
        (register(&app, &form("free@example.org", "A")).await, register(&app, &form("TAKEN@example.ORG", "A")).await);
    assert_eq!((free.status, free.data()), (taken.status, taken.data()));
    let mails = app.mails(2).await;
    let told = mails.iter().find(|mail| mail.contains("To: taken@example.org")).expect("the owner is told");
    assert!(told.contains("You have a Pitchey account already") && !told.contains("token="), "{told}");
    // Nothing about the account has changed.
    assert_eq!(app.login(&app.client(), "creator", "taken@example.org").await.data()["user"]["id"], json!(owner));
    app.stop().await;
}

#[tokio::test]
async fn a_token_posted_by_a_front_end_verifies_and_a_foreign_or_old_one_does_not() {
    let app = TestApp::start().await;
    register(&app, &form("grace@example.org", "Grace")).await;
    let mail = app.mails(1).await.remove(0);
    let token = link(&mail).split_once("token=").unwrap().1.to_owned();
    let verify = async |token: &str| app.client().post("/api/auth/verify-email", &json!({ "token": token })).await;
    assert_eq!(verify("made-up").await.fields(), ["token"]);
    app.clock.advance(Duration::from_secs(24 * 3_600 + 1));
    assert_eq!(verify(&token).await.fields(), ["token"], "it has expired");

    let resent = app.client().post("/api/auth/resend-verification", &json!({"email": "GRACE@example.org"})).await;
    assert_eq!(resent.status, 202);
    let mail = app.mails(2).await.remove(1);
    let token = link(&mail).split_once("token=").unwrap().1.to_owned();
    assert_eq!(verify(&token).await.status, 200);
    assert_eq!(app.login(&app.client(), "investor", "grace@example.org").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn asking_for_another_mail_tells_nothing_about_accounts() {
    let app = TestApp::start().await;
    app.account("verified@example.org", &[Portal::Creator]).await;
    let ask = async |email: &str| {
        let answer = app.client().post("/api/auth/resend-verification", &json!({ "email": email })).await;
        (answer.status, answer.data())
    };
    assert_eq!(ask("nobody@example.org").await, ask("verified@example.org").await);
    app.stop().await;
}

#[tokio::test]
async fn a_form_with_anything_wrong_is_refused_with_every_field_at_once() {
    let app = TestApp::start().await;
    let wrong = json!({"email": "no address", "password": "short", "name": " ", "portal": "creator"});
    assert_eq!(register(&app, &wrong).await.fields(), ["email", "name", "password"]);
    let with = |field: &str, value: Value| {
        let mut body = form("ok@example.org", "Ok");
        body[field] = value;
        body
    };
    for (field, value) in [
        ("portal", json!("admin")),
        ("isAdmin", json!(true)),
        ("username", json!("root")),
        ("password", json!("password1234567890".repeat(8))),
        ("password", json!("pitchey-pitchey")),
        ("password", json!("iloveyou")),
        ("email", json!(["a@b.org"])),
        ("name", json!("line\nbreak")),
        ("name", json!("x".repeat(101))),
    ] {
        assert_eq!(register(&app, &with(field, value.clone())).await.fields(), [field], "{value}");
    }
    app.stop().await;
}

#[tokio::test]
async fn sql_and_html_in_every_text_are_kept_as_text() {
    let app = TestApp::start().await;
    let name = "<script>alert(1)</script>'; drop table users; --";
    let email = "o'brien+x@example.org";
    assert_eq!(register(&app, &form(email, name)).await.status, 202);
    app.client().get(&link(&app.mails(1).await.remove(0))).await;
    let client = app.client();
    let answer = app.login(&client, "investor", email).await;
    assert_eq!(answer.data()["user"]["name"], name);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    for hostile in ["' or '1'='1", "x' union select 1 --", "<b>@example.org", "a@example.org\u{0}"] {
        let form = json!({"email": hostile, "password": hostile});
        let answer = app.client().post("/api/auth/investor/login", &form).await;
        assert!([400, 401].contains(&answer.status), "{hostile}: {}", answer.text());
    }
    app.stop().await;
}

/// An account that is signed in on two devices.
async fn two_devices(app: &TestApp) -> (Client, Client) {
    let id = app.account("p@example.org", &[Portal::Creator]).await;
    let (here, there) = (app.client(), app.client());
    for client in [&here, &there] {
        client.set_cookie(COOKIE, app.session(id, Portal::Creator).await.expose());
    }
    (here, there)
}

#[tokio::test]
async fn changing_the_password_says_what_the_documents_say() {
    let app = TestApp::start().await;
    let (client, _) = two_devices(&app).await;
    let change = async |client: &Client, body: Value| client.post("/api/auth/change-password", &body).await;
    let told = |answer: &crate::support::Answer| {
        format!("{}: {}", answer.refusal(), answer.json()["error"]["message"].as_str().unwrap())
    };
    let new = "another perfectly fine password";
    for missing in [json!({}), json!({"currentPassword": PASSWORD}), json!({"newPassword": new})] {
        let answer = change(&client, missing).await;
        assert_eq!(told(&answer), "400 VALIDATION_ERROR: Current and new passwords are required");
    }
    let both = json!({"currentPassword": PASSWORD, "newPassword": new});
    assert_eq!(told(&change(&app.client(), both.clone()).await), "401 UNAUTHORIZED: Not authenticated");
    let wrong = json!({"currentPassword": "wrong", "newPassword": new});
    assert_eq!(told(&change(&client, wrong).await), "401 UNAUTHORIZED: Current password is incorrect");
    let weak = json!({"currentPassword": PASSWORD, "newPassword": "12345678"});
    assert_eq!(change(&client, weak).await.fields(), ["newPassword"]);
    assert_eq!(app.login(&app.client(), "creator", "p@example.org").await.status, 200, "nothing changed");

    let done = change(&client, both).await.data();
    assert_eq!(done, json!({"message": "Password changed successfully", "revokedSessions": "none"}));
    assert_eq!(app.login(&app.client(), "creator", "p@example.org").await.refusal(), "401 INVALID_CREDENTIALS");
    app.stop().await;
}

#[tokio::test]
async fn other_sessions_end_with_a_password_change_only_if_asked_to() {
    let app = TestApp::start().await;
    let (here, there) = two_devices(&app).await;
    let change = async |from: &str, to: &str, revoke: bool| {
        let body = json!({"currentPassword": from, "newPassword": to, "revokeOtherSessions": revoke});
        here.post("/api/auth/change-password", &body).await.data()["revokedSessions"].clone()
    };
    let second = "the second password of all";
    assert_eq!(change(PASSWORD, second, false).await, "none");
    assert_eq!(there.get("/api/auth/session").await.status, 200);
    assert_eq!(change(second, PASSWORD, true).await, "all");
    assert_eq!(there.get("/api/auth/session").await.status, 401);
    assert_eq!(here.get("/api/auth/session").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn password_changes_are_limited() {
    let app = TestApp::start().await;
    let (client, _) = two_devices(&app).await;
    let wrong = json!({"currentPassword": "wrong", "newPassword": "another perfectly fine password"});
    for _ in 0..5 {
        assert_eq!(client.post("/api/auth/change-password", &wrong).await.status, 401);
    }
    let limited = client.send(Call::new("POST", "/api/auth/change-password").json(&wrong)).await;
    assert_eq!(limited.refusal(), "429 RATE_LIMIT_EXCEEDED");
    assert!(limited.header("retry-after").is_some());
    app.stop().await;
}
