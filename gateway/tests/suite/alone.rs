//! Tests that measure the memory of their process, or open more files than others may need: each in a process of its
//! own, which is this binary again with one test.

use std::process::Command;

/// Names the test that a child process runs.
const ALONE: &str = "PITCHEY_TEST_ALONE";

/// Runs `test` (the whole path of the calling test) alone, with at least this many files it may open.
pub(crate) fn alone(test: &str, files: u32, body: impl Future<Output = ()>) {
    #[expect(clippy::disallowed_methods, reason = "tells a test that it is the child")]
    let child = std::env::var(ALONE).is_ok_and(|name| name == test);
    if child {
        return tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(body);
    }
    let program = std::env::current_exe().unwrap();
    let limited = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limited])
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(ALONE, test)
        .output()
        .unwrap();
    let (out, problems) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if problems.contains("ulimit") {
        return shared::testkit::skipped(test, &format!("{files} open files are not allowed here: {problems}"));
    }
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{problems}");
    print!("{out}");
}
