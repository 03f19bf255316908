//! What the command line makes of its words.

use super::*;
use clap::CommandFactory as _;

fn parse(arguments: &[&str]) -> Cli {
    // What the developer's own terminal says must not decide a test.
    let clean =
        ["--no-color", "", "--colorterm", "", "--term", "xterm", "--lc-all", "", "--lc-ctype", "", "--lang", ""];
    let words = std::iter::once("pitchey-tui").chain(clean);
    // Later values win.
    Cli::command().args_override_self(true).debug_assert();
    let matches = Cli::command().args_override_self(true).get_matches_from(words.chain(arguments.iter().copied()));
    <Cli as clap::FromArgMatches>::from_arg_matches(&matches).unwrap()
}

#[test]
fn without_a_terminal_it_prints_once_as_text() {
    assert_eq!(parse(&[]).mode(true), Mode::Screen);
    assert_eq!(parse(&[]).mode(false), Mode::Once(Form::Text));
    assert_eq!(parse(&["--once", "--json"]).mode(true), Mode::Once(Form::Json));
    assert_eq!(parse(&["--stream"]).mode(true), Mode::Stream);
    assert_eq!(parse(&["--check", "connections<9"]).mode(true), Mode::Check);
    for wrong in [&["--once", "--json", "--text"][..], &["--json"], &["--once", "--stream"], &["--filter", "x"]] {
        assert!(Cli::try_parse_from(std::iter::once(&"x").chain(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_terminal_decides_the_palette_unless_told_otherwise() {
    assert_eq!(parse(&[]).palette(), Palette::Ansi);
    assert_eq!(parse(&["--term", "xterm-256color"]).palette(), Palette::Full);
    assert_eq!(parse(&["--colorterm", "truecolor"]).palette(), Palette::True);
    assert_eq!(parse(&["--colorterm", "truecolor", "--no-color", "1"]).palette(), Palette::Mono);
    assert_eq!(parse(&["--no-color", "1", "--palette", "full"]).palette(), Palette::Full);
    assert_eq!(parse(&["--term", "dumb"]).palette(), Palette::Mono);
}

#[test]
fn block_characters_need_utf8() {
    assert!(parse(&[]).unicode() && parse(&["--lang", "de_DE.UTF-8"]).unicode());
    assert!(!parse(&["--lang", "C"]).unicode() && !parse(&["--lc-all", "de_DE.ISO-8859-1"]).unicode());
    assert!(!parse(&["--ascii"]).unicode());
}

#[test]
fn views_have_short_names_and_actions_are_words() {
    assert_eq!(parse(&["--once", "--view", "conns"]).output.view, Some(View::Connections));
    let Some(Command::Act { words, yes, .. }) = parse(&["act", "drain", "gw-1", "--yes"]).command else {
        panic!("act")
    };
    assert_eq!((words, yes), (vec!["drain".to_owned(), "gw-1".to_owned()], true));
}

#[test]
fn an_operator_is_named_by_the_line_then_the_file_then_the_system() {
    assert_eq!(parse(&["--operator", "amy", "--user", "bob"]).operator(Some("eve")), "amy");
    assert_eq!(parse(&["--user", "bob"]).operator(Some("eve")), "eve");
    assert_eq!(parse(&["--user", "bob"]).operator(None), "bob");
    assert_eq!(parse(&["--user", "two words"]).operator(None), "");
}
