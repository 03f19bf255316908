//! Sessions after the login: what proves one, how it lives, how it ends.

use crate::support::{COOKIE, Call, Client, TestApp};
use serde_json::json;
use shared::{
    model::Portal,
    testkit::{Socket, socket::Heard},
};
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn a_made_up_cookie_is_401_with_both_methods_and_is_left_alone() {
    let app = TestApp::start().await;
    for method in ["GET", "POST"] {
        let client = app.client();
        client.set_cookie(COOKIE, "test");
        let answer = client.send(Call::new(method, "/api/auth/session")).await;
        assert_eq!(answer.refusal(), "401 UNAUTHORIZED");
        assert_eq!(answer.json()["error"]["message"], "Authentication required");
        assert_eq!(answer.header("set-cookie"), None, "it is no session of ours that has died");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_late_answer_never_takes_the_cookie_that_the_browser_was_given_meanwhile() {
    let app = TestApp::start().await;
    let email = "late@example.org";
    app.account(email, &Portal::ALL).await;
    let client = app.client();
    app.login(&client, "creator", email).await.data();
    let late = async |token: &str| {
        let late = app.client();
        late.set_cookie(COOKIE, token);
        let answer = late.get("/api/auth/session").await;
        (answer.refusal(), answer.header("set-cookie"))
    };
    let left_alone = ("401 UNAUTHORIZED".to_owned(), None);
    let first = client.cookie(COOKIE).unwrap();
    client.post("/api/auth/portal", &json!({"portal": "investor"})).await.data();
    app.clock.advance(Duration::from_secs(11));
    assert_eq!(late(&first).await, left_alone, "it was replaced, and its grace is over");
    let second = client.cookie(COOKIE).unwrap();
    app.login(&client, "creator", email).await.data();
    assert_eq!(late(&second).await, left_alone, "its browser has signed in again");
    assert_eq!(late(&first).await, left_alone);
    assert_eq!(client.get("/api/auth/session").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_jwt_or_any_other_foreign_string_in_authorization_is_401() {
    let app = TestApp::start().await;
    let (id, client) = app.signed_in(&[Portal::Creator]).await;
    let token = app.session(id, Portal::Creator).await;
    let ours = Client::with_bearer(app.address(), token.expose());
    assert_eq!(ours.get("/api/auth/session").await.data()["user"]["id"], json!(id));
    // The shape of a JWT: three base64url parts. Signed by nobody.
    let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl";
    for foreign in [jwt, "x", &"y".repeat(4_000)] {
        assert_eq!(Client::with_bearer(app.address(), foreign).get("/api/auth/session").await.status, 401);
    }
    // The header wins, also over a valid cookie: who sends it means it.
    let both = Call::new("GET", "/api/auth/session").header("authorization", "Basic dXNlcjpwdw==");
    let answer = client.send(both).await;
    assert_eq!((answer.refusal().as_str(), answer.header("set-cookie")), ("401 UNAUTHORIZED", None));
    app.stop().await;
}

#[tokio::test]
async fn a_session_ends_after_a_week_unused_and_the_cookie_is_cleared() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    app.clock.advance(Duration::from_secs(7 * 86_400 - 1));
    assert_eq!(client.get("/api/auth/session").await.status, 200);
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(api::housekeeping::expire(app.app()).await.unwrap(), 0, "it is remembered for a day");
    let answer = client.get("/api/auth/session").await;
    assert_eq!(answer.refusal(), "401 UNAUTHORIZED");
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    app.stop().await;
}

#[tokio::test]
async fn the_expiry_moves_once_a_day_and_only_then_is_anything_written() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    let visit = async || client.post("/api/auth/session", &json!({})).await;
    let writes = || app.runs_of("sessions.refresh");

    app.clock.advance(Duration::from_secs(86_400 - 1));
    let early = visit().await;
    assert_eq!((early.status, early.header("set-cookie"), writes()), (200, None, 0));

    app.clock.advance(Duration::from_secs(1));
    let due = visit().await;
    let cookie = due.header("set-cookie").expect("the cookie is sent again");
    assert!(cookie.contains(&client.cookie(COOKIE).unwrap()) && cookie.contains("Max-Age=604800"), "{cookie}");
    assert_eq!(writes(), 1);
    let expires = due.data()["session"]["expiresAt"].as_str().unwrap().to_owned();
    assert_eq!(shared::clock::Timestamp::parse(&expires).unwrap(), app.clock.now() + 7 * DAY);

    let again = visit().await;
    assert_eq!((again.header("set-cookie"), writes()), (None, 1));
    app.stop().await;
}

#[tokio::test]
async fn reading_the_session_never_prolongs_it() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    app.clock.advance(2 * DAY);
    let read = client.get("/api/auth/session").await;
    assert_eq!((read.status, read.header("set-cookie"), app.runs_of("sessions.refresh")), (200, None, 0));
    app.stop().await;
}

#[tokio::test]
async fn a_session_in_daily_use_ends_after_thirty_days_all_the_same() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    for day in 1..30 {
        app.clock.advance(DAY);
        assert_eq!(client.post("/api/auth/session", &json!({})).await.status, 200, "day {day}");
    }
    app.clock.advance(DAY + Duration::from_secs(1));
    assert_eq!(client.post("/api/auth/session", &json!({})).await.status, 401);
    app.stop().await;
}

