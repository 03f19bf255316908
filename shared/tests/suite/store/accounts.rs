//! Accounts, sessions and proofs of addresses.

use super::*;
use shared::{
    clock::Timestamp,
    id::SessionId,
    model::{Identity, Session},
    secret::{Token, TokenHash},
    store::{
        sessions::{self, NewSession, Rotation},
        verifications,
    },
};

const WEEK: Duration = Duration::from_hours(7 * 24);
const GRACE: Duration = Duration::from_secs(10);

/// A session of `user` in the creators' portal.
async fn session(kit: &TestStore, user: UserId, token: TokenHash) -> Session {
    let new = NewSession {
        id: SessionId::new(),
        user_id: user,
        portal: Portal::Creator,
        token,
        ip: Some("192.0.2.1"),
        user_agent: Some("test"),
        ttl: WEEK,
    };
    kit.store.tx("sessions.insert", async |tx| sessions::insert(tx, new).await).await.expect("a session is opened")
}

async fn identity(kit: &TestStore, token: TokenHash) -> Option<Identity> {
    kit.store.read("sessions.identity", async |c| sessions::identity(c, token).await).await.expect("it is looked up")
}

async fn rotate(kit: &TestStore, rotation: Rotation) -> bool {
    kit.store.tx("sessions.rotate", async |tx| sessions::rotate(tx, rotation).await).await.expect("it is tried")
}

async fn grant(kit: &TestStore, user: UserId, portal: Portal) {
    let granted = kit.store.tx("users.grant", async |tx| users::grant_portal(tx, user, portal).await).await;
    granted.expect("it is granted");
}

fn token() -> TokenHash {
    Token::generate().hash()
}

on_both! {
    an_account_is_found_by_its_address_in_any_spelling,
    an_address_or_a_handle_in_another_spelling_is_taken,
    the_password_hash_comes_only_with_credentials_and_can_be_replaced,
    people_are_shown_without_what_is_private,
    a_token_says_who_presents_it_until_it_expires,
    many_tokens_are_looked_up_at_once,
    a_rotation_keeps_the_session_and_the_old_token_dies_after_its_grace,
    nobody_switches_to_a_portal_they_may_not_enter,
    a_session_is_refreshed_once_however_many_ask,
    sessions_are_revoked_one_by_one_or_all_but_this,
    a_proof_works_once_and_only_the_newest_and_not_too_late,
    an_address_is_proven_once,
    times_come_back_as_they_were_and_sort_as_they_are,
}

async fn an_account_is_found_by_its_address_in_any_spelling(kit: &TestStore) {
    let id = user(kit, "Ada").await;
    let found = kit.store.read("users.by_email", async |c| users::by_email(c, "aDA@EXAMPLE.test").await).await;
    let found = found.expect("it is looked up").expect("it is found");
    assert_eq!((found.id, found.email.as_str(), found.username.as_str()), (id, "ada@example.test", "Ada"));
    assert!(found.email_verified && !found.is_admin);
    assert_eq!((found.portals, found.created_at), (Portals::of([Portal::Creator]), kit.clock.now()));
    let nobody = kit.store.read("users.by_email", async |c| users::by_email(c, "bob@example.test").await).await;
    assert_eq!(nobody.expect("it is looked up"), None);
}

async fn an_address_or_a_handle_in_another_spelling_is_taken(kit: &TestStore) {
    user(kit, "ada").await;
    let with = async |email: &str, username: &str| {
        let new = users::NewUser {
            id: UserId::new(),
            email,
            username,
            name: "Other",
            user_type: Portal::Investor,
            portals: Portals::of([Portal::Investor]),
            password_hash: "not a hash, only long enough",
            email_verified: false,
        };
        kit.store.tx("users.insert", async |tx| users::insert(tx, new).await).await
    };
    let same_email = with("ADA@example.test", "other").await;
    assert!(matches!(&same_email, Err(error) if error.is_unique(users::EMAIL_TAKEN)), "{same_email:?}");
    let same_handle = with("other@example.test", "ADA").await;
    assert!(matches!(&same_handle, Err(error) if error.is_unique(users::USERNAME_TAKEN)), "{same_handle:?}");
    with("other@example.test", "other").await.expect("another one is free");
}

