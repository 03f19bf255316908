//! One setting: its names, its documentation, and how text becomes its value. Which ones there are: `registry`.

use super::{Config, value::Codec};

/// A setting: how it is named, documented and stored.
pub(super) struct Setting {
    /// Lower case with underscores, as in the file.
    pub name: &'static str,
    /// What a value counts, for the documentation.
    pub unit: &'static str,
    /// One line on what it does.
    pub what: &'static str,
    /// Another environment variable that is also understood.
    pub alias: Option<&'static str>,
    /// How the documentation describes a default that is worked out when loading.
    pub computed: Option<&'static str>,
    /// Whether the value must not be printed.
    pub secret: bool,
    /// Whether its flag may stand without a value.
    pub switch: bool,
    set: Box<Set>,
    show: Box<Show>,
}

type Set = dyn Fn(&mut Config, &str) -> Result<(), String>;
type Show = dyn Fn(&mut Config) -> String;

impl Setting {
    /// The environment variable.
    pub(super) fn env(&self) -> String {
        self.name.to_ascii_uppercase()
    }

    /// The flag, with its dashes.
    pub(super) fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// Stores a text; the error completes a sentence ("expected a number 0–65535").
    pub(super) fn set(&self, config: &mut Config, text: &str) -> Result<(), String> {
        (self.set)(config, text)
    }

    /// The value in `config`, as text that [`Setting::set`] would take.
    pub(super) fn show(&self, config: &Config) -> String {
        (self.show)(&mut config.clone()) // one accessor, which borrows mutably, serves both ways
    }

    /// With another environment variable.
    pub(super) fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// With words for a default that is worked out.
    pub(super) fn computed(self, computed: &'static str) -> Self {
        Self { computed: Some(computed), ..self }
    }

    /// Never printed.
    pub(super) fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// A setting whose value lives where `at` points.
pub(super) fn setting<C: Codec + 'static>(
    name: &'static str,
    at: fn(&mut Config) -> &mut C::Value,
    unit: &'static str,
    what: &'static str,
) -> Setting {
    Setting {
        name,
        unit,
        what,
        alias: None,
        computed: None,
        secret: false,
        switch: C::SWITCH,
        set: Box::new(move |config, text| {
            *at(config) = C::parse(text).ok_or_else(|| format!("expected {}", C::expected()))?;
            Ok(())
        }),
        show: Box::new(move |config| C::show(at(config))),
    }
}
