//! The audit log of operators' actions: keys are used once, and what is ended stays as it is.

use super::*;
use shared::store::{
    operators::{self, Ended, NewAction, Recorded},
    testing::execute,
};
use uuid::Uuid;

on_both! {
    a_key_is_used_once_and_leads_to_what_became_of_it,
    refusals_need_no_key_and_are_over_at_once,
    what_is_ended_can_neither_be_changed_nor_deleted,
    what_a_dead_node_began_is_ended_by_its_next_life_and_nobody_elses,
}

fn new<'a>(id: Uuid, key: Option<&'a str>, node: &'a str) -> NewAction<'a> {
    NewAction {
        id,
        key,
        operator: "amy",
        role: "operator",
        address: "127.0.0.1",
        node,
        action: "disconnect",
        target: "c_7f@gw-1",
        request: "{}",
        reason: "inc-4711",
        refused: None,
        matched: 2,
    }
}

async fn begin(kit: &TestStore, new: NewAction<'_>) -> Option<Recorded> {
    kit.store.tx("test.begin", async |tx| operators::begin(tx, new).await).await.expect("the store answers")
}

async fn newest(kit: &TestStore) -> Vec<Recorded> {
    kit.store.read("test.newest", async |c| operators::newest(c, 10).await).await.expect("the store answers")
}

async fn a_key_is_used_once_and_leads_to_what_became_of_it(kit: &TestStore) {
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    assert_eq!(begin(kit, new(first, Some("0123456789"), "gw-1")).await, None);
    let ended = Ended { ok: true, matched: 2, done: 2, failed: 0, note: "" };
    kit.store.tx("test.end", async |tx| operators::end(tx, first, ended).await).await.expect("the store answers");
    let known = begin(kit, new(second, Some("0123456789"), "gw-2")).await.expect("the key is known");
    assert_eq!((known.id, known.state.as_str(), known.done, known.node.as_str()), (first, "done", 2, "gw-1"));
    assert_eq!(begin(kit, new(second, Some("another key"), "gw-2")).await, None);
    let all = newest(kit).await;
    assert_eq!(all.iter().map(|row| row.id).collect::<Vec<_>>(), [second, first], "the newest first");
}

async fn refusals_need_no_key_and_are_over_at_once(kit: &TestStore) {
    let long = "x".repeat(3_000);
    for _ in 0..2 {
        let refused = NewAction { refused: Some(&long), target: &long, ..new(Uuid::now_v7(), None, "gw-1") };
        assert_eq!(begin(kit, refused).await, None);
    }
    let rows = newest(kit).await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.state == "refused" && row.ended_at.is_some()));
    assert_eq!((rows[0].note.len(), rows[0].target.len()), (1_000, 1_000), "cut to what the schema takes");
}

async fn what_is_ended_can_neither_be_changed_nor_deleted(kit: &TestStore) {
    let id = Uuid::now_v7();
    begin(kit, new(id, Some("0123456789"), "gw-1")).await;
    let failed = Ended { ok: false, matched: 2, done: 1, failed: 1, note: "no" };
    for ended in [failed, Ended { ok: true, ..failed }] {
        kit.store.tx("test.end", async |tx| operators::end(tx, id, ended).await).await.expect("the store answers");
    }
    assert_eq!(newest(kit).await[0].state, "failed", "the first end stands");
    for sql in ["update operator_actions set operator = 'bob'", "delete from operator_actions"] {
        let outcome = kit.store.tx("test.tamper", async |tx| execute(tx, sql).await).await;
        assert!(outcome.is_err(), "{sql}");
    }
    assert_eq!(newest(kit).await[0].operator, "amy");
}

async fn what_a_dead_node_began_is_ended_by_its_next_life_and_nobody_elses(kit: &TestStore) {
    begin(kit, new(Uuid::now_v7(), Some("key of gw-1"), "gw-1")).await;
    begin(kit, new(Uuid::now_v7(), Some("key of gw-2"), "gw-2")).await;
    let abandon = async || {
        kit.store.tx("test.abandon", async |tx| operators::abandon(tx, "gw-1").await).await.expect("the store answers")
    };
    assert_eq!((abandon().await, abandon().await), (1, 0));
    let states: Vec<_> = newest(kit).await.into_iter().map(|row| (row.node, row.state)).collect();
    assert_eq!(states, [("gw-2".into(), "running".into()), ("gw-1".into(), "failed".into())]);
}
