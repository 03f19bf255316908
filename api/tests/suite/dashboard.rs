//! The creator's dashboard through the wire.

use crate::{
    pitches::{draft, published},
    support::{Call, TestApp},
};
use serde_json::json;
use shared::model::Portal;

#[tokio::test]
async fn the_numbers_are_the_callers_and_a_client_that_has_them_is_spared_them() {
    let app = TestApp::start().await;
    let (id, creator) = app.signed_in(&[Portal::Creator]).await;
    let (_, fan) = app.signed_in(&[Portal::Investor]).await;
    let path = published(&creator, "Open").await;
    draft(&creator, "Hidden").await;
    fan.send(Call::new("PUT", format!("/api/users/{id}/follow"))).await.data();
    fan.send(Call::new("PUT", format!("{path}/like"))).await.data();
    let answer = creator.get("/api/dashboard/creator").await;
    assert_eq!(
        answer.data(),
        json!({
            "totalPitches": 2, "publishedPitches": 1, "recentPitches": 2, "totalViews": 0, "totalLikes": 1,
            "totalNdas": 0, "approvedNdas": 0, "followersCount": 1, "followingCount": 0,
        })
    );
    assert_eq!(creator.get("/api/creator/dashboard").await.data(), answer.data());
    let tag = answer.header("etag").expect("a dashboard has a tag");
    let again = async || creator.send(Call::new("GET", "/api/dashboard/creator").header("if-none-match", &tag)).await;
    assert_eq!(again().await.status, 304);
    published(&creator, "Another").await;
    assert_eq!(again().await.data()["publishedPitches"], 2, "what changed shows at once");
    assert_eq!(app.client().get("/api/dashboard/creator").await.refusal(), "401 UNAUTHORIZED");
    assert_eq!(fan.get("/api/dashboard/creator").await.refusal(), "403 FORBIDDEN");
    app.stop().await;
}
