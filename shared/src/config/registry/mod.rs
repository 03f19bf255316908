//! Every setting, once: its name, where its value lives, how it is read, its unit and what it means.
//!
//! File keys, environment variables, flags, `--print-config`, `--help` and the README's table all come from here.
//! Defaults do not: they stay in the sections' `Default`. **Adding a setting**: a field with its default in the
//! section's file, a line here, and the README's table as the failing test prints it.

mod data;
mod gateway;
mod process;
mod web;

use super::setting::Setting;

/// A bound that only catches typing errors.
const MANY: u64 = 10_000_000;

/// Every setting, in the order of the documentation.
pub(super) fn settings() -> Vec<Setting> {
    let sections = [
        process::settings(),
        data::database(),
        data::pool(),
        data::redis(),
        web::http(),
        web::session(),
        gateway::behaviour(),
        gateway::limits(),
    ];
    sections.into_iter().flatten().collect()
}
