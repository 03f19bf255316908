//! Lists of pitches: what is on them, that leafing misses and repeats nothing, and that they stay fast.

use super::*;
use pitches::{bring_in, published, text};
use shared::{
    id::PitchId,
    model::{Format, PitchCard, PitchStatus, PitchText, Sort, Stage},
    store::{
        demo::DemoPitch,
        pitches::{self as store, Filter, List, Page},
        testing::execute,
        words::Terms,
    },
};
use std::collections::HashSet;

const EVERYTHING: fn(Sort) -> List = |sort| List::Browse(Filter::default(), sort);

async fn first(kit: &TestStore, list: &List, limit: u32) -> Page {
    kit.store.read("test.page", async |c| store::page(c, list, None, limit).await).await.expect("a page is read")
}

async fn titles(kit: &TestStore, list: &List) -> Vec<String> {
    first(kit, list, 100).await.cards.into_iter().map(|card| card.title).collect()
}

async fn found(kit: &TestStore, filter: Filter) -> Vec<String> {
    titles(kit, &List::Browse(filter, Sort::Title)).await
}

fn days(days: u64) -> Duration {
    Duration::from_hours(days * 24)
}

/// A generator with a seed: a test that fails, fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// A pitch that is likely to stand where others stand, in every order.
    fn pitch(&mut self, kit: &TestStore, creator: UserId) -> DemoPitch {
        let title = format!("{}itle {}", ["T", "t"][usize::try_from(self.below(2)).expect("it works")], self.below(4));
        let mut pitch = published(kit, creator, &title, days(self.below(5)));
        (pitch.views, pitch.likes, pitch.featured) =
            (4 * self.below(3).cast_signed(), self.below(3).cast_signed(), true);
        (pitch.likes, pitch.engaged_at) = (pitch.likes + 5, kit.clock.now());
        pitch.text.budget_max = Some(1_000 * (1 + self.below(3).cast_signed())).filter(|most| *most > 1_000);
        pitch
    }
}

on_both! {
    old_and_popular_trends_new_and_unknown_is_new_and_neither_shows_the_other,
    the_editors_list_shows_what_is_published_and_featured_newest_first,
    leafing_misses_and_repeats_nothing_while_others_publish,
    each_order_is_what_it_says,
    every_filter_narrows_and_they_combine,
    search_finds_every_word_by_its_beginning_and_reads_no_wildcards,
    a_renamed_pitch_is_found_and_ordered_by_its_new_title,
    pages_can_be_counted_too,
}

async fn old_and_popular_trends_new_and_unknown_is_new_and_neither_shows_the_other(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    for n in 0..5 {
        let mut old = published(kit, ada, &format!("Old {n}"), days(200 + n));
        (old.views, old.likes, old.engaged_at) = (100, 10, kit.clock.now() - days(n));
        bring_in(kit, &old).await;
        let mut new = published(kit, ada, &format!("New {n}"), days(n));
        (new.views, new.engaged_at) = (2, kit.clock.now());
        bring_in(kit, &new).await;
    }
    // Interleaved, so that one list's answer could leak into the other's.
    for _ in 0..3 {
        assert_eq!(titles(kit, &List::Trending).await, ["Old 0", "Old 1", "Old 2", "Old 3", "Old 4"]);
        assert_eq!(titles(kit, &List::New).await, ["New 0", "New 1", "New 2", "New 3", "New 4"]);
    }
    kit.clock.advance(days(90));
    assert_eq!(titles(kit, &List::Trending).await, [""; 0], "old fame runs out");
    assert_eq!(titles(kit, &List::New).await, [""; 0], "nothing is new for ever");
}

async fn the_editors_list_shows_what_is_published_and_featured_newest_first(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    for (title, age, featured, status) in [
        ("Older", 9, true, PitchStatus::Published),
        ("Newer", 3, true, PitchStatus::Published),
        ("Plain", 1, false, PitchStatus::Published),
        ("Draft", 1, true, PitchStatus::Draft),
    ] {
        let mut pitch = published(kit, ada, title, days(age));
        (pitch.featured, pitch.status) = (featured, status);
        bring_in(kit, &pitch).await;
    }
    assert_eq!(titles(kit, &List::Featured).await, ["Newer", "Older"]);
}

