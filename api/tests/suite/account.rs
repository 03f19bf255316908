//! Making an account, proving its address, changing its password (R-120…R-130).

use crate::support::{Answer, COOKIE, Call, Client, PASSWORD, TestApp};
use serde_json::{Value, json};
use shared::{
    model::Portal,
    store::{users, verifications},
};
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);
const STRANGERS: &str = "the stranger's own password";

fn form(email: &str, name: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": name, "portal": "investor"})
}

async fn register(app: &TestApp, form: &Value) -> Answer {
    app.client().post("/api/auth/register", form).await
}

/// A registration by somebody who has another password.
async fn squat(app: &TestApp, email: &str) {
    let form = json!({"email": email, "password": STRANGERS, "name": "Buy gold at evil.example", "portal": "creator"});
    assert_eq!(register(app, &form).await.status, 202);
}

/// The link of a verification mail, without the host.
fn link(mail: &str) -> String {
    let base = "http://127.0.0.1:";
    let link = mail.split_whitespace().find(|word| word.starts_with(base)).expect("the mail has a link");
    link[base.len()..].split_once('/').map(|(_, path)| format!("/{path}")).unwrap()
}

/// The token of a verification mail.
fn token(mail: &str) -> String {
    link(mail).split_once("token=").expect("the link has a token").1.to_owned()
}

async fn verify(app: &TestApp, body: &Value) -> Answer {
    app.client().post("/api/auth/verify-email", body).await
}

async fn sign_in(app: &TestApp, portal: &str, email: &str, password: &str) -> Answer {
    let form = json!({ "email": email, "password": password });
    app.client().post(&format!("/api/auth/{portal}/login"), &form).await
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
    assert_eq!((followed.status, followed.header("location")), (303, Some(format!("/#verify={}", token(&mail)))));
    let proof = json!({"token": token(&mail), "password": PASSWORD});
    assert_eq!(verify(&app, &proof).await.status, 200);
    assert_eq!(verify(&app, &proof).await.fields(), ["token"], "a token works once");
    let client = app.client();
    let user = app.login(&client, "investor", "ada@example.org").await.data()["user"].clone();
    assert_eq!((&user["name"], &user["emailVerified"]), (&json!("Ada Lovelace"), &json!(true)));
    assert!(user["username"].as_str().unwrap().starts_with("adalovelace-"), "{user}");
    app.stop().await;
}

