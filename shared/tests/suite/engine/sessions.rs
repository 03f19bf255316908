//! The session cache: what was revoked stays dead, whoever races; a ticket is worth one entry.

use super::{Fixture, node::Node};
use shared::{
    engine::{
        CachedSession, Control, Engine,
        sessions::{TICKET_TTL, TTL},
    },
    id::{SessionId, UserId},
    model::{Identity, Portal, Portals},
    secret::{Token, TokenHash},
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

fn identity(fixture: &Fixture, name: &str) -> Identity {
    let now = fixture.clock.now();
    Identity {
        session_id: SessionId::new(),
        user_id: UserId::new(),
        name: name.into(),
        portal: Portal::Creator,
        portals: Portals::of([Portal::Creator]),
        is_admin: false,
        created_at: now,
        expires_at: now + Duration::from_hours(24),
        refreshed_at: now,
    }
}

fn hash() -> TokenHash {
    Token::generate().hash()
}

async fn get(engine: &Engine, token: TokenHash) -> CachedSession {
    engine.sessions.get(&token).await.unwrap()
}

pub(crate) async fn a_token_is_unknown_until_it_is_filled(fixture: Fixture) {
    let (engine, token, ada) = (&fixture.engine, hash(), identity(&fixture, "ada"));
    assert_eq!(get(engine, token).await, CachedSession::Unknown);
    engine.sessions.fill(&token, &ada).await.unwrap();
    assert_eq!(get(engine, token).await, CachedSession::Live(ada.into()));
    assert_eq!(get(engine, hash()).await, CachedSession::Unknown);
}

pub(crate) async fn a_fill_never_replaces_and_a_put_does(fixture: Fixture) {
    let (engine, token) = (&fixture.engine, hash());
    let [old, new] = ["old", "new"].map(|name| identity(&fixture, name));
    engine.sessions.put(&token, &new).await.unwrap();
    engine.sessions.fill(&token, &old).await.unwrap();
    assert_eq!(get(engine, token).await, CachedSession::Live(new.into()), "a late fill is older than a put");
    engine.sessions.put(&token, &old).await.unwrap();
    assert_eq!(get(engine, token).await, CachedSession::Live(old.into()));
}

pub(crate) async fn only_what_was_seen_is_prolonged(fixture: Fixture) {
    let (engine, token, seen) = (&fixture.engine, hash(), identity(&fixture, "ada"));
    let later = Identity { expires_at: seen.expires_at + Duration::from_hours(24), ..seen.clone() };
    engine.sessions.prolong(&token, &seen, &later).await.unwrap();
    assert_eq!(get(engine, token).await, CachedSession::Unknown, "nothing was there");
    engine.sessions.fill(&token, &seen).await.unwrap();
    engine.sessions.prolong(&token, &seen, &later).await.unwrap();
    assert_eq!(get(engine, token).await, CachedSession::Live(Arc::new(later.clone())));
    // Meanwhile the token is replaced, and ends with the grace.
    let ending = Identity { expires_at: fixture.clock.now() + Duration::from_secs(10), ..seen.clone() };
    engine.sessions.put(&token, &ending).await.unwrap();
    engine.sessions.prolong(&token, &seen, &later).await.unwrap();
    assert_eq!(get(engine, token).await, CachedSession::Live(Arc::new(ending)));
    engine.sessions.revoke(seen.session_id, &[token]).await.unwrap();
    engine.sessions.prolong(&token, &seen, &later).await.unwrap();
    assert_eq!(get(engine, token).await, CachedSession::Revoked);
}

pub(crate) async fn a_revoked_session_is_dead_under_every_hash(fixture: Fixture) {
    let (engine, ada) = (&fixture.engine, identity(&fixture, "ada"));
    let (current, rotated, never_cached) = (hash(), hash(), hash());
    for token in [&current, &rotated] {
        engine.sessions.fill(token, &ada).await.unwrap();
    }
    engine.sessions.revoke(ada.session_id, &[current, rotated, never_cached]).await.unwrap();
    for token in [current, rotated, never_cached] {
        assert_eq!(get(engine, token).await, CachedSession::Revoked);
    }
}

pub(crate) async fn neither_fill_nor_put_resurrects_a_revoked_session(fixture: Fixture) {
    let (engine, token, ada) = (&fixture.engine, hash(), identity(&fixture, "ada"));
    engine.sessions.revoke(ada.session_id, &[token]).await.unwrap();
    engine.sessions.fill(&token, &ada).await.unwrap();
    assert_eq!(get(engine, token).await, CachedSession::Revoked);
    engine.sessions.put(&token, &ada).await.unwrap();
    assert_eq!(get(engine, token).await, CachedSession::Revoked);
}

pub(crate) async fn a_fill_that_races_a_revoke_loses(fixture: Fixture) {
    for _ in 0..50 {
        let (token, ada) = (hash(), identity(&fixture, "ada"));
        let mut tasks = JoinSet::new();
        for n in 0..8 {
            let (engine, ada) = (fixture.engine.clone(), ada.clone());
            tasks.spawn(async move {
                match n {
                    0 => engine.sessions.revoke(ada.session_id, &[token]).await.unwrap(),
                    1..4 => engine.sessions.put(&token, &ada).await.unwrap(),
                    _ => engine.sessions.fill(&token, &ada).await.unwrap(),
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(get(&fixture.engine, token).await, CachedSession::Revoked);
    }
}

pub(crate) async fn every_node_hears_of_a_revocation_and_finds_the_tombstone(fixture: Fixture) {
    let (engine, token, ada) = (&fixture.engine, hash(), identity(&fixture, "ada"));
    let mut nodes = [Node::attach(engine).await, Node::attach(engine).await];
    engine.sessions.fill(&token, &ada).await.unwrap();
    engine.sessions.revoke(ada.session_id, &[token]).await.unwrap();
    for node in &mut nodes {
        assert_eq!(node.controls(engine).await, [Control::SessionRevoked(ada.session_id)]);
        assert_eq!(get(engine, token).await, CachedSession::Revoked);
    }
}

pub(crate) async fn entries_and_tombstones_live_an_hour(fixture: Fixture) {
    let (engine, ada) = (&fixture.engine, identity(&fixture, "ada"));
    let (live, put, dead) = (hash(), hash(), hash());
    engine.sessions.fill(&live, &ada).await.unwrap();
    engine.sessions.fill(&put, &ada).await.unwrap();
    engine.sessions.revoke(SessionId::new(), &[dead]).await.unwrap();
    fixture.advance(TTL - Duration::from_secs(1)).await;
    engine.sessions.put(&put, &ada).await.unwrap();
    assert_eq!(get(engine, live).await, CachedSession::Live(ada.clone().into()));
    assert_eq!(get(engine, dead).await, CachedSession::Revoked);
    fixture.advance(Duration::from_secs(1)).await;
    assert_eq!(get(engine, live).await, CachedSession::Unknown);
    assert_eq!(get(engine, dead).await, CachedSession::Unknown);
    assert_eq!(get(engine, put).await, CachedSession::Live(ada.into()), "a put starts the hour anew");
}

pub(crate) async fn a_renewal_prolongs_what_says_the_same_and_changes_nothing_else(fixture: Fixture) {
    let (engine, ada) = (&fixture.engine, identity(&fixture, "ada"));
    let (same, empty, changed, dead) = (hash(), hash(), hash(), hash());
    let ending = Identity { expires_at: fixture.clock.now() + Duration::from_mins(90), ..ada.clone() };
    engine.sessions.fill(&same, &ada).await.unwrap();
    engine.sessions.fill(&changed, &ending).await.unwrap();
    engine.sessions.revoke(SessionId::new(), &[dead]).await.unwrap();
    fixture.advance(TTL - Duration::from_secs(1)).await;
    for token in [&same, &empty, &changed, &dead] {
        engine.sessions.renew(token, &ada).await.unwrap();
    }
    assert_eq!(get(engine, changed).await, CachedSession::Live(ending.into()));
    assert_eq!(get(engine, dead).await, CachedSession::Revoked);
    fixture.advance(Duration::from_secs(1)).await;
    for token in [same, empty] {
        assert_eq!(get(engine, token).await, CachedSession::Live(ada.clone().into()));
    }
    for token in [changed, dead] {
        assert_eq!(get(engine, token).await, CachedSession::Unknown);
    }
}

pub(crate) async fn a_forgotten_token_is_asked_from_the_store_and_a_tombstone_is_not_forgotten(fixture: Fixture) {
    let (engine, ada) = (&fixture.engine, identity(&fixture, "ada"));
    let (live, dead) = (hash(), hash());
    engine.sessions.fill(&live, &ada).await.unwrap();
    engine.sessions.revoke(SessionId::new(), &[dead]).await.unwrap();
    for token in [&live, &dead, &hash()] {
        engine.sessions.forget(token).await.unwrap();
    }
    assert_eq!(get(engine, live).await, CachedSession::Unknown);
    assert_eq!(get(engine, dead).await, CachedSession::Revoked);
}

pub(crate) async fn a_ticket_is_redeemed_once_by_one_of_a_hundred(fixture: Fixture) {
    let (ticket, ada) = (hash(), identity(&fixture, "ada"));
    fixture.engine.sessions.issue_ticket(&ticket, &ada).await.unwrap();
    let mut redeemers = JoinSet::new();
    for _ in 0..100 {
        let engine = fixture.engine.clone();
        redeemers.spawn(async move { engine.sessions.redeem_ticket(&ticket).await.unwrap() });
    }
    let redeemed: Vec<_> = redeemers.join_all().await.into_iter().flatten().collect();
    assert_eq!(redeemed, [ada.into()]);
    assert_eq!(fixture.engine.sessions.redeem_ticket(&ticket).await.unwrap(), None);
    assert_eq!(get(&fixture.engine, ticket).await, CachedSession::Unknown, "a ticket is no session token");
}

pub(crate) async fn a_ticket_dies_after_thirty_seconds(fixture: Fixture) {
    let (engine, ada) = (&fixture.engine, identity(&fixture, "ada"));
    let (early, late) = (hash(), hash());
    for ticket in [&early, &late] {
        engine.sessions.issue_ticket(ticket, &ada).await.unwrap();
    }
    fixture.advance(TICKET_TTL - Duration::from_secs(1)).await;
    assert_eq!(engine.sessions.redeem_ticket(&early).await.unwrap(), Some(ada.into()));
    fixture.advance(Duration::from_secs(1)).await;
    assert_eq!(engine.sessions.redeem_ticket(&late).await.unwrap(), None);
}

pub(crate) async fn a_ticket_of_a_revoked_session_is_worth_nothing(fixture: Fixture) {
    let (engine, ada, bob) = (&fixture.engine, identity(&fixture, "ada"), identity(&fixture, "bob"));
    let (hers, his) = (hash(), hash());
    engine.sessions.issue_ticket(&hers, &ada).await.unwrap();
    engine.sessions.issue_ticket(&his, &bob).await.unwrap();
    engine.sessions.revoke(ada.session_id, &[]).await.unwrap();
    assert_eq!(engine.sessions.redeem_ticket(&hers).await.unwrap(), None);
    assert_eq!(engine.sessions.redeem_ticket(&his).await.unwrap(), Some(bob.into()));
}

pub(crate) async fn a_ticket_issued_while_its_session_ends_is_worth_nothing(fixture: Fixture) {
    let (engine, ticket, ada) = (&fixture.engine, hash(), identity(&fixture, "ada"));
    engine.sessions.revoke(ada.session_id, &[]).await.unwrap();
    fixture.advance(Duration::from_secs(5)).await;
    engine.sessions.issue_ticket(&ticket, &ada).await.unwrap();
    fixture.advance(TICKET_TTL - Duration::from_secs(1)).await;
    assert_eq!(engine.sessions.redeem_ticket(&ticket).await.unwrap(), None);
}
