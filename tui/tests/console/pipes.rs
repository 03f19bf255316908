//! The program as scripts run it: it prints, says clearly when there is nothing, and never sends an escape code.

use crate::platform::Platform;
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

fn console(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pitchey-tui"));
    command.env_clear().env("DATA_DIR", data_dir).env("USER", "amy");
    command
}

fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    console(data_dir).args(arguments).output().unwrap()
}

fn nowhere(arguments: &[&str]) -> Output {
    run(Path::new("/nowhere/at/all"), arguments)
}

/// Standard output as text without anything a terminal would obey.
fn printed(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    text
}

#[test]
fn without_a_platform_it_says_so_in_one_line_and_exits_1() {
    let output = nowhere(&["--wait", "1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len(), said.lines().count()), (Some(1), 0, 1), "{said}");
    assert!(said.contains("/nowhere/at/all") && said.contains("is Pitchey running"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn a_token_file_that_is_none_is_named_and_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("admin-api.token"), "hush \u{1b}[2J").unwrap();
    let output = run(folder.path(), &["--once", "--wait", "1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("is no token file") && !said.contains("hush") && !said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn bad_usage_exits_2() {
    for arguments in [
        &["--json"][..],
        &["--wait", "0"],
        &["--addr", "nonsense"],
        &["--once", "--json", "--text"],
        &["--once", "--view", "levitation"],
        &["--at", "12:03"],
        &["act"],
    ] {
        assert_eq!(nowhere(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_pipe_gets_text_without_being_asked_and_json_when_asked() {
    let platform = Platform::start();
    let text = run(platform.folder(), &[]);
    assert_eq!(text.status.code(), Some(0));
    assert!(printed(&text).contains("42 open"), "{text:?}");
    let json = run(platform.folder(), &["--once", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&printed(&json)).unwrap();
    assert_eq!(value["metrics"]["connections"], 42.0);
}

#[test]
fn a_list_is_printed_with_hostile_names_made_harmless() {
    let platform = Platform::start();
    let list = run(platform.folder(), &["--once", "--view", "conns", "--sort", "queue", "--limit", "300"]);
    let text = printed(&list);
    assert!(text.contains("eve\\u{1b}[2J\\u{9b}31m\\u{7}") && text.lines().count() == 302, "{text}");
    let json = run(platform.folder(), &["--once", "--view", "conns", "--json"]);
    assert!(serde_json::from_str::<serde_json::Value>(&printed(&json)).unwrap()["rows"].is_array());
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let platform = Platform::start();
    for arguments in [&["--stream"][..], &["--once", "--view", "conns", "--limit", "300"]] {
        let mut child =
            console(platform.folder()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?} after {first}");
    }
}

#[test]
fn what_is_streamed_can_be_replayed() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("night.ndjson");
    let mut child = console(platform.folder())
        .args(["--stream", "--view", "conns", "--record"])
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.contains("\"list\"")).take(40).collect();
    assert!(lines.iter().all(|line| line.starts_with("{\"schema_version\":1,\"t_ms\":")), "{lines:?}");
    // The reader is gone: the program ends at the next line, and has written its recording by then.
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let Some(mut terminal) =
        crate::terminal::Terminal::start(Path::new("/nowhere"), &["--replay", file.to_str().unwrap()], &[])
    else {
        return;
    };
    terminal.until_shown("REPLAY");
    terminal.until_shown("42/1,000");
    terminal.press("4");
    terminal.until_shown("Connections 300");
    terminal.press("q");
    assert_eq!(terminal.left(), 0);
}

#[test]
fn checks_exit_like_monitoring_plugins() {
    let platform = Platform::start();
    for (condition, code, word) in [
        ("pool.saturation<0.9", 0, "OK - "),
        ("warn:connections<10", 1, "WARNING - connections 42 of api"),
        ("pool.saturation:sqlite-read<50%", 2, "CRITICAL - "),
        ("redis.ping_ms<5", 3, "UNKNOWN - "),
    ] {
        let output = run(platform.folder(), &["--check", condition]);
        assert_eq!(output.status.code(), Some(code), "{condition}");
        assert!(printed(&output).starts_with(word), "{output:?}");
    }
    assert_eq!(run(platform.folder(), &["--check", "levitation<1"]).status.code(), Some(3), "not to know is 3");
    assert_eq!(nowhere(&["--check", "connections<1", "--wait", "1"]).status.code(), Some(3));
}

#[test]
fn an_action_is_written_in_words_and_needs_a_reason() {
    let said = |arguments: &[&str]| {
        let output = nowhere(arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, line) = said(&["act", "levitate"]);
    assert!(code == Some(1) && line.contains("no action \"levitate\"") && line.contains("drain NODE"), "{line}");
    let (code, line) = said(&["act", "drain", "gw-1", "--yes"]);
    assert!(code == Some(1) && line.contains("--reason"), "{line}");
}

#[test]
fn the_configuration_file_is_printed_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, nowhere(&["config", "default"]).stdout).unwrap();
    let check = |text: Option<&str>| {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        nowhere(&["config", "check", "--config", file.to_str().unwrap()])
    };
    assert_eq!(check(None).status.code(), Some(0));
    let wrong = check(Some("[keys]\npause = [\"q\"]\n"));
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(1) && said.contains("q would do both pause and quit"), "{said}");
}
