//! The promises of the state machine.

use super::*;
use crate::{
    cli::Palette,
    keymap::Key,
    model::samples::{alert, clock, connection, hello, tick},
};
use crossterm::event::{KeyCode, KeyModifiers};
use shared::protocol::admin::{
    Action, Answered, Grade, Job, List, Message, ProblemBody, Query, Role, Rows, Target, View,
};

/// A console on one process that answers everything, five seconds old.
pub(crate) fn listening() -> App {
    let mut app = App::new(Settings::plain(), "./data".into(), Theme::new(Palette::Mono, true));
    app.update(Msg::Net(Event::said("api", Message::Hello(Box::new(hello("api"))))), Moment::ZERO);
    (1..=5).for_each(|second| beat(&mut app, second));
    app
}

pub(crate) fn beat(app: &mut App, second: u64) {
    let now = Moment::from_secs(second);
    app.update(Msg::Net(Event::said("api", Message::Tick(Box::new(tick("api", second))))), now);
    app.update(Msg::Age, now);
}

pub(crate) fn press(app: &mut App, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|c| code(app, KeyCode::Char(c))).collect()
}

pub(crate) fn code(app: &mut App, code: KeyCode) -> Vec<Effect> {
    let now = app.now;
    app.update(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)), now)
}

pub(crate) fn command(app: &mut App, text: &str) -> Vec<Effect> {
    press(app, ":");
    press(app, text);
    code(app, KeyCode::Enter)
}

/// Answers every subscription to sockets with these rows.
pub(crate) fn answer(app: &mut App, rows: &Rows) {
    let wanted = app.store.lists.subscriptions();
    for wish in wanted.into_iter().filter(|wish| Rows::none(wish.query.view) == empty(rows)) {
        let nodes = vec![Answered { node: "api".into(), in_time: true }];
        let (at, total) = (clock(5), 48_213);
        let list =
            List { id: wish.id, at, total, matched: total, rows: rows.clone(), next: Some("more".into()), nodes };
        let now = app.now;
        app.update(Msg::Net(Event::said("api", Message::List(Box::new(list)))), now);
    }
}

fn empty(rows: &Rows) -> Rows {
    match rows {
        Rows::Connections(_) => Rows::none(View::Connections),
        Rows::Alerts(_) => Rows::none(View::Alerts),
        _ => panic!("not in these tests"),
    }
}

pub(crate) fn sockets() -> Rows {
    Rows::Connections(vec![
        connection("api", 1, "bo", 256),
        connection("api", 2, "김민준", 8),
        connection("api", 3, "e\u{1b}[2Jve", 0),
    ])
}

fn acted(app: &mut App, key: &str, outcome: Result<Job, ProblemBody>) -> Vec<Effect> {
    let what = What::Acted { key: key.into(), outcome: Box::new(outcome) };
    let now = app.now;
    app.update(Msg::Net(Event { link: "api".into(), what }), now)
}

pub(crate) fn job(action: Action, state: JobState, matched: u64) -> Job {
    Job {
        id: uuid::Uuid::nil(),
        action,
        reason: String::new(),
        operator: "amy".into(),
        role: Role::Admin,
        node: "api".into(),
        state,
        matched,
        done: matched,
        failed: 0,
        started_at: clock(5),
        ended_at: Some(clock(5)),
        note: String::new(),
    }
}

fn request(effects: &[Effect]) -> &ActionRequest {
    effects
        .iter()
        .find_map(|effect| if let Effect::Act(request, _) = effect { Some(request.as_ref()) } else { None })
        .unwrap_or_else(|| panic!("no action among {effects:?}"))
}

#[test]
fn nothing_new_is_nothing_to_draw() {
    let mut app = listening();
    assert!(app.take_dirty());
    app.update(Msg::Age, app.now + Duration::from_millis(250));
    assert!(!app.dirty(), "a quarter of a second later everything still reads the same");
    code(&mut app, KeyCode::F(9));
    assert!(!app.dirty(), "a key without meaning draws nothing");
}

#[test]
fn silence_is_drawn_when_it_makes_the_picture_stale() {
    let mut app = listening();
    let heard = app.now;
    app.update(Msg::Age, heard + Duration::from_millis(900));
    app.take_dirty();
    app.update(Msg::Age, heard + Duration::from_secs(2));
    assert!(app.dirty());
    assert_eq!(app.known().0.freshness(app.now), Freshness::Stale(Duration::from_secs(2)));
}

