//! Lists of pitches through the wire (R-060…R-067): which list shows what, cursors, filters, and bad input.

use crate::{
    pitches::{body, published},
    support::{Call, Client, TestApp},
};
use serde_json::{Value, json};
use shared::{
    id::UserId,
    model::{Confidential, Format, PitchStatus, PitchText, Stage},
};
use shared::{
    model::Portal,
    store::{
        Tx,
        demo::{self, DemoPitch},
        testing,
    },
};
use std::{collections::HashSet, time::Duration};

/// Brings a published pitch in, so many days old, with so many looks today.
async fn bring_in(app: &TestApp, creator: UserId, title: &str, age_days: u64, views: i64) {
    let now = app.clock.now();
    let pitch = DemoPitch {
        creator,
        text: PitchText {
            title: title.into(),
            logline: format!("The story of {title}"),
            synopsis: String::new(),
            genre: "Drama".into(),
            format: Format::Feature,
            stage: Stage::Script,
            budget_min: None,
            budget_max: None,
            seeking_investment: false,
            confidential: Confidential::default(),
        },
        status: PitchStatus::Published,
        featured: age_days % 2 == 1,
        created_at: now - Duration::from_hours(24 * age_days),
        views,
        likes: 0,
        saves: 0,
        engaged_at: now,
    };
    app.app().store.tx("test.pitch", async |tx| demo::pitch(tx, &pitch).await).await.expect("it comes in");
}

fn titles(data: &Value) -> Vec<String> {
    let pitches = data["pitches"].as_array().expect("a list has pitches");
    pitches.iter().map(|pitch| pitch["title"].as_str().expect("a pitch has a title").to_owned()).collect()
}

async fn list(client: &Client, path: &str) -> Vec<String> {
    titles(&client.get(path).await.data())
}

#[tokio::test]
async fn trending_and_new_are_disjoint_and_interleaved_requests_do_not_mix_them() {
    let app = TestApp::start().await;
    let (creator, client) = app.signed_in(&[Portal::Creator]).await;
    for n in 0..4 {
        bring_in(&app, creator, &format!("Old {n}"), 100 + n, 50 - n.cast_signed()).await;
        bring_in(&app, creator, &format!("New {n}"), 1 + n, 0).await;
    }
    let asked = (0..20).map(async |n| {
        let (path, prefix) = if n % 2 == 0 { ("/api/pitches/trending", "Old") } else { ("/api/pitches/new", "New") };
        let found = list(&client, path).await;
        assert_eq!(found.len(), 4, "{path}: {found:?}");
        assert!(found.iter().all(|title| title.starts_with(prefix)), "{path}: {found:?}");
    });
    futures_util::future::join_all(asked).await;
    assert_eq!(list(&client, "/api/pitches/featured").await, ["New 0", "New 2", "Old 1", "Old 3"]);
    app.stop().await;
}

