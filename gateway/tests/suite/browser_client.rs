//! The browser client's own unit tests, which run in Node, as part of the one test command.

use std::{path::Path, process::Command};

#[test]
fn the_browser_client_keeps_its_promises_in_node() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("client");
    let files = std::fs::read_dir(folder.join("test")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|file| file.to_string_lossy().ends_with(".test.mjs")).collect();
    assert!(!files.is_empty(), "no test files in {}", folder.display());
    match Command::new("node").arg("--test").args(&files).current_dir(&folder).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("# fail 0"), "{text}");
        }
        Err(problem) => shared::testkit::skipped("the browser client", &format!("node did not start: {problem}")),
    }
}
