//! `pitchey-api`: the platform's process and its commands. Thin: reads the settings, calls the library, prints.

use anyhow::{Context as _, bail};
use api::{banner, demo, startup};
use shared::{
    clock::Clock,
    config::{self, Config, Source, document},
    files::Files,
    lifecycle::{Lifecycle, Signals},
    telemetry,
};
use std::{path::PathBuf, process::ExitCode};

const USAGE: &str = "\
Pitchey: realtime backend of a film-pitch marketplace

Usage: pitchey-api [serve] [settings]              start the platform (the default)
       pitchey-api migrate [settings]              bring the database's schema up to date, and exit
       pitchey-api seed --users N --tokens FILE    make N verified users with sessions; their tokens, a line each
       pitchey-api --version | --help

Settings are flags, environment variables (PORT=9000) or lines of pitchey.toml (port = 9000):
";

/// Most users one `seed` makes: a typing error should not fill the disk.
const MOST_USERS: usize = 1_000_000;

enum Command {
    Serve,
    Migrate,
    Seed { users: usize, tokens: PathBuf },
    Print(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        // One line (or one per setting that is wrong), no backtrace: whoever reads it has a setting to change.
        Err(error) => {
            eprintln!("pitchey-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<ExitCode> {
    let arguments = std::env::args().skip(1);
    let (settings, rest) = config::split_args(arguments);
    let command = parse(&rest)?;
    if let Command::Print(text) = command {
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = Config::load(&Source::process(settings))?;
    if loaded.print {
        print!("{}", loaded.render());
        return Ok(ExitCode::SUCCESS);
    }
    let config = loaded.config;
    telemetry::init(&config.log).context("LOG_FILTER")?;
    match command {
        Command::Serve => return serve(config).await,
        Command::Migrate => migrate(&config).await?,
        Command::Seed { users, tokens } => seed(config, users, tokens).await?,
        Command::Print(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let (files, sockets) = (Files::allow(), config.gateway.limits.connections);
    let platform = startup::Platform::start(config, Clock::System, Lifecycle::new()).await?;
    let signals = Signals::catch()?;
    if platform.app.sockets.get().is_some() {
        files.check(sockets);
    }
    println!("{}", banner::text(&platform.app));
    Ok(platform.run(signals).await)
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    config.data_dir.prepare()?;
    startup::open_small(config, Clock::System).await?.migrate().await?;
    println!("the schema is up to date");
    Ok(())
}

async fn seed(config: Config, users: usize, tokens: PathBuf) -> anyhow::Result<()> {
    if !config.environment.is_development() {
        bail!("ENVIRONMENT=production: seed makes users that nobody verified, and is refused here");
    }
    let app = startup::offline(config, Clock::System).await?;
    demo::bulk::users(&app, users, &tokens).await?;
    println!("{users} users; their tokens are in {}", tokens.display());
    Ok(())
}

fn parse(words: &[String]) -> anyhow::Result<Command> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.contains(&"--help") || words.contains(&"-h") {
        return Ok(Command::Print(format!("{USAGE}\n{}", document::flags())));
    }
    match words.as_slice() {
        [] | ["serve"] => Ok(Command::Serve),
        ["migrate"] => Ok(Command::Migrate),
        ["--version" | "-V"] => Ok(Command::Print(format!("pitchey-api {}\n", env!("CARGO_PKG_VERSION")))),
        ["seed", options @ ..] => parse_seed(options),
        [unknown, ..] => bail!("{unknown}: no such command; see --help"),
    }
}

fn parse_seed(options: &[&str]) -> anyhow::Result<Command> {
    let (mut users, mut tokens) = (None, None);
    let mut words = options.iter().flat_map(|word| match word.split_once('=') {
        Some((name, value)) => vec![name, value],
        None => vec![*word],
    });
    while let Some(name) = words.next() {
        let value = words.next().with_context(|| format!("{name} needs a value"))?;
        match name {
            "--users" => users = Some(value.parse().ok().filter(|count| (1..=MOST_USERS).contains(count))),
            "--tokens" => tokens = Some(PathBuf::from(value)),
            other => bail!("{other}: seed takes --users and --tokens"),
        }
    }
    let users = users.context("seed needs --users N")?;
    let users = users.with_context(|| format!("--users must be 1 to {MOST_USERS}"))?;
    Ok(Command::Seed { users, tokens: tokens.context("seed needs --tokens FILE")? })
}
