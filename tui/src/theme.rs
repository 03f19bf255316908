//! Colours and glyphs. Meaning never rests on colour alone: every warning also carries `!`, stale figures `~`, gaps `·`.
//!
//! The mono palette sets no colour at all: crossterm under `NO_COLOR` answers every colour with a bare reset, which
//! would also clear reverse and bold. In the full palettes of both schemes good, warning and critical differ also in
//! brightness, so that they stay apart for people who see red and green alike (a test computes it).

use crate::cli::Palette;
use ratatui::style::{Color, Modifier, Style};

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    palette: Palette,
    scheme: Scheme,
    /// Block characters; else ASCII.
    pub(crate) unicode: bool,
}

/// Which colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Green, amber, red.
    #[default]
    Default,
    /// Blue, yellow, vermilion: Okabe and Ito's, for people who see red and green alike.
    ColourBlind,
    /// None.
    Mono,
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

/// A colour in each palette.
#[derive(Clone, Copy, Debug)]
struct Ink {
    ansi: Color,
    full: u8,
    rgb: (u8, u8, u8),
}

const fn ink(ansi: Color, full: u8, rgb: (u8, u8, u8)) -> Ink {
    Ink { ansi, full, rgb }
}

impl Scheme {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Default, "default"), (Self::ColourBlind, "colour-blind"), (Self::Mono, "mono")];

    const fn warn(self) -> Ink {
        match self {
            Self::Default | Self::Mono => ink(Color::Yellow, 214, (0xff, 0xb8, 0x2e)),
            Self::ColourBlind => ink(Color::Yellow, 227, (0xf0, 0xe4, 0x42)),
        }
    }

    const fn crit(self) -> Ink {
        match self {
            Self::Default | Self::Mono => ink(Color::Red, 197, (0xff, 0x30, 0x60)),
            Self::ColourBlind => ink(Color::LightRed, 166, (0xd5, 0x5e, 0x00)),
        }
    }

    const fn live(self) -> Ink {
        match self {
            Self::Default | Self::Mono => ink(Color::Green, 79, (0x5f, 0xd7, 0xaf)),
            Self::ColourBlind => ink(Color::Blue, 75, (0x56, 0xb4, 0xe9)),
        }
    }

    const fn graph(self) -> Ink {
        match self {
            Self::Default | Self::Mono => ink(Color::Cyan, 74, (0x5f, 0xaf, 0xd7)),
            Self::ColourBlind => ink(Color::Cyan, 110, (0x87, 0xaf, 0xd7)),
        }
    }
}

impl Theme {
    /// A theme of these colours and glyphs.
    pub(crate) const fn new(palette: Palette, unicode: bool) -> Self {
        Self { palette, scheme: Scheme::Default, unicode }
    }

