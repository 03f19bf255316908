//! Asking back before something is done. How is decided by the action's grade:
//!
//! | grade | the operator |
//! |---|---|
//! | harmless | is not asked |
//! | reversible | moves from Cancel to the other button |
//! | costly | also types how many it concerns, or the node's name, and why |
//! | lossy | also types the target itself; in production the button wakes up only after three seconds |
//!
//! The dialog opens with Cancel chosen, every time: the last answer is never remembered. How many it concerns is asked
//! of the server, and sent back with the action, so that nothing is done if there are more by then.

use super::line::TextLine;
use crate::model::Moment;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use shared::protocol::admin::{Action, ActionRequest, Audience, Grade, Target};
use std::time::Duration;

/// How long the button of a lossy action sleeps in production.
const ARMING: Duration = Duration::from_secs(3);
/// Least characters of a reason.
const REASON: usize = 3;

/// What is known about how many it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// The server was asked.
    Asked,
    /// So many.
    Known(u64),
    /// It could not say.
    Failed(String),
}

/// What the keys go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    /// Leave it.
    Cancel,
    /// Why.
    Reason,
    /// The word that says one has read it.
    Word,
    /// Do it.
    Confirm,
}

/// What a key led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The dialog stays.
    Stay,
    /// Nothing is done.
    Cancelled,
    /// This is done.
    Go(Box<ActionRequest>),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Confirm {
    /// What is asked about.
    pub(crate) action: Action,
    /// What it concerns, by name, as far as it fits.
    pub(crate) names: Vec<String>,
    /// How many it concerns.
    pub(crate) count: Count,
    /// Why.
    pub(crate) reason: TextLine,
    /// The word, as far as it was typed.
    pub(crate) word: TextLine,
    /// What the keys go to.
    pub(crate) focus: Focus,
    key: String,
    opened: Moment,
    production: bool,
}

impl Confirm {
    /// Opens a dialog; `key` is the action's own.
    pub(crate) fn new(action: Action, names: Vec<String>, key: String, now: Moment, production: bool) -> Self {
        Self {
            action,
            names,
            count: Count::Asked,
            reason: TextLine::default(),
            word: TextLine::default(),
            focus: Focus::Cancel,
            key,
            opened: now,
            production,
        }
    }

    /// The request that only counts.
    pub(crate) fn dry_run(&self) -> ActionRequest {
        ActionRequest {
            key: self.dry_key(),
            reason: String::new(),
            expect: None,
            dry_run: true,
            action: self.action.clone(),
        }
    }

    /// The action's own key.
    pub(crate) fn key(&self) -> String {
        self.key.clone()
    }

    /// The key the counting was asked under.
    pub(crate) fn dry_key(&self) -> String {
        format!("{}-count", self.key)
    }

    /// Whether a word and a reason must be typed.
    pub(crate) fn is_typed(&self) -> bool {
        self.action.grade() >= Grade::Costly
    }

    /// The word that must be typed; none while it is not known or none is needed.
    pub(crate) fn wanted(&self) -> Option<String> {
        let count = || match self.count {
            Count::Known(count) => Some(count.to_string()),
            Count::Asked | Count::Failed(_) => None,
        };
        match (self.action.grade(), &self.action) {
            (Grade::Harmless | Grade::Reversible, _) => None,
            (_, Action::Drain { node, .. }) => Some(node.clone()),
            (Grade::Lossy, Action::PurgeQueue { user }) => Some(user.to_string()),
            (
                Grade::Lossy,
                Action::Disconnect { target: Target::Everyone } | Action::Announce { to: Audience::Everyone, .. },
            ) => Some("everyone".to_owned()),
            _ => count(),
        }
    }

    /// How long the button still sleeps.
    pub(crate) fn arming(&self, now: Moment) -> Option<Duration> {
        let sleeps = self.production && self.action.grade() == Grade::Lossy;
        let left = (self.opened + ARMING).saturating_sub(now);
        (sleeps && !left.is_zero()).then_some(left)
    }

    /// What still stands in the way, for people.
    pub(crate) fn missing(&self, now: Moment) -> Option<String> {
        if let Count::Failed(why) = &self.count {
            return Some(why.clone());
        }
        if !self.is_typed() {
            return None;
        }
        if self.count == Count::Asked {
            return Some("counting".to_owned());
        }
        if self.reason.text().trim().chars().count() < REASON {
            return Some("say why".to_owned());
        }
        let wanted = self.wanted().unwrap_or_default();
        if wanted.is_empty() || self.word.text().trim() != wanted {
            return Some(format!("type {wanted}"));
        }
        self.arming(now).map(|left| format!("wait {}s", left.as_secs() + 1))
    }