async fn the_password_hash_comes_only_with_credentials_and_can_be_replaced(kit: &TestStore) {
    let id = user(kit, "ada").await;
    let replace = async |tx: &mut Tx| users::set_password_hash(tx, id, "another hash that is long enough").await;
    kit.store.tx("users.password", replace).await.expect("it is replaced");
    let found = kit.store.read("users.credentials", async |c| users::credentials(c, "ada@example.test").await).await;
    let found = found.expect("it is looked up").expect("it is found");
    assert_eq!((found.user.id, found.password_hash.as_str()), (id, "another hash that is long enough"));
}

async fn people_are_shown_without_what_is_private(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let people = kit.store.read("users.people", async |c| users::people(c, &[ada, bob, UserId::new()]).await).await;
    let mut names: Vec<_> = people.expect("they are read").into_iter().map(|person| person.name).collect();
    names.sort();
    assert_eq!(names, ["ada", "bob"]);
}

async fn a_token_says_who_presents_it_until_it_expires(kit: &TestStore) {
    let (ada, token) = (user(kit, "ada").await, token());
    let opened = session(kit, ada, token).await;
    grant(kit, ada, Portal::Investor).await;
    let found = identity(kit, token).await.expect("it is known");
    assert_eq!((found.session_id, found.user_id, found.name.as_str()), (opened.id, ada, "ada"));
    assert_eq!((found.portal, found.portals), (Portal::Creator, Portals::of([Portal::Creator, Portal::Investor])));
    assert_eq!((found.created_at, found.expires_at), (kit.clock.now(), kit.clock.now() + WEEK));
    assert_eq!(identity(kit, self::token()).await, None, "an unknown token is nobody's");
    kit.clock.advance(WEEK);
    assert_eq!(identity(kit, token).await, None, "it has expired");
    let expired = kit.store.tx("sessions.expire", async |tx| sessions::expire(tx, 100).await).await;
    assert_eq!(expired.expect("they are removed"), 1);
}

async fn many_tokens_are_looked_up_at_once(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let tokens: Vec<_> = (0..1_200).map(|_| token()).collect();
    for token in tokens.iter().step_by(100) {
        session(kit, ada, *token).await;
    }
    let found = kit.store.read("sessions.identities", async |c| sessions::identities(c, &tokens).await).await;
    let found = found.expect("they are looked up");
    assert_eq!(found.len(), 12);
    assert!(tokens.iter().step_by(100).all(|token| found[token].user_id == ada));
}

async fn a_rotation_keeps_the_session_and_the_old_token_dies_after_its_grace(kit: &TestStore) {
    let (ada, old, new) = (user(kit, "ada").await, token(), token());
    grant(kit, ada, Portal::Investor).await;
    let opened = session(kit, ada, old).await;
    let rotation = Rotation { id: opened.id, old, new, portal: Portal::Investor, grace: GRACE };
    assert!(rotate(kit, rotation).await);
    assert!(!rotate(kit, Rotation { new: token(), ..rotation }).await, "the old token rotates only once");
    for presented in [old, new] {
        let found = identity(kit, presented).await.expect("both work for a moment");
        assert_eq!((found.session_id, found.portal), (opened.id, Portal::Investor));
    }
    kit.clock.advance(GRACE);
    assert_eq!(identity(kit, old).await, None);
    assert!(identity(kit, new).await.is_some());
}

async fn nobody_switches_to_a_portal_they_may_not_enter(kit: &TestStore) {
    let (ada, old) = (user(kit, "ada").await, token());
    let opened = session(kit, ada, old).await;
    let rotation = Rotation { id: opened.id, old, new: token(), portal: Portal::Production, grace: GRACE };
    assert!(!rotate(kit, rotation).await);
    assert_eq!(identity(kit, old).await.map(|found| found.portal), Some(Portal::Creator));
}

async fn a_session_is_refreshed_once_however_many_ask(kit: &TestStore) {
    let (ada, token) = (user(kit, "ada").await, token());
    let opened = session(kit, ada, token).await;
    kit.clock.advance(Duration::from_hours(24));
    let (yesterday, later) = (opened.refreshed_at, kit.clock.now() + WEEK);
    let refresh =
        || kit.store.tx("sessions.refresh", async |tx| sessions::refresh(tx, opened.id, yesterday, later).await);
    let outcomes = futures_util::future::join_all((0..10).map(|_| refresh())).await;
    assert_eq!(outcomes.into_iter().filter(|outcome| matches!(outcome, Ok(true))).count(), 1);
    let found = identity(kit, token).await.expect("it is known");
    assert_eq!((found.refreshed_at, found.expires_at), (kit.clock.now(), later));
}

