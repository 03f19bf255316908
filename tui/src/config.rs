//! The configuration file: `$XDG_CONFIG_HOME/pitchey-tui/config.toml`. Everything in it is optional; the command line
//! wins over it. What is wrong in it is named, all of it at once, and nothing of it is used then.

use crate::{cli::Cli, keymap::Keymap, model::Window};
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    hash::{BuildHasher as _, RandomState},
    io::{ErrorKind, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Largest file taken.
const FILE_BYTES: u64 = 64 * 1024;

/// What `config default` prints; a test holds it equal to what there is without a file.
pub(crate) const DEFAULT: &str = include_str!("config.toml");

/// The file as it is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    theme: Option<String>,
    window: Option<String>,
    wide: Option<bool>,
    mouse: Option<bool>,
    write: Option<bool>,
    operator: Option<String>,
    context: Option<String>,
    contexts: BTreeMap<String, Context>,
    filters: BTreeMap<String, String>,
    keys: BTreeMap<String, Vec<String>>,
}

/// Where the processes of one cluster are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Context {
    /// Folder in which the processes leave their token files.
    pub(crate) data_dir: Option<PathBuf>,
    /// One process's token file, instead of the folder.
    pub(crate) token_file: Option<PathBuf>,
    /// The process at this address only.
    pub(crate) addr: Option<SocketAddr>,
}

/// What was set, by file and command line.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Which key does what.
    pub(crate) keymap: Keymap,
    /// The name of the colours.
    pub(crate) theme: String,
    /// How much time curves cover.
    pub(crate) window: Window,
    /// Whole ids and long texts.
    pub(crate) wide: bool,
    /// Listen to the mouse.
    pub(crate) mouse: bool,
    /// Allow actions.
    pub(crate) write: bool,
    /// Who sits here, for the audit log.
    pub(crate) operator: String,
    /// The cluster to begin with; none for what the command line says.
    pub(crate) context: Option<String>,
    /// Clusters by name.
    pub(crate) contexts: BTreeMap<String, Context>,
    /// Filters by name.
    pub(crate) filters: BTreeMap<String, String>,
    /// Makes the keys of actions this console's own.
    pub(crate) seed: String,
}

impl Settings {
    /// The settings of the file and the command line. A file that was named must be there.
    pub(crate) fn load(cli: &Cli) -> anyhow::Result<Self> {
        let file = match cli.config_file() {
            Some((path, named)) => read(&path, named)?,
            None => File::default(),
        };
        Self::of(file, cli)
    }

    fn of(file: File, cli: &Cli) -> anyhow::Result<Self> {
        let mut problems = Vec::new();
        let keymap = Keymap::patched(&file.keys).unwrap_or_else(|wrong| {
            problems.extend(wrong);
            Keymap::default()
        });
        let theme = file.theme.unwrap_or_else(|| "default".to_owned());
        if let Err(problem) = crate::theme::Theme::new(cli.palette(), true).named(&theme) {
            problems.push(format!("theme: {problem}"));
        }
        let name = file.window.as_deref().unwrap_or(Window::default().name());
        let window = Window::ALL.into_iter().find(|window| window.name() == name).unwrap_or_else(|| {
            problems.push("window: write 1m, 5m, 15m or 24h".to_owned());
            Window::default()
        });
        let context = cli.context.clone().or(file.context);
        if let Some(name) = context.as_ref().filter(|name| !file.contexts.contains_key(*name)) {
            problems.push(format!("context: there is no contexts.{name}"));
        }
        let operator = cli.operator(file.operator.as_deref());
        if !operator.is_empty() && (operator.len() > 64 || !operator.bytes().all(|b| b.is_ascii_graphic())) {
            problems.push("operator: write up to 64 visible ASCII characters without spaces".to_owned());
        }
        if !problems.is_empty() {
            bail!("{}", problems.join("; "));
        }
        Ok(Self {
            keymap,
            theme,
            window,
            wide: file.wide.unwrap_or(false),
            mouse: file.mouse.unwrap_or(!cli.is_remote()),
            write: cli.write || file.write.unwrap_or(false),
            operator,
            context,
            contexts: file.contexts,
            filters: file.filters,
            seed: format!("tui-{:016x}", RandomState::new().hash_one(std::process::id())),
        })
    }

    /// What there is without a file and without a command line.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        let mut settings = Self::of(File::default(), &<Cli as clap::Parser>::parse_from(["pitchey-tui"])).unwrap();
        (settings.seed, settings.mouse) = ("tui-test-seed".into(), false);
        settings
    }
}

fn read(path: &Path, named: bool) -> anyhow::Result<File> {
    let shown = path.display();
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !named => return Ok(File::default()),
        file => file.with_context(|| format!("failed to open {shown}"))?,
    };
    let mut text = String::new();
    file.take(FILE_BYTES).read_to_string(&mut text).with_context(|| format!("failed to read {shown}"))?;
    toml::from_str(&text).with_context(|| format!("failed to understand {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        Settings::of(file, &<Cli as clap::Parser>::parse_from(["pitchey-tui"])).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documented_file_says_what_there_is_without_one() {
        assert_eq!(toml::from_str::<File>(DEFAULT).unwrap(), File::default(), "every line of it is a comment");
        let said = DEFAULT.lines().filter_map(|line| line.strip_prefix("# "));
        let said = said.filter(|line| line.starts_with('[') || line.contains(" = "));
        let written = said.collect::<Vec<_>>().join("\n");
        let file: File = toml::from_str(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
        let plain = settings("").unwrap();
        assert_eq!(file.theme.as_deref(), Some(plain.theme.as_str()));
        assert_eq!(file.window.as_deref(), Some(plain.window.name()));
        assert_eq!((file.wide, file.write), (Some(plain.wide), Some(plain.write)));
        assert!(!file.contexts.is_empty() && !file.filters.is_empty() && !file.keys.is_empty());
        Keymap::patched(&file.keys).unwrap();
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let said =
            settings("theme = \"pink\"\nwindow = \"2m\"\ncontext = \"prod\"\n[keys]\npause = [\"q\"]").unwrap_err();
        for part in ["theme:", "window:", "context:", "pause and quit"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(settings("colour = \"red\"").unwrap_err().contains("colour"));
    }
}
