//! The program as people run it: its exit codes, and that nothing it started outlives it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pitchey-loadtest");

/// Starts the baseline server and returns it with its address.
fn baseline() -> (Child, String) {
    let mut child = Command::new(PROGRAM).arg("baseline").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().strip_prefix("listening ").unwrap().to_owned())
}

fn ends(child: &mut Child) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_run_that_keeps_its_promises_exits_0_and_writes_its_json() {
    let (mut server, address) = baseline();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let run = Command::new(PROGRAM)
        .args(["ping", "--baseline", "--users", "5", "--rate", "100", "--duration", "300ms", "--ramp", "1000"])
        .args(["--url", &address, "--server-pid", &server.id().to_string(), "--json"])
        .arg(&json)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!((&report["schema_version"], &report["scenario"]), (&1.into(), &"ping".into()));
    assert!(report["server"]["rss_bytes"].as_u64().unwrap() > 0, "{report}");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_server_the_harness_started_ends_with_it_however_the_harness_ends() {
    // What a killed harness leaves behind is a closed pipe, and that is what the server watches.
    let (mut server, _) = baseline();
    drop(server.stdin.take());
    let ended = ends(&mut server);
    if !ended {
        server.kill().unwrap();
    }
    assert!(ended, "the server outlived its parent's pipe");
}

#[test]
fn what_cannot_be_done_exits_2_with_one_line() {
    for arguments in [
        &["ping", "--url", "http://192.0.2.1:80"][..],
        &["ping", "--users", "2", "--duration", "100ms", "--url", "127.0.0.1:1"],
        &["mix", "--users", "2", "--url", "127.0.0.1:1"],
        &["idle", "--from", "5", "--users", "5"],
        &["ping", "--tokens", "/nowhere/at/all"],
    ] {
        let run = Command::new(PROGRAM).args(arguments).output().unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("stack backtrace"), "{said}");
    }
}
