//! Whatever happens, the terminal is left as it was found, and one sees why.

use crate::{
    platform::Platform,
    terminal::{COLUMNS, ROWS, Terminal},
};
use std::path::Path;

const NOWHERE: &str = "/nowhere/at/all";

fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Option<Terminal> {
    let mut terminal = Terminal::start(Path::new(NOWHERE), arguments, variables)?;
    terminal.until_shown("No process has left a token file there");
    assert!(terminal.screen().alternate_screen() && terminal.screen().hide_cursor());
    Some(terminal)
}

#[test]
fn quitting_leaves_the_terminal_as_it_was() {
    let Some(mut terminal) = start(&[], &[]) else { return };
    assert!(terminal.screen().bracketed_paste());
    assert_ne!(terminal.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is listened to");
    terminal.press("m");
    terminal.until("a free mouse", |screen| screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None);
    terminal.press("q");
    assert_eq!(terminal.left(), 0);
}

#[test]
fn over_ssh_the_mouse_is_left_to_the_terminal() {
    let Some(terminal) = start(&[], &[("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")]) else { return };
    assert_eq!(terminal.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
}

#[test]
fn the_last_picture_can_be_left_standing() {
    let Some(mut terminal) = start(&[], &[]) else { return };
    terminal.press("Q");
    assert_eq!(terminal.left(), 0);
    assert!(terminal.shown().contains("No process has left a token file there"), "{}", terminal.shown());
}

#[test]
fn signals_end_it_with_their_code() {
    for (name, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let Some(mut terminal) = start(&[], &[]) else { return };
        terminal.signal(name);
        assert_eq!(terminal.left(), code, "{name}");
    }
}

#[test]
fn a_bug_anywhere_restores_the_terminal_first_and_then_says_so() {
    for place in ["main", "task"] {
        let Some(mut terminal) = Terminal::start(Path::new(NOWHERE), &["--panic", place], &[]) else { return };
        terminal.until_shown("over");
        let said = format!("broken on purpose in a {place}");
        assert!(terminal.shown().contains(&said), "{}", terminal.shown());
        assert_eq!(terminal.left(), 101);
    }
}

#[test]
fn a_problem_before_the_screen_is_one_line_and_no_screen() {
    let arguments = ["--replay", "/nowhere/at/all.ndjson"];
    let Some(mut terminal) = Terminal::start(Path::new(NOWHERE), &arguments, &[]) else { return };
    assert_eq!(terminal.left(), 1);
    assert!(terminal.shown().contains("pitchey-tui: failed to open /nowhere/at/all.ndjson"), "{}", terminal.shown());
    assert!(!terminal.raw.windows(8).any(|bytes| bytes == b"\x1b[?1049h"), "the screen was never taken over");
}

#[test]
fn it_can_be_stopped_and_goes_on_where_it_was() {
    let Some(mut terminal) = start(&[], &[]) else { return };
    terminal.signal("TSTP");
    terminal.until("the shell's screen", |screen| !screen.alternate_screen() && !screen.hide_cursor());
    terminal.until_stopped();
    terminal.signal("CONT");
    terminal.until("the console's screen", |screen| screen.alternate_screen() && screen.hide_cursor());
    terminal.until_shown("No process has left a token file there");
    terminal.press("q");
    assert_eq!(terminal.left(), 0);
}

#[test]
fn without_colours_the_chosen_row_is_still_reversed_and_nothing_is_coloured() {
    let platform = Platform::start();
    let Some(mut terminal) = Terminal::start(platform.folder(), &[], &[("NO_COLOR", "1")]) else { return };
    terminal.until_shown("LIVE");
    terminal.press("4");
    terminal.until_shown("Connections 300");
    let reversed = |screen: &vt100::Screen| {
        (0..ROWS).any(|row| (2..60).all(|column| screen.cell(row, column).is_some_and(vt100::Cell::inverse)))
    };
    terminal.until("a reversed row", reversed);
    let screen = terminal.screen();
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let cell = screen.cell(row, column).unwrap();
            let colours = (cell.fgcolor(), cell.bgcolor());
            assert_eq!(colours, (vt100::Color::Default, vt100::Color::Default), "{row},{column}");
        }
    }
    assert!(terminal.shown().contains("eve\\u{1b}[2J"), "a hostile name is written out: {}", terminal.shown());
}

#[test]
fn what_is_pasted_is_text_and_never_a_key() {
    let platform = Platform::start();
    let Some(mut terminal) = Terminal::start(platform.folder(), &[], &[]) else { return };
    terminal.until_shown("LIVE");
    terminal.press("\x1b[200~q4xQ\x1b[201~");
    terminal.press(":");
    terminal.press("\x1b[200~nodes\x1b[201~\r");
    terminal.until_shown("Nodes 1");
    terminal.press("q");
    assert_eq!(terminal.left(), 0);
}
