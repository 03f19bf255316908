//! One pitch through the wire: who writes it, who sees how much of it, and what a change must know.

use crate::support::{Answer, Call, Client, TestApp, eventually};
use serde_json::{Value, json};
use shared::{
    id::UserId,
    model::Portal,
    store::{
        self, Tx,
        demo::{self, DemoCreator},
        follows, testing,
    },
};

/// A body that breaks no rule.
pub(crate) fn body(title: &str) -> Value {
    json!({
        "title": title,
        "logline": format!("The story of {title}"),
        "genre": "Drama",
        "format": "feature",
        "stage": "script",
        "budgetMin": 1_000,
        "budgetMax": 2_000,
        "seekingInvestment": true,
        "confidentialSynopsis": "He did it.",
    })
}

/// A new draft's address.
pub(crate) async fn draft(creator: &Client, title: &str) -> String {
    let answer = creator.post("/api/pitches", &body(title)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.header("location").expect("a new pitch has an address")
}

/// A published pitch's address.
pub(crate) async fn published(creator: &Client, title: &str) -> String {
    let path = draft(creator, title).await;
    let answer = creator.send(Call::new("POST", format!("{path}/publish"))).await;
    assert_eq!(answer.data()["status"], "published");
    path
}

async fn patch(client: &Client, path: &str, changes: &Value) -> Answer {
    client.send(Call::new("PATCH", path).json(changes)).await
}

async fn creator(app: &TestApp) -> Client {
    app.signed_in(&[Portal::Creator]).await.1
}

#[tokio::test]
async fn a_draft_becomes_a_published_pitch_that_everybody_reads_without_its_secrets() {
    let app = TestApp::start().await;
    let (creator, other, nobody) = (creator(&app).await, creator(&app).await, app.client());
    let path = draft(&creator, "Low Water").await;
    for stranger in [&other, &nobody] {
        assert_eq!(stranger.get(&path).await.refusal(), "404 NOT_FOUND");
    }
    let own = creator.get(&path).await.data();
    assert_eq!((&own["status"], &own["access"]), (&json!("draft"), &json!("owner")));
    assert_eq!(own["confidentialSynopsis"], "He did it.");

    creator.send(Call::new("POST", format!("{path}/publish"))).await.data();
    for stranger in [&other, &nobody] {
        let seen = stranger.get(&path).await;
        assert!(!seen.text().contains("He did it."), "the secret left the house");
        let seen = seen.data();
        assert_eq!((&seen["access"], &seen["hasConfidential"]), (&json!("public"), &json!(true)));
        assert_eq!(seen["creator"]["portal"], "creator");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_granted_nda_shows_the_secrets_and_its_end_hides_them() {
    let app = TestApp::start().await;
    let (creator, (_, investor)) = (creator(&app).await, app.signed_in(&[Portal::Investor]).await);
    let path = published(&creator, "Sealed").await;
    let run =
        async |sql| app.app().store.tx("test.nda", async |tx: &mut Tx| testing::execute(tx, sql).await).await.unwrap();
    run("insert into ndas (id, user_id, pitch_id, status, created_at, updated_at)
         select u.id, u.id, p.id, 'approved', p.created_at, p.created_at
         from users u, pitches p where u.user_type = 'investor'")
    .await;
    let seen = investor.get(&path).await.data();
    assert_eq!((&seen["access"], &seen["confidentialSynopsis"]), (&json!("nda"), &json!("He did it.")));
    run("update ndas set status = 'revoked'").await;
    assert!(!investor.get(&path).await.text().contains("He did it."));
    app.stop().await;
}

#[tokio::test]
async fn only_creators_write_and_the_wrong_portal_is_403_and_leaves_the_session_alone() {
    let app = TestApp::start().await;
    let creator = creator(&app).await;
    let (_, investor) = app.signed_in(&[Portal::Investor, Portal::Creator]).await;
    let path = draft(&creator, "Mine").await;
    let calls = [
        Call::new("POST", "/api/pitches").json(&body("No")),
        Call::new("PUT", &path).json(&body("No")),
        Call::new("PATCH", &path).json(&json!({ "title": "No" })),
        Call::new("DELETE", &path),
        Call::new("POST", format!("{path}/publish")),
        Call::new("GET", "/api/dashboard/creator"),
    ];
    for call in calls {
        assert_eq!(app.client().send(call.clone()).await.refusal(), "401 UNAUTHORIZED");
        let answer = investor.send(call).await;
        assert_eq!((answer.refusal().as_str(), answer.header("set-cookie")), ("403 FORBIDDEN", None));
    }
    assert_eq!(investor.get("/api/auth/session").await.status, 200, "the session is still good");
    app.stop().await;
}

#[tokio::test]
async fn foreign_drafts_are_404_and_foreign_published_pitches_403() {
    let app = TestApp::start().await;
    let (owner, thief) = (creator(&app).await, creator(&app).await);
    let (hidden, open) = (draft(&owner, "Hidden").await, published(&owner, "Open").await);
    let missing = format!("/api/pitches/{}", UserId::new());
    for (path, expected) in [(&hidden, "404 NOT_FOUND"), (&open, "403 FORBIDDEN"), (&missing, "404 NOT_FOUND")] {
        let calls = [
            Call::new("PUT", path).json(&body("Mine now")),
            Call::new("PATCH", path).json(&json!({ "title": "Mine now" })),
            Call::new("DELETE", path),
            Call::new("POST", format!("{path}/publish")),
        ];
        for call in calls {
            let name = format!("{call:?}");
            assert_eq!(thief.send(call).await.refusal(), expected, "{name}");
        }
    }
    assert_eq!(thief.get("/api/pitches/not-an-id").await.refusal(), "404 NOT_FOUND");
    assert_eq!(owner.get(&open).await.data()["title"], "Open");
    app.stop().await;
}

#[tokio::test]
async fn if_match_refuses_a_change_that_saw_an_older_version_and_a_like_does_not_count_as_one() {
    let app = TestApp::start().await;
    let (owner, reader) = (creator(&app).await, creator(&app).await);
    let path = published(&owner, "One").await;
    let tag = owner.get(&path).await.header("etag").expect("a pitch has a tag");
    reader.send(Call::new("PUT", format!("{path}/like"))).await.data();
    let rename =
        |title: &str, tag: &str| Call::new("PATCH", &path).json(&json!({ "title": title })).header("if-match", tag);
    let saved = owner.send(rename("Two", &tag)).await;
    assert_eq!(saved.data()["title"], "Two");
    assert_eq!(owner.send(rename("Three", &tag)).await.refusal(), "412 PRECONDITION_FAILED");
    assert_eq!(owner.send(rename("Three", "\"nonsense\"")).await.refusal(), "412 PRECONDITION_FAILED");
    let delete = Call::new("DELETE", &path).header("if-match", &tag);
    assert_eq!(owner.send(delete).await.refusal(), "412 PRECONDITION_FAILED");
    let current = saved.header("etag").expect("a changed pitch has a tag");
    assert_eq!(owner.send(rename("Three", &current)).await.data()["title"], "Three");
    assert_eq!(owner.send(rename("Four", "*")).await.data()["title"], "Four");
    assert_eq!(patch(&owner, &path, &json!({ "title": "Five" })).await.data()["title"], "Five");
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_has_the_pitch_is_spared_it_until_anything_changes() {
    let app = TestApp::start().await;
    let (owner, reader) = (creator(&app).await, creator(&app).await);
    let path = published(&owner, "Tagged").await;
    let tag = app.client().get(&path).await.header("etag").expect("a tag");
    let ask = async || app.client().send(Call::new("GET", &path).header("if-none-match", &tag)).await.status;
    assert_eq!(ask().await, 304);
    reader.send(Call::new("PUT", format!("{path}/save"))).await.data();
    assert_eq!(ask().await, 200);
    app.stop().await;
}

#[tokio::test]
async fn patch_changes_what_it_names_null_empties_and_put_replaces() {
    let app = TestApp::start().await;
    let owner = creator(&app).await;
    let path = draft(&owner, "Whole").await;
    let changed = patch(&owner, &path, &json!({ "stage": "production", "budgetMax": null })).await.data();
    assert_eq!((&changed["title"], &changed["stage"]), (&json!("Whole"), &json!("production")));
    assert_eq!((&changed["budgetMin"], &changed["budgetMax"]), (&json!(1_000), &Value::Null));
    assert_eq!(patch(&owner, &path, &json!({ "title": null })).await.fields(), ["title"]);
    assert_eq!(patch(&owner, &path, &json!({})).await.refusal(), "400 VALIDATION_ERROR");

    let whole = json!({ "title": "New", "logline": "Else", "genre": "Comedy", "format": "short" });
    let replaced = owner.send(Call::new("PUT", &path).json(&whole)).await.data();
    assert_eq!((&replaced["title"], &replaced["stage"]), (&json!("New"), &json!("concept")));
    assert_eq!((&replaced["budgetMin"], &replaced["confidentialSynopsis"]), (&Value::Null, &Value::Null));
    app.stop().await;
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let app = TestApp::start().await;
    let owner = creator(&app).await;
    let create = async |body: Value| owner.post("/api/pitches", &body).await;
    let with = |field: &str, value: Value| {
        let mut body = body("Fine");
        body[field] = value;
        body
    };
    let wrong = json!({
        "title": " ", "logline": "x".repeat(501), "synopsis": "y".repeat(20_001), "genre": "Drama",
        "format": "movie", "stage": "finished", "budgetMin": -1, "budgetMax": 10_000_000_001_i64,
        "confidentialNotes": "bell \u{7}",
    });
    let mut fields = create(wrong).await.fields();
    fields.sort();
    let expected = ["budgetMax", "budgetMin", "confidentialNotes", "format", "logline", "stage", "synopsis", "title"];
    assert_eq!(fields, expected);
    assert_eq!(create(with("genre", json!("Western"))).await.fields(), ["genre"]);
    assert_eq!(create(with("budgetMin", json!(3_000))).await.fields(), ["budgetMin"]);
    assert_eq!(create(with("budgetMin", json!("much"))).await.fields(), ["budgetMin"]);
    assert_eq!(create(with("status", json!("published"))).await.fields(), ["status"]);
    assert_eq!(create(with("creatorId", json!(UserId::new()))).await.fields(), ["creatorId"]);
    let path = draft(&owner, "Fine").await;
    assert_eq!(patch(&owner, &path, &json!({ "budgetMax": 10 })).await.fields(), ["budgetMin"]);
    app.stop().await;
}

#[tokio::test]
async fn markup_and_sql_are_text_and_come_back_as_they_were() {
    let app = TestApp::start().await;
    let owner = creator(&app).await;
    let nasty = "<script>alert(1)</script>'; drop table pitches; -- ${7*7} \u{202e} 🎬 %_\\";
    let mut whole = body(nasty);
    for field in ["logline", "synopsis", "confidentialSynopsis", "confidentialNotes"] {
        whole[field] = json!(nasty);
    }
    let answer = owner.post("/api/pitches", &whole).await;
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    let seen = answer.data();
    for field in ["title", "logline", "synopsis", "confidentialSynopsis", "confidentialNotes"] {
        assert_eq!(seen[field], nasty, "{field}");
    }
    app.stop().await;
}

#[tokio::test]
async fn only_editors_feature_and_only_what_is_published() {
    let app = TestApp::start().await;
    let owner = creator(&app).await;
    let (_, editor) = app.signed_in(&[Portal::Investor]).await;
    let sql = "update users set is_admin = not is_admin where user_type = 'investor'";
    let rights =
        async || app.app().store.tx("test.admin", async |tx: &mut Tx| testing::execute(tx, sql).await).await.unwrap();
    let (hidden, open) = (draft(&owner, "Hidden").await, published(&owner, "Open").await);
    let featured = json!({ "featured": true });
    for client in [&owner, &editor] {
        assert_eq!(patch(client, &open, &featured).await.refusal(), "403 FORBIDDEN");
    }
    let mut boastful = body("Boastful");
    boastful["featured"] = json!(true);
    assert_eq!(owner.post("/api/pitches", &boastful).await.refusal(), "403 FORBIDDEN");
    assert_eq!(owner.send(Call::new("PUT", &open).json(&boastful)).await.refusal(), "403 FORBIDDEN");
    rights().await;
    // A session remembers who it belongs to; a new one knows of the new right.
    let (_, editor) = sign_in_again(&app, &editor).await;
    assert_eq!(patch(&editor, &open, &featured).await.data()["featured"], true);
    assert_eq!(patch(&editor, &hidden, &featured).await.refusal(), "404 NOT_FOUND");
    let mixed = json!({ "featured": true, "title": "Mine" });
    assert_eq!(patch(&editor, &open, &mixed).await.refusal(), "403 FORBIDDEN", "an editor is not the author");
    let list = app.client().get("/api/pitches/featured").await.data();
    assert_eq!(list["pitches"].as_array().unwrap().len(), 1);
    app.stop().await;
}

/// Another session of the client's account.
async fn sign_in_again(app: &TestApp, client: &Client) -> (UserId, Client) {
    let session = client.get("/api/auth/session").await.data();
    let id: UserId = session["user"]["id"].as_str().and_then(|id| id.parse().ok()).expect("a session has a user");
    let again = app.client();
    again.set_cookie(crate::support::COOKIE, app.session(id, Portal::Investor).await.expose());
    (id, again)
}

#[tokio::test]
async fn publishing_tells_every_follower_once() {
    let app = TestApp::start().await;
    let (id, creator) = app.signed_in(&[Portal::Creator]).await;
    let (_, fan) = app.signed_in(&[Portal::Investor]).await;
    let (_, stranger) = app.signed_in(&[Portal::Investor]).await;
    let follow = Call::new("PUT", format!("/api/users/{id}/follow"));
    assert_eq!(fan.send(follow.clone()).await.data()["following"], true);
    assert_eq!(fan.send(follow.clone()).await.status, 200);
    assert_eq!(creator.send(follow).await.refusal(), "400 VALIDATION_ERROR", "nobody follows themselves");
    let nobody = Call::new("PUT", format!("/api/users/{}/follow", UserId::new()));
    assert_eq!(fan.send(nobody).await.refusal(), "404 NOT_FOUND");

    let path = published(&creator, "Premiere").await;
    creator.send(Call::new("POST", format!("{path}/publish"))).await.data();
    let told = async |sql| app.app().store.read("test.told", async |c| testing::texts(c, sql).await).await.unwrap();
    let titles = "select n.kind || ': ' || n.title from notifications n";
    let told_titles = told(titles).await;
    assert_eq!(told_titles.len(), 1, "{told_titles:?}");
    assert!(told_titles[0].starts_with("pitch.published: ") && told_titles[0].ends_with("published Premiere"));
    assert_eq!(told("select event from inbox").await, ["notification.created"]);

    fan.send(Call::new("DELETE", format!("/api/users/{id}/follow"))).await.data();
    published(&creator, "Sequel").await;
    assert_eq!(told(titles).await.len(), 1, "nobody follows any more");
    drop(stranger);
    app.stop().await;
}

#[tokio::test]
async fn looks_are_counted_once_a_day_after_the_answer_and_never_the_creators_own() {
    let app = TestApp::start().await;
    let (owner, reader) = (creator(&app).await, creator(&app).await);
    let path = published(&owner, "Seen").await;
    for client in [&owner, &reader, &reader, &app.client()] {
        client.get(&path).await.data();
    }
    eventually(|| Some(()).filter(|()| app.runs_of("pitches.count_views") >= 1)).await;
    assert_eq!(owner.get(&path).await.data()["viewCount"], 1);
    app.stop().await;
}

#[tokio::test]
async fn marks_say_how_it_is_and_may_be_repeated() {
    let app = TestApp::start().await;
    let (owner, reader) = (creator(&app).await, creator(&app).await);
    let path = published(&owner, "Marked").await;
    for (mark, flag, counter) in [("like", "liked", "likeCount"), ("save", "saved", "saveCount")] {
        let call = |method| Call::new(method, format!("{path}/{mark}"));
        for (method, now, count) in [("PUT", true, 1), ("PUT", true, 1), ("DELETE", false, 0), ("DELETE", false, 0)] {
            let pitch = reader.send(call(method)).await.data();
            assert_eq!((&pitch[flag], &pitch[counter]), (&json!(now), &json!(count)), "{method} {mark}");
        }
        assert_eq!(owner.send(call("PUT")).await.refusal(), "403 FORBIDDEN", "one's own marks do not count");
        assert_eq!(app.client().send(call("PUT")).await.refusal(), "401 UNAUTHORIZED");
    }
    let hidden = draft(&owner, "Hidden").await;
    assert_eq!(reader.send(Call::new("PUT", format!("{hidden}/like"))).await.refusal(), "404 NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn an_archived_pitch_is_its_creators_again_and_comes_back_without_telling_anybody() {
    let app = TestApp::start().await;
    let ((id, owner), (_, fan)) = (app.signed_in(&[Portal::Creator]).await, app.signed_in(&[Portal::Investor]).await);
    fan.send(Call::new("PUT", format!("/api/users/{id}/follow"))).await.data();
    let path = published(&owner, "Back soon").await;
    let act = async |client: &Client, verb: &str| client.send(Call::new("POST", format!("{path}/{verb}"))).await;
    assert_eq!(act(&fan, "archive").await.refusal(), "403 FORBIDDEN");
    for _ in 0..2 {
        assert_eq!(act(&owner, "archive").await.data()["status"], "archived");
        assert_eq!(fan.get(&path).await.refusal(), "404 NOT_FOUND");
    }
    app.clock.advance(std::time::Duration::from_hours(1));
    assert_eq!(act(&owner, "publish").await.data()["publishedAt"], "2026-01-01T00:00:00.000000Z");
    assert_eq!(fan.get("/api/notifications").await.data()["unreadCount"], 1, "told the first time only");
    app.stop().await;
}

/// More followers than one transaction tells.
const CROWD: i64 = 450;

#[tokio::test]
async fn a_crowd_is_told_some_at_a_time_and_each_of_them_once_also_after_a_crash_in_between() {
    for app in [Some(TestApp::start().await), TestApp::postgres().await].into_iter().flatten() {
        let (creator, owner) = app.signed_in(&[Portal::Creator]).await;
        for n in 0..CROWD {
            let fan = app
                .insert(&format!("fan{n}@example.org"), &[Portal::Investor], true, "!nobody-knows-this-password")
                .await;
            let follow = async |tx: &mut Tx| follows::follow(tx, fan, creator).await;
            app.app().store.tx("test.follow", follow).await.unwrap();
        }
        let count =
            async |sql| app.app().store.read("test.count", async |c| testing::number(c, sql).await).await.unwrap();
        let told = async || count("select count(distinct user_id) from notifications").await;
        let all_of = async || count("select count(*) from inbox").await;

        published(&owner, "Blockbuster").await;
        eventually_so(async || told().await == CROWD).await;
        assert_eq!((all_of().await, count("select count(*) from announcements").await), (CROWD, 0));

        // A process that dies after the publication's own transaction leaves this behind.
        let path = draft(&owner, "Sequel").await;
        let id = path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an address ends in an id");
        let first_part = async |tx: &mut Tx| {
            store::pitches::publish(tx, id, creator).await?;
            store::announcements::begin(tx, id).await?;
            Ok::<_, store::pitches::Refusal>(api::announcements::tell(tx, id).await?)
        };
        let told_so_far = app.app().store.try_tx("test.publish", first_part).await.unwrap();
        assert_eq!(told_so_far, api::announcements::Told::Some);
        assert!(all_of().await < 2 * CROWD);
        api::announcements::take_up(app.app()).await.unwrap();
        assert_eq!((all_of().await, count("select count(*) from announcements").await), (2 * CROWD, 0));
        app.stop().await;
    }
}

/// Asks the store again until it says so.
async fn eventually_so(so: impl AsyncFn() -> bool) {
    let asked = async {
        while !so().await {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, asked).await.expect("it happens in time");
}

#[tokio::test]
async fn a_deleted_pitch_is_gone() {
    let app = TestApp::start().await;
    let owner = creator(&app).await;
    let path = published(&owner, "Gone").await;
    assert_eq!(owner.send(Call::new("DELETE", &path)).await.status, 204);
    assert_eq!(owner.get(&path).await.refusal(), "404 NOT_FOUND");
    assert_eq!(owner.send(Call::new("DELETE", &path)).await.refusal(), "404 NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn the_demo_catalogue_comes_once_and_stays_as_people_left_it() {
    let app = TestApp::start().await;
    api::demo::seed(app.app()).await.expect("the demo comes in");
    let titles = async |list: &str| -> Vec<String> {
        let data = app.client().get(&format!("/api/pitches{list}")).await.data();
        data["pitches"].as_array().unwrap().iter().map(|pitch| pitch["title"].as_str().unwrap().to_owned()).collect()
    };
    let (trending, new) = (titles("/trending?limit=6").await, titles("/new?limit=6").await);
    assert!(trending.len() == 6 && new.len() == 6, "{trending:?} {new:?}");
    assert!(trending.iter().all(|title| !new.contains(title)), "{trending:?} {new:?}");
    assert!(titles("/featured").await.len() >= 5);
    let before = titles("?limit=100").await.len();
    let drop_one = "delete from pitches where title = 'The Notary'";
    app.app().store.tx("test.drop", async |tx: &mut Tx| testing::execute(tx, drop_one).await).await.unwrap();
    api::demo::seed(app.app()).await.expect("a second start is fine");
    assert_eq!(titles("?limit=100").await.len(), before - 1, "what somebody deleted stays deleted");
    // An account that was there before is found, not made again.
    let known = DemoCreator { email: "creator@demo.pitchey.test".into(), username: "x-y-z".into(), name: "X".into() };
    let (_, made) = app.app().store.tx("test.known", async |tx| demo::creator(tx, &known).await).await.unwrap();
    assert!(!made);
    app.stop().await;
}
