//! The link breaks in every way there is: the picture turns stale within two seconds, keys answer all along, and it
//! heals by itself.

use crate::{
    platform::{Mood, Platform},
    terminal::Terminal,
};
use std::time::Duration;

/// Two seconds of silence, and what a busy machine adds.
const STALE: Duration = Duration::from_secs(4);
/// Fifty milliseconds are promised; a machine that runs other tests takes longer to run this one.
const KEY: Duration = Duration::from_secs(2);

/// From live through one kind of trouble and back.
fn survives(mood: Mood, said: &str) {
    let platform = Platform::start();
    let Some(mut terminal) = Terminal::start(platform.folder(), &["--write"], &[]) else { return };
    terminal.until_shown("LIVE");
    if mood != Mood::Silent {
        // Whoever is connected is thrown out first; then comes the trouble.
        platform.turn(Mood::Gone);
    }
    platform.turn(mood);
    let stale = terminal.until_shown("STALE");
    assert!(stale < STALE, "{mood:?}: {stale:?}");
    terminal.until_shown("data below is OLD");
    terminal.until_shown(said);
    terminal.press("2x");
    let key = terminal.until_shown("Actions");
    assert!(key < KEY, "{mood:?}: a key took {key:?}");
    terminal.until_shown("the connection is lost");
    terminal.press("\x1b");
    terminal.until("a closed menu", |screen| !screen.contents().contains("Actions"));
    platform.turn(Mood::Good);
    terminal.press("R");
    terminal.until("a link that healed", |screen| screen.contents().contains("● LIVE"));
    terminal.press("q");
    assert_eq!(terminal.left(), 0);
}

#[test]
fn a_process_that_dies() {
    survives(Mood::Gone, "next try in");
}

#[test]
fn a_connection_that_goes_silent_without_closing() {
    survives(Mood::Silent, "silent");
}

#[test]
fn a_token_that_is_no_longer_right() {
    survives(Mood::Refusing, "refused the token (401)");
}

#[test]
fn something_that_speaks_tls() {
    survives(Mood::Tls, "does not speak WebSocket");
}

#[test]
fn a_protocol_that_is_too_new() {
    survives(Mood::Newer, "update this console");
}

#[test]
fn a_process_that_never_answers() {
    survives(Mood::Slow, "no answer from");
}
