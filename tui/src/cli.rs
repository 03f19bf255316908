//! The command line and the few environment variables a console reads; nothing else reads either.

use clap::{Parser, ValueEnum};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The operators' console. Started beside a running platform it finds it by itself.
#[derive(Clone, Debug, Parser)]
#[command(name = "pitchey-tui", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// Folder in which the processes leave their token files.
    #[arg(long, env = "DATA_DIR", default_value = "./data", value_name = "FOLDER")]
    pub(crate) data_dir: PathBuf,
    /// One process's token file, instead of the folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The process at this address only; must be on this machine.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) addr: Option<SocketAddr>,
    /// Print the state once and exit; what happens anyway when the output is no terminal.
    #[arg(long)]
    pub(crate) once: bool,
    /// With --once: JSON, with a schema version and raw numbers.
    #[arg(long, conflicts_with = "text", requires = "once")]
    pub(crate) json: bool,
    /// With --once: text (the default).
    #[arg(long, requires = "once")]
    pub(crate) text: bool,
    /// With --once: longest wait for a first answer, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60), value_name = "SECONDS")]
    pub(crate) wait: u64,
    /// Colours; by default what the terminal says it can.
    #[arg(long, value_enum)]
    pub(crate) palette: Option<Palette>,
    /// Draw with ASCII only.
    #[arg(long)]
    pub(crate) ascii: bool,
    #[arg(long, hide = true, env = "NO_COLOR", default_value = "")]
    no_color: String,
    #[arg(long, hide = true, env = "COLORTERM", default_value = "")]
    colorterm: String,
    #[arg(long, hide = true, env = "TERM", default_value = "")]
    term: String,
    #[arg(long, hide = true, env = "LC_ALL", default_value = "")]
    lc_all: String,
    #[arg(long, hide = true, env = "LC_CTYPE", default_value = "")]
    lc_ctype: String,
    #[arg(long, hide = true, env = "LANG", default_value = "")]
    lang: String,
}

/// What the console does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The full screen.
    Screen,
    /// One answer on standard output.
    Once(Form),
}

/// How `--once` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// How many colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Palette {
    /// Bold, dim and reverse only.
    Mono,
    /// The terminal's own sixteen.
    Ansi,
    /// 256, told apart by people who see red and green alike.
    Full,
}

impl Cli {
    /// The mode, given whether a person sits at both ends.
    pub(crate) fn mode(&self, interactive: bool) -> Mode {
        match (self.once || !interactive, self.json) {
            (true, true) => Mode::Once(Form::Json),
            (true, false) => Mode::Once(Form::Text),
            (false, _) => Mode::Screen,
        }
    }

    /// The palette asked for, else what the terminal can do. `NO_COLOR` counts when it is not empty.
    pub(crate) fn palette(&self) -> Palette {
        let many = !self.colorterm.is_empty() || self.term.contains("256color");
        match self.palette {
            Some(palette) => palette,
            None if !self.no_color.is_empty() || self.term == "dumb" => Palette::Mono,
            None if many => Palette::Full,
            None => Palette::Ansi,
        }
    }

    /// Whether block characters can be drawn: not by a terminal whose locale is not UTF-8.
    pub(crate) fn unicode(&self) -> bool {
        let locale = [&self.lc_all, &self.lc_ctype, &self.lang].into_iter().find(|text| !text.is_empty());
        // Without any locale most terminals of today still draw UTF-8; a locale that names another set does not.
        let utf8 = locale.is_none_or(|text| {
            let text = text.to_ascii_uppercase();
            text.contains("UTF-8") || text.contains("UTF8") || !text.contains('.') && text != "C" && text != "POSIX"
        });
        utf8 && !self.ascii
    }

    /// Longest wait of `--once`.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(arguments: &[&str]) -> Cli {
        // What the developer's own terminal says must not decide a test.
        let clean =
            ["--no-color", "", "--colorterm", "", "--term", "xterm", "--lc-all", "", "--lc-ctype", "", "--lang", ""];
        let words = std::iter::once("pitchey-tui").chain(clean);
        // Later values win.
        Cli::command().args_override_self(true).debug_assert();
        let matches = Cli::command().args_override_self(true).get_matches_from(words.chain(arguments.iter().copied()));
        <Cli as clap::FromArgMatches>::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn without_a_terminal_it_prints_once_as_text() {
        assert_eq!(parse(&[]).mode(true), Mode::Screen);
        assert_eq!(parse(&[]).mode(false), Mode::Once(Form::Text));
        assert_eq!(parse(&["--once", "--json"]).mode(true), Mode::Once(Form::Json));
        assert!(Cli::try_parse_from(["x", "--once", "--json", "--text"]).is_err());
        assert!(Cli::try_parse_from(["x", "--json"]).is_err());
    }

    #[test]
    fn the_terminal_decides_the_palette_unless_told_otherwise() {
        assert_eq!(parse(&[]).palette(), Palette::Ansi);
        assert_eq!(parse(&["--term", "xterm-256color"]).palette(), Palette::Full);
        assert_eq!(parse(&["--colorterm", "truecolor", "--no-color", "1"]).palette(), Palette::Mono);
        assert_eq!(parse(&["--no-color", "1", "--palette", "full"]).palette(), Palette::Full);
        assert_eq!(parse(&["--term", "dumb"]).palette(), Palette::Mono);
    }

    #[test]
    fn block_characters_need_utf8() {
        assert!(parse(&[]).unicode() && parse(&["--lang", "de_DE.UTF-8"]).unicode());
        assert!(!parse(&["--lang", "C"]).unicode() && !parse(&["--lc-all", "de_DE.ISO-8859-1"]).unicode());
        assert!(!parse(&["--ascii"]).unicode());
    }
}
