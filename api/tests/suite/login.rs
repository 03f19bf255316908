//! The three doors (R-002…R-006): who gets in where, and what a refusal leaves alone.

use crate::support::{COOKIE, Call, Client, PASSWORD, TestApp, eventually};
use serde_json::json;
use shared::{
    model::Portal,
    store::{sessions, users},
};
use tokio::sync::Semaphore;

const ALL: [Portal; 3] = Portal::ALL;

#[tokio::test]
async fn every_portal_lets_its_own_users_in_with_a_cookie_that_lasts_a_week() {
    let app = TestApp::start().await;
    for portal in ALL {
        let email = format!("{portal}@example.org");
        let id = app.account(&email, &[portal]).await;
        let client = app.client();
        let answer = app.login(&client, portal.as_str(), &email).await;
        let user = answer.data()["user"].clone();
        assert_eq!((&user["id"], &user["email"]), (&json!(id), &json!(email)));
        assert_eq!((&user["user_type"], &user["portal"]), (&json!(portal), &json!(portal)));
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.starts_with("pitchey-session="), "{cookie}");
        assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800"), "{cookie}");
        assert_eq!(client.get("/api/auth/session").await.status, 200);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_portal_names_the_right_one_only_after_the_password_and_leaves_the_session_alone() {
    let app = TestApp::start().await;
    app.account("maker@example.org", &[Portal::Creator]).await;
    let client = app.client();
    app.login(&client, "creator", "maker@example.org").await.data();
    let before = client.cookie(COOKIE);
    let sessions = app.runs_of("sessions.open");

    let refused = app.login(&client, "investor", "maker@example.org").await;
    assert_eq!(refused.refusal(), "403 WRONG_PORTAL");
    let message = refused.json()["error"]["message"].clone();
    assert_eq!(message, "This account signs in at the creator portal");
    assert_eq!(refused.header("set-cookie"), None);
    assert_eq!((client.cookie(COOKIE), app.runs_of("sessions.open")), (before, sessions));
    assert_eq!(client.get("/api/auth/session").await.status, 200);

    let guess = json!({"email": "maker@example.org", "password": "not the password"});
    let refused = app.client().post("/api/auth/production/login", &guess).await;
    assert_eq!(refused.refusal(), "401 INVALID_CREDENTIALS");
    assert!(!refused.text().contains("creator"), "{}", refused.text());
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_look_the_same() {
    let app = TestApp::start().await;
    app.account("known@example.org", &[Portal::Creator]).await;
    let attempt = async |email: &str| {
        let form = json!({"email": email, "password": "not the password"});
        let answer = app.client().post("/api/auth/creator/login", &form).await;
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("meta");
        (answer.status, body, answer.header("set-cookie"))
    };
    assert_eq!(attempt("known@example.org").await, attempt("unknown@example.org").await);
    app.stop().await;
}

#[tokio::test]
async fn the_address_is_the_same_in_every_spelling() {
    let app = TestApp::start().await;
    app.account("mixed@example.org", &[Portal::Investor]).await;
    assert_eq!(app.login(&app.client(), "investor", "  MiXeD@Example.ORG ").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn an_unverified_address_is_told_so_only_with_the_password() {
    let app = TestApp::start().await;
    let hash = bcrypt_hash(PASSWORD);
    app.insert("new@example.org", &[Portal::Creator], false, &hash).await;
    let refused = app.login(&app.client(), "creator", "new@example.org").await;
    assert_eq!((refused.refusal().as_str(), refused.header("set-cookie")), ("403 EMAIL_NOT_VERIFIED", None));
    let guess = json!({"email": "new@example.org", "password": "not the password"});
    let refused = app.client().post("/api/auth/creator/login", &guess).await;
    assert_eq!(refused.refusal(), "401 INVALID_CREDENTIALS");
    app.stop().await;
}

/// As an imported user has it; cost 4 only to be quick.
fn bcrypt_hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

#[tokio::test]
async fn an_imported_bcrypt_hash_is_replaced_at_the_first_login() {
    let app = TestApp::start().await;
    app.insert("imported@example.org", &[Portal::Creator], true, &bcrypt_hash(PASSWORD)).await;
    assert_eq!(app.login(&app.client(), "creator", "imported@example.org").await.status, 200);
    let stored = app
        .app()
        .store
        .read("test.hash", async |c| shared::store::users::credentials(c, "imported@example.org").await)
        .await
        .unwrap();
    assert!(stored.unwrap().password_hash.starts_with("$argon2id$"));
    assert_eq!(app.login(&app.client(), "creator", "imported@example.org").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_login_that_a_change_of_the_password_overtakes_opens_nothing_and_undoes_nothing() {
    let app = TestApp::start().await;
    app.account("modern@example.org", &[Portal::Creator]).await;
    app.insert("imported@example.org", &[Portal::Creator], true, &bcrypt_hash(PASSWORD)).await;
    let store = &app.app().store;
    let account = async |email| {
        let account = store.read("test.look", async |c| users::credentials(c, email).await).await.unwrap();
        account.unwrap()
    };
    for email in ["modern@example.org", "imported@example.org"] {
        let (before, read) = (account(email).await, app.runs_of("users.credentials"));
        let (locked, go_on) = (Semaphore::new(0), Semaphore::new(0));
        let change = store.tx("test.change", async |tx| {
            let hash = (before.password_hash.as_str(), "!the-password-was-changed");
            assert!(users::replace_password_hash(tx, before.user.id, hash.0, hash.1).await?);
            locked.add_permits(1);
            go_on.acquire().await.unwrap().forget();
            Ok(())
        });
        let login = async {
            locked.acquire().await.unwrap().forget();
            app.login(&app.client(), "creator", email).await
        };
        let overtake = async {
            eventually(|| (app.runs_of("users.credentials") > read).then_some(())).await;
            go_on.add_permits(1);
        };
        let (changed, refused, ()) = tokio::join!(change, login, overtake);
        changed.unwrap();
        assert_eq!((refused.refusal().as_str(), refused.header("set-cookie")), ("401 INVALID_CREDENTIALS", None));
        assert_eq!(account(email).await.password_hash, "!the-password-was-changed");
        let open = store.read("test.list", async |c| sessions::list(c, before.user.id).await).await.unwrap();
        assert_eq!(open.len(), 0);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_login_beyond_the_limit_ends_the_session_that_was_not_used_for_longest() {
    let app = TestApp::start().await;
    let id = app.account("everywhere@example.org", &[Portal::Creator]).await;
    let mut tokens = Vec::new();
    for _ in 0..sessions::MOST_PER_USER {
        app.clock.advance(std::time::Duration::from_secs(1));
        tokens.push(app.session(id, Portal::Creator).await);
    }
    let status = async |token: &shared::secret::Token| {
        Client::with_bearer(app.address(), token.expose()).get("/api/auth/session").await.status
    };
    assert_eq!((status(&tokens[0]).await, status(&tokens[1]).await), (200, 200));
    let client = app.client();
    app.login(&client, "creator", "everywhere@example.org").await.data();
    assert_eq!((status(&tokens[0]).await, status(&tokens[1]).await), (401, 200));
    let listed = client.get("/api/auth/sessions").await.data()["sessions"].as_array().unwrap().len();
    assert_eq!(listed, usize::try_from(sessions::MOST_PER_USER).unwrap());
    app.stop().await;
}

#[tokio::test]
async fn a_new_login_of_the_same_browser_ends_its_old_session() {
    let app = TestApp::start().await;
    app.account("again@example.org", &[Portal::Creator]).await;
    let client = app.client();
    app.login(&client, "creator", "again@example.org").await.data();
    let old = client.cookie(COOKIE).unwrap();
    app.login(&client, "creator", "again@example.org").await.data();
    assert_ne!(client.cookie(COOKIE).unwrap(), old);
    let stale = app.client();
    stale.set_cookie(COOKIE, &old);
    assert_eq!(stale.get("/api/auth/session").await.refusal(), "401 UNAUTHORIZED");
    let sessions = client.get("/api/auth/sessions").await.data()["sessions"].as_array().unwrap().len();
    assert_eq!(sessions, 1);
    app.stop().await;
}

#[tokio::test]
async fn a_browser_with_a_dead_cookie_signs_in_like_any_other() {
    let app = TestApp::start().await;
    app.account("back@example.org", &[Portal::Creator]).await;
    let client = app.client();
    client.set_cookie(COOKIE, "from-last-year");
    let answer = app.login(&client, "creator", "back@example.org").await;
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").count();
    assert_eq!((answer.status, cookies), (200, 1), "one cookie, the new one");
    assert_eq!(client.get("/api/auth/session").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_user_of_all_portals_switches_without_a_new_login_and_gets_a_new_token() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&ALL).await;
    let id = client.get("/api/auth/session").await.data()["session"]["id"].clone();
    for portal in ["investor", "production", "creator"] {
        let before = client.cookie(COOKIE).unwrap();
        let switched = client.post("/api/auth/portal", &json!({ "portal": portal })).await;
        assert_eq!(switched.data()["session"]["portal"], portal);
        assert_eq!(switched.data().get("token"), None, "a browser gets a cookie, not a text its scripts can read");
        assert_ne!(client.cookie(COOKIE).unwrap(), before);
        let session = client.get("/api/auth/session").await.data()["session"].clone();
        assert_eq!((&session["id"], &session["portal"]), (&id, &json!(portal)));
    }
    app.stop().await;
}

#[tokio::test]
async fn the_old_token_works_ten_seconds_more_and_then_never_again() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&ALL).await;
    let old = client.cookie(COOKIE).unwrap();
    client.post("/api/auth/portal", &json!({"portal": "investor"})).await.data();
    let late = app.client();
    late.set_cookie(COOKIE, &old);
    app.clock.advance(std::time::Duration::from_secs(9));
    assert_eq!(late.get("/api/auth/session").await.status, 200);
    app.clock.advance(std::time::Duration::from_secs(2));
    assert_eq!(late.get("/api/auth/session").await.status, 401);
    assert_eq!(client.get("/api/auth/session").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_portal_one_does_not_have_is_forbidden_and_the_cookie_stays() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    let refused = client.post("/api/auth/portal", &json!({"portal": "investor"})).await;
    assert_eq!((refused.refusal().as_str(), refused.header("set-cookie")), ("403 FORBIDDEN", None));
    assert_eq!(client.post("/api/auth/portal", &json!({"portal": "admin"})).await.fields(), ["portal"]);
    assert_eq!(client.get("/api/auth/session").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_login_form_with_anything_wrong_is_refused_by_field() {
    let app = TestApp::start().await;
    let post = async |body: serde_json::Value| app.client().post("/api/auth/creator/login", &body).await.fields();
    assert_eq!(post(json!({"email": "a@b.org"})).await, ["password"]);
    assert_eq!(post(json!({"email": 5, "password": "x"})).await, ["email"]);
    assert_eq!(post(json!({"email": "a@b.org", "password": "x", "role": "admin"})).await, ["role"]);
    assert_eq!(post(json!({"email": "", "password": ""})).await, ["email", "password"]);
    let get = app.client().send(Call::new("GET", "/api/auth/creator/login")).await;
    assert_eq!(
        (get.refusal().as_str(), get.header("allow").as_deref()),
        ("405 METHOD_NOT_ALLOWED", Some("POST, OPTIONS"))
    );
    app.stop().await;
}

#[tokio::test]
async fn guessing_is_slowed_down_per_account_and_address_and_nobody_else_is_locked_out() {
    let app = TestApp::start().await;
    app.account("target@example.org", &[Portal::Creator]).await;
    app.account("other@example.org", &[Portal::Creator]).await;
    let guess = json!({"email": "target@example.org", "password": "not the password"});
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(app.client().post("/api/auth/creator/login", &guess).await);
    }
    assert!(statuses[..3].iter().all(|answer| answer.status == 401));
    let limited = &statuses[3];
    assert_eq!(limited.refusal(), "429 RATE_LIMIT_EXCEEDED");
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(limited.header("ratelimit-policy").unwrap(), "\"login-burst\";q=3;w=10");
    assert_eq!(app.login(&app.client(), "creator", "other@example.org").await.status, 200);
    app.clock.advance(std::time::Duration::from_mins(1));
    assert_eq!(app.login(&app.client(), "creator", "target@example.org").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn one_address_may_have_so_many_passwords_checked_whatever_the_accounts() {
    let app = TestApp::with(|config| {
        config.http.trusted_proxies = 1;
        config.http.login_rate_per_ip = 3;
    })
    .await;
    let attempt = async |number: u32, ip: &str| {
        let form = json!({"email": format!("{number}@example.org"), "password": "not the password"});
        app.client().send(Call::new("POST", "/api/auth/creator/login").json(&form).header("x-forwarded-for", ip)).await
    };
    for number in 0..3 {
        assert_eq!(attempt(number, "192.0.2.1").await.refusal(), "401 INVALID_CREDENTIALS");
    }
    let before = app.app().passwords.computed();
    let limited = attempt(3, "192.0.2.1").await;
    assert_eq!(limited.refusal(), "429 RATE_LIMIT_EXCEEDED");
    assert_eq!(limited.header("ratelimit-policy").unwrap(), "\"login-address\";q=3;w=60");
    assert_eq!(app.app().passwords.computed(), before, "refused before any hash");
    assert_eq!(attempt(4, "192.0.2.2").await.refusal(), "401 INVALID_CREDENTIALS");
    app.clock.advance(std::time::Duration::from_secs(20));
    assert_eq!(attempt(5, "192.0.2.1").await.refusal(), "401 INVALID_CREDENTIALS");
    app.stop().await;
}
