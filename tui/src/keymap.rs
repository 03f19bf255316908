//! Every key and what it does, in one table. Help and hints are generated from it, so that they cannot be wrong; keys
//! that people know from other consoles keep their meaning (see "Keys" in the design).

use crate::app::Screen;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::fmt;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Leave; from a popup, close it.
    Quit,
    /// Close the popup.
    Back,
    /// Show or hide the help.
    Help,
    /// Another screen.
    Show(Screen),
    /// The screen after this one.
    NextScreen,
    /// Hold the picture; data goes on arriving.
    Pause,
    /// The row above or below.
    Up,
    /// See [`Action::Up`].
    Down,
    /// The first row.
    First,
    /// The last row.
    Last,
    /// Connect again now instead of waiting.
    Reconnect,
}

/// A key as it is written and as it is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// A named key.
    Named(KeyCode, &'static str),
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    /// The keys that do it; the first is the one shown as a hint.
    pub(crate) keys: &'static [Key],
    /// What they do.
    pub(crate) action: Action,
    /// One line for the help.
    pub(crate) help: &'static str,
    /// One word for the last row of the screen; none if it is not worth the space.
    pub(crate) hint: Option<&'static str>,
}

const fn bind(keys: &'static [Key], action: Action, help: &'static str, hint: Option<&'static str>) -> Binding {
    Binding { keys, action, help, hint }
}

/// The table.
pub(crate) const BINDINGS: &[Binding] = &[
    bind(&[Key::Char('?')], Action::Help, "show or hide this help", Some("help")),
    bind(&[Key::Char('1')], Action::Show(Screen::Overview), "overview", None),
    bind(&[Key::Char('2')], Action::Show(Screen::Nodes), "nodes", None),
    bind(&[Key::Char('3')], Action::Show(Screen::Pools), "pools", None),
    bind(&[Key::Named(KeyCode::Tab, "Tab")], Action::NextScreen, "next screen", Some("screen")),
    bind(&[Key::Char('p')], Action::Pause, "hold the picture, or let it go on", Some("pause")),
    bind(&[Key::Char('j'), Key::Named(KeyCode::Down, "Down")], Action::Down, "next row", Some("row")),
    bind(&[Key::Char('k'), Key::Named(KeyCode::Up, "Up")], Action::Up, "previous row", None),
    bind(&[Key::Char('g'), Key::Named(KeyCode::Home, "Home")], Action::First, "first row", None),
    bind(&[Key::Char('G'), Key::Named(KeyCode::End, "End")], Action::Last, "last row", None),
    bind(&[Key::Char('R')], Action::Reconnect, "connect again now", Some("reconnect")),
    bind(&[Key::Named(KeyCode::Esc, "Esc")], Action::Back, "close what is open", None),
    bind(&[Key::Char('q'), Key::Ctrl('c')], Action::Quit, "quit; from a popup, close it", Some("quit")),
];

/// What a key press asks for.
pub(crate) fn action(event: KeyEvent) -> Option<Action> {
    BINDINGS.iter().find(|binding| binding.keys.iter().any(|key| key.is(event))).map(|binding| binding.action)
}

impl Key {
    fn is(self, event: KeyEvent) -> bool {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let alone = !event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match self {
            // Shift is part of the character already.
            Self::Char(c) => alone && event.code == KeyCode::Char(c),
            Self::Ctrl(c) => control && event.code == KeyCode::Char(c),
            Self::Named(code, _) => alone && event.code == code,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(c) => write!(f, "{c}"),
            Self::Ctrl(c) => write!(f, "Ctrl-{c}"),
            Self::Named(_, name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(key: Key) -> KeyEvent {
        match key {
            Key::Char(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
            Key::Ctrl(c) => KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL),
            Key::Named(code, _) => KeyEvent::new(code, KeyModifiers::NONE),
        }
    }

    #[test]
    fn every_key_does_what_its_line_says_and_no_key_is_bound_twice() {
        for binding in BINDINGS {
            assert!(!binding.keys.is_empty() && !binding.help.is_empty(), "{binding:?}");
            for key in binding.keys {
                assert_eq!(action(press(*key)), Some(binding.action), "{key}");
            }
        }
    }

    #[test]
    fn every_screen_has_a_key() {
        for screen in Screen::ALL {
            assert!(BINDINGS.iter().any(|binding| binding.action == Action::Show(screen)), "{screen:?}");
        }
    }

    #[test]
    fn a_modifier_makes_another_key() {
        assert_eq!(action(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT)), None);
        assert_eq!(action(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::NONE)), None);
        assert_eq!(action(KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT)), Some(Action::Last));
    }
}
