//! Accounts, sessions and proofs of addresses.

use super::*;
use shared::{
    clock::Timestamp,
    id::SessionId,
    model::{Identity, Session},
    secret::{Token, TokenHash},
    store::{
        sessions::{self, NewSession, Rotation},
        testing::execute,
        verifications::{self, Proof, Registration},
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
    a_replaced_token_prolongs_nothing,
    sessions_are_revoked_one_by_one_or_all_but_this,
    beyond_the_limit_the_session_that_was_not_used_for_longest_ends,
    a_token_brings_its_own_registration_once_and_not_too_late,
    a_proven_address_voids_every_other_token_but_not_what_a_login_says,
    a_token_is_contested_when_another_password_waits_for_the_address,
    an_unverified_account_becomes_the_registration_that_proves_its_address,
    an_unverified_account_can_be_proven_as_it_is,
    an_address_keeps_a_bounded_number_of_registrations_and_old_ones_are_removed,
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
    let (first, second) = ("not a hash, only long enough", "another hash that is long enough");
    let replace = async |old| {
        let replace = async |tx: &mut Tx| users::replace_password_hash(tx, id, old, second).await;
        kit.store.tx("users.password", replace).await.expect("it is tried")
    };
    let has = async |hash| {
        let has = async |tx: &mut Tx| users::has_password_hash(tx, id, hash).await;
        kit.store.tx("users.password", has).await.expect("it is asked")
    };
    assert!(has(first).await && replace(first).await);
    assert!(!has(first).await && !replace(first).await, "it was replaced");
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
    let has_expired = async |token| {
        let asked = kit.store.read("sessions.has_expired", async |c| sessions::has_expired(c, token).await).await;
        asked.expect("it is looked up")
    };
    let removed = async || {
        let expired = kit.store.tx("sessions.expire", async |tx| sessions::expire(tx, 100).await).await;
        expired.expect("they are removed")
    };
    assert!(!has_expired(token).await);
    kit.clock.advance(WEEK);
    assert_eq!((identity(kit, token).await, has_expired(token).await), (None, true), "it has expired");
    assert!(!has_expired(self::token()).await, "an unknown token never lived");
    assert_eq!(removed().await, 0, "it is remembered for a while");
    kit.clock.advance(sessions::REMEMBERED);
    assert_eq!((removed().await, has_expired(token).await), (1, false));
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
        || kit.store.tx("sessions.refresh", async |tx| sessions::refresh(tx, opened.id, token, yesterday, later).await);
    let outcomes = futures_util::future::join_all((0..10).map(|_| refresh())).await;
    assert_eq!(outcomes.into_iter().filter(|outcome| matches!(outcome, Ok(true))).count(), 1);
    let found = identity(kit, token).await.expect("it is known");
    assert_eq!((found.refreshed_at, found.expires_at), (kit.clock.now(), later));
}

async fn a_replaced_token_prolongs_nothing(kit: &TestStore) {
    let (ada, old, new) = (user(kit, "ada").await, token(), token());
    let opened = session(kit, ada, old).await;
    assert!(rotate(kit, Rotation { id: opened.id, old, new, portal: Portal::Creator, grace: GRACE }).await);
    let (since, later) = (opened.refreshed_at, opened.expires_at + WEEK);
    for (token, prolongs) in [(old, false), (new, true)] {
        let refresh = async |tx: &mut Tx| sessions::refresh(tx, opened.id, token, since, later).await;
        assert_eq!(kit.store.tx("sessions.refresh", refresh).await.expect("it is tried"), prolongs);
    }
}

async fn beyond_the_limit_the_session_that_was_not_used_for_longest_ends(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let most = usize::try_from(sessions::MOST_PER_USER).expect("it is small");
    session(kit, bob, token()).await;
    let mut opened = Vec::new();
    for _ in 0..=most {
        kit.clock.advance(Duration::from_secs(1));
        let token = token();
        opened.push((token, session(kit, ada, token).await));
    }
    let (token, first) = &opened[0];
    let (since, later) = (first.refreshed_at, first.expires_at + WEEK);
    let refresh = async |tx: &mut Tx| sessions::refresh(tx, first.id, *token, since, later).await;
    assert!(kit.store.tx("sessions.refresh", refresh).await.expect("it is tried"));
    let trim = async || {
        let trim = async |tx: &mut Tx| sessions::trim(tx, ada, opened[most].1.id).await;
        let ended = kit.store.tx("sessions.trim", trim).await.expect("it is tried");
        ended.into_iter().map(|ended| ended.session_id).collect::<Vec<_>>()
    };
    assert_eq!(trim().await, [opened[1].1.id], "the first was used again");
    assert_eq!(trim().await, []);
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

fn registration(name: &str) -> Registration {
    Registration {
        email: "ada@example.test".into(),
        password_hash: format!("the hash of {name}'s own password"),
        name: name.into(),
        user_type: Portal::Investor,
    }
}

const LINK: Duration = Duration::from_hours(1);

/// A registration by `name` waits; its token.
async fn registered(kit: &TestStore, name: &str) -> TokenHash {
    kit.clock.advance(Duration::from_secs(1));
    let (new, token) = (registration(name), token());
    let register = async |tx: &mut Tx| verifications::register(tx, &new, token, LINK).await;
    kit.store.tx("verifications.register", register).await.expect("it waits");
    token
}

async fn redeem(kit: &TestStore, token: TokenHash) -> Option<Proof> {
    let redeem = async |tx: &mut Tx| verifications::redeem(tx, token).await;
    kit.store.tx("verifications.redeem", redeem).await.expect("it is tried")
}

async fn waiting(kit: &TestStore, token: TokenHash) -> Option<bool> {
    let waiting = kit.store.read("verifications.waiting", async |c| verifications::waiting(c, token).await).await;
    waiting.expect("it is looked up").map(|waiting| waiting.contested)
}

async fn newest(kit: &TestStore) -> Option<String> {
    let newest = kit.store.read("test.newest", async |c| verifications::newest(c, "ada@example.test").await).await;
    newest.expect("it is looked up").map(|registration| registration.name)
}

/// Makes the account of a registration.
async fn establish(kit: &TestStore, new: &Registration, username: &str) -> Result<(), StoreError> {
    let new = users::NewUser {
        id: UserId::new(),
        email: &new.email,
        username,
        name: &new.name,
        user_type: new.user_type,
        portals: Portals::of([new.user_type]),
        password_hash: &new.password_hash,
        email_verified: true,
    };
    kit.store.tx("users.establish", async |tx| users::establish(tx, new).await).await
}

async fn a_token_brings_its_own_registration_once_and_not_too_late(kit: &TestStore) {
    let (one, two) = (registered(kit, "One").await, registered(kit, "Two").await);
    assert_eq!(redeem(kit, token()).await, None, "nobody was given that one");
    assert_eq!(redeem(kit, one).await, Some(Proof::Registration(registration("One"))));
    assert_eq!((redeem(kit, one).await, waiting(kit, one).await), (None, None), "it was used");
    assert_eq!(newest(kit).await.as_deref(), Some("Two"), "the other one still waits");
    kit.clock.advance(LINK);
    assert_eq!((redeem(kit, two).await, waiting(kit, two).await), (None, None), "it has expired");
    assert_eq!(newest(kit).await.as_deref(), Some("Two"), "another mail can still be sent for it");
    kit.clock.advance(verifications::KEPT);
    assert_eq!(newest(kit).await, None, "it is forgotten");
}

async fn a_proven_address_voids_every_other_token_but_not_what_a_login_says(kit: &TestStore) {
    let (one, two) = (registered(kit, "One").await, registered(kit, "Two").await);
    let Some(Proof::Registration(proven)) = redeem(kit, two).await else { panic!("it is proven") };
    establish(kit, &proven, "two").await.expect("the account is made");
    assert_eq!((redeem(kit, one).await, waiting(kit, one).await), (None, None));
    assert_eq!(newest(kit).await, None, "the older one does not come to light again");
    let late = registered(kit, "Late").await;
    assert_eq!((redeem(kit, late).await, waiting(kit, late).await), (None, None), "the address has its account");
    assert_eq!(newest(kit).await.as_deref(), Some("Late"));
}

async fn a_token_is_contested_when_another_password_waits_for_the_address(kit: &TestStore) {
    let one = registered(kit, "One").await;
    assert_eq!(waiting(kit, one).await, Some(false));
    let again = registered(kit, "One").await;
    assert_eq!(waiting(kit, one).await, Some(false), "a second mail of the same registration is no rival");
    kit.clock.advance(LINK);
    let two = registered(kit, "Two").await;
    assert_eq!(waiting(kit, two).await, Some(true), "also when the other's link has ended");
    assert_eq!(waiting(kit, again).await, None);
}

async fn an_unverified_account_becomes_the_registration_that_proves_its_address(kit: &TestStore) {
    establish(kit, &registration("Other"), "other").await.expect("it is made");
    let unverify = "update users set email_verified_at = null";
    kit.store.tx("test.unverify", async |tx| execute(tx, unverify).await).await.expect("it is done");
    let old = kit.store.read("users.by_email", async |c| users::by_email(c, "ada@example.test").await).await;
    let old = old.expect("it is looked up").expect("it is there");
    grant(kit, old.id, Portal::Production).await;
    establish(kit, &registration("Ada"), "ada").await.expect("it is taken over");
    let found = kit.store.read("users.credentials", async |c| users::credentials(c, "ada@example.test").await).await;
    let found = found.expect("it is looked up").expect("it is there");
    assert_eq!((found.user.id, found.user.name.as_str(), found.user.username.as_str()), (old.id, "Ada", "ada"));
    assert_eq!(found.password_hash, registration("Ada").password_hash);
    assert_eq!((found.user.portals, found.user.email_verified), (Portals::of([Portal::Investor]), true));
    let taken = establish(kit, &registration("Eve"), "eve").await;
    assert!(matches!(&taken, Err(error) if error.is_unique(users::EMAIL_TAKEN)), "{taken:?}");
}

async fn an_unverified_account_can_be_proven_as_it_is(kit: &TestStore) {
    let (ada, proof) = (user(kit, "ada").await, token());
    let ask = async |token| {
        let ask = async |tx: &mut Tx| verifications::ask_again(tx, ada, "ada@example.test", token, LINK).await;
        kit.store.tx("verifications.ask_again", ask).await.expect("a mail is sent");
    };
    ask(proof).await;
    assert_eq!(redeem(kit, proof).await, None, "this one is verified already");
    let unverify = "update users set email_verified_at = null";
    kit.store.tx("test.unverify", async |tx| execute(tx, unverify).await).await.expect("it is done");
    assert_eq!((waiting(kit, proof).await, newest(kit).await), (Some(false), None));
    let rival = registered(kit, "Eve").await;
    assert_eq!((waiting(kit, proof).await, waiting(kit, rival).await), (Some(true), Some(true)));
    assert_eq!(redeem(kit, proof).await, Some(Proof::Account(ada)));
}

async fn an_address_keeps_a_bounded_number_of_registrations_and_old_ones_are_removed(kit: &TestStore) {
    let first = registered(kit, "First").await;
    for _ in 0..79 {
        registered(kit, "Next").await;
    }
    assert!(waiting(kit, first).await.is_some());
    registered(kit, "Last").await;
    assert_eq!(waiting(kit, first).await, None, "the oldest made room");
    let expire = async || {
        let expire = async |tx: &mut Tx| verifications::expire(tx, 50).await;
        kit.store.tx("verifications.expire", expire).await.expect("it is done")
    };
    kit.clock.advance(verifications::KEPT + Duration::from_mins(59) + Duration::from_secs(55));
    assert!(expire().await >= 50, "most are old enough");
    assert_eq!(newest(kit).await.as_deref(), Some("Last"), "the newest are not");
    kit.clock.advance(Duration::from_secs(5));
    assert_eq!((expire().await, expire().await), (30, 0));
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
    let outcome =
        kit.store.tx("users.password", async |tx| users::replace_password_hash(tx, id, hash, hash).await).await;
    assert!(matches!(outcome, Err(StoreError::CheckViolation(_))), "{outcome:?}");
}