#[test]
fn a_held_picture_stays_while_data_arrives_and_then_catches_up() {
    let mut app = listening();
    press(&mut app, "p");
    beat(&mut app, 6);
    let seq = |store: &Store| store.nodes()[0].tick().unwrap().seq;
    assert_eq!((app.paused(), seq(app.picture().store), seq(app.known().0)), (true, 5, 6));
    press(&mut app, "p");
    assert_eq!(seq(app.picture().store), 6);
}

#[test]
fn only_what_is_on_the_screen_is_asked_for_and_asked_once() {
    let mut app = listening();
    let Some(Effect::Subscribe(wanted)) = press(&mut app, "4").pop() else { panic!("a subscription") };
    let views: Vec<_> = wanted.iter().map(|wish| wish.query.view).collect();
    assert_eq!(views, [View::Connections, View::Closed]);
    assert_eq!(press(&mut app, "j"), [], "moving the cursor asks for nothing");
    let Some(Effect::Subscribe(wanted)) = press(&mut app, "3").pop() else { panic!("a subscription") };
    assert_eq!(wanted, [], "pools come with the ticks");
}

#[test]
fn a_filter_is_asked_of_the_server_while_it_is_written_and_escape_takes_it_back() {
    let mut app = listening();
    press(&mut app, "4/");
    let effects = press(&mut app, "queue>8");
    let asked: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Subscribe(wanted) => Some(wanted[0].query.filter.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(asked.last().map(String::as_str), Some("queue>8"));
    assert!(!asked.iter().any(|filter| filter == "queue>"), "half a filter is never asked: {asked:?}");
    code(&mut app, KeyCode::Esc);
    assert_eq!((app.page().filter.as_str(), app.popup().is_none()), ("", true));
    press(&mut app, "/colour=red");
    code(&mut app, KeyCode::Enter);
    assert!(matches!(app.popup(), Some(Popup::Prompt(prompt)) if prompt.remark.contains("colour")));
}

#[test]
fn sort_and_faults_are_asked_of_the_server() {
    let mut app = listening();
    press(&mut app, "4z>");
    press(&mut app, "i");
    let query = app.store.lists.query(Slot::MAIN).unwrap();
    let sort = query.sort.as_ref().unwrap();
    assert_eq!((sort.by.as_str(), sort.descending), ("rtt", false), "the column to the right of the queue");
    assert!(query.filter.contains("state=slow"));
}

#[test]
fn the_cursor_stays_on_its_row_when_the_list_moves() {
    let mut app = listening();
    press(&mut app, "4");
    answer(&mut app, &sockets());
    press(&mut app, "j");
    let Some(Selected::Connection(row)) = app.selected() else { panic!("a socket") };
    assert_eq!(row.id, "c_2");
    let Rows::Connections(mut rows) = sockets() else { unreachable!() };
    rows.insert(0, connection("api", 9, "new", 300));
    answer(&mut app, &Rows::Connections(rows));
    let Some(Selected::Connection(row)) = app.selected() else { panic!("a socket") };
    assert_eq!(row.id, "c_2");
}

#[test]
fn at_the_end_of_the_rows_more_are_asked_for() {
    let mut app = listening();
    press(&mut app, "4");
    let many = (0..100).map(|number| connection("api", number, "x", 0)).collect();
    answer(&mut app, &Rows::Connections(many));
    press(&mut app, "G");
    assert_eq!(app.store.lists.query(Slot::MAIN).unwrap().limit, 200);
}

#[test]
fn one_goes_into_things_and_back() {
    let mut app = listening();
    press(&mut app, "4");
    answer(&mut app, &sockets());
    code(&mut app, KeyCode::Enter);
    assert_eq!((app.page().screen, app.page().of.as_deref()), (Screen::List(View::Connection), Some("c_1")));
    assert_eq!(app.store.lists.query(Slot::MAIN).unwrap().node.as_deref(), Some("api"));
    code(&mut app, KeyCode::Esc);
    press(&mut app, "u");
    assert_eq!(app.page().screen, Screen::User);
    assert_eq!(
        app.store.lists.query(wishes::CONNECTIONS).unwrap().filter,
        format!("user=\"{}\"", uuid::Uuid::from_u128(1))
    );
    code(&mut app, KeyCode::Esc);
    assert_eq!(app.page().screen, Screen::List(View::Connections));
    command(&mut app, "error db_timeout");
    assert_eq!(app.page().screen, Screen::List(View::Affected));
}

#[test]
fn the_overview_leads_to_the_cause_of_the_worst_alert() {
    let mut app = listening();
    app.update(Msg::Net(Event::said("api", Message::Alerts { alerts: vec![alert("api")] })), app.now);
    code(&mut app, KeyCode::Enter);
    assert_eq!((app.page().screen, app.page().filter.as_str()), (Screen::Pools, "wait>0"));
    assert_eq!(app.pool_rows().len(), 1);
}

#[test]
fn every_second_of_the_past_can_be_gone_to_and_left_again() {
    let mut app = listening();
    press(&mut app, "[[");
    assert_eq!((app.rewound(), app.picture().clock()), (true, Some(clock(3))));
    beat(&mut app, 6);
    assert_eq!(app.picture().clock(), Some(clock(3)), "it stays while data arrives");
    press(&mut app, "]]");
    assert!(!app.rewound() && app.paused(), "at its newest the picture is held");
    press(&mut app, "v");
    assert_eq!((app.paused(), app.picture().clock()), (false, Some(clock(6))));
    command(&mut app, "at 12:04:02");
    assert_eq!(app.picture().clock(), Some(clock(2)));
    press(&mut app, "{");
    assert_eq!(app.picture().clock(), Some(clock(1)), "no further than what is remembered");
    assert!(app.notice().is_some_and(|(text, _)| text.contains("no further")));
}

#[test]
fn a_console_only_looks_until_it_is_told_otherwise() {
    let mut app = listening();
    press(&mut app, "4");
    answer(&mut app, &sockets());
    assert_eq!(press(&mut app, "xd"), []);
    assert!(app.notice().is_some_and(|(text, _)| text.contains("read-only")));
    command(&mut app, "write");
    let effects = press(&mut app, "xd");
    assert!(request(&effects).dry_run, "only counted so far");
}

#[test]
fn nothing_is_done_on_old_or_past_pictures() {
    let reasons: [fn(&mut App); 4] = [
        |app| {
            press(app, "[");
        },
        |app| {
            press(app, "p");
        },
        |app| {
            let now = app.now + Duration::from_secs(3);
            app.update(Msg::Age, now);
        },
        |app| {
            let what = What::Down { why: "cut".into(), retry_in: Duration::from_secs(1) };
            let now = app.now;
            app.update(Msg::Net(Event { link: "api".into(), what }), now);
        },
    ];
    for spoil in reasons {
        let mut app = listening();
        command(&mut app, "write");
        let action = Action::Ack { alert: "x@api".into() };
        assert_eq!(app.blocked(&action), None);
        spoil(&mut app);
        assert!(app.blocked(&action).is_some());
        assert_eq!(command(&mut app, "ack x@api"), [], "not by command either");
    }
}

#[test]
fn a_reversible_action_is_counted_confirmed_done_and_told() {
    let mut app = listening();
    command(&mut app, "write");
    press(&mut app, "4");
    answer(&mut app, &sockets());
    let effects = press(&mut app, "xd");
    let (key, action) = (request(&effects).key.clone(), request(&effects).action.clone());
    assert_eq!(action.grade(), Grade::Reversible);
    acted(&mut app, &key, Ok(job(action.clone(), JobState::DryRun, 1)));
    code(&mut app, KeyCode::Tab);
    code(&mut app, KeyCode::Tab);
    let effects = code(&mut app, KeyCode::Enter);
    let request = request(&effects);
    assert_eq!((request.dry_run, request.expect, format!("{}-count", request.key)), (false, Some(1), key));
    let key = request.key.clone();
    acted(&mut app, &key, Ok(job(action, JobState::Done, 1)));
    assert_eq!(app.notice().map(|(text, _)| text), Some("disconnect c_1@api: 1 of 1 done"));
}

#[test]
fn what_turns_stale_while_one_types_is_not_done() {
    let mut app = listening();
    command(&mut app, "write");
    let effects = command(&mut app, "undrain api");
    let key = request(&effects).key.clone();
    acted(&mut app, &key, Ok(job(Action::Undrain { node: "api".into() }, JobState::DryRun, 1)));
    code(&mut app, KeyCode::BackTab);
    app.now += Duration::from_secs(3);
    assert_eq!(code(&mut app, KeyCode::Enter), []);
    assert!(app.notice().is_some_and(|(text, _)| text.contains("not done")));
}

#[test]
fn marked_sockets_are_disconnected_by_their_number() {
    let mut app = listening();
    command(&mut app, "write");
    press(&mut app, "4");
    answer(&mut app, &sockets());
    press(&mut app, "  ");
    assert_eq!(app.page().marks.len(), 2);
    let effects = press(&mut app, "xd");
    let Action::Disconnect { target: Target::Connections(named) } = &request(&effects).action else {
        panic!("{effects:?}")
    };
    assert_eq!(named.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["c_1", "c_2"]);
    let key = request(&effects).key.clone();
    let action = request(&effects).action.clone();
    acted(&mut app, &key, Ok(job(action, JobState::DryRun, 2)));
    let Some(Popup::Confirm(confirm)) = app.popup() else { panic!("asked back") };
    assert_eq!(confirm.wanted().as_deref(), Some("2"));
}

#[test]
fn a_refusal_is_told_with_its_reason_made_harmless() {
    let mut app = listening();
    command(&mut app, "write");
    let effects = command(&mut app, "ack x@api");
    let problem = ProblemBody { code: "bad_action".into(), message: "no such \u{1b}alert".into(), matched: None };
    let key = request(&effects).key.clone();
    acted(&mut app, &key, Err(problem));
    assert_eq!(app.notice().unwrap().0, "ack x@api: refused: no such \\u{1b}alert");
}

#[test]
fn other_names_for_keys_are_obeyed() {
    let mut app = listening();
    let patch = BTreeMap::from([("pause".to_owned(), vec!["F5".to_owned()])]);
    app.settings.keymap = Keymap::patched(&patch).unwrap();
    press(&mut app, "p");
    assert!(!app.paused());
    code(&mut app, KeyCode::F(5));
    assert!(app.paused());
}

/// A fixed generator: the same walk every time.
pub(crate) fn dice() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % sides as u64).unwrap()
    }
}