async fn leafing_misses_and_repeats_nothing_while_others_publish(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let mut dice = Dice(20_261_122);
    for _ in 0..40 {
        bring_in(kit, &dice.pitch(kit, ada)).await;
    }
    let mut lists = vec![List::Featured, List::Trending, List::New];
    lists.extend([Sort::New, Sort::Budget, Sort::Title, Sort::Popular].map(EVERYTHING));
    for list in lists {
        let before: HashSet<PitchId> = first(kit, &list, 1_000).await.cards.iter().map(|card| card.id).collect();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let work = async |c: &mut _| store::page(c, &list, after.as_ref(), 7).await;
            let page = kit.store.read("test.page", work).await.expect("it works");
            assert!(page.cards.len() == 7 || page.next.is_none(), "{list:?}: a short page before the end");
            seen.extend(page.cards.into_iter().map(|card| card.id));
            let Some(next) = page.next else { break };
            after = Some(store::After { key: next.key.to_string().parse().expect("it works"), id: next.id });
            bring_in(kit, &dice.pitch(kit, ada)).await;
        }
        let distinct: HashSet<PitchId> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), seen.len(), "{list:?}: something came twice");
        let missed = before.difference(&distinct).count();
        assert_eq!(missed, 0, "{list:?}: {missed} that were there before were not shown");
    }
}

async fn each_order_is_what_it_says(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let make = async |title: &str, age, budget: (Option<i64>, Option<i64>), marks: (i64, i64, i64)| {
        let mut pitch = published(kit, ada, title, days(age));
        (pitch.text.budget_min, pitch.text.budget_max) = budget;
        (pitch.views, pitch.likes, pitch.saves) = marks;
        bring_in(kit, &pitch).await;
    };
    make("beta", 3, (None, None), (5, 0, 0)).await;
    make("Alpha", 1, (Some(10), None), (0, 1, 0)).await;
    make("élan", 2, (Some(5), Some(20)), (0, 0, 1)).await;
    let by = async |sort| titles(kit, &EVERYTHING(sort)).await;
    assert_eq!(by(Sort::New).await, ["Alpha", "élan", "beta"]);
    assert_eq!(by(Sort::Budget).await, ["élan", "Alpha", "beta"]);
    assert_eq!(by(Sort::Title).await, ["Alpha", "beta", "élan"]);
    assert_eq!(by(Sort::Popular).await, ["élan", "beta", "Alpha"]);
}

async fn every_filter_narrows_and_they_combine(kit: &TestStore) {
    let (ada, bob) = (user(kit, "ada").await, user(kit, "bob").await);
    let make = async |creator, change: fn(&mut PitchText), title: &str| {
        let mut pitch = published(kit, creator, title, days(1));
        change(&mut pitch.text);
        bring_in(kit, &pitch).await;
    };
    make(ada, |t| t.genre = "Horror".into(), "a").await;
    make(ada, |t| t.format = Format::Short, "b").await;
    make(bob, |t| t.stage = Stage::Completed, "c").await;
    make(bob, |t| t.seeking_investment = false, "d").await;
    make(bob, |t| (t.budget_min, t.budget_max) = (Some(5_000), None), "e").await;
    make(bob, |t| (t.budget_min, t.budget_max) = (None, None), "f").await;
    let mut hidden = published(kit, ada, "g", days(1));
    hidden.status = PitchStatus::Draft;
    bring_in(kit, &hidden).await;
    let none = Filter::default;
    let table = [
        (none(), "abcdef"),
        (Filter { genre: Some("Horror".into()), ..none() }, "a"),
        (Filter { format: Some(Format::Short), ..none() }, "b"),
        (Filter { stage: Some(Stage::Completed), ..none() }, "c"),
        (Filter { seeking_investment: Some(false), ..none() }, "d"),
        (Filter { creator: Some(bob), ..none() }, "cdef"),
        (Filter { budget_min: Some(2_001), ..none() }, "e"),
        (Filter { budget_max: Some(999), ..none() }, ""),
        (Filter { budget_max: Some(1_000), ..none() }, "abcd"),
        (Filter { budget_min: Some(1_500), budget_max: Some(9_999), ..none() }, "abcde"),
        (Filter { creator: Some(ada), genre: Some("Drama".into()), ..none() }, "b"),
        (Filter { own: Some((ada, PitchStatus::Draft)), ..none() }, "g"),
        (Filter { own: Some((bob, PitchStatus::Draft)), ..none() }, ""),
    ];
    for (filter, expected) in table {
        assert_eq!(found(kit, filter.clone()).await.concat(), expected, "{filter:?}");
        let list = List::Browse(filter, Sort::New);
        let total = kit.store.read("test.count", async |c| store::count(c, &list).await).await.expect("it works");
        assert_eq!(usize::try_from(total).expect("it works"), expected.len(), "{list:?}");
    }
}

