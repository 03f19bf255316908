//! The creator's dashboard: its numbers are those of the fixture.

use super::*;
use pitches::{bring_in, published};
use shared::{
    model::{CreatorStats, PitchStatus},
    store::{dashboard, follows, testing::execute},
};

on_both! {
    the_numbers_are_the_fixtures_and_nobody_elses,
}

async fn the_numbers_are_the_fixtures_and_nobody_elses(kit: &TestStore) {
    let (ada, bob, eve) = (user(kit, "ada").await, user(kit, "bob").await, user(kit, "eve").await);
    let days = |days: u64| Duration::from_hours(days * 24);
    for (title, age, status) in [
        ("New", days(1), PitchStatus::Published),
        ("Month", days(30), PitchStatus::Published),
        ("Old", days(31), PitchStatus::Published),
        ("Draft", days(2), PitchStatus::Draft),
    ] {
        let mut pitch = published(kit, ada, title, age);
        (pitch.status, pitch.views, pitch.likes) = (status, 10, 3);
        bring_in(kit, &pitch).await;
    }
    bring_in(kit, &published(kit, bob, "Another's", days(1))).await;
    kit.store
        .tx("test.people", async |tx| {
            follows::follow(tx, bob, ada).await?;
            follows::follow(tx, eve, ada).await?;
            follows::follow(tx, ada, eve).await?;
            // One agreement of each of three users about each of Ada's pitches; the ids only have to differ.
            execute(
                tx,
                "insert into ndas (id, user_id, pitch_id, status, created_at, updated_at)
                     select p.id, u.id, p.id, case p.title when 'Old' then 'approved' else 'pending' end,
                            p.created_at, p.created_at
                     from users u, pitches p where u.username = 'eve'",
            )
            .await
        })
        .await
        .expect("it works");
    let stats =
        async |user| kit.store.read("test.stats", async |c| dashboard::creator(c, user).await).await.expect("it works");
    assert_eq!(
        stats(ada).await,
        CreatorStats {
            total_pitches: 4,
            published_pitches: 3,
            recent_pitches: 3,
            total_views: 40,
            total_likes: 12,
            total_ndas: 4,
            approved_ndas: 1,
            followers_count: 2,
            following_count: 1,
        }
    );
    assert_eq!(stats(UserId::new()).await, CreatorStats::default());
}