#[tokio::test]
async fn signing_out_ends_the_session_for_requests_and_for_open_sockets() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    let token = client.cookie(COOKIE).unwrap();
    let (mut socket, _) = Socket::ready(app.address(), &token).await;
    client.post("/api/auth/logout", &json!({})).await.data();
    assert_eq!(client.cookie(COOKIE), None);
    client.set_cookie(COOKIE, &token);
    assert_eq!(client.get("/api/auth/session").await.status, 401);
    loop {
        if let Heard::Closed(code) = socket.hear().await {
            assert_eq!(code, Some(4503));
            break;
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all_but_this_one() {
    let app = TestApp::start().await;
    let (id, client) = app.signed_in(&[Portal::Creator]).await;
    let (laptop, phone) = (app.session(id, Portal::Creator).await, app.session(id, Portal::Creator).await);
    let on = |token: &shared::secret::Token| Client::with_bearer(app.address(), token.expose());
    let listed = client.get("/api/auth/sessions").await.data()["sessions"].as_array().unwrap().clone();
    assert_eq!((listed.len(), listed.iter().filter(|row| row["current"] == true).count()), (3, 1));

    let laptop_id = on(&laptop).get("/api/auth/session").await.data()["session"]["id"].as_str().unwrap().to_owned();
    let ended = client.send(Call::new("DELETE", format!("/api/auth/sessions/{laptop_id}"))).await;
    assert_eq!(ended.data()["revoked"], 1);
    assert_eq!(on(&laptop).get("/api/auth/session").await.status, 401);
    assert_eq!(on(&phone).get("/api/auth/session").await.status, 200);

    assert_eq!(client.post("/api/auth/sessions/revoke-others", &json!({})).await.data()["revoked"], 1);
    assert_eq!(on(&phone).get("/api/auth/session").await.status, 401);
    assert_eq!(client.get("/api/auth/session").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn somebody_elses_session_is_not_found() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    let (_, victim) = app.signed_in(&[Portal::Creator]).await;
    let foreign = victim.get("/api/auth/session").await.data()["session"]["id"].as_str().unwrap().to_owned();
    let unknown = shared::id::SessionId::new().to_string();
    for id in [foreign.as_str(), &unknown, "not-an-id", "%27%20or%201=1--"] {
        let answer = client.send(Call::new("DELETE", format!("/api/auth/sessions/{id}"))).await;
        assert_eq!(answer.refusal(), "404 NOT_FOUND", "{id}");
    }
    assert_eq!(victim.get("/api/auth/session").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_ticket_opens_one_socket() {
    let app = TestApp::start().await;
    let (_, client) = app.signed_in(&[Portal::Creator]).await;
    let data = client.post("/api/ws/ticket", &json!({})).await.data();
    assert_eq!(data["expiresIn"], 30);
    let ticket = data["ticket"].as_str().unwrap();
    let (first, _) = Socket::ready(app.address(), ticket).await;
    let mut second = Socket::open(app.address()).await;
    second.send(&json!({"type": "auth", "token": ticket})).await;
    loop {
        if let Heard::Closed(code) = second.hear().await {
            assert_eq!(code, Some(4500));
            break;
        }
    }
    assert_eq!(app.client().post("/api/ws/ticket", &json!({})).await.status, 401);
    drop(first);
    app.stop().await;
}

#[tokio::test]
async fn expired_sessions_are_swept_away() {
    let app = TestApp::start().await;
    let (id, _) = app.signed_in(&[Portal::Creator]).await;
    app.session(id, Portal::Creator).await;
    app.clock.advance(8 * DAY);
    assert_eq!(api::housekeeping::expire(app.app()).await.unwrap(), 2);
    assert_eq!(api::housekeeping::expire(app.app()).await.unwrap(), 0);
    app.stop().await;
}