    /// The scheme after this one.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        let at = Scheme::ALL.iter().position(|(scheme, _)| *scheme == self.scheme).unwrap_or(0);
        Self { scheme: Scheme::ALL[(at + 1) % Scheme::ALL.len()].0, ..self }
    }

    /// The scheme of this name.
    pub(crate) fn named(self, name: &str) -> Result<Self, String> {
        let known = Scheme::ALL.iter().find(|(_, known)| *known == name);
        let scheme = known.ok_or("write default, colour-blind or mono")?.0;
        Ok(Self { scheme, ..self })
    }

    /// The scheme's name.
    pub(crate) fn name(self) -> &'static str {
        Scheme::ALL.iter().find(|(scheme, _)| *scheme == self.scheme).map_or("", |(_, name)| name)
    }

    fn paint(self, ink: Ink) -> Style {
        match (self.scheme, self.palette) {
            (Scheme::Mono, _) | (_, Palette::Mono) => Style::new(),
            (_, Palette::Ansi) => Style::new().fg(ink.ansi),
            (_, Palette::Full) => Style::new().fg(Color::Indexed(ink.full)),
            (_, Palette::True) => Style::new().fg(Color::Rgb(ink.rgb.0, ink.rgb.1, ink.rgb.2)),
        }
    }

    fn is_mono(self) -> bool {
        self.palette == Palette::Mono || self.scheme == Scheme::Mono
    }

    /// Text of a level.
    pub(crate) fn level(self, level: Level) -> Style {
        match level {
            Level::Good => Style::new(),
            Level::Warn if self.is_mono() => Style::new().add_modifier(Modifier::BOLD),
            Level::Warn => self.paint(self.scheme.warn()),
            Level::Crit if self.is_mono() => Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
            Level::Crit => self.paint(self.scheme.crit()).add_modifier(Modifier::BOLD),
        }
    }

    /// Bars and curves.
    pub(crate) fn graph(self) -> Style {
        self.paint(self.scheme.graph())
    }

    /// The sign that all is well.
    pub(crate) fn live(self) -> Style {
        self.paint(self.scheme.live()).add_modifier(Modifier::BOLD)
    }

    /// Frames and labels.
    pub(crate) fn quiet(self) -> Style {
        if self.is_mono() {
            return Style::new().add_modifier(Modifier::DIM);
        }
        self.paint(ink(Color::DarkGray, 245, (0x8a, 0x8a, 0x8a)))
    }

    /// The cluster's name: production must not be mistaken for anything else.
    pub(crate) fn badge(self, production: bool) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if production { style.patch(self.paint(self.scheme.crit())).add_modifier(Modifier::REVERSED) } else { style }
    }

    /// Headings.
    pub(crate) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

    /// The selected row.
    pub(crate) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);

    /// Old data, whatever else it is.
    pub(crate) const STALE: Style = Style::new().add_modifier(Modifier::DIM);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_sets_no_colour_and_still_tells_levels_apart() {
        for theme in [
            Theme::new(Palette::Mono, true),
            Theme::new(Palette::True, true).named("mono").unwrap(),
            Theme::new(Palette::Mono, true).named("colour-blind").unwrap(),
        ] {
            let levels = [Level::Good, Level::Warn, Level::Crit].map(|level| theme.level(level));
            let others = [theme.graph(), theme.live(), theme.quiet(), theme.badge(true), Theme::SELECTED, Theme::STALE];
            assert!(levels.iter().chain(&others).all(|style| style.fg.is_none() && style.bg.is_none()));
            assert!(levels[0] != levels[1] && levels[1] != levels[2]);
        }
    }

    #[test]
    fn a_value_on_the_threshold_is_over_it() {
        assert_eq!([0.69, 0.7, 0.9].map(|v| Level::of(v, 0.7, 0.9)), [Level::Good, Level::Warn, Level::Crit]);
    }

    #[test]
    fn the_schemes_come_round() {
        let theme = Theme::new(Palette::Full, true);
        assert_eq!(theme.next().next().next(), theme);
        assert_eq!(theme.next().name(), "colour-blind");
        assert!(theme.named("pink").is_err());
    }

    /// What the eye without red or without green cones makes of a colour: Viénot, Brettel and Mollon (1999), on linear
    /// light.
    fn seen(rgb: (u8, u8, u8), without_red: bool) -> [f64; 3] {
        let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
        let (r, g, b) = (linear(rgb.0), linear(rgb.1), linear(rgb.2));
        let mixed = if without_red { 0.112_38 * r + 0.887_62 * g } else { 0.292_75 * r + 0.707_25 * g };
        let blue = if without_red { 0.004_01 * (r - g) + b } else { -0.022_34 * (r - g) + b };
        [mixed, mixed, blue].map(|c| c.clamp(0.0, 1.0).powf(1.0 / 2.2) * 255.0)
    }

    #[test]
    fn whoever_sees_red_and_green_alike_still_sees_good_warning_and_critical_apart() {
        for scheme in [Scheme::Default, Scheme::ColourBlind] {
            let inks = [scheme.live().rgb, scheme.warn().rgb, scheme.crit().rgb];
            for without_red in [true, false] {
                let seen = inks.map(|rgb| seen(rgb, without_red));
                for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                    let apart = seen[a].iter().zip(seen[b]).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt();
                    assert!(apart > 60.0, "{scheme:?}: {a} and {b} are only {apart:.0} apart");
                }
            }
        }
    }
}
