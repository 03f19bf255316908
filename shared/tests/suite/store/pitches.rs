//! One pitch: who sees how much of it, who may change it, and what counts.

use super::*;
use shared::{
    id::PitchId,
    model::{Access, Confidential, Format, Pitch, PitchStatus, PitchText, Stage},
    store::{
        demo::{self, DemoPitch},
        engagement::{self, View},
        follows,
        pitches::{self, Refusal},
        testing::{execute, number},
        trend,
    },
};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// A text that breaks no rule.
pub(super) fn text(title: &str) -> PitchText {
    PitchText {
        title: title.to_owned(),
        logline: format!("The story of {title}"),
        synopsis: "Once.".to_owned(),
        genre: "Drama".to_owned(),
        format: Format::Feature,
        stage: Stage::Script,
        budget_min: Some(1_000),
        budget_max: Some(2_000),
        seeking_investment: true,
        confidential: Confidential { confidential_synopsis: Some("He did it.".into()), confidential_notes: None },
    }
}

/// A published pitch of `creator` that somebody brought in, made `age` before now.
pub(super) fn published(kit: &TestStore, creator: UserId, title: &str, age: Duration) -> DemoPitch {
    let at = kit.clock.now() - age;
    DemoPitch {
        creator,
        text: text(title),
        status: PitchStatus::Published,
        featured: false,
        created_at: at,
        views: 0,
        likes: 0,
        saves: 0,
        engaged_at: at,
    }
}

pub(super) async fn bring_in(kit: &TestStore, pitch: &DemoPitch) -> PitchId {
    kit.store.tx("test.pitch", async |tx| demo::pitch(tx, pitch).await).await.expect("a pitch is brought in")
}

async fn draft(kit: &TestStore, creator: UserId, title: &str) -> PitchId {
    let id = PitchId::new();
    let work = async |tx: &mut Tx| pitches::create(tx, id, creator, &text(title)).await;
    kit.store.try_tx("test.create", work).await.expect("a draft is written");
    id
}

async fn seen(kit: &TestStore, id: PitchId, reader: Option<UserId>) -> Option<Pitch> {
    kit.store.read("test.get", async |c| pitches::by_id(c, id, reader).await).await.expect("pitches can be read")
}

async fn publish(kit: &TestStore, id: PitchId, owner: UserId) -> Result<bool, Refusal> {
    kit.store.try_tx("test.publish", async |tx| pitches::publish(tx, id, owner).await).await
}

async fn rename(kit: &TestStore, id: PitchId, owner: UserId, expected: Option<i64>, to: &str) -> Result<(), Refusal> {
    let edit = |text: &mut PitchText| to.clone_into(&mut text.title);
    kit.store.try_tx("test.update", async |tx| pitches::update(tx, id, owner, expected, edit).await).await
}

async fn delete(kit: &TestStore, id: PitchId, owner: UserId) -> Result<(), Refusal> {
    kit.store.try_tx("test.delete", async |tx| pitches::delete(tx, id, owner, None).await).await
}

on_both! {
    a_draft_is_its_creators_alone_until_it_is_published,
    the_confidential_part_is_for_the_owner_and_for_an_nda_that_is_in_force,
    foreign_drafts_do_not_exist_and_foreign_published_pitches_are_refused,
    a_change_that_saw_an_older_version_changes_nothing,
    of_many_changes_that_saw_the_same_version_exactly_one_wins,
    publishing_many_times_at_once_is_the_first_time_once,
    only_what_is_published_can_be_featured_and_that_is_no_new_version,
    texts_come_back_as_they_were_written,
    unknown_genres_and_budgets_upside_down_are_refused,
    a_deleted_pitch_leaves_nothing_behind,
    a_look_counts_once_a_day_and_never_by_the_creator,
    liking_on_and_off_moves_nothing,
    following_is_counted_once_and_ends,
}

async fn a_draft_is_its_creators_alone_until_it_is_published(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let id = draft(kit, ada, "Low Water").await;
    assert_eq!(seen(kit, id, Some(bob)).await, None);
    assert_eq!(seen(kit, id, None).await, None);
    assert_eq!(seen(kit, id, Some(ada)).await.expect("it works").access, Access::Owner);
    assert!(publish(kit, id, ada).await.expect("it works"), "the first time");
    for reader in [Some(bob), None] {
        let pitch = seen(kit, id, reader).await.expect("it works");
        assert_eq!((pitch.access, pitch.confidential), (Access::Public, None));
        assert!(pitch.has_confidential);
        assert_eq!(pitch.card.published_at, Some(kit.clock.now()));
    }
}

