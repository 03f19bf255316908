//! `pitchey-tui`: the operators' console.
//!
//! ```text
//!  token files ──▶ net (a task per process: connect, back off, heal) ──▶ model (pure: what is known, how old it is)
//!  keys, mouse ──▶ app (pure: Msg -> state, effects) ──▶ view (draws when something changed) ──▶ term
//!                   │  │                             └─▶ out  (--once, --stream, --check, act: the same, no screen)
//!  recording ───────┘  └─▶ net (subscriptions, actions), record
//! ```
//!
//! It talks only to admin listeners: no database, no Redis, no store or engine compiled in. The network never waits
//! for the screen nor the screen for the network.
//!
//! Exit codes: 0 done, 1 nothing could be learned, an action failed, or the terminal did; 2 bad usage; 101 a bug (the
//! terminal is restored first); 128 and more a signal. `--check` has a monitoring plugin's: 0 fine, 1 warning,
//! 2 critical, 3 unknown.

mod app;
mod cli;
mod columns;
mod config;
mod deed;
mod figures;
mod keymap;
mod model;
mod net;
mod out;
mod record;
mod term;
mod theme;
mod view;

use clap::Parser as _;
use cli::{Cli, Command, ConfigCommand, Mode};
use config::Settings;
use std::{io::IsTerminal as _, process::ExitCode};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let checking = !cli.output.check.is_empty();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(&cli)));
    outcome.unwrap_or_else(|problem| {
        eprintln!("pitchey-tui: {}", figures::plain(&format!("{problem:#}")));
        if checking { out::unknown() } else { ExitCode::FAILURE }
    })
}

async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    if let Some(Command::Config { what: ConfigCommand::Default }) = &cli.command {
        return out::print(config::DEFAULT);
    }
    let settings = Settings::load(cli)?;
    match &cli.command {
        Some(Command::Config { .. }) => return out::print("the configuration is good\n"),
        Some(Command::Act { words, reason, expect, yes, json }) => {
            let asked = out::Asked { words, reason, expect: *expect, yes: *yes, json: *json };
            return out::act(cli, &settings, asked).await;
        }
        None => {}
    }
    let interactive = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    match cli.mode(interactive) {
        Mode::Once(form) => out::once(cli, &settings, form).await,
        Mode::Stream => out::stream(cli, &settings).await,
        Mode::Check => out::check(cli, &settings).await,
        Mode::Screen => app::run(cli, settings).await,
    }
}