#[test]
fn a_hundred_thousand_wrong_keys_do_nothing_costly_without_the_word() {
    let mut roll = dice();
    let mut app = listening();
    command(&mut app, "write");
    // Everything but digits: the number that must be typed is never hit by chance.
    let keys: Vec<KeyEvent> = app
        .keymap()
        .bindings()
        .iter()
        .flat_map(|binding| &binding.keys)
        .map(|key| key.event())
        .chain(('a'..='z').map(|c| Key::Char(c).event()))
        .chain(
            [KeyCode::Enter, KeyCode::Enter, KeyCode::Tab, KeyCode::Left, KeyCode::Backspace]
                .map(|code| Key::Named(code).event()),
        )
        .filter(|key| !matches!(key.code, KeyCode::Char('0'..='9')))
        .collect();
    let (mut asked, mut done) = (0, 0);
    for step in 0..100_000_u64 {
        if step % 50 == 0 {
            app.popups.clear();
            app.write = true;
            press(&mut app, "v4");
            beat(&mut app, 6 + step / 50);
            answer(&mut app, &sockets());
        }
        let now = app.now;
        for effect in app.update(Msg::Key(keys[roll(keys.len())]), now) {
            let Effect::Act(request, _) = effect else { continue };
            if request.dry_run {
                asked += 1;
                acted(&mut app, &request.key, Ok(job(request.action.clone(), JobState::DryRun, 4_813)));
            } else {
                done += 1;
                assert!(request.action.grade() < Grade::Costly, "{request:?}");
            }
        }
    }
    assert!(asked > 100 && done > 0, "the walk must come near the edge: {asked} dialogs, {done} done");
}

