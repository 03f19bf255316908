//! `pitchey-tui`: the operators' console.
//!
//! ```text
//!  token files ──▶ net (a task per process: connect, back off, heal) ──▶ model (pure: what is known, how old it is)
//!  keys ─────────▶ app (pure: Msg -> state, effects) ──▶ view (draws when something changed) ──▶ term
//!                                                    └─▶ out  (--once: the same model as text or JSON)
//! ```
//!
//! It talks only to admin listeners: no database, no Redis, no store or engine compiled in. The network never waits
//! for the screen nor the screen for the network.
//!
//! Exit codes: 0 done, 1 nothing could be learned or the terminal failed, 2 bad usage, 101 a bug (the terminal is
//! restored first).

mod app;
mod cli;
mod figures;
mod keymap;
mod model;
mod net;
mod out;
mod term;
mod theme;
mod view;

use clap::Parser as _;
use cli::Mode;
use std::{io::IsTerminal as _, process::ExitCode};

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let interactive = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let outcome =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(anyhow::Error::from).and_then(
            |runtime| {
                runtime.block_on(async {
                    match cli.mode(interactive) {
                        Mode::Once(form) => out::once(&cli, form).await,
                        Mode::Screen => app::run(&cli).await,
                    }
                })
            },
        );
    outcome.unwrap_or_else(|problem| {
        eprintln!("pitchey-tui: {}", figures::plain(&format!("{problem:#}")));
        ExitCode::FAILURE
    })
}