async fn search_finds_every_word_by_its_beginning_and_reads_no_wildcards(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    for title in ["The Last Ferry", "Éclair 100%", "Ferryman's <b>Oath</b>", "日本の夏"] {
        bring_in(kit, &published(kit, ada, title, days(1))).await;
    }
    let table: [(&str, &[&str]); 11] = [
        ("ferry", &["Ferryman's <b>Oath</b>", "The Last Ferry"]),
        ("FERRY last", &["The Last Ferry"]),
        ("erry", &[]),
        ("éCL", &["Éclair 100%"]),
        ("100", &["Éclair 100%"]),
        ("oath story", &["Ferryman's <b>Oath</b>"]),
        ("日本", &["日本の夏"]),
        ("%", &[]),
        ("_erry", &[]),
        ("' or 1=1 --", &[]),
        ("the the THE last", &["The Last Ferry"]),
    ];
    for (query, expected) in table {
        let filter = Filter { terms: Some(Terms::parse(query)), ..Filter::default() };
        assert_eq!(found(kit, filter).await, expected, "{query}");
    }
}

async fn a_renamed_pitch_is_found_and_ordered_by_its_new_title(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    let id = bring_in(kit, &published(kit, ada, "Zebra", days(1))).await;
    bring_in(kit, &published(kit, ada, "Moth", days(1))).await;
    let edit = |old: &mut PitchText| *old = text("Ant");
    kit.store.try_tx("test.rename", async |tx| store::update(tx, id, ada, None, edit).await).await.expect("it works");
    assert_eq!(titles(kit, &EVERYTHING(Sort::Title)).await, ["Ant", "Moth"]);
    let search = |word| Filter { terms: Some(Terms::parse(word)), ..Filter::default() };
    assert_eq!(found(kit, search("ant")).await, ["Ant"]);
    assert_eq!(found(kit, search("zebra")).await, [""; 0]);
}

async fn pages_can_be_counted_too(kit: &TestStore) {
    let ada = user(kit, "ada").await;
    for n in 0..5 {
        bring_in(kit, &published(kit, ada, &format!("P{n}"), days(n))).await;
    }
    let list = EVERYTHING(Sort::New);
    let at = async |offset| {
        kit.store.read("test.at", async |c| store::page_at(c, &list, offset, 2).await).await.expect("it works")
    };
    let names = |cards: Vec<PitchCard>| cards.into_iter().map(|card| card.title).collect::<Vec<_>>();
    assert_eq!(names(at(0).await), ["P0", "P1"]);
    assert_eq!(names(at(4).await), ["P4"]);
    assert_eq!(names(at(6).await), [""; 0]);
}

/// A hundred thousand pitches of one creator over three years, half of them drafts, one in ten trending, one
/// in a hundred featured.
const MANY: &str = "
    insert into pitches (id, creator_id, title, title_key, logline, genre, format, stage, budget_max, status, featured,
                         view_count, like_count, created_at, updated_at, published_at, trend_score)
    select gen_random_uuid(), u.id, 'Title ' || n, 'title ' || n, 'Logline ' || n,
           (array['Action', 'Comedy', 'Drama', 'Horror', 'Sci-Fi', 'Thriller'])[1 + n % 6],
           'feature', 'script', (n * 7919 % 1000) * 10000,
           case when n % 2 = 0 then 'draft' else 'published' end, n % 100 = 1, n * 31 % 5000, n * 17 % 300,
           t, t, t, case when n % 10 = 3 then (5 + n % 500) * 2.0::float8 ^ -729.0 else random() * 2.0::float8 ^ -760.0 end
    from generate_series(1, 100000) n, users u,
         lateral (select timestamptz '2026-01-01Z' - n * interval '16 minutes' as t) times;
    insert into pitch_words (word, pitch_id) select 'word' || (like_count % 100), id from pitches;
    analyze";

