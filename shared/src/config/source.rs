//! Where settings come from: an optional file, the environment, flags. Nothing is interpreted here beyond names.
//!
//! This is the one place of the workspace that reads the process's environment, so that tests need none.

use super::{
    error::{Origin, Problem},
    setting::Setting,
};
use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

/// The file that is read when it exists and no other is named.
const DEFAULT_FILE: &str = "pitchey.toml";

/// What a process was told, not yet understood. Tests build one by hand; `main` takes [`Source::process`].
#[derive(Clone, Debug, Default)]
pub struct Source {
    folder: Option<PathBuf>,
    env: BTreeMap<String, OsString>,
    args: Vec<String>,
    gateway: bool,
}

/// One setting's text from one layer.
pub(super) struct Given {
    pub setting: usize,
    pub text: String,
    pub origin: Origin,
}

impl Source {
    /// `pitchey.toml` in the working folder, this process's environment, and these flags (without the program's name).
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn process(args: impl IntoIterator<Item = String>) -> Self {
        let env = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        Self { folder: Some(".".into()), env, args: args.into_iter().collect(), gateway: false }
    }

    /// Only these flags: no environment, and no file unless one is named.
    pub fn flags<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The process is a gateway, whoever else may serve sockets.
    #[must_use]
    pub fn of_gateway(mut self) -> Self {
        self.gateway = true;
        self
    }

    /// Whether a gateway goes by this.
    pub(super) fn is_gateway(&self) -> bool {
        self.gateway
    }

    /// With an environment variable.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Every setting that was given, weakest layer first, and whether `--print-config` was among the flags.
    pub(super) fn collect(&self, settings: &[Setting], problems: &mut Vec<Problem>) -> (Vec<Given>, bool) {
        let mut flags = Flags::default();
        flags.read(&self.args, settings, problems);
        let mut given = self.read_file(flags.file.as_deref(), settings, problems);
        given.extend(self.read_env(settings, problems));
        given.append(&mut flags.given);
        (given, flags.print)
    }

    fn read_file(&self, flag: Option<&str>, settings: &[Setting], problems: &mut Vec<Problem>) -> Vec<Given> {
        let env = self.env.get("CONFIG_FILE").filter(|name| !name.is_empty());
        let named = flag.map(PathBuf::from).or_else(|| env.map(PathBuf::from));
        let Some(path) = named.clone().or_else(|| self.folder.as_ref().map(|folder| folder.join(DEFAULT_FILE))) else {
            return Vec::new();
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => parse_file(&text, &path.display().to_string(), settings, problems),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                problems.push(Problem::plain(format!("configuration file {}: {error}", path.display())));
                Vec::new()
            }
        }
    }

    /// An empty variable counts as unset, as container tools pass it. A secret may come as `<NAME>_FILE`.
    fn read_env(&self, settings: &[Setting], problems: &mut Vec<Problem>) -> Vec<Given> {
        let mut given = Vec::new();
        for (index, setting) in settings.iter().enumerate() {
            let names = [setting.alias.map(str::to_owned), Some(setting.env())];
            for name in names.into_iter().flatten() {
                match self.env.get(&name).map(|value| value.to_str()) {
                    Some(Some("")) | None => {}
                    Some(Some(text)) => {
                        given.push(Given { setting: index, text: text.to_owned(), origin: Origin::Environment(name) });
                    }
                    Some(None) => problems.push(Problem::plain(format!("{name} (environment): expected UTF-8 text"))),
                }
            }
            if setting.secret {
                given.extend(self.read_secret_file(index, &format!("{}_FILE", setting.env()), problems));
            }
        }
        given
    }

    fn read_secret_file(&self, setting: usize, name: &str, problems: &mut Vec<Problem>) -> Option<Given> {
        let path = self.env.get(name).filter(|path| !path.is_empty())?;
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let text = text.trim_end_matches(['\r', '\n']).to_owned();
                Some(Given { setting, text, origin: Origin::Environment(name.to_owned()) })
            }
            Err(error) => {
                problems.push(Problem::plain(format!("{name}={} (environment): {error}", path.display())));
                None
            }
        }
    }
}