    /// Takes in a key.
    pub(crate) fn press(&mut self, key: KeyEvent, now: Moment) -> Outcome {
        let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Outcome::Cancelled,
            _ if control_c => return Outcome::Cancelled,
            KeyCode::Enter => return self.enter(now),
            KeyCode::Tab | KeyCode::Down => self.focus = self.step(1),
            KeyCode::BackTab | KeyCode::Up => self.focus = self.step(-1),
            KeyCode::Left | KeyCode::Right if matches!(self.focus, Focus::Cancel | Focus::Confirm) => {
                self.focus = if self.focus == Focus::Cancel { Focus::Confirm } else { Focus::Cancel };
            }
            _ => match self.focus {
                Focus::Reason => drop(self.reason.press(key)),
                Focus::Word => drop(self.word.press(key)),
                Focus::Cancel | Focus::Confirm => {}
            },
        }
        Outcome::Stay
    }

    fn enter(&mut self, now: Moment) -> Outcome {
        match self.focus {
            Focus::Cancel => Outcome::Cancelled,
            Focus::Reason | Focus::Word => {
                self.focus = self.step(1);
                Outcome::Stay
            }
            Focus::Confirm if self.missing(now).is_some() => Outcome::Stay,
            Focus::Confirm => Outcome::Go(Box::new(self.request())),
        }
    }

    fn request(&self) -> ActionRequest {
        let expect = if let Count::Known(count) = self.count { Some(count) } else { None };
        ActionRequest {
            key: self.key.clone(),
            reason: self.reason.text().trim().to_owned(),
            expect,
            dry_run: false,
            action: self.action.clone(),
        }
    }

    fn step(&self, by: isize) -> Focus {
        let order: &[Focus] = if self.is_typed() {
            &[Focus::Cancel, Focus::Reason, Focus::Word, Focus::Confirm]
        } else {
            &[Focus::Cancel, Focus::Reason, Focus::Confirm]
        };
        let at = order.iter().position(|focus| *focus == self.focus).unwrap_or(0);
        order[(at + order.len()).saturating_add_signed(by) % order.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(confirm: &mut Confirm, code: KeyCode) -> Outcome {
        confirm.press(KeyEvent::new(code, KeyModifiers::NONE), Moment::from_secs(10))
    }

    fn write(confirm: &mut Confirm, text: &str) {
        for c in text.chars() {
            press(confirm, KeyCode::Char(c));
        }
    }

    fn drain(production: bool) -> Confirm {
        let action = Action::Drain { node: "gw-1".into(), per_second: None };
        Confirm::new(action, Vec::new(), "0123456789".into(), Moment::ZERO, production)
    }

    #[test]
    fn enter_alone_never_does_anything() {
        let undrain = Action::Undrain { node: "gw-1".into() };
        let mut confirm = Confirm::new(undrain, Vec::new(), "0123456789".into(), Moment::ZERO, false);
        assert_eq!(press(&mut confirm, KeyCode::Enter), Outcome::Cancelled);
        press(&mut confirm, KeyCode::Right);
        let Outcome::Go(request) = press(&mut confirm, KeyCode::Enter) else { panic!("a reversible action goes") };
        assert!(!request.dry_run);
    }

    #[test]
    fn a_costly_action_needs_count_reason_and_word() {
        let mut confirm = drain(true);
        press(&mut confirm, KeyCode::BackTab);
        assert_eq!(confirm.focus, Focus::Confirm);
        assert_eq!(press(&mut confirm, KeyCode::Enter), Outcome::Stay, "nothing was counted");
        confirm.count = Count::Known(4_813);
        assert_eq!(press(&mut confirm, KeyCode::Enter), Outcome::Stay, "no reason");
        confirm.focus = Focus::Reason;
        write(&mut confirm, "inc-4711");
        press(&mut confirm, KeyCode::Enter);
        write(&mut confirm, "gw-2");
        press(&mut confirm, KeyCode::Enter);
        assert_eq!(press(&mut confirm, KeyCode::Enter), Outcome::Stay, "another node's name");
        press(&mut confirm, KeyCode::Up);
        press(&mut confirm, KeyCode::Backspace);
        write(&mut confirm, "1");
        press(&mut confirm, KeyCode::Tab);
        let Outcome::Go(request) = press(&mut confirm, KeyCode::Enter) else { panic!("{confirm:?}") };
        assert_eq!((request.expect, request.reason.as_str()), (Some(4_813), "inc-4711"));
    }

    #[test]
    fn in_production_a_lossy_action_sleeps_first() {
        let action = Action::Disconnect { target: Target::Everyone };
        let mut confirm = Confirm::new(action, Vec::new(), "0123456789".into(), Moment::from_secs(9), true);
        confirm.count = Count::Known(9);
        (confirm.reason, confirm.word) = (TextLine::of("because"), TextLine::of("everyone"));
        confirm.focus = Focus::Confirm;
        assert_eq!(press(&mut confirm, KeyCode::Enter), Outcome::Stay);
        assert_eq!(confirm.missing(Moment::from_secs(10)).as_deref(), Some("wait 3s"));
        assert_eq!(confirm.missing(Moment::from_secs(12)), None);
    }

    #[test]
    fn a_server_that_cannot_count_stops_it() {
        let mut confirm = drain(false);
        confirm.count = Count::Failed("there is no such node".into());
        (confirm.reason, confirm.word) = (TextLine::of("because"), TextLine::of("gw-1"));
        confirm.focus = Focus::Confirm;
        assert_eq!(press(&mut confirm, KeyCode::Enter), Outcome::Stay);
    }
}
