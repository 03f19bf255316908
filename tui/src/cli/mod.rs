//! The command line and the few environment variables a console reads; nothing else reads either.

mod palette;

pub(crate) use palette::Palette;

use crate::{config::Settings, net::Place};
use clap::{Args, Parser, Subcommand};
use shared::protocol::admin::View;
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

/// The operators' console. Started beside a running platform it finds it by itself.
#[derive(Clone, Debug, Parser)]
#[command(name = "pitchey-tui", version, max_term_width = 110, args_conflicts_with_subcommands = false)]
pub(crate) struct Cli {
    /// Folder in which the processes leave their token files.
    #[arg(long, env = "DATA_DIR", default_value = "./data", value_name = "FOLDER", global = true)]
    pub(crate) data_dir: PathBuf,
    /// One process's token file, instead of the folder.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// The process at this address only; must be on this machine.
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub(crate) addr: Option<SocketAddr>,
    /// A cluster of the configuration file.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) context: Option<String>,
    /// The configuration file, instead of $`XDG_CONFIG_HOME/pitchey-tui/config.toml`.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Who you are, for the audit log; by default $USER.
    #[arg(long, value_name = "NAME", global = true)]
    operator: Option<String>,
    /// Allow actions from the start; otherwise the console only looks until it is told `:write`.
    #[arg(long)]
    pub(crate) write: bool,
    #[command(flatten)]
    pub(crate) output: Output,
    /// Write everything that is heard to a file, to be looked at with --replay.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Look at a recording instead of a platform.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "once", "stream", "check"])]
    pub(crate) replay: Option<PathBuf>,
    /// With --replay: begin at this moment: 12:03, or so long after its beginning: 90s.
    #[arg(long, value_name = "WHEN", requires = "replay")]
    pub(crate) at: Option<String>,
    /// Colours; by default what the terminal says it can.
    #[arg(long, value_enum)]
    palette: Option<Palette>,
    /// Draw with ASCII only.
    #[arg(long)]
    ascii: bool,
    #[command(flatten)]
    terminal: palette::Terminal,
    #[arg(long, hide = true, env = "SSH_CONNECTION", default_value = "", global = true)]
    ssh_connection: String,
    #[arg(long, hide = true, env = "USER", default_value = "", global = true)]
    user: String,
    #[arg(long, hide = true, env = "XDG_CONFIG_HOME", default_value = "", global = true)]
    config_home: OsString,
    #[arg(long, hide = true, env = "HOME", default_value = "", global = true)]
    home: OsString,
    /// Break on purpose, for tests of what the terminal looks like afterwards.
    #[cfg(debug_assertions)]
    #[arg(long, hide = true, value_name = "WHERE")]
    pub(crate) panic: Option<String>,
    /// What to do instead of showing a screen.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What is printed instead of a screen.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Output {
    /// Print the state once and exit; what happens anyway when the output is no terminal.
    #[arg(long)]
    once: bool,
    /// Print everything that is heard, a line of JSON each, until interrupted.
    #[arg(long, conflicts_with = "once")]
    stream: bool,
    /// Compare a number with a bound, like a monitoring plugin: `pool.saturation<0.9`, `warn:latency_p95_ms<250`.
    #[arg(long, value_name = "CONDITION", conflicts_with_all = ["once", "stream"])]
    pub(crate) check: Vec<String>,
    /// With --once: JSON, with a schema version and raw numbers.
    #[arg(long, conflicts_with = "text", requires = "once")]
    json: bool,
    /// With --once: text (the default).
    #[arg(long, requires = "once")]
    text: bool,
    /// With --once or --stream: a list, instead of the overview.
    #[arg(long, value_name = "VIEW", value_parser = view)]
    pub(crate) view: Option<View>,
    /// With --view: whose, for the details of one thing.
    #[arg(long, value_name = "ID", requires = "view")]
    pub(crate) of: Option<String>,
    /// With --view: only rows that pass.
    #[arg(long, value_name = "FILTER", requires = "view", default_value = "", hide_default_value = true)]
    pub(crate) filter: String,
    /// With --view: the field to sort by, the largest first; `field:asc` for the smallest first.
    #[arg(long, value_name = "FIELD", requires = "view")]
    pub(crate) sort: Option<String>,
    /// With --view: most rows.
    #[arg(long, value_name = "ROWS", requires = "view", default_value_t = 50)]
    pub(crate) limit: usize,
    /// With --once and --check: longest wait for a first answer, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60), value_name = "SECONDS", global = true)]
    wait: u64,
}

