//! Sessions: the store decides, the cache answers, and a revoke beats both.

use super::*;
use shared::{engine::Control, store::users};
use std::sync::Arc;

fn impatient() -> PoolConfig {
    PoolConfig { max_size: 1, wait_timeout: Duration::from_millis(200), ..PoolConfig::default() }
}

/// Looks the token up, and expects the look-up itself to work.
async fn who(ops: &Ops, token: &Token) -> Option<Identity> {
    ops.authenticate(token.expose()).await.expect("the look-up works").map(Arc::unwrap_or_clone)
}

on_both! {
    a_known_session_costs_one_query_however_often_it_is_asked_for,
    a_storm_of_reconnects_hardly_touches_the_database,
    a_revoke_beats_the_cache_and_is_told_to_every_node,
    nobody_revokes_the_session_of_somebody_else,
    revoking_the_others_keeps_the_one_that_asks,
    a_cached_session_ends_when_its_time_is_over,
    what_nobody_issued_is_nobody,
    known_sessions_work_while_the_database_does_not_and_unknown_ones_are_told_to_come_back with impatient(),
    a_ticket_works_once_and_not_after_its_session_was_revoked,
    a_session_is_prolonged_once_a_day_and_not_beyond_its_life,
    a_portal_switch_keeps_the_session_and_ends_the_old_token_after_the_grace,
}

async fn a_known_session_costs_one_query_however_often_it_is_asked_for(kit: &TestStore) {
    let (ops, (token, identity)) = (ops(kit), sign_in(kit, "ada").await);
    for _ in 0..20 {
        assert_eq!(who(&ops, &token).await.as_ref(), Some(&identity));
    }
    assert_eq!(runs(kit, "sessions.identities"), 1);
}

async fn a_storm_of_reconnects_hardly_touches_the_database(kit: &TestStore) {
    let ops = ops(kit);
    let ada = user(kit, "ada").await;
    let mut sessions = Vec::new();
    for _ in 0..50 {
        sessions.push(open_session(kit, ada).await);
    }
    let look_ups: Vec<_> = sessions
        .iter()
        .cycle()
        .take(500)
        .map(|(token, identity)| {
            let (ops, token, session) = (ops.clone(), token.clone(), identity.session_id);
            spawn(async move { assert_eq!(who(&ops, &token).await.expect("is known").session_id, session) })
        })
        .collect();
    for look_up in look_ups {
        look_up.await.expect("every session is found");
    }
    let queries = runs(kit, "sessions.identities");
    assert!(queries <= 50, "{queries} queries for 500 look-ups of 50 sessions");
}

async fn a_revoke_beats_the_cache_and_is_told_to_every_node(kit: &TestStore) {
    let (ops, (token, identity)) = (ops(kit), sign_in(kit, "ada").await);
    let mut node = node(ops.engine(), &[]).await;
    assert!(who(&ops, &token).await.is_some());
    assert!(ops.revoke_session(identity.user_id, identity.session_id).await.unwrap());
    assert_eq!(who(&ops, &token).await, None);
    let told = node.deliveries.try_recv();
    assert!(
        matches!(told, Some(Delivery::Control(Control::SessionRevoked(id))) if id == identity.session_id),
        "{told:?}"
    );
    assert!(
        !ops.revoke_session(identity.user_id, identity.session_id).await.unwrap(),
        "there is nothing left to revoke"
    );
}

async fn nobody_revokes_the_session_of_somebody_else(kit: &TestStore) {
    let ops = ops(kit);
    let ((_, ada), (token, bob)) = (sign_in(kit, "ada").await, sign_in(kit, "bob").await);
    assert!(!ops.revoke_session(ada.user_id, bob.session_id).await.unwrap());
    assert!(who(&ops, &token).await.is_some());
}

async fn revoking_the_others_keeps_the_one_that_asks(kit: &TestStore) {
    let (ops, (token, identity)) = (ops(kit), sign_in(kit, "ada").await);
    let (other, _) = open_session(kit, identity.user_id).await;
    assert!(who(&ops, &other).await.is_some());
    assert_eq!(ops.revoke_other_sessions(&identity).await.unwrap(), 1);
    assert_eq!(who(&ops, &other).await, None);
    assert!(who(&ops, &token).await.is_some());
    assert_eq!(ops.revoke_all_sessions(identity.user_id).await.unwrap(), 1);
    assert_eq!(who(&ops, &token).await, None);
}

async fn a_cached_session_ends_when_its_time_is_over(kit: &TestStore) {
    let (ops, (token, _)) = (ops(kit), sign_in(kit, "ada").await);
    assert!(who(&ops, &token).await.is_some());
    kit.clock.advance(SessionConfig::default().ttl + Duration::from_secs(1));
    assert_eq!(who(&ops, &token).await, None);
}

