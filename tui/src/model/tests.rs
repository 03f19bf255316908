//! The promises of the model.

use super::{
    samples::{alert, clock, hello, listened, tick},
    *,
};
use shared::protocol::admin::{History, Metric, NodeStatus, Series, State, View};

fn say(store: &mut Store, message: Message, now: Moment) {
    store.apply(Event::said("api", message), now);
}

fn down(store: &mut Store, now: Moment) {
    let what = What::Down { why: "connection refused".into(), retry_in: Duration::from_secs(3) };
    store.apply(Event { link: "api".into(), what }, now);
}

fn now_of(store: &Store, now: Moment) -> Picture<'_> {
    Picture { store, now, at: None }
}

#[test]
fn numbers_of_nodes_become_those_of_the_cluster_each_in_its_way() {
    let (mut store, now) = listened(&["gw-1", "gw-2"], 5);
    let mut worse = tick("gw-2", 7);
    worse.sample.node.set(Metric::LatencyP95Ms, 300.0);
    worse.sample.node.set(Metric::ErrorShare, 0.07);
    worse.sample.node.set(Metric::RequestsPerS, 300.0);
    store.apply(Event::said("gw-2", Message::Tick(Box::new(worse))), now);
    let picture = now_of(&store, now);
    assert_eq!(picture.total(Metric::FramesInPerS), Some(3_600.0), "rates are added up");
    assert_eq!(picture.total(Metric::LatencyP95Ms), Some(300.0), "of percentiles the worst counts");
    assert_eq!(picture.total(Metric::OnlineUsers), Some(4_100.0), "every node tells it of the whole cluster");
    let share = picture.total(Metric::ErrorShare).unwrap();
    assert!((share - 0.055).abs() < 1e-6, "(100 × 1 % + 300 × 7 %) / 400, not {share}");
    assert_eq!(picture.total(Metric::RedisPingMs), None, "absent is not zero");
}

#[test]
fn two_seconds_of_silence_make_a_node_stale_and_a_tick_makes_it_live_again() {
    let (mut store, now) = listened(&["api"], 5);
    assert_eq!(store.freshness(now + Duration::from_millis(1_999)), Freshness::Live);
    assert_eq!(store.freshness(now + Duration::from_secs(2)), Freshness::Stale(Duration::from_secs(2)));
    let later = now + Duration::from_secs(50);
    say(&mut store, Message::Tick(Box::new(tick("api", 56))), later);
    assert_eq!((store.freshness(later), store.nodes()[0].freshness(later)), (Freshness::Live, Freshness::Live));
}

#[test]
fn a_link_that_is_down_is_stale_at_once_and_what_is_known_stays() {
    let (mut store, now) = listened(&["api"], 5);
    down(&mut store, now);
    assert_eq!(store.freshness(now), Freshness::Stale(Duration::ZERO));
    assert_eq!(now_of(&store, now).total(Metric::FramesInPerS), Some(1_800.0));
    store.apply(Event { link: "api".into(), what: What::Connecting }, now);
    let LinkState::Down { why, attempts, .. } = store.links()[0].state() else { panic!("the reason stays in sight") };
    assert_eq!((why.as_str(), *attempts), ("connection refused", 1));
    down(&mut store, now);
    assert!(matches!(store.links()[0].state(), LinkState::Down { attempts: 2, .. }));
}

#[test]
fn one_link_brings_the_ticks_of_the_whole_cluster_and_two_links_count_no_tick_twice() {
    let (mut store, now) = listened(&["gw-1"], 5);
    let far = Message::Tick(Box::new(tick("gw-2", 6)));
    store.apply(Event::said("gw-1", far.clone()), now);
    assert_eq!((store.links().len(), store.nodes().len(), store.live(now)), (1, 2, 2));
    store.apply(Event::said("gw-2", far), now + Duration::from_secs(1));
    let age = store.node("gw-2").unwrap().age(now + Duration::from_secs(1));
    assert_eq!(age, Some(Duration::from_secs(1)), "it was no news");
}

