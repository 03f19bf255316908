//! Colours and glyphs. Meaning never rests on colour alone: every warning also carries `!`, stale figures `~`, gaps `·`.
//!
//! The mono palette sets no colour at all: crossterm under `NO_COLOR` answers every colour with a bare reset, which
//! would also clear reverse and bold.

use crate::cli::Palette;
use ratatui::style::{Color, Modifier, Style};

/// How things look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    palette: Palette,
    /// Block characters; else ASCII.
    pub(crate) unicode: bool,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Worth waking somebody.
    Crit,
}

impl Level {
    /// Compares with two thresholds.
    pub(crate) fn of(value: f64, warn: f64, crit: f64) -> Self {
        match value {
            v if v >= crit => Self::Crit,
            v if v >= warn => Self::Warn,
            _ => Self::Good,
        }
    }

    /// The sign that says it without colour.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Good => "",
            Self::Warn => "!",
            Self::Crit => "!!",
        }
    }
}

impl Theme {
    /// A theme of these colours and glyphs.
    pub(crate) const fn new(palette: Palette, unicode: bool) -> Self {
        Self { palette, unicode }
    }

    /// Text of a level. The full palette's pair is told apart by people who see red and green alike.
    pub(crate) fn level(self, level: Level) -> Style {
        match (self.palette, level) {
            (_, Level::Good) => Style::new(),
            (Palette::Mono, Level::Warn) => Style::new().add_modifier(Modifier::BOLD),
            (Palette::Mono, Level::Crit) => Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
            (Palette::Ansi, Level::Warn) => Style::new().fg(Color::Yellow),
            (Palette::Ansi, Level::Crit) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            (Palette::Full, Level::Warn) => Style::new().fg(Color::Indexed(214)),
            (Palette::Full, Level::Crit) => Style::new().fg(Color::Indexed(197)).add_modifier(Modifier::BOLD),
        }
    }

    /// Bars and curves.
    pub(crate) fn graph(self) -> Style {
        self.colour(Color::Cyan, Color::Indexed(74))
    }

    /// The sign that all is well.
    pub(crate) fn live(self) -> Style {
        self.colour(Color::Green, Color::Indexed(79)).add_modifier(Modifier::BOLD)
    }

    /// Frames and labels.
    pub(crate) fn quiet(self) -> Style {
        match self.palette {
            Palette::Mono => Style::new().add_modifier(Modifier::DIM),
            Palette::Ansi => Style::new().fg(Color::DarkGray),
            Palette::Full => Style::new().fg(Color::Indexed(245)),
        }
    }

    /// Headings.
    pub(crate) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

    /// The selected row.
    pub(crate) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);

    /// Old data, whatever else it is.
    pub(crate) const STALE: Style = Style::new().add_modifier(Modifier::DIM);

    fn colour(self, ansi: Color, full: Color) -> Style {
        match self.palette {
            Palette::Mono => Style::new(),
            Palette::Ansi => Style::new().fg(ansi),
            Palette::Full => Style::new().fg(full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_sets_no_colour_and_still_tells_levels_apart() {
        let theme = Theme::new(Palette::Mono, true);
        let styles = [
            theme.level(Level::Good),
            theme.level(Level::Warn),
            theme.level(Level::Crit),
            theme.graph(),
            theme.live(),
            theme.quiet(),
            Theme::SELECTED,
            Theme::STALE,
        ];
        assert!(styles.iter().all(|style| style.fg.is_none() && style.bg.is_none()));
        assert_ne!(theme.level(Level::Warn), theme.level(Level::Crit));
    }

    #[test]
    fn a_value_on_the_threshold_is_over_it() {
        assert_eq!([0.69, 0.7, 0.9].map(|v| Level::of(v, 0.7, 0.9)), [Level::Good, Level::Warn, Level::Crit]);
    }
}
