//! The promises of the model.

use super::{
    samples::{hello, listened, tick},
    *,
};
use shared::clock::Timestamp;

fn say(store: &mut Store, what: What, now: Moment) {
    store.apply(Event { node: "api".into(), what }, now);
}

fn down(why: &str) -> What {
    What::Down { why: why.into(), retry_in: Duration::from_secs(3) }
}

#[test]
fn rates_come_from_two_ticks_of_one_life() {
    let (store, now) = listened(&["api"], 5);
    let cluster = store.cluster(now);
    assert_eq!((cluster.opened, cluster.closed), (12.0, 7.0));
    assert_eq!((cluster.frames_in, cluster.frames_out, cluster.requests), (1_800.0, 21_100.0, 100.0));
    assert!((cluster.minute.error_share() - 0.01).abs() < 1e-9);
    let rates = store.nodes()[0].rates().unwrap();
    assert!((rates.cores - 0.43).abs() < 1e-9);
    assert_eq!((rates.pools[1].gets, rates.pools[1].timeouts), (120.0, 1.0));
}

#[test]
fn a_process_that_began_anew_has_no_rates_yet_instead_of_wrong_ones() {
    let (mut store, now) = listened(&["api"], 5);
    let mut again = hello("api");
    again.node.started_at = again.node.started_at + Duration::from_mins(1);
    say(&mut store, What::Hello(Box::new(again)), now);
    say(&mut store, What::Tick(Box::new(tick(1))), now);
    assert_eq!(store.nodes()[0].rates(), None);
    assert!(!store.cluster(now).has_rates);
    // Even without a hello in between, counters that went back are no rate.
    say(&mut store, What::Tick(Box::new(tick(9))), now);
    say(&mut store, What::Tick(Box::new(tick(2))), now);
    assert_eq!(store.nodes()[0].rates(), None);
}

#[test]
fn two_seconds_of_silence_make_a_node_stale_and_a_tick_makes_it_live_again() {
    let (mut store, now) = listened(&["api"], 5);
    assert_eq!(store.freshness(now + Duration::from_millis(1_999)), Freshness::Live);
    assert_eq!(store.freshness(now + Duration::from_secs(2)), Freshness::Stale(Duration::from_secs(2)));
    let later = now + Duration::from_secs(50);
    say(&mut store, What::Tick(Box::new(tick(56))), later);
    assert_eq!(store.freshness(later), Freshness::Live);
}

#[test]
fn a_link_that_is_down_is_stale_at_once_and_what_is_known_stays() {
    let (mut store, now) = listened(&["api"], 5);
    say(&mut store, down("connection refused"), now);
    assert_eq!(store.freshness(now), Freshness::Stale(Duration::ZERO));
    assert_eq!((store.cluster(now).sockets, store.cluster(now).frames_in), (4_813, 1_800.0));
    say(&mut store, What::Connecting, now);
    say(&mut store, down("connection refused"), now);
    assert!(matches!(store.nodes()[0].link(), Link::Down { attempts: 2, .. }));
}

#[test]
fn one_lost_node_of_two_leaves_the_picture_live_and_no_longer_counts() {
    let (mut store, now) = listened(&["gw-1", "gw-2"], 5);
    store.apply(Event { node: "gw-1".into(), what: down("reset") }, now);
    assert_eq!((store.freshness(now), store.live(now)), (Freshness::Live, 1));
    assert_eq!(store.cluster(now).sockets, 4_813);
}

#[test]
fn curves_show_a_gap_for_every_second_nothing_was_heard() {
    let (mut store, now) = listened(&["api"], 5);
    for second in 1..=6 {
        store.sample(now + Duration::from_secs(second));
    }
    let points: Vec<_> = store.history().sockets.last(8).collect();
    assert_eq!(points.iter().filter(|point| point.is_none()).count(), 5, "{points:?}");
    assert_eq!(points[7], None);
    let pool: Vec<_> = store.nodes()[0].pool_history("sqlite-read").unwrap().last(7).collect();
    assert_eq!((pool[0], pool[6]), (Some(2.0), None));
}

#[test]
fn sampling_more_often_than_once_a_second_adds_nothing() {
    let (mut store, now) = listened(&["api"], 5);
    assert!(!store.sample(now + Duration::from_millis(250)));
    assert!(store.sample(now + Duration::from_millis(1_100)));
    assert!(!store.sample(now + Duration::from_millis(1_900)));
    assert!(store.sample(now + Duration::from_secs(2)), "the grid does not drift with late calls");
}

#[test]
fn more_processes_than_can_be_shown_are_passed_over() {
    let mut store = Store::default();
    for n in 0..MOST_NODES + 10 {
        store.apply(Event { node: format!("n{n}"), what: What::Connecting }, Moment::ZERO);
    }
    assert_eq!(store.nodes().len(), MOST_NODES);
}

#[test]
fn absurd_numbers_are_no_reason_to_panic() {
    let (mut store, now) = listened(&["api"], 1);
    let mut wild = tick(3);
    wild.uptime_ms = u64::MAX;
    wild.at = Timestamp::from_micros(i64::MIN);
    wild.stats.sockets.accepted = 0;
    wild.pools[0].max_size = 0;
    wild.pools[0].in_use = u32::MAX;
    say(&mut store, What::Tick(Box::new(wild)), now);
    assert_eq!(store.nodes()[0].rates(), None);
    assert!(store.pools(now).iter().all(|row| row.saturation().is_finite()));
}
