//! What an installation has only one of, whichever of its processes comes first.

use super::*;
use futures_util::future::join_all;
use shared::store::installation::{first, secret};

on_both! {
    of_all_who_ask_at_once_one_is_the_first,
    whoever_is_undone_was_not_the_first,
    everybody_has_the_same_secret,
}

async fn of_all_who_ask_at_once_one_is_the_first(kit: &TestStore) {
    let stores = [kit.reopen().await, kit.reopen().await];
    let ask = |n: usize| stores[n % 2].tx("test.first", async |tx| first(tx, "demo").await);
    let outcomes = join_all((0..8).map(ask)).await;
    let firsts = outcomes.into_iter().map(|outcome| usize::from(outcome.expect("it can be asked")));
    assert_eq!(firsts.sum::<usize>(), 1);
}

async fn whoever_is_undone_was_not_the_first(kit: &TestStore) {
    let undone: Result<(), _> = kit
        .store
        .tx("test.undone", async |tx| {
            assert!(first(tx, "demo").await?);
            Err(StoreError::Corrupt("made up".into()))
        })
        .await;
    assert!(undone.is_err());
    for expected in [true, false] {
        let is_first = kit.store.tx("test.first", async |tx| first(tx, "demo").await).await;
        assert_eq!(is_first.expect("it can be asked"), expected);
    }
}

async fn everybody_has_the_same_secret(kit: &TestStore) {
    let stores = [kit.reopen().await, kit.reopen().await];
    let ask = |n: usize| stores[n % 2].tx("test.secret", async |tx| secret(tx, "cursors").await);
    let secrets = join_all((0..8).map(ask)).await;
    let secrets: Vec<_> = secrets.into_iter().map(|secret| secret.expect("there is one").as_bytes().to_vec()).collect();
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
}
