//! What the registry says to people: the README's table and the flags' help.

use super::{Config, registry, setting::Setting};
use std::fmt::Write as _;

/// The README's table of settings, between its two markers.
pub fn markdown() -> String {
    let defaults = Config::default();
    let mut out = String::from("| Setting | Default | Unit | What |\n|---|---|---|---|\n");
    for setting in registry::settings() {
        let default = default(&setting, &defaults, |value| format!("`{value}`"));
        writeln!(out, "| `{}` | {default} | {} | {} |", setting.env(), setting.unit, setting.what)
            .expect("writing to a string");
    }
    out
}

/// The flags, a line each, for `--help`.
pub fn flags() -> String {
    let defaults = Config::default();
    let mut out = String::new();
    for setting in registry::settings() {
        let default = default(&setting, &defaults, str::to_owned).replace('`', "");
        let what = setting.what.replace('`', "");
        writeln!(out, "  {:<34} {what} [{default}]", setting.flag()).expect("writing to a string");
    }
    out.push_str(
        "  --config-file                      a file of settings, a line each: port = 9000 [pitchey.toml, if there]\n",
    );
    out.push_str(
        "  --print-config                     print the effective settings and where each came from, and exit\n",
    );
    out
}

fn default(setting: &Setting, defaults: &Config, quote: fn(&str) -> String) -> String {
    setting.computed.map_or_else(
        || match setting.show(defaults) {
            value if value.is_empty() => "none".into(),
            value => quote(&value),
        },
        str::to_owned,
    )
}