async fn what_nobody_issued_is_nobody(kit: &TestStore) {
    let ops = ops(kit);
    let long = "x".repeat(100_000);
    for junk in ["", "test", "eyJhbGciOiJub25lIn0.e30.", "'; drop table sessions; --", &long] {
        assert_eq!(ops.authenticate(junk).await.unwrap(), None);
        assert_eq!(ops.authenticate_socket(junk).await.unwrap(), None);
    }
}

async fn known_sessions_work_while_the_database_does_not_and_unknown_ones_are_told_to_come_back(kit: &TestStore) {
    let (ops, (token, _)) = (ops(kit), sign_in(kit, "ada").await);
    assert!(who(&ops, &token).await.is_some());
    let (release, occupied) = occupy(kit).await;
    assert!(who(&ops, &token).await.is_some());
    let refused = ops.authenticate(Token::generate().expose()).await.unwrap_err();
    assert!(refused.retry_after().is_some(), "{refused:?}");
    drop(release);
    occupied.await.unwrap().unwrap();
}

async fn a_ticket_works_once_and_not_after_its_session_was_revoked(kit: &TestStore) {
    let (ops, (token, identity)) = (ops(kit), sign_in(kit, "ada").await);
    let ticket = ops.issue_ticket(&identity).await.unwrap();
    assert_eq!(ops.authenticate(ticket.expose()).await.unwrap(), None, "a ticket is no session token");
    assert_eq!(ops.authenticate_socket(ticket.expose()).await.unwrap().as_deref(), Some(&identity));
    assert_eq!(ops.authenticate_socket(ticket.expose()).await.unwrap(), None);
    assert_eq!(ops.authenticate_socket(token.expose()).await.unwrap().as_deref(), Some(&identity));

    let late = ops.issue_ticket(&identity).await.unwrap();
    ops.revoke_session(identity.user_id, identity.session_id).await.unwrap();
    assert_eq!(ops.authenticate_socket(late.expose()).await.unwrap(), None);
}

async fn a_session_is_prolonged_once_a_day_and_not_beyond_its_life(kit: &TestStore) {
    let (ops, (token, identity), config) = (ops(kit), sign_in(kit, "ada").await, SessionConfig::default());
    kit.clock.advance(config.update_age - Duration::from_secs(1));
    assert_eq!(ops.refresh_session(token.hash(), &identity).await.unwrap(), None);
    assert_eq!(runs(kit, "sessions.refresh"), 0, "a fresh session costs no write");
    kit.clock.advance(Duration::from_secs(1));
    let prolonged = ops.refresh_session(token.hash(), &identity).await.unwrap().expect("it is due");
    assert_eq!(prolonged.expires_at, kit.clock.now() + config.ttl);
    assert_eq!(who(&ops, &token).await, Some(prolonged));
    assert_eq!(ops.refresh_session(token.hash(), &identity).await.unwrap(), None, "another request was first");

    let mut current = identity;
    while kit.clock.now() < current.created_at + config.absolute_max {
        kit.clock.advance(config.update_age);
        if let Some(prolonged) = ops.refresh_session(token.hash(), &current).await.unwrap() {
            current = prolonged;
        }
    }
    assert!(current.expires_at <= current.created_at + config.absolute_max);
    assert_eq!(who(&ops, &token).await, None);
}

async fn a_portal_switch_keeps_the_session_and_ends_the_old_token_after_the_grace(kit: &TestStore) {
    let (ops, ada) = (ops(kit), user(kit, "ada").await);
    let grant = async |tx: &mut _| users::grant_portal(tx, ada, Portal::Investor).await;
    kit.store.tx("test.grant", grant).await.unwrap();
    let (old, _) = open_session(kit, ada).await;
    let identity = who(&ops, &old).await.unwrap();
    let (new, switched) = ops.switch_portal(old.hash(), &identity, Portal::Investor).await.unwrap();
    assert_eq!((switched.session_id, switched.portal), (identity.session_id, Portal::Investor));
    assert_eq!(who(&ops, &new).await.as_ref(), Some(&switched));
    assert_eq!(who(&ops, &old).await.unwrap().session_id, identity.session_id, "requests under way survive");
    kit.clock.advance(SessionConfig::default().rotation_grace + Duration::from_secs(1));
    assert_eq!(who(&ops, &old).await, None);
    assert!(who(&ops, &new).await.is_some());
    let refused = ops.switch_portal(new.hash(), &switched, Portal::Production).await.unwrap_err();
    assert_eq!(refused, OpsError::Forbidden);
    assert!(who(&ops, &new).await.is_some(), "a refused switch leaves the session alone");
}