fn view(text: &str) -> Result<View, String> {
    let short = match text {
        "conns" => "connections",
        "api" => "endpoints",
        "offline" => "queues",
        other => other,
    };
    let names = || View::ALL.map(View::name).join(", ");
    View::ALL.into_iter().find(|view| view.name() == short).ok_or_else(|| format!("one of {}", names()))
}

/// See [`Cli::command`].
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Do something, as after `:` in the console; without --yes only say whom it would concern.
    Act {
        /// What: drain gw-1, disconnect user ID, silence ALERT 15m, …
        #[arg(required = true, value_name = "WORDS")]
        words: Vec<String>,
        /// Why, for the audit log.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Do nothing if it would concern more than this many.
        #[arg(long, value_name = "COUNT")]
        expect: Option<u64>,
        /// Do it.
        #[arg(long)]
        yes: bool,
        /// Print the job as JSON.
        #[arg(long = "job-json")]
        json: bool,
    },
    /// The configuration file.
    Config {
        /// What about it.
        #[command(subcommand)]
        what: ConfigCommand,
    },
}

/// See [`Command::Config`].
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print one with every setting.
    Default,
    /// Say whether the one there is can be used.
    Check,
}

/// What the console does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The full screen.
    Screen,
    /// One answer on standard output.
    Once(Form),
    /// Everything, as it is heard.
    Stream,
    /// A verdict.
    Check,
}

/// How `--once` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

impl Cli {
    /// The mode, given whether a person sits at both ends.
    pub(crate) fn mode(&self, interactive: bool) -> Mode {
        let Output { once, stream, json, check, .. } = &self.output;
        match (*once || !interactive, *json) {
            _ if !check.is_empty() => Mode::Check,
            _ if *stream => Mode::Stream,
            (true, true) => Mode::Once(Form::Json),
            (true, false) => Mode::Once(Form::Text),
            (false, _) => Mode::Screen,
        }
    }

    /// The palette asked for, else what the terminal can do.
    pub(crate) fn palette(&self) -> Palette {
        self.palette.unwrap_or_else(|| self.terminal.palette())
    }

    /// Whether block characters can be drawn.
    pub(crate) fn unicode(&self) -> bool {
        !self.ascii && self.terminal.unicode()
    }

    /// Longest wait of `--once`.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.output.wait)
    }

    /// The configuration file, and whether it was named; none if there is no place for one.
    pub(crate) fn config_file(&self) -> Option<(PathBuf, bool)> {
        if let Some(path) = &self.config {
            return Some((path.clone(), true));
        }
        let home = match (self.config_home.is_empty(), self.home.is_empty()) {
            (false, _) => PathBuf::from(&self.config_home),
            (true, false) => PathBuf::from(&self.home).join(".config"),
            (true, true) => return None,
        };
        Some((home.join("pitchey-tui/config.toml"), false))
    }

    /// Who sits here: as the command line says, else the file, else the system. A system name that an audit log does
    /// not take is left out.
    pub(crate) fn operator(&self, file: Option<&str>) -> String {
        let system =
            || Some(self.user.as_str()).filter(|name| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_graphic()));
        self.operator.as_deref().or(file).or_else(system).unwrap_or_default().to_owned()
    }

    /// Whether the terminal is at the other end of an SSH connection, where the mouse is better left to it.
    pub(crate) fn is_remote(&self) -> bool {
        !self.ssh_connection.is_empty()
    }

    /// Where to look for processes: the context's place, else what the command line says.
    pub(crate) fn place(&self, settings: &Settings, context: Option<&str>) -> Place {
        match context.and_then(|name| settings.contexts.get(name)) {
            Some(context) => {
                let folder = context.data_dir.clone().unwrap_or_else(|| self.data_dir.clone());
                Place::new(folder, context.token_file.clone(), context.addr)
            }
            None => Place::new(self.data_dir.clone(), self.token_file.clone(), self.addr),
        }
    }
}

#[cfg(test)]
mod tests;