/// the lists read an index and sort nothing, and 95 of 100 answers take less than 100 ms, at 100 000 rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_a_hundred_thousand_pitches_walk_an_index_and_answer_in_time() {
    let Some(kit) = TestStore::postgres().await else { return };
    let kit = &kit;
    user(kit, "ada").await;
    kit.store.tx("test.many", async |tx| execute(tx, MANY).await).await.expect("it works");
    let table = [
        (List::Featured, "idx_pitches_featured"),
        (List::Trending, "idx_pitches_status_trending"),
        (List::New, "idx_pitches_status_published"),
        // With or without the status in front, whichever the statistics favour.
        (EVERYTHING(Sort::New), "_created"),
        (EVERYTHING(Sort::Budget), "idx_pitches_status_budget"),
        (EVERYTHING(Sort::Title), "idx_pitches_status_title"),
        (EVERYTHING(Sort::Popular), "idx_pitches_status_popular"),
    ];
    for (list, index) in table {
        let plan = async |after: Option<&store::After>| {
            let plan =
                kit.store.read("test.plan", async |c| store::plan(c, &list, after, 20).await).await.expect("it works");
            plan.join("\n")
        };
        let page = first(kit, &list, 20).await;
        assert_eq!(page.cards.len(), 20, "{list:?}");
        for plan in [plan(None).await, plan(page.next.as_ref()).await] {
            assert!(plan.contains(index) && !plan.contains("Seq Scan on pitches"), "{list:?}\n{plan}");
            // An incremental sort only orders equals, where an index of the founding documents ends before the id.
            let sorts = plan.lines().any(|line| line.trim_start_matches([' ', '-', '>']).starts_with("Sort  ("));
            assert!(!sorts, "{list:?} sorts\n{plan}");
        }
        let p95 = p95_of_pages(kit, &list).await;
        println!("100 000 pitches, {list:?}: p95 {p95:?}");
        assert!(p95 < Duration::from_millis(100), "{list:?}: p95 {p95:?}");
    }
    let search = Filter { terms: Some(Terms::parse("word42")), genre: Some("Drama".into()), ..Filter::default() };
    let p95 = p95_of_pages(kit, &List::Browse(search, Sort::New)).await;
    println!("100 000 pitches, search: p95 {p95:?}");
    assert!(p95 < Duration::from_millis(100), "search: p95 {p95:?}");
}

/// Of a hundred pages, one after the other.
async fn p95_of_pages(kit: &TestStore, list: &List) -> Duration {
    let (mut times, mut after) = (Vec::new(), None);
    for _ in 0..100 {
        let started = Instant::now();
        let page = kit
            .store
            .read("test.page", async |c| store::page(c, list, after.as_ref(), 20).await)
            .await
            .expect("it works");
        times.push(started.elapsed());
        after = page.next;
    }
    times.sort();
    times[94]
}

/// Without statistics, as SQLite is run here, the plan does not depend on the rows.
#[tokio::test]
async fn sqlite_walks_the_same_indexes() {
    let kit = TestStore::sqlite().await;
    for (list, index) in [
        // Knowing nothing of the rows it takes a status for rarer than the editors' choice, and walks on from there.
        (List::Featured, "idx_pitches_status_created"),
        (List::Trending, "idx_pitches_status_trending"),
        (List::New, "idx_pitches_status_published"),
        (EVERYTHING(Sort::New), "idx_pitches_status_created"),
        (EVERYTHING(Sort::Budget), "idx_pitches_status_budget"),
        (EVERYTHING(Sort::Title), "idx_pitches_status_title"),
        (EVERYTHING(Sort::Popular), "idx_pitches_status_popular"),
    ] {
        let plan = kit
            .store
            .read("test.plan", async |c| store::plan(c, &list, None, 20).await)
            .await
            .expect("it works")
            .join("\n");
        assert!(plan.contains(index), "{list:?}\n{plan}");
        // The last term of an order may be sorted among equals where an index of the founding documents ends before.
        assert!(!plan.contains("USE TEMP B-TREE FOR ORDER BY"), "{list:?}\n{plan}");
    }
}
