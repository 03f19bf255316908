//! Every key and what it does, in one table. Help and hints are generated from it, so that they cannot be wrong; keys
//! that people know from other consoles keep their meaning (see "Keys" in the design). A configuration file can give an
//! action other keys.

mod key;

pub(crate) use key::Key;

use crate::app::Screen;
use crossterm::event::{KeyCode, KeyEvent};
use shared::protocol::admin::View;
use std::collections::BTreeMap;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Leave; from a popup, close it.
    Quit,
    /// Leave, and let the last picture stand in the terminal.
    QuitKeeping,
    /// Close the popup, or go back to where one came from.
    Back,
    /// Show or hide the help.
    Help,
    /// Another screen.
    Show(Screen),
    /// The panel after this one; on a list, the screen after this one.
    Next,
    /// See [`Action::Next`].
    Previous,
    /// The row above or below.
    Up,
    /// See [`Action::Up`].
    Down,
    /// Half a page.
    PageUp,
    /// See [`Action::PageUp`].
    PageDown,
    /// The first row.
    First,
    /// The last row.
    Last,
    /// Look closer at the row.
    Drill,
    /// Everything about the user of the row.
    User,
    /// Open sockets, or those that ended.
    Closed,
    /// Write a filter.
    Filter,
    /// Write a command.
    Command,
    /// Choose what to sort by.
    Sort,
    /// Sort by the column to the left.
    SortLeft,
    /// Sort by the column to the right.
    SortRight,
    /// The other way round.
    Invert,
    /// Only rows with faults.
    Faults,
    /// Only the node of the row, on every screen.
    OneNode,
    /// Mark the row.
    Mark,
    /// Mark every row in sight.
    MarkAll,
    /// What can be done with the row.
    Act,
    /// Hold the picture; data goes on arriving.
    Pause,
    /// A second back.
    Earlier,
    /// A second on.
    Later,
    /// A minute back.
    MuchEarlier,
    /// A minute on.
    MuchLater,
    /// Back to now.
    Live,
    /// Curves over less time.
    Shorter,
    /// Curves over more time.
    Longer,
    /// Wider columns, and more of them.
    Wide,
    /// The row's details, over the whole screen.
    Expand,
    /// Copy the row's id.
    Copy,
    /// Write what is on the screen to files.
    Snapshot,
    /// Listen to the mouse, or leave it to the terminal.
    Mouse,
    /// Other colours.
    Theme,
    /// Connect again now instead of waiting.
    Reconnect,
    /// Give the terminal back until the shell lets the console go on.
    Suspend,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    /// The action's name in the configuration file.
    pub(crate) name: &'static str,
    /// The keys that do it; the first is the one shown as a hint.
    pub(crate) keys: Vec<Key>,
    /// What they do.
    pub(crate) action: Action,
    /// One line for the help.
    pub(crate) help: &'static str,
    /// One word for the last row of the screen; none if it is not worth the space.
    pub(crate) hint: Option<&'static str>,
}

/// The table.
#[derive(Clone, Debug)]
pub(crate) struct Keymap(Vec<Binding>);

impl Default for Keymap {
    fn default() -> Self {
        Self(defaults())
    }
}

impl Keymap {
    /// The table with other keys for some actions. Every problem is named.
    pub(crate) fn patched(patch: &BTreeMap<String, Vec<String>>) -> Result<Self, Vec<String>> {
        let (mut map, mut problems) = (Self::default(), Vec::new());
        for (name, keys) in patch {
            let Some(binding) = map.0.iter_mut().find(|binding| binding.name == name) else {
                problems.push(format!("keys.{name}: there is no such action"));
                continue;
            };
            match keys.iter().map(|key| key.parse()).collect::<Result<Vec<Key>, _>>() {
                Ok(keys) => binding.keys = keys,
                Err(problem) => problems.push(format!("keys.{name}: {problem}")),
            }
        }
        problems.extend(map.twice());
        if problems.is_empty() { Ok(map) } else { Err(problems) }
    }

    /// Keys that would do two things.
    fn twice(&self) -> Vec<String> {
        let mut users: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for binding in &self.0 {
            for key in &binding.keys {
                users.entry(key.to_string()).or_default().push(binding.name);
            }
        }
        let several = users.into_iter().filter(|(_, names)| names.len() > 1);
        several.map(|(key, names)| format!("keys: {key} would do both {}", names.join(" and "))).collect()
    }