#[test]
fn a_lost_node_is_listed_and_no_longer_counted() {
    let (mut store, now) = listened(&["gw-1", "gw-2"], 5);
    let mut status = NodeStatus { info: hello("gw-2").node, ..NodeStatus::default() };
    status.state = State::Lost;
    store.apply(Event::said("gw-1", Message::Nodes { nodes: vec![status] }), now);
    let picture = now_of(&store, now);
    assert_eq!(picture.total(Metric::FramesInPerS), Some(1_800.0));
    assert_eq!(picture.nodes()[1].status(), "? lost");
}

#[test]
fn silence_is_a_gap_and_what_the_node_remembers_closes_it() {
    let (mut store, now) = listened(&["api"], 30);
    let silent = now + Duration::from_secs(10);
    let curve = now_of(&store, silent).curve(Metric::FramesInPerS, Window::Minute, 60);
    assert!(curve[50..].iter().all(Option::is_none) && curve[40].is_some(), "the last ten seconds are a gap");
    say(&mut store, Message::Tick(Box::new(tick("api", 41))), silent);
    let series = Series { metric: Metric::FramesInPerS, of: None, values: vec![Some(9.0); 10] };
    let history = History { node: "api".into(), from: clock(32), step_ms: 1_000, series: vec![series] };
    say(&mut store, Message::History(history), silent);
    let curve = now_of(&store, silent).curve(Metric::FramesInPerS, Window::Minute, 60);
    assert_eq!(curve[50..].iter().filter(|point| point.is_some()).count(), 10);
}

#[test]
fn a_rewound_picture_has_the_numbers_and_the_alerts_of_then() {
    let (mut store, now) = listened(&["api"], 60);
    say(&mut store, Message::Alerts { alerts: vec![alert("api")] }, now);
    let then = |second| Picture { store: &store, now, at: Some(clock(second)) };
    assert_eq!(then(10).total(Metric::Connections), Some(4_810.0));
    assert_eq!(now_of(&store, now).total(Metric::Connections), Some(4_861.0));
    assert_eq!((then(10).alerts(false).len(), then(30).alerts(false).len()), (0, 1));
    assert_eq!(then(5_000).total(Metric::Connections), None, "what was never told is not known");
    assert_eq!(then(10).nodes()[0].uptime, Some(Duration::from_secs(10)));
}

#[test]
fn a_curve_keeps_the_worst_of_each_stretch() {
    let (mut store, now) = listened(&["api"], 299);
    let mut peak = tick("api", 301);
    peak.sample.node.set(Metric::FramesInPerS, 9_999.0);
    say(&mut store, Message::Tick(Box::new(peak)), now);
    let curve = now_of(&store, now).curve(Metric::FramesInPerS, Window::Five, 10);
    assert_eq!((curve.len(), curve[9], curve[0]), (10, Some(9_999.0), Some(1_800.0)));
}

#[test]
fn a_view_is_offered_when_any_process_that_is_heard_answers_it() {
    let mut store = Store::default();
    assert_eq!(store.offers(View::Rooms), None, "nobody has said anything");
    let mut api = hello("api");
    api.views = vec!["endpoints".into()];
    say(&mut store, Message::Hello(Box::new(api)), Moment::ZERO);
    assert_eq!((store.offers(View::Rooms), store.offers(View::Endpoints)), (Some(false), Some(true)));
    store.apply(Event::said("gw-1", Message::Hello(Box::new(hello("gw-1")))), Moment::ZERO);
    assert_eq!(store.offers(View::Rooms), Some(true));
    let what = What::Down { why: String::new(), retry_in: Duration::ZERO };
    store.apply(Event { link: "gw-1".into(), what }, Moment::ZERO);
    assert_eq!(store.offers(View::Rooms), Some(false));
}

#[test]
fn no_more_nodes_are_kept_than_the_bound() {
    let mut store = Store::default();
    for number in 0..2 * MOST_NODES {
        let name = format!("gw-{number}");
        store.apply(Event::said(&name, Message::Tick(Box::new(tick(&name, 1)))), Moment::ZERO);
    }
    assert_eq!((store.nodes().len(), store.links().len()), (MOST_NODES, MOST_NODES));
}
