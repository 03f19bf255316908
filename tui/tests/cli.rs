//! The program as scripts run it: without a terminal it prints once, says clearly when there is nothing, and never sends
//! an escape code.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pitchey-tui")).args(arguments).env("DATA_DIR", "/nowhere/at/all").output().unwrap()
}

#[test]
fn without_a_platform_it_says_so_in_one_line_and_exits_1() {
    let output = run(&["--wait", "1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len(), said.lines().count()), (Some(1), 0, 1), "{said}");
    assert!(said.contains("/nowhere/at/all") && said.contains("is Pitchey running"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn a_token_file_that_is_none_is_named_and_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("admin-api.token"), "hush \u{1b}[2J").unwrap();
    let output = run(&["--once", "--wait", "1", "--data-dir", folder.path().to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("is no token file") && !said.contains("hush") && !said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn bad_usage_exits_2() {
    for arguments in [&["--json"][..], &["--wait", "0"], &["--addr", "nonsense"], &["--once", "--json", "--text"]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
