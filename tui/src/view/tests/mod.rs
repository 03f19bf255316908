//! What the screens look like, at every size and in every state.

mod dialogs;
mod fuzz;
mod screens;
mod styles;

use super::*;
use crate::{
    app::{Effect, Msg},
    cli::Palette,
    config::Settings,
    model::{Event, Moment, What, samples},
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend};
use shared::protocol::admin::{Alert, Answered, ErrorRow, List, Message, RoomRow, Rows, View};
use std::time::Duration;

/// The sizes every screen is drawn at.
const SIZES: [(u16, u16); 3] = [(80, 24), (160, 48), (44, 10)];

fn screen(app: &App, (width, height): (u16, u16)) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            draw(frame, app);
        })
        .unwrap();
    terminal
}

fn text(app: &App, size: (u16, u16)) -> String {
    screen(app, size).backend().to_string()
}

fn app() -> App {
    App::new(Settings::plain(), "./data/admin-*.token".into(), Theme::new(Palette::Mono, true))
}

fn press(app: &mut App, code: KeyCode) -> Vec<Effect> {
    let now = app.console_time();
    app.update(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)), now)
}

fn write(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|c| press(app, KeyCode::Char(c))).collect()
}

fn command(app: &mut App, text: &str) -> Vec<Effect> {
    write(app, ":");
    write(app, text);
    press(app, KeyCode::Enter)
}

fn say(app: &mut App, message: Message) {
    let now = app.console_time();
    app.update(Msg::Net(Event::said("api", message)), now);
}

/// A console that has listened to `names` for ninety seconds, with an alert that fires.
fn listening(names: &[&str]) -> App {
    let mut app = app();
    for second in 0..=90 {
        let now = Moment::from_secs(second);
        for name in names {
            let mut say = |message| app.update(Msg::Net(Event::said(name, message)), now);
            if second == 0 {
                say(Message::Hello(Box::new(samples::hello(name))));
                say(Message::Alerts { alerts: vec![samples::alert(names[0])] });
            }
            say(Message::Tick(Box::new(samples::tick(name, second + 1))));
        }
        app.update(Msg::Age, now);
    }
    app
}

/// Time passes after the link was cut.
fn cut(app: &mut App, seconds: u64) {
    let now = app.console_time();
    let what = What::Down { why: "connection reset \u{1b}[31mby peer".into(), retry_in: Duration::from_secs(50) };
    app.update(Msg::Net(Event { link: "api".into(), what }), now);
    for second in 1..=seconds {
        app.update(Msg::Age, now + Duration::from_secs(second));
    }
}

/// The alerts there are, as a list.
fn alerts() -> Vec<Alert> {
    vec![
        samples::alert("api"),
        Alert { resolved_at: Some(samples::clock(60)), id: "x@api".into(), ..samples::alert("api") },
    ]
}

/// Plausible rows of each view that the samples have, for every subscription there is.
fn answer(app: &mut App) {
    let wanted = match app.update(Msg::Age, app.console_time()).pop() {
        Some(Effect::Subscribe(wanted)) => wanted,
        _ => app.known().0.lists.subscriptions(),
    };
    for wish in wanted {
        let rows = match wish.query.view {
            View::Connections | View::Members => Rows::Connections(vec![
                samples::connection("api", 1, "bo", 256),
                samples::connection("api", 2, "김민준", 8),
                samples::connection("api", 3, "e\u{1b}[2Jve", 0),
            ]),
            View::Rooms => Rows::Rooms(vec![RoomRow {
                room: "public:lobby".into(),
                members: 6_204,
                rate: 3.1,
                fan_out: 19_200.0,
                events: 99_120,
                kept: 256,
                nodes: vec!["api".into()],
            }]),
            View::Errors => Rows::Errors(vec![ErrorRow {
                code: "db_timeout".into(),
                count: 312,
                rate: 1.04,
                users: 41,
                nodes: vec!["api".into()],
                first_at: samples::clock(10),
                last_at: samples::clock(80),
                new: true,
                trend: vec![0, 0, 1, 4, 9, 12],
                ..ErrorRow::default()
            }]),
            View::Alerts => Rows::Alerts(alerts()),
            _ => continue,
        };
        let total = if wish.query.view == View::Connections { 48_213 } else { rows.len() as u64 };
        let nodes =
            vec![Answered { node: "api".into(), in_time: true }, Answered { node: "gw-9".into(), in_time: false }];
        let next = (total > 10).then(|| "more".to_owned());
        let list = List { id: wish.id, at: samples::clock(91), total, matched: total, rows, next, nodes };
        say(app, Message::List(Box::new(list)));
    }
}