async fn sessions_are_revoked_one_by_one_or_all_but_this(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let tokens = [token(), token(), token()];
    let mut opened = Vec::new();
    for token in tokens {
        kit.clock.advance(Duration::from_micros(10));
        opened.push(session(kit, ada, token).await);
    }
    let listed =
        kit.store.read("sessions.list", async |c| sessions::list(c, ada).await).await.expect("they are listed");
    assert_eq!(listed, opened.iter().rev().cloned().collect::<Vec<_>>(), "newest first");
    let first = opened[0].id;
    let foreign = kit.store.tx("sessions.revoke", async |tx| sessions::revoke(tx, bob, first).await).await;
    assert_eq!(foreign.expect("it is tried"), None, "nobody ends a session of somebody else");
    let own = kit.store.tx("sessions.revoke", async |tx| sessions::revoke(tx, ada, first).await).await;
    assert_eq!(own.expect("it is tried").map(|revoked| revoked.token_hash), Some(tokens[0]));
    let others = kit.store.tx("sessions.others", async |tx| sessions::revoke_others(tx, ada, opened[2].id).await).await;
    assert_eq!(
        others.expect("it is tried").iter().map(|revoked| revoked.session_id).collect::<Vec<_>>(),
        [opened[1].id]
    );
    assert!(identity(kit, tokens[1]).await.is_none() && identity(kit, tokens[2]).await.is_some());
    let all = kit.store.tx("sessions.all", async |tx| sessions::revoke_all(tx, ada).await).await;
    assert_eq!(all.expect("it is tried").len(), 1);
}

async fn a_proof_works_once_and_only_the_newest_and_not_too_late(kit: &TestStore) {
    let (ada, tokens) = (user(kit, "ada").await, [token(), token(), token()]);
    let hour = Duration::from_hours(1);
    let mail = async |token| {
        let insert = async |tx: &mut Tx| verifications::insert(tx, ada, "ADA@example.test", token, hour).await;
        kit.store.tx("verifications.insert", insert).await.expect("a mail is sent");
    };
    let redeem = async |token| {
        kit.store
            .tx("verifications.redeem", async |tx| verifications::redeem(tx, token).await)
            .await
            .expect("it is tried")
    };
    mail(tokens[0]).await;
    kit.clock.advance(Duration::from_mins(1));
    mail(tokens[1]).await;
    let newest = kit.store.read("verifications.newest", async |c| verifications::newest(c, ada).await).await;
    assert_eq!(newest.expect("it is read"), Some(kit.clock.now()));
    assert_eq!(redeem(tokens[0]).await, None, "an older mail no longer works");
    assert_eq!(redeem(tokens[1]).await, Some(ada));
    assert_eq!(redeem(tokens[1]).await, None, "it was used");
    mail(tokens[2]).await;
    kit.clock.advance(hour);
    assert_eq!(redeem(tokens[2]).await, None, "it has expired");
}

async fn an_address_is_proven_once(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let again = kit.store.tx("users.verified", async |tx| users::mark_email_verified(tx, ada).await).await;
    assert!(!again.expect("it is tried"), "it was proven already");
}

async fn times_come_back_as_they_were_and_sort_as_they_are(kit: &TestStore) {
    let (ada, mut expected) = (user(kit, "ada").await, Vec::new());
    // With and without trailing zeros: text that dropped them would sort wrongly.
    for step in [1, 9, 90, 900, 9_000, 990_000, 1_000_000, 59_000_000] {
        kit.clock.advance(Duration::from_micros(step));
        session(kit, ada, token()).await;
        expected.insert(0, kit.clock.now());
    }
    let listed =
        kit.store.read("sessions.list", async |c| sessions::list(c, ada).await).await.expect("they are listed");
    assert_eq!(listed.iter().map(|session| session.created_at).collect::<Vec<Timestamp>>(), expected);
}

#[tokio::test]
async fn a_text_that_postgres_cannot_hold_is_a_refused_value() {
    let Some(kit) = TestStore::postgres().await else { return };
    let id = user(&kit, "ada").await;
    let hash = "a NUL \0 in the middle of it";
    let outcome = kit.store.tx("users.password", async |tx| users::set_password_hash(tx, id, hash).await).await;
    assert!(matches!(outcome, Err(StoreError::CheckViolation(_))), "{outcome:?}");
}