async fn the_confidential_part_is_for_the_owner_and_for_an_nda_that_is_in_force(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let id = bring_in(kit, &published(kit, ada, "Sealed", Duration::ZERO)).await;
    let secret = text("Sealed").confidential;
    assert_eq!(seen(kit, id, Some(ada)).await.expect("it works").confidential, Some(secret.clone()));
    // The agreement takes its user's id: any unique value will do, and statements here take no arguments.
    let sign = "insert into ndas (id, user_id, pitch_id, status, created_at, updated_at)
                select u.id, u.id, p.id, 'pending', p.created_at, p.created_at
                from users u, pitches p where u.username = 'bob'";
    // What the agreement says, and whether it admits its user.
    let table = [
        (sign, false),
        ("update ndas set status = 'approved'", true),
        ("update ndas set status = 'signed', expires_at = '2026-01-02T00:00:00.000000Z'", true),
        ("update ndas set expires_at = '2025-12-31T00:00:00.000000Z'", false),
        ("update ndas set expires_at = null", true),
        ("update ndas set revoked_at = '2025-12-31T00:00:00.000000Z'", false),
        ("update ndas set revoked_at = null, status = 'rejected'", false),
    ];
    for (statement, admits) in table {
        kit.store.tx("test.nda", async |tx| execute(tx, statement).await).await.expect("it works");
        let pitch = seen(kit, id, Some(bob)).await.expect("it works");
        let expected = if admits { (Access::Nda, Some(secret.clone())) } else { (Access::Public, None) };
        assert_eq!((pitch.access, pitch.confidential), expected, "{statement}");
    }
    assert_eq!(seen(kit, id, None).await.expect("it works").confidential, None);
}

async fn foreign_drafts_do_not_exist_and_foreign_published_pitches_are_refused(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let hidden = draft(kit, ada, "Hidden").await;
    let open = bring_in(kit, &published(kit, ada, "Open", Duration::ZERO)).await;
    let missing = PitchId::new();
    for (id, exists) in [(hidden, false), (open, true), (missing, false)] {
        let answers = [
            rename(kit, id, bob, None, "Mine").await.expect_err("it is refused"),
            delete(kit, id, bob).await.expect_err("it is refused"),
            publish(kit, id, bob).await.expect_err("it is refused"),
        ];
        for answer in answers {
            assert!(matches!((exists, &answer), (true, Refusal::NotYours) | (false, Refusal::Missing)), "{answer}");
        }
    }
    assert_eq!(seen(kit, open, None).await.expect("it works").card.title, "Open");
    assert_eq!(seen(kit, open, None).await.expect("it works").version, 1, "a refusal undoes its bump");
}

async fn a_change_that_saw_an_older_version_changes_nothing(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let id = draft(kit, ada, "One").await;
    kit.clock.advance(Duration::from_secs(9));
    rename(kit, id, ada, Some(1), "Two").await.expect("it works");
    let stale = rename(kit, id, ada, Some(1), "Three").await.expect_err("it is refused");
    assert!(matches!(stale, Refusal::Stale { current: 2 }), "{stale}");
    let pitch = seen(kit, id, Some(ada)).await.expect("it works");
    assert_eq!((pitch.card.title.as_str(), pitch.version), ("Two", 2));
    assert_eq!(pitch.card.updated_at, kit.clock.now());
}

async fn of_many_changes_that_saw_the_same_version_exactly_one_wins(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let id = draft(kit, ada, "Zero").await;
    let won = AtomicUsize::new(0);
    let attempts = (0..12).map(|n| {
        let (kit, won) = (&kit, &won);
        async move {
            match rename(kit, id, ada, Some(1), &format!("Take {n}")).await {
                Ok(()) => _ = won.fetch_add(1, SeqCst),
                Err(refusal) => assert!(matches!(refusal, Refusal::Stale { current: 2 }), "{refusal}"),
            }
        }
    });
    futures_util::future::join_all(attempts).await;
    assert_eq!(won.into_inner(), 1);
    assert_eq!(seen(kit, id, Some(ada)).await.expect("it works").version, 2);
}

async fn publishing_many_times_at_once_is_the_first_time_once(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let id = draft(kit, ada, "Premiere").await;
    let answers = futures_util::future::join_all((0..8).map(|_| publish(kit, id, ada))).await;
    let first = answers.into_iter().filter(|answer| *answer.as_ref().expect("it works")).count();
    assert_eq!(first, 1);
}

async fn only_what_is_published_can_be_featured_and_that_is_no_new_version(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let hidden = draft(kit, ada, "Hidden").await;
    let open = bring_in(kit, &published(kit, ada, "Open", Duration::ZERO)).await;
    let feature =
        async |id| kit.store.try_tx("test.feature", async |tx| pitches::set_featured(tx, id, true).await).await;
    assert!(matches!(feature(hidden).await, Err(Refusal::Missing)));
    feature(open).await.expect("it works");
    let pitch = seen(kit, open, None).await.expect("it works");
    assert_eq!((pitch.card.featured, pitch.version), (true, 1));
}

