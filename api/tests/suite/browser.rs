//! What browsers are told and kept from: the page, other origins, other sites' tricks.

use crate::support::{Call, TestApp};
use serde_json::json;
use shared::{config::Environment, model::Portal};

const LISTED: &str = "https://app.example.org";

async fn app() -> TestApp {
    TestApp::with(|config| config.http.allowed_origins = vec![LISTED.into()]).await
}

#[tokio::test]
async fn the_page_and_its_files_are_served_with_their_types_and_policy() {
    let app = TestApp::start().await;
    let client = app.client();
    for (path, media) in [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/pitchey.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/demo/desk.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = client.get(path).await;
        assert_eq!((answer.status, answer.header("content-type").as_deref()), (200, Some(media)), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let tag = answer.header("etag").unwrap();
        let again = client.send(Call::new("GET", path).header("if-none-match", &*tag)).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)));
    }
    for hidden in ["/pitchey.d.ts", "/package.json", "/README.md", "/e2e/page.e2e.mjs", "/index.html"] {
        assert_eq!(client.get(hidden).await.status, 404, "{hidden}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_preflight_from_a_listed_origin_is_204_and_echoes_it() {
    let app = app().await;
    let preflight = |origin: &str| {
        Call::new("OPTIONS", "/api/auth/session")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
    };
    let answer = app.client().send(preflight(LISTED)).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(LISTED));
    assert_eq!(answer.header("access-control-allow-credentials").as_deref(), Some("true"));
    assert_eq!(answer.header("access-control-allow-methods").as_deref(), Some("GET, HEAD, POST, OPTIONS"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("content-type"));
    assert!(answer.header("vary").unwrap().contains("origin"));

    for stranger in ["https://evil.example", "null", "https://app.example.org.evil.example"] {
        let answer = app.client().send(preflight(stranger)).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{stranger}");
        assert!(answer.header("vary").unwrap().contains("origin"));
    }
    app.stop().await;
}

#[tokio::test]
async fn answers_and_errors_may_be_read_by_listed_origins_only() {
    let app = app().await;
    let ask =
        async |origin: &str| app.client().send(Call::new("GET", "/api/auth/session").header("origin", origin)).await;
    let ours = ask(LISTED).await;
    assert_eq!((ours.status, ours.header("access-control-allow-origin").as_deref()), (401, Some(LISTED)));
    assert!(ours.header("access-control-expose-headers").unwrap().contains("retry-after"));
    assert_eq!(ask("https://evil.example").await.header("access-control-allow-origin"), None);
    app.stop().await;
}

#[tokio::test]
async fn another_site_cannot_use_a_visitors_cookie() {
    let app = app().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    let logout = || Call::new("POST", "/api/auth/logout").json(&json!({}));
    let evil = logout().header("origin", "https://evil.example").header("sec-fetch-site", "cross-site");
    let refused = client.send(evil).await;
    assert_eq!((refused.refusal().as_str(), refused.header("set-cookie")), ("403 FORBIDDEN", None));
    let old_browser = logout().header("origin", "https://evil.example");
    assert_eq!(client.send(old_browser).await.status, 403);
    assert_eq!(client.get("/api/auth/session").await.status, 200, "the session lives");
    // A form can be sent without a preflight, but not as JSON.
    let form =
        Call::new("POST", "/api/auth/portal").header("content-type", "text/plain").body("{\"portal\":\"creator\"}");
    assert_eq!(client.send(form).await.status, 415);
    let ours = logout().header("origin", LISTED).header("sec-fetch-site", "cross-site");
    assert_eq!(client.send(ours).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn demo_accounts_exist_in_development_only_and_all_of_them_work() {
    let app = TestApp::start().await;
    assert_eq!(app.client().get("/api/demo/accounts").await.refusal(), "404 NOT_FOUND");
    app.stop().await;

    let app = TestApp::with(|config| {
        config.environment = Environment::Development;
        config.session.secure = None;
    })
    .await;
    let accounts = app.client().get("/api/demo/accounts").await.data()["accounts"].as_array().unwrap().clone();
    assert_eq!(accounts.len(), 4);
    assert!(accounts.iter().any(|account| account["portals"] == json!(["creator", "investor", "production"])));
    for account in accounts {
        let client = app.client();
        let form = json!({"email": account["email"], "password": account["password"]});
        let portal = account["portal"].as_str().unwrap();
        let answer = client.post(&format!("/api/auth/{portal}/login"), &form).await;
        let cookie = answer.header("set-cookie").unwrap();
        assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "plain HTTP on this machine: {cookie}");
        assert_eq!(client.get("/api/auth/session").await.data()["user"]["name"], account["name"]);
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    app.stop().await;
}

#[tokio::test]
async fn production_cookies_are_secure_and_may_span_subdomains() {
    let app = TestApp::with(|config| {
        config.http.public_base_url = Some("https://api.pitchey.example".into());
        config.session.domain = Some("pitchey.example".into());
        config.session.secure = None;
    })
    .await;
    app.account("c@example.org", &[Portal::Creator]).await;
    let cookie = app.login(&app.client(), "creator", "c@example.org").await.header("set-cookie").unwrap();
    assert!(cookie.contains("; Secure; ") && cookie.contains("; Domain=pitchey.example; "), "{cookie}");
    app.stop().await;
}
