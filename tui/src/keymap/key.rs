//! One key, as it is pressed and as it is written.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::{fmt, str::FromStr};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// A named key.
    Named(KeyCode),
}

const NAMES: [(KeyCode, &str); 13] = [
    (KeyCode::Enter, "Enter"),
    (KeyCode::Esc, "Esc"),
    (KeyCode::Tab, "Tab"),
    (KeyCode::BackTab, "S-Tab"),
    (KeyCode::Up, "Up"),
    (KeyCode::Down, "Down"),
    (KeyCode::Left, "Left"),
    (KeyCode::Right, "Right"),
    (KeyCode::PageUp, "PgUp"),
    (KeyCode::PageDown, "PgDn"),
    (KeyCode::Home, "Home"),
    (KeyCode::End, "End"),
    (KeyCode::Delete, "Del"),
];

impl Key {
    /// Whether this press is of this key.
    pub(crate) fn is(self, event: KeyEvent) -> bool {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let alone = !event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match self {
            // Shift is part of the character already.
            Self::Char(c) => alone && event.code == KeyCode::Char(c),
            Self::Ctrl(c) => control && event.code == KeyCode::Char(c),
            Self::Named(code) => alone && event.code == code,
        }
    }

    /// A press of this key.
    #[cfg(test)]
    pub(crate) fn event(self) -> KeyEvent {
        match self {
            Self::Char(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
            Self::Ctrl(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL),
            Self::Named(code) => KeyEvent::new(code, KeyModifiers::NONE),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => f.write_str("Space"),
            Self::Char(c) => write!(f, "{c}"),
            Self::Ctrl(c) => write!(f, "Ctrl-{c}"),
            Self::Named(KeyCode::F(number)) => write!(f, "F{number}"),
            Self::Named(code) => {
                f.write_str(NAMES.iter().find(|(known, _)| known == code).map_or("?", |(_, name)| name))
            }
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut chars = text.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            return Ok(Self::Char(c));
        }
        if text == "Space" {
            return Ok(Self::Char(' '));
        }
        if let Some((code, _)) = NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(Self::Named(*code));
        }
        if let Some(number) = text.strip_prefix('F').and_then(|number| number.parse().ok()) {
            return Ok(Self::Named(KeyCode::F(number)));
        }
        let mut control = text.strip_prefix("Ctrl-").unwrap_or_default().chars();
        match (control.next(), control.next()) {
            (Some(c), None) => Ok(Self::Ctrl(c)),
            _ => Err(format!("{text:?} is no key: write q, Ctrl-s, Space, Enter, PgUp, F5, …")),
        }
    }
}