#[tokio::test]
async fn a_link_that_is_only_looked_at_proves_nothing_and_carries_nothing_else_along() {
    let app = TestApp::start().await;
    register(&app, &form("ada@example.org", "Ada")).await;
    let mail = app.mails(1).await.remove(0);
    for method in ["HEAD", "GET", "GET"] {
        assert_eq!(app.client().send(Call::new(method, link(&mail))).await.status, 303, "{method}");
    }
    assert_eq!(app.login(&app.client(), "investor", "ada@example.org").await.refusal(), "403 EMAIL_NOT_VERIFIED");
    let hostile = "/api/auth/verify-email?token=a%0d%0aset-cookie:x%2F%2Fevil.example%22%3E";
    let answer = app.client().get(hostile).await;
    assert_eq!(answer.header("location").as_deref(), Some("/#verify=aset-cookiexevilexample"));
    assert_eq!((answer.status, answer.header("set-cookie")), (303, None));
    assert_eq!(verify(&app, &json!({"token": token(&mail)})).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn who_registers_an_address_first_has_no_hold_on_the_account_its_owner_makes() {
    let app = TestApp::start().await;
    let victim = "victim@example.org";
    squat(&app, victim).await;
    let strangers_mail = app.mails(1).await.remove(0);
    register(&app, &form(victim, "The Victim")).await;
    let own_mail = app.mails(2).await.remove(1);
    squat(&app, victim).await;
    let last_mail = app.mails(3).await.remove(2);

    // Whichever mail the victim opens, the stranger's registration cannot be finished without the stranger's password.
    for mail in [&strangers_mail, &last_mail] {
        assert_eq!(verify(&app, &json!({"token": token(mail)})).await.fields(), ["password"], "it is contested");
        let proof = json!({"token": token(mail), "password": PASSWORD});
        assert_eq!(verify(&app, &proof).await.fields(), ["password"], "it is another's");
    }
    let proof = json!({"token": token(&own_mail), "password": PASSWORD});
    assert_eq!(verify(&app, &proof).await.status, 200);
    let account = sign_in(&app, "investor", victim, PASSWORD).await.data()["user"].clone();
    assert_eq!((&account["name"], &account["user_type"]), (&json!("The Victim"), &json!("investor")));
    assert_eq!(account["portals"], json!(["investor"]));
    assert!(account["username"].as_str().unwrap().starts_with("thevictim-"), "{account}");

    // Nothing of the stranger's works any more.
    for mail in [&strangers_mail, &last_mail] {
        let proof = json!({"token": token(mail), "password": STRANGERS});
        assert_eq!(verify(&app, &proof).await.fields(), ["token"]);
    }
    assert_ne!(sign_in(&app, "creator", victim, STRANGERS).await.status, 200);
    assert_eq!(sign_in(&app, "investor", victim, PASSWORD).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_proof_takes_an_unverified_account_over_with_everything_the_registration_says() {
    let app = TestApp::start().await;
    let imported = bcrypt::hash(STRANGERS, 4).unwrap();
    let id = app.insert("old@example.org", &[Portal::Creator, Portal::Production], false, &imported).await;
    register(&app, &form("old@example.org", "New Name")).await;
    let token = token(&app.mails(1).await[0]);
    assert_eq!(verify(&app, &json!({ "token": token })).await.status, 200);
    let user = sign_in(&app, "investor", "old@example.org", PASSWORD).await.data()["user"].clone();
    assert_eq!((&user["id"], &user["name"], &user["portals"]), (&json!(id), &json!("New Name"), &json!(["investor"])));
    assert_eq!(sign_in(&app, "creator", "old@example.org", STRANGERS).await.refusal(), "401 INVALID_CREDENTIALS");
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
async fn mails_say_nothing_that_a_stranger_typed() {
    let app = TestApp::start().await;
    app.account("known@example.org", &[Portal::Creator]).await;
    for email in ["known@example.org", "unknown@example.org"] {
        squat(&app, email).await;
    }
    let mails = app.stop_and_read_mails().await;
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().all(|mail| !mail.contains("gold") && !mail.contains("evil")), "{mails:?}");
    assert!(mails.iter().any(|mail| mail.contains("Hello known,")), "the account's own name: {mails:?}");
}

/// Three addresses that nobody may be able to tell apart: without an account, with one, and with one never verified.
async fn three_addresses(app: &TestApp) -> [&'static str; 3] {
    app.account("verified@example.org", &[Portal::Creator]).await;
    app.insert("unverified@example.org", &[Portal::Creator], false, &bcrypt::hash(PASSWORD, 4).unwrap()).await;
    ["free@example.org", "verified@example.org", "unverified@example.org"]
}

/// What three logins say and cost, which must be the same.
async fn told(app: &TestApp, emails: [&'static str; 3], password: &str) -> (String, u64) {
    let mut seen = Vec::new();
    for email in emails {
        let before = app.app().passwords.computed();
        let said = sign_in(app, "creator", email, password).await.refusal();
        seen.push((said, app.app().passwords.computed() - before));
        app.clock.advance(Duration::from_mins(1)); // past the limits on logins
    }
    assert!(seen.iter().all(|row| *row == seen[0]), "{emails:?}: {seen:?}");
    seen.remove(0)
}

#[tokio::test]
async fn registering_and_then_signing_in_does_not_tell_whether_there_is_an_account() {
    let app = TestApp::start().await;
    let emails = three_addresses(&app).await;
    let wrong = ("401 INVALID_CREDENTIALS".to_owned(), 2);
    let unproven = ("403 EMAIL_NOT_VERIFIED".to_owned(), 2);
    assert_eq!(told(&app, emails, STRANGERS).await, wrong);
    for email in emails {
        squat(&app, email).await;
    }
    assert_eq!(told(&app, emails, STRANGERS).await, unproven);
    assert_eq!(told(&app, emails, "some other password").await, wrong);

    // Nor does asking for another mail, late, nor what is left of it a week after.
    app.clock.advance(DAY);
    for email in emails {
        let answer = app.client().post("/api/auth/resend-verification", &json!({ "email": email })).await;
        assert_eq!(answer.status, 202);
    }
    crate::support::eventually(|| (app.runs_of("verifications.resend") == 3).then_some(())).await;
    app.clock.advance(verifications::KEPT);
    assert_eq!(told(&app, emails, STRANGERS).await, unproven);
    app.clock.advance(DAY);
    assert_eq!(told(&app, emails, STRANGERS).await, wrong);
    app.stop().await;
}

#[tokio::test]
async fn registering_costs_one_hash_and_one_transaction_whatever_is_there() {
    let app = TestApp::start().await;
    for email in three_addresses(&app).await {
        let before = (app.app().passwords.computed(), app.runs_of("verifications.register"));
        squat(&app, email).await;
        let after = (app.app().passwords.computed(), app.runs_of("verifications.register"));
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{email}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_token_posted_by_a_front_end_verifies_and_a_foreign_or_old_one_does_not() {
    let app = TestApp::start().await;
    register(&app, &form("grace@example.org", "Grace")).await;
    let first = token(&app.mails(1).await[0]);
    assert_eq!(verify(&app, &json!({"token": "made-up"})).await.fields(), ["token"]);
    app.clock.advance(DAY + Duration::from_secs(1));
    assert_eq!(verify(&app, &json!({ "token": first })).await.fields(), ["token"], "it has expired");

    let resent = app.client().post("/api/auth/resend-verification", &json!({"email": "GRACE@example.org"})).await;
    assert_eq!(resent.status, 202);
    let second = token(&app.mails(2).await[1]);
    assert_eq!(verify(&app, &json!({ "token": second })).await.status, 200);
    let user = app.login(&app.client(), "investor", "grace@example.org").await.data()["user"].clone();
    assert_eq!(user["name"], "Grace", "the second mail carries the registration on");
    app.stop().await;
}

#[tokio::test]
async fn an_imported_account_that_was_never_verified_can_ask_for_a_mail_and_keeps_what_it_has() {
    let app = TestApp::start().await;
    app.insert("old@example.org", &Portal::ALL, false, &bcrypt::hash(PASSWORD, 4).unwrap()).await;
    assert_eq!(app.login(&app.client(), "creator", "old@example.org").await.refusal(), "403 EMAIL_NOT_VERIFIED");
    app.client().post("/api/auth/resend-verification", &json!({"email": "old@example.org"})).await;
    let token = token(&app.mails(1).await[0]);
    let wrong = json!({"token": token, "password": STRANGERS});
    assert_eq!(verify(&app, &wrong).await.fields(), ["password"]);
    assert_eq!(verify(&app, &json!({"token": token, "password": PASSWORD})).await.status, 200);
    assert_eq!(app.login(&app.client(), "production", "old@example.org").await.status, 200);
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
    assert_eq!(app.stop_and_read_mails().await, Vec::<String>::new());
}

/// A client behind our proxy.
async fn from(app: &TestApp, ip: &str, path: &str, body: &Value) -> Answer {
    app.client().send(Call::new("POST", path).json(body).header("x-forwarded-for", ip)).await
}

#[tokio::test]
async fn a_stranger_cannot_use_up_the_mails_that_an_address_may_be_sent() {
    let app = TestApp::with(|config| config.http.trusted_proxies = 1).await;
    let ask = async |ip: &str| {
        from(&app, ip, "/api/auth/resend-verification", &json!({"email": "victim@example.org"})).await.status
    };
    // Where nothing waits, asking is not counted.
    for _ in 0..5 {
        assert_eq!(ask("192.0.2.9").await, 202);
    }
    let before = async |count: u64| {
        crate::support::eventually(|| (app.runs_of("verifications.newest") == count).then_some(())).await;
    };
    before(5).await;
    from(&app, "192.0.2.1", "/api/auth/register", &form("victim@example.org", "V")).await;
    for _ in 0..5 {
        assert_eq!(ask("192.0.2.9").await, 202, "past the limit the answer is the same");
    }
    before(10).await;
    assert_eq!(ask("192.0.2.1").await, 202);
    let mails = app.stop_and_read_mails().await;
    assert_eq!(mails.len(), 1 + 3 + 1, "the registration's, the stranger's three, the victim's own");
}

#[tokio::test]
async fn an_address_is_sent_a_bounded_number_of_mails_however_many_ask() {
    let app = TestApp::with(|config| config.http.trusted_proxies = 1).await;
    for client in 0..6 {
        for _ in 0..3 {
            let ip = format!("192.0.2.{client}");
            let answer = from(&app, &ip, "/api/auth/register", &form("victim@example.org", "V")).await;
            assert_eq!(answer.status, 202, "it is not said that others have asked");
        }
    }
    let fourth = from(&app, "192.0.2.0", "/api/auth/register", &form("victim@example.org", "V")).await;
    assert_eq!(fourth.refusal(), "429 RATE_LIMIT_EXCEEDED");
    assert_eq!(fourth.header("ratelimit-policy").as_deref(), Some("\"register-mail\";q=3;w=43200"));
    assert_eq!(app.stop_and_read_mails().await.len(), 12);
}

#[tokio::test]
async fn registrations_that_nobody_finished_are_swept_away() {
    let app = TestApp::start().await;
    register(&app, &form("ada@example.org", "Ada")).await;
    app.clock.advance(verifications::KEPT);
    assert_eq!(api::housekeeping::expire(app.app()).await.unwrap(), 0);
    app.clock.advance(DAY);
    assert_eq!(api::housekeeping::expire(app.app()).await.unwrap(), 1);
    let left = app.app().store.read("test.left", async |c| users::by_email(c, "ada@example.org").await).await;
    assert_eq!(left.unwrap(), None, "and they never made an account");
    app.stop().await;
}

#[tokio::test]
async fn two_tokens_of_one_address_at_once_make_one_account_on_postgres() {
    let Some(app) = TestApp::postgres().await else { return };
    for _ in 0..2 {
        register(&app, &form("twice@example.org", "Twice")).await;
    }
    let proofs: Vec<_> =
        app.mails(2).await.iter().map(|mail| json!({"token": token(mail), "password": PASSWORD})).collect();
    let (one, two) = futures_util::join!(verify(&app, &proofs[0]), verify(&app, &proofs[1]));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400], "{} {}", one.text(), two.text());
    assert_eq!(app.login(&app.client(), "investor", "twice@example.org").await.status, 200);
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
    verify(&app, &json!({"token": token(&app.mails(1).await[0])})).await;
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
