//! The promises of the state machine.

use super::*;
use crate::model::{What, samples};
use crossterm::event::{KeyCode, KeyModifiers};
use std::time::Duration;

fn press(app: &mut App, c: char) -> Option<Effect> {
    let now = app.now;
    app.update(Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)), now)
}

fn tick(app: &mut App, second: u64) {
    let what = What::Tick(Box::new(samples::tick(second)));
    app.update(Msg::Net(Event { node: "api".into(), what }), Moment::from_secs(second));
    app.update(Msg::Age, Moment::from_secs(second));
}

fn listening() -> App {
    let mut app = App::new("./data".into());
    (1..=5).for_each(|second| tick(&mut app, second));
    app
}

#[test]
fn nothing_new_is_nothing_to_draw() {
    let mut app = listening();
    assert!(app.take_dirty());
    app.update(Msg::Age, app.now + Duration::from_millis(250));
    assert!(!app.dirty(), "a quarter of a second later everything still reads the same");
    app.update(Msg::Key(KeyEvent::new(KeyCode::F(9), KeyModifiers::NONE)), app.now);
    assert!(!app.dirty(), "a key without meaning draws nothing");
}

#[test]
fn silence_is_drawn_when_it_makes_the_picture_stale() {
    let mut app = listening();
    app.take_dirty();
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
    press(&mut app, 'p');
    assert!(app.paused());
    tick(&mut app, 6);
    let seq = |(store, _): (&Store, Moment)| store.nodes()[0].tick().unwrap().seq;
    assert_eq!((seq(app.shown()), seq(app.known())), (5, 6));
    press(&mut app, 'p');
    assert_eq!(seq(app.shown()), 6);
}

#[test]
fn quit_closes_the_help_first() {
    let mut app = listening();
    press(&mut app, '?');
    assert!(app.help);
    assert_eq!(press(&mut app, 'q'), None);
    assert!(!app.help);
    assert_eq!(press(&mut app, 'q'), Some(Effect::Quit));
}

#[test]
fn the_chosen_row_stays_within_the_rows() {
    let mut app = listening();
    press(&mut app, '3');
    for key in ['j', 'j', 'j', 'G'] {
        press(&mut app, key);
        assert!(app.row <= 1);
    }
    press(&mut app, 'k');
    press(&mut app, 'k');
    assert_eq!(app.row, 0);
    press(&mut app, 'G');
    press(&mut app, '1');
    assert_eq!((app.screen, app.row), (Screen::Overview, 0));
}

#[test]
fn reconnect_is_an_effect_and_changes_nothing_here() {
    assert_eq!(press(&mut listening(), 'R'), Some(Effect::Reconnect));
}
