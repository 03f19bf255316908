//! What a person who started the platform reads: where to point a browser, curl and the console.

use crate::{
    app::App,
    demo::accounts::{ACCOUNTS, PASSWORD},
};
use shared::{config::DataDir, model::Portal};
use std::fmt::Write as _;

/// The text, line breaks included.
pub fn text(app: &App) -> String {
    let config = &app.config;
    let base = config.http.base_url();
    let version = env!("CARGO_PKG_VERSION");
    let mut out = format!("\nPitchey {version} ({}) is up.\n\n  page      {base}/\n", config.environment.as_str());
    let mut line = |name: &str, text: &str| writeln!(out, "  {name:<9} {text}").expect("writing to a string");
    if config.environment.is_development() {
        let first = ACCOUNTS[0];
        let form = format!(r#"{{"email":"{}","password":"{PASSWORD}"}}"#, first.email);
        let portal = first.portal;
        line("sign in", &format!("curl -c jar.txt --json '{form}' {base}/api/auth/{portal}/login"));
        line("", &format!("curl -b jar.txt {base}/api/auth/session"));
        for account in &ACCOUNTS {
            let portals: Vec<_> = account.portals().iter().map(Portal::as_str).collect();
            line("demo", &format!("{:<28} {PASSWORD}  ({})", account.email, portals.join(", ")));
        }
    }
    let folder = config.data_dir.0.display();
    if config.data_dir == DataDir::default() {
        line("console", "cargo run --release -p pitchey-tui");
    } else {
        line("console", &format!("cargo run --release -p pitchey-tui -- --data-dir {folder}"));
    }
    line("data", &format!("{folder}   (Ctrl-C stops)"));
    out
}