    /// Every line.
    pub(crate) fn bindings(&self) -> &[Binding] {
        &self.0
    }

    /// What a key press asks for.
    pub(crate) fn action(&self, event: KeyEvent) -> Option<Action> {
        let mut bindings = self.0.iter();
        bindings.find(|binding| binding.keys.iter().any(|key| key.is(event))).map(|binding| binding.action)
    }

    /// The first key of an action, as it is written.
    pub(crate) fn key(&self, action: Action) -> String {
        let binding = self.0.iter().find(|binding| binding.action == action);
        binding.and_then(|binding| binding.keys.first()).map(ToString::to_string).unwrap_or_default()
    }
}

fn defaults() -> Vec<Binding> {
    use Action as A;
    use Key::{Char, Ctrl};
    let named = Key::Named;
    let bind = |name, keys: &[Key], action, help, hint| Binding { name, keys: keys.to_vec(), action, help, hint };
    let screen = |name, key, screen, help| bind(name, &[Char(key)], A::Show(screen), help, None);
    vec![
        bind("help", &[Char('?')], A::Help, "show or hide this help", Some("help")),
        screen("overview", '1', Screen::Overview, "overview"),
        screen("nodes", '2', Screen::Nodes, "nodes"),
        screen("pools", '3', Screen::Pools, "database pools"),
        screen("connections", '4', Screen::List(View::Connections), "open sockets"),
        screen("rooms", '5', Screen::List(View::Rooms), "rooms"),
        screen("queues", '6', Screen::List(View::Queues), "offline queues"),
        screen("endpoints", '7', Screen::List(View::Endpoints), "REST endpoints"),
        screen("errors", '8', Screen::List(View::Errors), "errors by code"),
        screen("alerts", '9', Screen::List(View::Alerts), "alerts"),
        screen("logs", '0', Screen::List(View::Logs), "log lines"),
        bind("command", &[Char(':')], A::Command, "write a command; Tab completes", Some("cmd")),
        bind("filter", &[Char('/')], A::Filter, "filter the list: queue>8 node=gw-1 (Tab completes)", Some("filter")),
        bind("drill", &[named(KeyCode::Enter)], A::Drill, "look closer at the row", Some("open")),
        bind("back", &[named(KeyCode::Esc)], A::Back, "close what is open, drop the filter, go back", None),
        bind("act", &[Char('x')], A::Act, "what can be done with the row", Some("actions")),
        bind("pause", &[Char('p')], A::Pause, "hold the picture, or let it go on", Some("pause")),
        bind("earlier", &[Char('[')], A::Earlier, "a second back in time", Some("rewind")),
        bind("later", &[Char(']')], A::Later, "a second on", None),
        bind("much_earlier", &[Char('{')], A::MuchEarlier, "a minute back in time", None),
        bind("much_later", &[Char('}')], A::MuchLater, "a minute on", None),
        bind("live", &[Char('v')], A::Live, "back to now", None),
        bind("shorter", &[Char('-')], A::Shorter, "curves over less time", None),
        bind("longer", &[Char('+'), Char('=')], A::Longer, "curves over more time, up to a day", None),
        bind("sort", &[Char('s')], A::Sort, "choose what to sort by", None),
        bind("sort_left", &[Char('<')], A::SortLeft, "sort by the column to the left", None),
        bind("sort_right", &[Char('>')], A::SortRight, "sort by the column to the right", None),
        bind("invert", &[Char('i')], A::Invert, "sort the other way round", None),
        bind("faults", &[Char('z')], A::Faults, "only rows with faults", None),
        bind("one_node", &[Char('n')], A::OneNode, "only the node of the row, on every screen", None),
        bind("mark", &[Char(' ')], A::Mark, "mark the row for an action", None),
        bind("mark_all", &[Char('*')], A::MarkAll, "mark every row listed, or none", None),
        bind("user", &[Char('u')], A::User, "everything about the user of the row", None),
        bind("closed", &[Char('c')], A::Closed, "open sockets, or those that ended", None),
        bind("expand", &[Char('e')], A::Expand, "every field of the row", None),
        bind("wide", &[Char('w')], A::Wide, "whole ids and long texts, or short ones", None),
        bind("copy", &[Char('y')], A::Copy, "copy the row's id to the clipboard", None),
        bind("next", &[named(KeyCode::Tab)], A::Next, "next panel; on a list, next screen", None),
        bind("previous", &[named(KeyCode::BackTab)], A::Previous, "previous panel or screen", None),
        bind("down", &[Char('j'), named(KeyCode::Down)], A::Down, "next row", None),
        bind("up", &[Char('k'), named(KeyCode::Up)], A::Up, "previous row", None),
        bind("page_down", &[Ctrl('d'), named(KeyCode::PageDown)], A::PageDown, "half a page down", None),
        bind("page_up", &[Ctrl('u'), named(KeyCode::PageUp)], A::PageUp, "half a page up", None),
        bind("first", &[Char('g'), named(KeyCode::Home)], A::First, "first row", None),
        bind("last", &[Char('G'), named(KeyCode::End)], A::Last, "last row", None),
        bind("snapshot", &[Ctrl('s')], A::Snapshot, "write what is known to files, as text and JSON", None),
        bind("mouse", &[Char('m')], A::Mouse, "listen to the mouse, or leave it to the terminal", None),
        bind("theme", &[Char('T')], A::Theme, "other colours", None),
        bind("reconnect", &[Char('R')], A::Reconnect, "connect again now", None),
        bind("suspend", &[Ctrl('z')], A::Suspend, "give the terminal to the shell; fg goes on", None),
        bind("quit_keeping", &[Char('Q')], A::QuitKeeping, "quit, and let the last picture stand", None),
        bind("quit", &[Char('q'), Ctrl('c')], A::Quit, "quit; from a popup, close it", Some("quit")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyModifiers;

    #[test]
    fn every_key_does_what_its_line_says_and_no_key_is_bound_twice() {
        let map = Keymap::default();
        assert_eq!(map.twice(), Vec::<String>::new());
        for binding in map.bindings() {
            assert!(!binding.keys.is_empty() && !binding.help.is_empty(), "{binding:?}");
            for key in &binding.keys {
                assert_eq!(map.action(key.event()), Some(binding.action), "{key}");
            }
        }
    }

    #[test]
    fn every_screen_has_a_key() {
        for screen in Screen::ROOTS {
            let map = Keymap::default();
            assert!(map.bindings().iter().any(|binding| binding.action == Action::Show(screen)), "{screen:?}");
        }
    }

    #[test]
    fn a_modifier_makes_another_key() {
        let map = Keymap::default();
        assert_eq!(map.action(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT)), None);
        assert_eq!(map.action(KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT)), Some(Action::Last));
    }

    #[test]
    fn a_patch_of_all_keys_written_out_changes_nothing() {
        let map = Keymap::default();
        let written = |binding: &Binding| binding.keys.iter().map(ToString::to_string).collect();
        let patch = map.bindings().iter().map(|binding| (binding.name.to_owned(), written(binding))).collect();
        let again = Keymap::patched(&patch).unwrap();
        for (a, b) in map.bindings().iter().zip(again.bindings()) {
            assert_eq!((a.name, &a.keys), (b.name, &b.keys));
        }
    }

    #[test]
    fn a_patch_that_takes_a_key_twice_or_names_nothing_is_refused_by_name() {
        let patch = |name: &str, key: &str| BTreeMap::from([(name.to_owned(), vec![key.to_owned()])]);
        for (name, key, said) in [
            ("pause", "q", "q would do both pause and quit"),
            ("levitate", "L", "no such action"),
            ("pause", "Hyper-x", "Hyper-x"),
        ] {
            let problems = Keymap::patched(&patch(name, key)).unwrap_err();
            assert!(problems[0].contains(said), "{problems:?}");
        }
        let map = Keymap::patched(&patch("pause", "F5")).unwrap();
        let f5 = KeyEvent::new(KeyCode::F(5), KeyModifiers::NONE);
        assert_eq!((map.action(f5), map.key(Action::Pause).as_str()), (Some(Action::Pause), "F5"));
    }
}
