//! What scripts get.

use super::*;
use crate::model::samples;
use serde_json::Value;
use shared::protocol::admin::{Answered, ConnectionRow, List, Rows, View};

/// Two processes, one with a name that would turn a terminal over.
fn store() -> (Store, Moment) {
    let (mut store, now) = samples::listened(&["api"], 5);
    let name = "gw\u{1b}[2J-1";
    let mut hello = samples::hello(name);
    hello.node.version = "1.0\u{202e}.0\u{9b}".into();
    store.apply(Event::said(name, Message::Hello(Box::new(hello))), now);
    store.apply(Event::said(name, Message::Tick(Box::new(samples::tick(name, 6)))), now);
    store.apply(Event::said(name, Message::Alerts { alerts: vec![samples::alert(name)] }), now);
    (store, now)
}

fn harmless(printed: &str) {
    let bad = printed.chars().find(|c| *c != '\n' && crate::figures::is_hostile(*c));
    assert!(bad.is_none(), "{bad:?} in {printed:?}");
}

/// Whether a value is as a schema says: of JSON Schema what the checked-in one uses.
fn check(value: &Value, schema: &Value, root: &Value, place: &str) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).expect("a reference to something");
        return check(value, target, root, place);
    }
    if let Some(wanted) = schema.get("const") {
        assert_eq!(value, wanted, "{place}");
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        assert!(allowed.contains(value), "{place}: {value}");
    }
    let is = |kind: &Value| match kind.as_str().expect("a type's name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    match schema.get("type") {
        Some(Value::Array(kinds)) => assert!(kinds.iter().any(is), "{place}: {value}"),
        Some(kind) => assert!(is(kind), "{place}: {value}"),
        None => {}
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{place} lacks {name}");
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let known = schema.get("properties").and_then(|properties| properties.get(name));
        if let Some(schema) = known.or_else(|| schema.get("additionalProperties")) {
            check(field, schema, root, &format!("{place}.{name}"));
        }
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(schema) = schema.get("items") {
            check(item, schema, root, &format!("{place}[{at}]"));
        }
    }
}

#[test]
fn text_has_the_figures_and_nothing_a_terminal_would_obey() {
    let (store, now) = store();
    let printed = text::print(&Picture { store: &store, now, at: None });
    harmless(&printed);
    insta::assert_snapshot!(printed);
}

#[test]
fn json_is_what_the_schema_says_and_nothing_a_terminal_would_obey() {
    let (store, now) = store();
    let printed = json::print(&Picture { store: &store, now, at: None }).unwrap();
    harmless(&printed);
    let schema: Value = serde_json::from_str(include_str!("../../schema/once.json")).unwrap();
    let value: Value = serde_json::from_str(&printed).unwrap();
    check(&value, &schema, &schema, "answer");
    assert_eq!(value["nodes"][1]["name"], "gw\u{1b}[2J-1", "escaped, not changed");
    assert_eq!(value["metrics"]["frames_in_per_s"], 3_600.0);
    assert_eq!(value["alerts"][0]["value"], 17.0);
    let mut wrong = value.clone();
    wrong["nodes"][0]["pid"] = "x".into();
    assert!(std::panic::catch_unwind(|| check(&wrong, &schema, &schema, "answer")).is_err(), "the check checks");
}

fn answered(rows: Vec<ConnectionRow>) -> (Query, Store) {
    let query = Query { filter: "queue>8".into(), ..Query::of(View::Connections) };
    let mut lists = Lists::default();
    lists.want(vec![(Slot::MAIN, query.clone())]);
    let id = lists.subscriptions()[0].id;
    let mut store = Store::wanting(lists);
    let nodes = vec![Answered { node: "api".into(), in_time: true }, Answered { node: "gw-2".into(), in_time: false }];
    let rows = Rows::Connections(rows);
    let list = List { id, at: samples::clock(5), total: 48_213, matched: 2, rows, next: None, nodes };
    store.apply(Event::said("api", Message::List(Box::new(list))), Moment::ZERO);
    (query, store)
}

#[test]
fn a_list_is_a_table_or_rows_as_they_came() {
    let rows = vec![samples::connection("api", 1, "bo", 256), samples::connection("api", 2, "e\u{1b}[2Jve", 9)];
    let (query, store) = answered(rows);
    let answer = store.lists.answer(Slot::MAIN).unwrap();
    let table = list::text(&query, answer);
    harmless(&table);
    insta::assert_snapshot!("list_text", table);
    let json: Value = serde_json::from_str(&list::json(&query, answer).unwrap()).unwrap();
    assert_eq!((json["schema_version"].as_u64(), json["view"].as_str()), (Some(1), Some("connections")));
    assert_eq!((json["rows"][0]["queue"].as_u64(), json["total"].as_u64()), (Some(256), Some(48_213)));
}

#[test]
fn silence_is_explained() {
    assert!(nothing(&Store::default(), "./data/x").contains("is Pitchey running"));
    let mut store = Store::default();
    let what = What::Down { why: "refused \u{7}".into(), retry_in: Duration::ZERO };
    store.apply(Event { link: "api".into(), what }, Duration::ZERO);
    assert_eq!(nothing(&store, ""), "api: refused \\u{7}");
}

#[test]
fn a_recording_can_be_entered_at_a_time_of_the_day_or_after_a_while() {
    let said = |second| Event::said("api", Message::Tick(Box::new(samples::tick("api", second))));
    let lines: Vec<_> =
        (1..=9).map(|second| (Moment::from_secs(second + 100), Recorded::Event(said(second)))).collect();
    assert_eq!(begin_at(&lines, None).unwrap(), Moment::ZERO);
    assert_eq!(begin_at(&lines, Some("105")).unwrap(), Moment::from_secs(105));
    assert_eq!(begin_at(&lines, Some("12:04:03")).unwrap(), Moment::from_secs(103));
    assert!(begin_at(&lines, Some("soon")).is_err() && begin_at(&[], Some("12:04")).is_err());
}
