//! Conversations and messages over REST; the rules themselves are proven in `shared`'s suite, on both databases.

use crate::support::{Answer, Call, Client, TestApp};
use serde_json::{Value, json};
use shared::{id::UserId, model::Portal};
use uuid::Uuid;

/// Opens the conversation with somebody.
async fn open(client: &Client, with: UserId) -> String {
    let answer = client.post("/api/conversations", &json!({ "participantId": with })).await;
    answer.data()["conversation"]["id"].as_str().expect("a conversation has an id").to_owned()
}

fn messages(conversation: &str) -> String {
    format!("/api/conversations/{conversation}/messages")
}

async fn say(client: &Client, conversation: &str, body: &str) -> Answer {
    client.post(&messages(conversation), &json!({ "body": body })).await
}

/// One field of every entry of a list.
fn each(list: &Value, field: &str) -> Vec<Value> {
    list.as_array().expect("a list").iter().map(|entry| entry[field].clone()).collect()
}

#[tokio::test]
async fn two_people_talk_and_both_see_the_same() {
    let app = TestApp::start().await;
    let ((ada_id, ada), (bob_id, bob)) =
        (app.signed_in(&[Portal::Creator]).await, app.signed_in(&[Portal::Investor]).await);
    let conversation = open(&ada, bob_id).await;
    assert_eq!(open(&bob, ada_id).await, conversation, "both sides find the same one");

    let first = say(&ada, &conversation, "Hello").await;
    assert_eq!(first.status, 201);
    assert_eq!(first.header("location"), Some(messages(&conversation)));
    let hostile = r#"<script>alert("1")</script>'; drop table messages; -- 🎬"#;
    let second = say(&bob, &conversation, hostile).await.data()["message"].clone();
    assert_eq!((&second["seq"], &second["body"], &second["senderId"]), (&json!(2), &json!(hostile), &json!(bob_id)));

    for client in [&ada, &bob] {
        let page = client.get(&messages(&conversation)).await.data();
        assert_eq!(each(&page["messages"], "body"), [json!(hostile), json!("Hello")]);
        let list = client.get("/api/conversations").await.data();
        assert_eq!(each(&list["conversations"], "lastMessage"), std::slice::from_ref(&second));
        let mut people = each(&list["conversations"][0]["participants"], "id");
        people.sort_by_key(Value::to_string);
        let mut expected = vec![json!(ada_id), json!(bob_id)];
        expected.sort_by_key(Value::to_string);
        assert_eq!(people, expected);
    }
    app.stop().await;
}

#[tokio::test]
async fn an_idempotency_key_makes_a_repeat_the_same_message() {
    let app = TestApp::start().await;
    let ((_, ada), (bob_id, bob)) = (app.signed_in(&[Portal::Creator]).await, app.signed_in(&[Portal::Creator]).await);
    let conversation = open(&ada, bob_id).await;
    let key = Uuid::now_v7().to_string();
    let send = async |key: &str, body: &str| {
        let call = Call::new("POST", messages(&conversation)).header("idempotency-key", key);
        ada.send(call.json(&json!({ "body": body }))).await
    };
    let first = send(&key, "once").await;
    let again = send(&key, "once").await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.data(), again.data());
    assert_eq!(first.data()["message"]["clientId"], key.as_str());
    assert_eq!(send("not a uuid", "once").await.fields(), ["Idempotency-Key"]);
    assert_eq!(each(&bob.get(&messages(&conversation)).await.data()["messages"], "body"), [json!("once")]);
    app.stop().await;
}

#[tokio::test]
async fn pages_go_back_to_the_first_message_without_repeats() {
    let app = TestApp::start().await;
    let ((_, ada), (bob_id, _)) = (app.signed_in(&[Portal::Creator]).await, app.signed_in(&[Portal::Creator]).await);
    let conversation = open(&ada, bob_id).await;
    for n in 1..=5 {
        say(&ada, &conversation, &n.to_string()).await.data();
    }
    let (mut path, mut read) = (format!("{}?limit=2", messages(&conversation)), Vec::new());
    loop {
        let page = ada.get(&path).await.data();
        read.extend(each(&page["messages"], "body"));
        // Whoever reads backwards must not trip over what is said meanwhile.
        say(&ada, &conversation, "meanwhile").await.data();
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("{}?limit=2&cursor={cursor}", messages(&conversation));
    }
    assert_eq!(read, [json!("5"), json!("4"), json!("3"), json!("2"), json!("1")]);
    assert_eq!(ada.get("/api/conversations?cursor=abc").await.fields(), ["cursor"]);
    assert_eq!(ada.get(&format!("{}?limit=0&colour=red", messages(&conversation))).await.fields(), ["limit", "colour"]);
    app.stop().await;
}

#[tokio::test]
async fn what_belongs_to_others_is_not_found_and_looks_like_what_does_not_exist() {
    let app = TestApp::start().await;
    let ((_, ada), (bob_id, _)) = (app.signed_in(&[Portal::Creator]).await, app.signed_in(&[Portal::Creator]).await);
    let (eve_id, eve) = app.signed_in(&[Portal::Creator]).await;
    let conversation = open(&ada, bob_id).await;
    say(&ada, &conversation, "private").await.data();
    let nobodys = Uuid::now_v7().to_string();
    let bobs = bob_id.to_string();
    for id in [conversation.as_str(), &nobodys, &bobs, "42", "%00", "%27%3B%20--"] {
        assert_eq!(eve.get(&messages(id)).await.refusal(), "404 NOT_FOUND", "{id}");
        assert_eq!(say(&eve, id, "let me in").await.refusal(), "404 NOT_FOUND", "{id}");
    }
    let open_with = async |id: Value| eve.post("/api/conversations", &json!({ "participantId": id })).await;
    assert_eq!(open_with(json!(nobodys)).await.refusal(), "404 NOT_FOUND");
    assert_eq!(open_with(json!(eve_id)).await.fields(), ["participantId"]);
    assert_eq!(eve.get("/api/conversations").await.data()["conversations"], json!([]));
    app.stop().await;
}

#[tokio::test]
async fn bad_input_is_refused_by_name_and_strangers_are_sent_to_sign_in() {
    let app = TestApp::start().await;
    let ((_, ada), (bob_id, _)) = (app.signed_in(&[Portal::Creator]).await, app.signed_in(&[Portal::Creator]).await);
    let conversation = open(&ada, bob_id).await;
    for (body, field) in [
        (json!({ "body": "" }), "body"),
        (json!({ "body": " \n" }), "body"),
        (json!({ "body": "x".repeat(8 * 1024 + 1) }), "body"),
        (json!({ "body": 1 }), "body"),
        (json!({ "body": "x", "to": "y" }), "to"),
        (json!({}), "body"),
    ] {
        assert_eq!(ada.post(&messages(&conversation), &body).await.fields(), [field], "{body}");
    }
    let raw =
        |body: &[u8]| Call::new("POST", messages(&conversation)).header("content-type", "application/json").body(body);
    assert_eq!(ada.send(raw(b"{\"body\":")).await.status, 400);
    assert_eq!(ada.send(raw(b"{\"body\":\"a\\u0000b\"}")).await.status, 400);
    assert_eq!(ada.send(raw(b"{\"body\":\"\xff\"}")).await.status, 400);
    let stranger = app.client();
    for path in ["/api/conversations".to_owned(), messages(&conversation)] {
        assert_eq!(stranger.get(&path).await.refusal(), "401 UNAUTHORIZED");
        assert_eq!(ada.send(Call::new("DELETE", path)).await.refusal(), "405 METHOD_NOT_ALLOWED");
    }
    app.stop().await;
}