/// A flat table: one key per setting, in lower case; arrays are lists.
fn parse_file(text: &str, path: &str, settings: &[Setting], problems: &mut Vec<Problem>) -> Vec<Given> {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            // The parser's own text quotes the line, which may hold a password.
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
            problems.push(Problem::plain(format!("configuration file {path}, line {line}: {}", error.message())));
            return Vec::new();
        }
    };
    let mut given = Vec::new();
    for (key, value) in &table {
        let origin = Origin::File(path.to_owned());
        match (settings.iter().position(|setting| setting.name == *key), flat(value)) {
            (Some(setting), Some(text)) => given.push(Given { setting, text, origin }),
            (Some(_), None) => {
                problems.push(Problem::plain(format!("{key} (file {path}): expected one value or a list of texts")));
            }
            (None, _) => problems.push(Problem::unknown(key, &format!("file {path}"), settings.iter().map(|s| s.name))),
        }
    }
    given
}

fn flat(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

/// Parts a command line: what the settings' loader takes, and what is left for subcommands, `--help` and `--version`.
///
/// Flags of settings may stand anywhere (`seed --users 5 --data-dir x`). Other flags before the first plain word go to
/// the loader as well, which names them as unknown; those after it belong to the subcommand.
pub fn split_args(args: impl IntoIterator<Item = String>) -> (Vec<String>, Vec<String>) {
    let settings = super::registry::settings();
    let (mut ours, mut rest) = (Vec::new(), Vec::new());
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        let name = arg.split('=').next().unwrap_or_default();
        let known = Flag::find(name, &settings);
        if known.is_none()
            && (!arg.starts_with("--") || !rest.is_empty() || matches!(name, "--help" | "--version" | "--"))
        {
            rest.push(arg);
            continue;
        }
        let value = match known {
            Some(flag) if !arg.contains('=') => args.next_if(|next| flag.takes(next, &settings)),
            _ => None,
        };
        ours.push(arg);
        ours.extend(value);
    }
    (ours, rest)
}

/// A flag the loader knows.
#[derive(Clone, Copy)]
enum Flag {
    Setting(usize),
    ConfigFile,
    PrintConfig,
}

impl Flag {
    fn find(name: &str, settings: &[Setting]) -> Option<Self> {
        match name {
            "--config-file" => Some(Self::ConfigFile),
            "--print-config" => Some(Self::PrintConfig),
            _ => settings.iter().position(|setting| setting.flag() == name).map(Self::Setting),
        }
    }

    /// Whether the next argument is this flag's value. A switch takes only a plain `true` or `false`, so that it can
    /// stand in front of a subcommand.
    fn takes(self, next: &str, settings: &[Setting]) -> bool {
        match self {
            Self::PrintConfig => false,
            Self::Setting(index) if settings[index].switch => matches!(next, "true" | "false"),
            _ => !next.starts_with("--"),
        }
    }
}

#[derive(Default)]
struct Flags {
    given: Vec<Given>,
    file: Option<String>,
    print: bool,
}

impl Flags {
    fn read(&mut self, args: &[String], settings: &[Setting], problems: &mut Vec<Problem>) {
        let mut args = args.iter().peekable();
        while let Some(arg) = args.next() {
            let (name, inline) = arg.split_once('=').map_or((arg.as_str(), None), |(name, text)| (name, Some(text)));
            let Some(flag) = Flag::find(name, settings) else {
                problems.push(Problem::unknown(name, "flag", settings.iter().map(Setting::flag)));
                continue;
            };
            let text = inline.or_else(|| args.next_if(|next| flag.takes(next, settings)).map(String::as_str));
            self.take(flag, name, text, settings, problems);
        }
    }

    fn take(&mut self, flag: Flag, name: &str, text: Option<&str>, settings: &[Setting], problems: &mut Vec<Problem>) {
        match (flag, text) {
            (Flag::PrintConfig, _) => self.print = true,
            (Flag::ConfigFile, Some(text)) => self.file = Some(text.to_owned()),
            (Flag::Setting(setting), text) if text.is_some() || settings[setting].switch => {
                let text = text.unwrap_or("true").to_owned();
                self.given.push(Given { setting, text, origin: Origin::Flag(name.to_owned()) });
            }
            _ => problems.push(Problem::plain(format!("{name} (flag): a value must follow"))),
        }
    }
}
