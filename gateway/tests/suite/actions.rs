//! What operators do to a gateway, through the admin listener over real sockets.

use crate::admin::Desk;
use serde_json::json;
use shared::{
    protocol::{
        CloseReason,
        admin::{
            Action, ActionRequest, Audience, AuditRow, ClosedBy, ConnectionRef, Job, JobState, List, Message, Query,
            Rows, State, Target, View,
        },
        event::Received,
    },
    testkit::Socket,
};

fn asked(key: &str, action: Action) -> ActionRequest {
    ActionRequest { key: key.into(), reason: "inc-4711".into(), expect: None, dry_run: false, action }
}

fn audit(list: &List) -> &[AuditRow] {
    match &list.rows {
        Rows::Audit(rows) => rows,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_operator_disconnects_one_socket_and_it_is_in_the_closed_log_and_the_audit() {
    let mut desk = Desk::open().await;
    let (mut victim, who) = desk.signed_in("phone-1").await;
    let (mut other, _) = desk.signed_in("phone-2").await;
    let row = desk.node.gateway.inspector().of_user(who.id).remove(0).row;
    let named = ConnectionRef { node: row.node.clone(), id: row.id.clone() };
    let action = Action::Disconnect { target: Target::Connections(vec![named]) };

    let dry = desk.console.act(&ActionRequest { dry_run: true, ..asked("a dry run", action.clone()) }).await;
    let dry = match dry {
        Err((400, problem)) => {
            assert!(problem.message.contains("key"), "a key has no spaces: {problem:?}");
            desk.console.act(&ActionRequest { dry_run: true, ..asked("dry-run-1", action.clone()) }).await.unwrap()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((dry.state, dry.matched, dry.done), (JobState::DryRun, 1, 0));
    assert!(victim.quiet().await.is_empty(), "a dry run does nothing");

    let job = desk.console.act(&asked("disconnect-1", action.clone())).await.unwrap();
    assert_eq!((job.state, job.matched, job.done, job.operator.as_str()), (JobState::Done, 1, 1, "amy"));
    victim.expect_close(CloseReason::Disconnected).await;
    let again = desk.console.act(&asked("disconnect-1", action.clone())).await.unwrap();
    assert_eq!((again.id, again.done), (job.id, 1), "the same key does nothing again");
    let reused = Action::Disconnect { target: Target::Everyone };
    let (status, problem) = desk.console.act(&asked("disconnect-1", reused)).await.unwrap_err();
    assert_eq!((status, problem.code.as_str()), (409, "key_reused"));
    assert!(other.quiet().await.is_empty(), "nobody else was touched");

    let closed = desk.console.until(Query::of(View::Closed), |list| list.total == 1).await;
    let Rows::Closed(rows) = &closed.rows else { panic!("{closed:?}") };
    assert_eq!((rows[0].code, &rows[0].by), (4411, &ClosedBy::Operator("amy".into())));
    let list = desk.console.until(Query::of(View::Audit), |list| list.total == 1).await;
    let [row] = audit(&list) else { panic!("{list:?}") };
    assert_eq!((row.id, row.operator.as_str(), row.action.as_str()), (job.id, "amy", "disconnect"));
    assert_eq!((row.result.as_str(), row.reason.as_str()), ("done: 1", "inc-4711"));
    desk.close().await;
}

#[tokio::test]
async fn more_than_the_operator_saw_is_refused_and_the_refusal_is_in_the_audit() {
    let mut desk = Desk::open().await;
    let (mut a, _) = desk.signed_in("phone-1").await;
    let (mut b, _) = desk.signed_in("phone-2").await;
    let action = Action::Disconnect { target: Target::Filter("device~phone".into()) };
    let careful = ActionRequest { expect: Some(1), ..asked("careful-1", action.clone()) };
    let (status, problem) = desk.console.act(&careful).await.unwrap_err();
    assert_eq!((status, problem.code.as_str(), problem.matched), (409, "count_changed", Some(2)));
    assert!(a.quiet().await.is_empty() && b.quiet().await.is_empty());
    let list = desk.console.until(Query::of(View::Audit), |list| list.total == 1).await;
    assert!(audit(&list)[0].result.starts_with("refused: count_changed"), "{list:?}");

    // The same key may be used once the operator has looked again.
    let job = desk.console.act(&ActionRequest { expect: Some(2), ..careful }).await.unwrap();
    assert_eq!((job.state, job.done), (JobState::Done, 2));
    a.expect_close(CloseReason::Disconnected).await;
    b.expect_close(CloseReason::Disconnected).await;
    desk.close().await;
}

#[tokio::test]
async fn a_node_is_drained_at_a_rate_takes_nobody_meanwhile_and_can_be_taken_back() {
    let mut desk = Desk::open().await;
    let mut sockets = Vec::new();
    for n in 0..4 {
        sockets.push(desk.signed_in(&format!("phone-{n}")).await.0);
    }
    let drain = Action::Drain { node: "gw-1".into(), per_second: Some(20) };
    let elsewhere = Action::Drain { node: "gw-9".into(), per_second: None };
    let (status, problem) = desk.console.act(&asked("drain-gw-9", elsewhere)).await.unwrap_err();
    assert_eq!((status, problem.code.as_str()), (404, "not_found"));

    let mut job = desk.console.act(&asked("drain-gw-1", drain)).await.unwrap();
    assert_eq!(job.matched, 4);
    for socket in &mut sockets {
        socket.expect_close(CloseReason::Drain).await;
    }
    drop(sockets);
    while job.state == JobState::Running {
        job = desk.console.expect(|message| if let Message::Job(job) = message { Some(*job) } else { None }).await;
    }
    assert_eq!((job.state, job.done, job.note.as_str()), (JobState::Done, 4, ""));
    assert_eq!(Socket::upgrade(desk.node.addr, "/ws", &[]).await.unwrap_err(), 503);
    assert_eq!(
        Socket::upgrade(desk.node.addr, "/health/ready", &[]).await.unwrap_err(),
        503,
        "balancers look elsewhere"
    );
    let tick = desk.console.tick("gw-1").await;
    assert_eq!(tick.state, State::Draining);

    let undrain = Action::Undrain { node: "gw-1".into() };
    let job: Job = desk.console.act(&asked("undrain-gw-1", undrain)).await.unwrap();
    assert_eq!(job.state, JobState::Done);
    assert_eq!(Socket::upgrade(desk.node.addr, "/health/ready", &[]).await.unwrap_err(), 200);
    let (mut back, _) = desk.signed_in("phone-9").await;
    assert!(back.quiet().await.is_empty());
    desk.close().await;
}

#[tokio::test]
async fn an_announcement_is_in_the_inbox_of_everybody_who_is_present() {
    let desk = Desk::open().await;
    let (mut ada, _) = desk.signed_in("phone-1").await;
    let (mut bob, _) = desk.signed_in("phone-2").await;
    let announce =
        Action::Announce { to: Audience::Present, title: "Back at noon".into(), body: "We move house.".into() };
    let job = desk.console.act(&asked("announce-1", announce)).await.unwrap();
    assert_eq!((job.matched, job.done, job.state), (2, 2, JobState::Done));
    for socket in [&mut ada, &mut bob] {
        let (_, event, data) = socket.inbox().await;
        assert_eq!(event, "notification.created");
        assert_eq!(
            (&data["notification"]["title"], &data["notification"]["type"]),
            (&json!("Back at noon"), &json!("announcement"))
        );
    }
    desk.close().await;
}

#[tokio::test]
async fn revoked_sessions_close_their_sockets_for_good() {
    let desk = Desk::open().await;
    let (mut socket, who) = desk.signed_in("phone-1").await;
    let dry = ActionRequest { dry_run: true, ..asked("revoke-dry", Action::RevokeSessions { user: who.id }) };
    assert_eq!(desk.console.act(&dry).await.unwrap().matched, 1);
    let job = desk.console.act(&asked("revoke-it", Action::RevokeSessions { user: who.id })).await.unwrap();
    assert_eq!((job.done, job.state), (1, JobState::Done));
    socket.expect_close(CloseReason::SignedOut).await;
    let mut again = Socket::open(desk.node.addr).await;
    again.send(&json!({"type": "auth", "token": who.token})).await;
    again.expect_close(CloseReason::BadToken).await;
    desk.close().await;
}

#[tokio::test]
async fn a_user_is_kicked_from_a_room_and_told_so() {
    let desk = Desk::open().await;
    let (mut socket, who) = desk.signed_in("phone-1").await;
    socket.call(json!({"type": "join", "room": crate::node::LOBBY})).await;
    let kick = Action::Kick { room: crate::node::LOBBY.into(), user: who.id };
    let job = desk.console.act(&asked("kick-it-1", kick)).await.unwrap();
    assert_eq!((job.matched, job.done), (1, 1));
    socket.expect(|frame| matches!(frame, Received::Left { .. })).await;
    desk.close().await;
}

#[tokio::test]
async fn what_is_no_action_is_answered_with_a_word_and_nothing_happens() {
    let desk = Desk::open().await;
    let (mut socket, _) = desk.signed_in("phone-1").await;
    for (body, code) in [
        ("", "bad_action"),
        ("{}", "bad_action"),
        (r#"{"key":"0123456789","action":{"do":"explode"}}"#, "bad_action"),
        (r#"{"key":"0123456789","reason":"why","action":{"do":"disconnect","target":{"filter":" "}}}"#, "bad_action"),
        (r#"{"key":"0123456789","action":{"do":"disconnect","target":"everyone"}}"#, "reason_missing"),
        (r#"{"key":"0123456789","reason":"why","action":{"do":"log_filter","filter":"x","for_s":1}}"#, "unavailable"),
    ] {
        let (status, answer) = desk.console.post("/admin/actions", body).await;
        assert!(status >= 400 && answer.contains(code), "{body}: {status} {answer}");
    }
    let (status, _) = desk.console.post("/admin/actions", &"x".repeat(200_000)).await;
    assert_eq!(status, 413);
    assert!(socket.quiet().await.is_empty());
    desk.close().await;
}

#[tokio::test]
async fn a_process_without_a_store_obeys_its_operators_all_the_same() {
    let desk = Desk::without_store().await;
    let (mut socket, who) = desk.signed_in("phone-1").await;
    let action = Action::Disconnect { target: Target::User(who.id) };
    let job = desk.console.act(&asked("no-store-1", action)).await.unwrap();
    assert_eq!((job.state, job.done), (JobState::Done, 1));
    socket.expect_close(CloseReason::Disconnected).await;
    desk.close().await;
}