#[test]
fn a_recording_plays_to_the_same_picture_and_goes_back_exactly() {
    let mut live = listening();
    press(&mut live, "4");
    answer(&mut live, &sockets());
    let said = |message| Recorded::Event(Event::said("api", message));
    let mut lines = vec![(Moment::ZERO, said(Message::Hello(Box::new(hello("api")))))];
    lines.extend((1..=5).map(|second| (Moment::from_secs(second), said(Message::Tick(Box::new(tick("api", second)))))));
    let wish = Subscribe { id: 77, query: Query { limit: 100, ..Query::of(View::Connections) }, every_ms: 1_000 };
    lines.push((Moment::from_secs(5), Recorded::Asked(vec![wish])));
    let nodes = vec![Answered { node: "api".into(), in_time: true }];
    let list = List { id: 77, at: clock(5), total: 48_213, matched: 48_213, rows: sockets(), next: None, nodes };
    lines.push((Moment::from_secs(5), said(Message::List(Box::new(list)))));
    let app = App::new(Settings::plain(), "r.ndjson".into(), Theme::new(Palette::Mono, true));
    let mut app = app.replaying(Replay::new(lines), Moment::ZERO);
    press(&mut app, "4");
    app.update(Msg::Age, Moment::from_secs(9));
    assert_eq!(
        app.picture().total(shared::protocol::admin::Metric::Connections),
        live.picture().total(shared::protocol::admin::Metric::Connections)
    );
    assert_eq!(app.row_keys(), live.row_keys());
    press(&mut app, "[[");
    assert_eq!(app.picture().clock(), Some(clock(3)));
    assert!(app.row_keys().is_empty(), "the list came later");
    assert!(app.blocked(&Action::Ack { alert: "x".into() }).is_some_and(|why| why.contains("recording")));
}
