//! What can be wrong with a configuration, each problem naming the setting and how it was given.

use std::fmt;

/// Which layer a setting's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// Worked out from other settings or the machine.
    Computed,
    /// A file, by its path.
    File(String),
    /// An environment variable, by its name.
    Environment(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Computed => f.write_str("computed"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(_) => f.write_str("environment"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One thing that is wrong, as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// A line of its own.
    pub(super) fn plain(line: String) -> Self {
        Self(line)
    }

    /// A setting's value cannot be used. `text` is left out for secrets.
    pub(super) fn value(name: &str, text: Option<&str>, origin: &Origin, message: &str) -> Self {
        let name = if let Origin::Environment(variable) = origin { variable } else { name };
        let text = text.map_or_else(|| "<redacted>".into(), |text| format!("{text:?}"));
        Self(format!("{name}={text} ({origin}): {message}"))
    }

    /// A name that is no setting, with the nearest one that is.
    pub(super) fn unknown<S: AsRef<str>>(name: &str, place: &str, known: impl Iterator<Item = S>) -> Self {
        let nearest = known.map(|known| (distance(name, known.as_ref()), known)).min_by_key(|(distance, _)| *distance);
        let hint = match &nearest {
            Some((distance, known)) if *distance <= 3 => format!("; did you mean {}?", known.as_ref()),
            _ => String::new(),
        };
        Self(format!("{name} ({place}): no such setting{hint}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that is wrong with a configuration, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// A setting that turned out to be unusable only when it was used: a port that is taken, a folder that cannot be
    /// written. `name` is the setting's, in upper case.
    pub fn unusable(name: &str, value: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::new(vec![Problem(format!("{name}={value}: {reason}"))])
    }

    /// The problems, in the order of the layers.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "{only}"),
            several => {
                write!(f, "{} settings cannot be used:", several.len())?;
                several.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

/// Levenshtein's distance, to tell a typing error from a foreign name.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
