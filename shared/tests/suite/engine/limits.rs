//! Rate limits as callers see them; the arithmetic has its own properties, next to it.

use super::Fixture;
use shared::engine::Quota;
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

const QUOTA: Quota = Quota { burst: 5, per: Duration::from_secs(10) };

fn some_key() -> String {
    format!("test:{}", Uuid::now_v7())
}

pub(crate) async fn a_burst_is_allowed_and_then_one_at_a_time(fixture: Fixture) {
    let key = some_key();
    let allowed = async || fixture.engine.limits.take(&key, QUOTA).await.unwrap().allowed;
    for _ in 0..QUOTA.burst {
        assert!(allowed().await);
    }
    for _ in 0..3 {
        assert!(!allowed().await);
        fixture.advance(QUOTA.per / QUOTA.burst).await;
        assert!(allowed().await, "one is won back");
    }
    fixture.advance(QUOTA.per).await;
    for _ in 0..QUOTA.burst {
        assert!(allowed().await, "the whole burst is won back");
    }
    assert!(!allowed().await);
}

pub(crate) async fn takers_at_the_same_time_never_get_more_than_the_burst(fixture: Fixture) {
    let key = some_key();
    let quota = Quota { burst: 50, per: Duration::from_mins(1) };
    let mut takers = JoinSet::new();
    for _ in 0..200 {
        let (engine, key) = (fixture.engine.clone(), key.clone());
        takers.spawn(async move { engine.limits.take(&key, quota).await.unwrap().allowed });
    }
    assert_eq!(takers.join_all().await.into_iter().filter(|allowed| *allowed).count(), 50);
}

pub(crate) async fn a_refused_take_costs_nothing(fixture: Fixture) {
    let key = some_key();
    for _ in 0..QUOTA.burst + 100 {
        fixture.engine.limits.take(&key, QUOTA).await.unwrap();
    }
    fixture.advance(QUOTA.per / QUOTA.burst).await;
    assert!(fixture.engine.limits.take(&key, QUOTA).await.unwrap().allowed);
}

pub(crate) async fn the_answer_says_what_is_left_and_when_it_is_won_back(fixture: Fixture) {
    let key = some_key();
    let take = async || fixture.engine.limits.take(&key, QUOTA).await.unwrap();
    let one = QUOTA.per / QUOTA.burst;
    for taken in 1..=QUOTA.burst {
        let decision = take().await;
        assert_eq!((decision.remaining, decision.reset_after), (QUOTA.burst - taken, one * taken));
        assert_eq!(decision.retry_after, if taken < QUOTA.burst { Duration::ZERO } else { one });
    }
    let refused = take().await;
    assert_eq!((refused.allowed, refused.remaining, refused.retry_after), (false, 0, one));
    fixture.advance(refused.retry_after).await;
    assert!(take().await.allowed);
}

pub(crate) async fn keys_do_not_know_each_other(fixture: Fixture) {
    let (a, b) = (some_key(), some_key());
    for _ in 0..QUOTA.burst {
        fixture.engine.limits.take(&a, QUOTA).await.unwrap();
    }
    assert!(!fixture.engine.limits.take(&a, QUOTA).await.unwrap().allowed);
    assert!(fixture.engine.limits.take(&b, QUOTA).await.unwrap().allowed);
}
