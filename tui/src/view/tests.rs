//! What the screens look like, at every size.

use super::*;
use crate::{
    app::Msg,
    cli::Palette,
    keymap::{BINDINGS, Key},
    model::{Event, Moment, What, samples},
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend, style::Modifier};
use std::time::Duration;

const THEME: Theme = Theme::new(Palette::Mono, true);

fn screen(app: &App, width: u16, height: u16, theme: Theme) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, app, theme)).unwrap();
    terminal
}

fn text(app: &App, width: u16, height: u16) -> String {
    screen(app, width, height, THEME).backend().to_string()
}

fn press(app: &mut App, code: KeyCode) {
    let (_, now) = app.known();
    app.update(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)), now);
}

/// A console that has listened to `names` for ninety seconds.
fn listening(names: &[&str]) -> App {
    let mut app = App::new("./data/admin-*.token".into());
    for second in 0..=90 {
        let now = Moment::from_secs(second);
        for name in names {
            let mut say = |what| app.update(Msg::Net(Event { node: (*name).into(), what }), now);
            if second == 0 {
                say(What::Hello(Box::new(samples::hello(name))));
            }
            say(What::Tick(Box::new(samples::tick(second + 1))));
        }
        app.update(Msg::Age, now);
    }
    app
}

fn cut(app: &mut App, after: u64) {
    let (_, now) = app.known();
    let what = What::Down { why: "connection reset \u{1b}[31mby peer".into(), retry_in: Duration::from_secs(50) };
    app.update(Msg::Net(Event { node: "api".into(), what }), now);
    for second in 1..=after {
        app.update(Msg::Age, now + Duration::from_secs(second));
    }
}

#[test]
fn overview_live() {
    insta::assert_snapshot!(text(&listening(&["api"]), 80, 24));
}

#[test]
fn overview_of_two_nodes_on_a_wide_screen() {
    insta::assert_snapshot!(text(&listening(&["gw-1", "gw-2"]), 130, 30));
}

#[test]
fn overview_stale() {
    let mut app = listening(&["api"]);
    cut(&mut app, 47);
    insta::assert_snapshot!(text(&app, 80, 24));
}

#[test]
fn pools_live() {
    let mut app = listening(&["api"]);
    press(&mut app, KeyCode::Char('3'));
    insta::assert_snapshot!(text(&app, 80, 24));
}

#[test]
fn nodes_live() {
    let mut app = listening(&["api", "gw-1"]);
    press(&mut app, KeyCode::Char('2'));
    insta::assert_snapshot!(text(&app, 80, 24));
}

#[test]
fn nothing_found_yet() {
    insta::assert_snapshot!(text(&App::new("./data/admin-*.token".into()), 80, 24));
}

#[test]
fn little_room() {
    insta::assert_snapshot!(text(&listening(&["api"]), 44, 10));
}

#[test]
fn the_help_names_every_key_of_the_keymap_and_the_hints_name_real_keys() {
    let mut app = listening(&["api"]);
    press(&mut app, KeyCode::Char('?'));
    let shown = text(&app, 80, 24);
    for binding in BINDINGS {
        let keys = widgets::help::keys(binding);
        assert!(shown.contains(&format!("{keys:<12}{}", binding.help)), "{keys} {}", binding.help);
    }
    let plain = text(&listening(&["api"]), 100, 24);
    let hints = plain.lines().last().unwrap();
    for binding in BINDINGS.iter().filter(|binding| binding.hint.is_some()) {
        let expected = format!("{} {}", binding.keys[0], binding.hint.unwrap());
        assert!(hints.contains(&expected), "{expected} in {hints}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn stale_data_is_dim_marked_and_never_obeyed() {
    let mut app = listening(&["api"]);
    cut(&mut app, 5);
    let terminal = screen(&app, 80, 24, THEME);
    let shown = terminal.backend().to_string();
    assert!(shown.contains("STALE 5s") && shown.contains("~4,813") && shown.contains("? lost"), "{shown}");
    assert!(!shown.contains('\u{1b}') && shown.contains("\\u{1b}[31mby peer"), "{shown}");
    let body = &terminal.backend().buffer()[(2, 8)];
    assert!(body.modifier.contains(Modifier::DIM));
}

#[test]
fn the_picture_is_stale_two_seconds_after_the_last_word_and_live_again_with_the_next() {
    let mut app = listening(&["api"]);
    let (_, heard) = app.known();
    app.update(Msg::Age, heard + Duration::from_millis(1_900));
    assert!(text(&app, 80, 24).contains("LIVE"));
    app.update(Msg::Age, heard + Duration::from_secs(2));
    assert!(text(&app, 80, 24).contains("STALE 2s"));
    let what = What::Tick(Box::new(samples::tick(95)));
    app.update(Msg::Net(Event { node: "api".into(), what }), heard + Duration::from_secs(4));
    let shown = text(&app, 80, 24);
    assert!(shown.contains("LIVE") && !shown.contains('~'), "{shown}");
}

#[test]
fn ascii_and_mono_use_neither_blocks_nor_colours() {
    let app = listening(&["api"]);
    let terminal = screen(&app, 80, 24, Theme::new(Palette::Mono, false));
    let buffer = terminal.backend().buffer();
    for cell in buffer.content() {
        assert!(cell.symbol().is_ascii() || cell.symbol() == "·", "{:?}", cell.symbol());
        assert_eq!((cell.fg, cell.bg), (ratatui::style::Color::Reset, ratatui::style::Color::Reset));
    }
}

#[test]
fn no_size_and_no_key_panics() {
    let mut states = vec![App::new("./data".into()), listening(&["api"]), listening(&["a", "b", "c", "d"])];
    cut(&mut states[1], 9);
    // A fixed generator: the same walk every time.
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = |sides: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % sides
    };
    for app in &mut states {
        for _ in 0..400 {
            let keys = BINDINGS[usize::try_from(roll(BINDINGS.len() as u64)).unwrap()].keys;
            match keys[0] {
                Key::Char(c) => press(app, KeyCode::Char(c)),
                Key::Named(code, _) => press(app, code),
                Key::Ctrl(_) => {}
            }
            let (width, height) = (u16::try_from(roll(220)).unwrap(), u16::try_from(roll(70)).unwrap());
            screen(app, width.max(1), height.max(1), Theme::new(Palette::Full, roll(2) == 0));
        }
    }
}
