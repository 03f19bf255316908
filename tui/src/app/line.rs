//! A line that is being written.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Longest text, in characters.
const MOST: usize = 500;

/// See the module. The caret is at its end: nobody edits a filter in its middle at three in the morning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextLine(String);

impl TextLine {
    /// A line with something on it already.
    pub(crate) fn of(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What is on it.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Takes in a key; true if it was one for writing.
    pub(crate) fn press(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Backspace => {
                self.0.pop();
            }
            KeyCode::Char('u') if control => self.0.clear(),
            KeyCode::Char('w') if control => {
                let kept = self.0.trim_end().rfind(char::is_whitespace).map_or(0, |at| at + 1);
                self.0.truncate(kept);
            }
            KeyCode::Char(c) if !control && !key.modifiers.contains(KeyModifiers::ALT) => self.push(c),
            _ => return false,
        }
        true
    }

    /// Takes in what was pasted: a line is one line.
    pub(crate) fn paste(&mut self, text: &str) {
        text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).for_each(|c| self.push(c));
    }

    fn push(&mut self, c: char) {
        if !c.is_control() && self.0.chars().count() < MOST {
            self.0.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_text_and_no_control_characters_and_is_bounded() {
        let mut line = TextLine::default();
        line.paste("queue>8\nnode=\u{1b}gw-1");
        assert_eq!(line.text(), "queue>8 node=gw-1");
        assert!(line.press(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL)));
        assert_eq!(line.text(), "queue>8 ");
        assert!(line.press(KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE)));
        assert!(!line.press(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)));
        line.paste(&"x".repeat(2 * MOST));
        assert_eq!(line.text().chars().count(), MOST);
    }
}
