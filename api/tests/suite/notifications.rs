//! The feed over REST; the race between REST and sockets is proven on the operation both share, in `shared`'s suite.

use crate::support::{Client, TestApp};
use serde_json::{Value, json};
use shared::{
    id::UserId,
    model::{NewNotification, Portal},
};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// `count` notifications for the user, titled 1, 2, 3, …, a second apart.
async fn notify(app: &TestApp, user: UserId, count: usize) {
    for n in 1..=count {
        let metadata = BTreeMap::from([("pitchId".into(), n.to_string())]);
        let new = NewNotification { user, kind: "pitch.liked", title: n.to_string(), body: "<b>".into(), metadata };
        app.app().ops.notify(vec![new]).await.expect("it is written");
        app.clock.advance(Duration::from_secs(1));
    }
}

async fn feed(client: &Client, query: &str) -> Value {
    client.get(&format!("/api/notifications{query}")).await.data()
}

fn each(page: &Value, field: &str) -> Vec<Value> {
    page["notifications"].as_array().expect("a list").iter().map(|entry| entry[field].clone()).collect()
}

#[tokio::test]
async fn the_feed_is_paged_newest_first_and_counts_what_is_unread() {
    let app = TestApp::start().await;
    let (ada_id, ada) = app.signed_in(&[Portal::Creator]).await;
    assert_eq!(feed(&ada, "").await, json!({ "notifications": [], "unreadCount": 0, "nextCursor": null }));
    notify(&app, ada_id, 3).await;
    let first = feed(&ada, "?limit=2").await;
    assert_eq!((each(&first, "title"), &first["unreadCount"]), (vec![json!("3"), json!("2")], &json!(3)));
    let newest = &first["notifications"][0];
    assert_eq!(
        (&newest["type"], &newest["metadata"], &newest["read"], &newest["readAt"]),
        (&json!("pitch.liked"), &json!({ "pitchId": "3" }), &json!(false), &Value::Null)
    );
    let cursor = first["nextCursor"].as_str().expect("there is more");
    let rest = feed(&ada, &format!("?limit=2&cursor={cursor}")).await;
    assert_eq!((each(&rest, "title"), &rest["nextCursor"]), (vec![json!("1")], &Value::Null));
    let other_filter = ada.get(&format!("/api/notifications?unread=true&cursor={cursor}")).await;
    assert_eq!(other_filter.fields(), ["cursor"]);
    assert_eq!(ada.get("/api/notifications?unread=maybe&limit=101").await.fields(), ["unread", "limit"]);
    app.stop().await;
}

#[tokio::test]
async fn marking_reads_what_is_named_or_everything_and_nothing_of_others() {
    let app = TestApp::start().await;
    let ((ada_id, ada), (eve_id, eve)) =
        (app.signed_in(&[Portal::Creator]).await, app.signed_in(&[Portal::Creator]).await);
    notify(&app, ada_id, 3).await;
    notify(&app, eve_id, 1).await;
    let ids = each(&feed(&ada, "").await, "id");
    let mark = async |client: &Client, body: Value| client.post("/api/notifications/mark-read", &body).await;

    let foreign = mark(&eve, json!({ "ids": [ids[0], Uuid::now_v7()] })).await.data();
    assert_eq!(foreign, json!({ "ids": [], "unreadCount": 1 }));
    let named = mark(&ada, json!({ "ids": [ids[0], ids[0]] })).await.data();
    assert_eq!(named, json!({ "ids": [ids[0]], "unreadCount": 2 }));
    let again = mark(&ada, json!({ "ids": [ids[0]] })).await.data();
    assert_eq!(again, json!({ "ids": [], "unreadCount": 2 }));
    assert_eq!(each(&feed(&ada, "?unread=true").await, "id"), ids[1..]);
    let all = mark(&ada, json!({ "all": true })).await.data();
    assert_eq!((all["ids"].as_array().map(Vec::len), &all["unreadCount"]), (Some(2), &json!(0)));
    assert!(each(&feed(&ada, "").await, "readAt").iter().all(Value::is_string));
    assert_eq!(feed(&eve, "").await["unreadCount"], 1);
    app.stop().await;
}

#[tokio::test]
async fn a_mark_that_names_nothing_or_too_much_is_refused() {
    let app = TestApp::start().await;
    let (_, ada) = app.signed_in(&[Portal::Creator]).await;
    let many = vec![Uuid::now_v7(); 501];
    for body in [json!({}), json!({ "all": false }), json!({ "all": true, "ids": [] }), json!({ "ids": many })] {
        assert_eq!(ada.post("/api/notifications/mark-read", &body).await.fields(), ["ids"]);
    }
    assert_eq!(ada.post("/api/notifications/mark-read", &json!({ "ids": ["x"] })).await.fields(), ["ids[0]"]);
    assert_eq!(ada.post("/api/notifications/mark-read", &json!({ "all": true, "x": 1 })).await.fields(), ["x"]);
    assert_eq!(app.client().get("/api/notifications").await.refusal(), "401 UNAUTHORIZED");
    assert_eq!(
        app.client().post("/api/notifications/mark-read", &json!({ "all": true })).await.refusal(),
        "401 UNAUTHORIZED"
    );
    app.stop().await;
}