async fn texts_come_back_as_they_were_written(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let nasty = "<script>alert('x')</script>'; drop table pitches; -- \u{202e} 🎬 %_\\";
    let id = draft(kit, ada, nasty).await;
    let pitch = seen(kit, id, Some(ada)).await.expect("it works");
    assert_eq!((pitch.card.title.as_str(), pitch.card.logline), (nasty, format!("The story of {nasty}")));
}

async fn unknown_genres_and_budgets_upside_down_are_refused(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let create = async |text: PitchText| {
        let work = async |tx: &mut Tx| pitches::create(tx, PitchId::new(), ada, &text).await;
        kit.store.try_tx("test.create", work).await.expect_err("it is refused")
    };
    let unknown = PitchText { genre: "drama".into(), ..text("A") };
    assert!(matches!(create(unknown).await, Refusal::UnknownGenre));
    let upside_down = PitchText { budget_min: Some(3_000), ..text("A") };
    assert!(matches!(create(upside_down).await, Refusal::Budgets));
}

async fn a_deleted_pitch_leaves_nothing_behind(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let id = bring_in(kit, &published(kit, ada, "Short lived", Duration::ZERO)).await;
    let view = View { pitch: id, viewer: bob, at: kit.clock.now() };
    kit.store
        .tx("test.engage", async |tx| {
            engagement::record_views(tx, vec![view]).await?;
            engagement::like(tx, id, bob).await?;
            engagement::save(tx, id, bob).await
        })
        .await
        .expect("it works");
    delete(kit, id, ada).await.expect("it works");
    let left = "select (select count(*) from pitches) + (select count(*) from pitch_words)
                + (select count(*) from pitch_views) + (select count(*) from pitch_likes)
                + (select count(*) from pitch_saves)";
    assert_eq!(kit.store.read("test.count", async |c| number(c, left).await).await.expect("it works"), 0);
}

async fn a_look_counts_once_a_day_and_never_by_the_creator(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let id = bring_in(kit, &published(kit, ada, "Seen", Duration::ZERO)).await;
    let hidden = draft(kit, ada, "Unseen").await;
    let look = |pitch, viewer| View { pitch, viewer, at: kit.clock.now() };
    let batch = vec![
        look(id, bob),
        look(id, bob),
        look(id, ada),
        look(hidden, bob),
        look(PitchId::new(), bob),
        look(id, UserId::new()),
    ];
    let record = async |views| {
        kit.store.tx("test.views", async |tx| engagement::record_views(tx, views).await).await.expect("it works")
    };
    assert_eq!(record(batch).await, 1);
    assert_eq!(record(vec![look(id, bob)]).await, 0);
    kit.clock.advance(Duration::from_hours(24));
    assert_eq!(record(vec![look(id, bob)]).await, 1);
    assert_eq!(seen(kit, id, None).await.expect("it works").card.view_count, 2);
}

async fn liking_on_and_off_moves_nothing(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let id = bring_in(kit, &published(kit, ada, "Liked", Duration::ZERO)).await;
    for _ in 0..3 {
        assert!(kit.store.tx("test.like", async |tx| engagement::like(tx, id, bob).await).await.expect("it works"));
        assert!(!kit.store.tx("test.like", async |tx| engagement::like(tx, id, bob).await).await.expect("it works"));
        let pitch = seen(kit, id, Some(bob)).await.expect("it works");
        assert_eq!((pitch.card.like_count, pitch.liked, pitch.saved), (1, true, false));
        kit.clock.advance(Duration::from_hours(5));
        assert!(kit.store.tx("test.like", async |tx| engagement::unlike(tx, id, bob).await).await.expect("it works"));
        assert!(!kit.store.tx("test.like", async |tx| engagement::unlike(tx, id, bob).await).await.expect("it works"));
    }
    assert_eq!(seen(kit, id, Some(bob)).await.expect("it works").card.like_count, 0);
    // What is left of the heat is what is left of doubles after adding and taking away: no looks, no likes.
    let sql = "select count(*) from pitches where trend_score > 1e-230";
    assert!(trend::floor(kit.clock.now()) > 1e-225);
    assert_eq!(kit.store.read("test.heat", async |c| number(c, sql).await).await.expect("it works"), 0);
}

async fn following_is_counted_once_and_ends(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let follow =
        async || kit.store.tx("test.follow", async |tx| follows::follow(tx, bob, ada).await).await.expect("it works");
    assert_eq!((follow().await, follow().await), (true, false));
    let followers = async || {
        kit.store
            .read("test.followers", async |c| follows::followers_of(c, ada, None, 9).await)
            .await
            .expect("it works")
    };
    assert_eq!(followers().await, [bob]);
    let unfollow =
        async || kit.store.tx("test.follow", async |tx| follows::unfollow(tx, bob, ada).await).await.expect("it works");
    assert_eq!((unfollow().await, unfollow().await), (true, false));
    assert_eq!(followers().await, []);
}