#[tokio::test]
async fn a_cursor_leads_through_the_whole_list_while_others_publish() {
    let app = TestApp::start().await;
    let (creator, client) = app.signed_in(&[Portal::Creator]).await;
    for n in 0..9 {
        bring_in(&app, creator, &format!("P{n}"), n / 3, 10).await;
    }
    for path in ["/api/pitches?sort=title&limit=2", "/api/pitches/trending?limit=2", "/api/search?q=story&limit=2"] {
        let (mut seen, mut next) = (Vec::new(), path.to_owned());
        loop {
            let answer = client.get(&next).await;
            let data = answer.data();
            seen.extend(titles(&data).into_iter().filter(|title| title.starts_with('P')));
            let Some(cursor) = data["nextCursor"].as_str() else { break };
            let link = answer.header("link").expect("a next page has a link");
            assert!(link.contains(&format!("cursor={cursor}")) && link.ends_with("rel=\"next\""), "{link}");
            link[1..].split_once('>').unwrap().0.clone_into(&mut next);
            bring_in(&app, creator, "Another", 0, 10).await;
        }
        let distinct: HashSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (9, 9), "{path}: {seen:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_cursor_is_good_for_its_list_only() {
    let app = TestApp::start().await;
    let (creator, client) = app.signed_in(&[Portal::Creator]).await;
    for n in 0..3 {
        bring_in(&app, creator, &format!("P{n}"), n, 10).await;
    }
    let data = client.get("/api/pitches?genre=Drama&limit=1").await.data();
    let cursor = data["nextCursor"].as_str().expect("there is more");
    assert_eq!(client.get(&format!("/api/pitches?genre=Drama&limit=2&cursor={cursor}")).await.status, 200);
    // Another letter in the middle of the sealed bytes.
    let mut tampered = cursor.to_owned();
    tampered.replace_range(40..41, if cursor.as_bytes()[40] == b'x' { "y" } else { "x" });
    for path in [
        format!("/api/pitches?cursor={cursor}"),
        format!("/api/pitches?genre=Drama&sort=title&cursor={cursor}"),
        format!("/api/pitches/new?cursor={cursor}"),
        format!("/api/pitches?genre=Drama&cursor={tampered}"),
        "/api/pitches?cursor=nonsense".to_owned(),
        format!("/api/pitches?cursor={}", "A".repeat(3_000)),
    ] {
        assert_eq!(client.get(&path).await.fields(), ["cursor"], "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn filters_narrow_reset_with_each_request_and_unknown_ones_are_named() {
    let app = TestApp::start().await;
    let (_, creator) = app.signed_in(&[Portal::Creator]).await;
    published(&creator, "Drama one").await;
    let mut horror = body("Horror two");
    (horror["genre"], horror["format"], horror["budgetMax"]) = (json!("Horror"), json!("short"), json!(9_000));
    let path = creator.post("/api/pitches", &horror).await.header("location").unwrap();
    creator.send(Call::new("POST", format!("{path}/publish"))).await.data();
    let anyone = app.client();
    for (query, expected) in [
        ("genre=Horror", vec!["Horror two"]),
        ("", vec!["Drama one", "Horror two"]),
        ("format=short&seekingInvestment=true", vec!["Horror two"]),
        ("budgetMin=2001", vec!["Horror two"]),
        ("budgetMax=999", vec![]),
        ("q=drama+story", vec!["Drama one"]),
        ("q=%25", vec![]),
        ("q=", vec!["Drama one", "Horror two"]),
        ("q='%20or%201=1;--", vec![]),
        ("status=published&stage=script", vec!["Drama one", "Horror two"]),
    ] {
        for address in ["/api/pitches", "/api/search"] {
            assert_eq!(list(&anyone, &format!("{address}?sort=title&{query}")).await, expected, "{query}");
        }
    }
    let wrong = "/api/pitches?sort=best&format=movie&stage=x&budgetMin=-1&limit=101&seekingInvestment=maybe&creator=me&colour=red";
    let mut fields = anyone.get(wrong).await.fields();
    fields.sort();
    let expected = ["budgetMin", "colour", "creator", "format", "limit", "seekingInvestment", "sort", "stage"];
    assert_eq!(fields, expected);
    assert_eq!(anyone.get("/api/pitches?genre=Western").await.fields(), ["genre"]);
    assert_eq!(anyone.get("/api/pitches?budgetMin=5&budgetMax=4").await.fields(), ["budgetMin"]);
    assert_eq!(anyone.get("/api/pitches/new?genre=Drama").await.fields(), ["genre"]);
    assert_eq!(anyone.get(&format!("/api/search?q={}", "x".repeat(201))).await.fields(), ["q"]);
    app.stop().await;
}

#[tokio::test]
async fn drafts_are_listed_to_their_creator_only() {
    let app = TestApp::start().await;
    let ((id, owner), (_, other)) = (app.signed_in(&[Portal::Creator]).await, app.signed_in(&[Portal::Creator]).await);
    crate::pitches::draft(&owner, "Hidden").await;
    assert_eq!(list(&owner, "/api/pitches?status=draft").await, ["Hidden"]);
    assert_eq!(list(&other, "/api/pitches?status=draft").await, [""; 0]);
    assert_eq!(list(&other, &format!("/api/pitches?status=draft&creator={id}")).await, [""; 0]);
    assert_eq!(app.client().get("/api/pitches?status=draft").await.refusal(), "401 UNAUTHORIZED");
    assert_eq!(list(&owner, "/api/pitches").await, [""; 0]);
    app.stop().await;
}

#[tokio::test]
async fn pages_can_be_counted_by_clients_of_the_old_platform() {
    let app = TestApp::start().await;
    let (creator, client) = app.signed_in(&[Portal::Creator]).await;
    for n in 0..5 {
        bring_in(&app, creator, &format!("P{n}"), n, 0).await;
    }
    let page = async |number| client.get(&format!("/api/pitches?page={number}&limit=2")).await;
    let last = page(3).await;
    assert_eq!(titles(&last.data()), ["P4"]);
    assert_eq!(last.json()["meta"]["pagination"], json!({ "page": 3, "limit": 2, "total": 5, "hasMore": false }));
    assert_eq!(page(1).await.json()["meta"]["pagination"]["hasMore"], true);
    assert_eq!(page(9_999).await.fields(), ["page"], "that far the cursor leads");
    assert_eq!(page(0).await.fields(), ["page"]);
    app.stop().await;
}

#[tokio::test]
async fn the_genres_stand_in_the_envelope_and_beside_it_and_may_be_cached() {
    let app = TestApp::start().await;
    let answer = app.client().get("/api/genres").await;
    let genres = json!(["Action", "Comedy", "Drama", "Horror", "Sci-Fi", "Thriller"]);
    assert_eq!((&answer.data()["genres"], &answer.json()["genres"]), (&genres, &genres));
    assert_eq!(answer.header("cache-control").as_deref(), Some("public, max-age=300"));
    let tag = answer.header("etag").expect("the genres have a tag");
    let again = app.client().send(Call::new("GET", "/api/genres").header("if-none-match", &tag)).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let more = "insert into genres (name, position) values ('Western', 7)";
    app.app().store.tx("test.genre", async |tx: &mut Tx| testing::execute(tx, more).await).await.unwrap();
    let after = app.client().send(Call::new("GET", "/api/genres").header("if-none-match", &tag)).await;
    assert_eq!(after.data()["genres"].as_array().unwrap().len(), 7);
    app.stop().await;
}

#[tokio::test]
async fn on_postgres_the_lists_are_the_same() {
    let Some(app) = TestApp::postgres().await else { return };
    let (creator, client) = app.signed_in(&[Portal::Creator]).await;
    for n in 0..3 {
        bring_in(&app, creator, &format!("Old {n}"), 100 + n, 50).await;
        bring_in(&app, creator, &format!("new {n}"), 1 + n, 0).await;
    }
    published(&client, "Mine").await;
    assert_eq!(list(&client, "/api/pitches/trending").await.len(), 3);
    assert_eq!(list(&client, "/api/pitches/new").await, ["Mine", "new 0", "new 1", "new 2"]);
    assert_eq!(list(&client, "/api/search?q=mine").await, ["Mine"]);
    assert_eq!(list(&client, "/api/pitches?sort=title&limit=2").await, ["Mine", "new 0"]);
    assert_eq!(client.get("/api/dashboard/creator").await.data()["totalPitches"], 7);
    app.stop().await;
}
