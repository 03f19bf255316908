//! What can cover a page, and what its keys do.

use super::{
    App, Confirm, Effect, Offer, TextLine, command,
    complete::{complete, names},
    confirm::Outcome,
    menu,
};
use crate::{figures::plain, model::Moment, theme::Level};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use shared::protocol::admin::{Action, ActionRequest, Filter, Target};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Popup {
    /// Keys and commands; how far it was scrolled.
    Help(usize),
    /// A line that is being written.
    Prompt(Prompt),
    /// What can be done; which is chosen.
    Menu(Vec<Offer>, usize),
    /// Fields to sort by; which is chosen.
    Sort(usize),
    /// Asking back.
    Confirm(Box<Confirm>),
    /// Every field of the row; how far it was scrolled.
    Detail(usize),
}

/// What a line is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To filter the list.
    Filter,
    /// To do something.
    Command,
}

/// A line that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    /// What for.
    pub(crate) purpose: Purpose,
    /// The line.
    pub(crate) line: TextLine,
    /// What is wrong with it, or what its last word can become.
    pub(crate) remark: String,
    /// What stood there before.
    before: String,
}

impl Prompt {
    /// A line with something on it already.
    pub(crate) fn new(purpose: Purpose, text: &str) -> Self {
        Self { purpose, line: TextLine::of(text), remark: String::new(), before: text.to_owned() }
    }
}

impl Popup {
    /// What changes on it by time alone.
    pub(super) fn ages(&self, now: Moment) -> Option<u64> {
        match self {
            Self::Confirm(confirm) => confirm.arming(now).map(|left| left.as_secs()),
            _ => None,
        }
    }
}

/// Whether the key closes whatever is open.
fn closes(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    key.code == KeyCode::Esc || (control && key.code == KeyCode::Char('c'))
}

impl App {
    /// A key for the topmost popup.
    pub(super) fn press_popup(&mut self, popup: Popup, key: KeyEvent) -> Vec<Effect> {
        match popup {
            Popup::Help(at) => self.press_scroll(at, key, Popup::Help),
            Popup::Detail(at) => self.press_scroll(at, key, Popup::Detail),
            Popup::Prompt(prompt) => self.press_prompt(prompt, key),
            Popup::Menu(offers, at) => self.press_menu(offers, at, key),
            Popup::Sort(at) => self.press_sort(at, key),
            Popup::Confirm(confirm) => self.press_confirm(confirm, key),
        }
    }

    fn press_scroll(&mut self, at: usize, key: KeyEvent, make: fn(usize) -> Popup) -> Vec<Effect> {
        let at = match key.code {
            _ if closes(key) => return Vec::new(),
            KeyCode::Char('q' | '?' | 'e') | KeyCode::Enter => return Vec::new(),
            KeyCode::Down | KeyCode::Char('j') => at.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char('d' | ' ') => at.saturating_add(10),
            KeyCode::PageUp | KeyCode::Char('u') => at.saturating_sub(10),
            KeyCode::Home | KeyCode::Char('g') => 0,
            _ => at,
        };
        self.popups.push(make(at.min(200)));
        Vec::new()
    }

    fn press_prompt(&mut self, mut prompt: Prompt, key: KeyEvent) -> Vec<Effect> {
        if closes(key) {
            if prompt.purpose == Purpose::Filter {
                self.set_filter(&prompt.before.clone());
            }
            return Vec::new();
        }
        match key.code {
            KeyCode::Enter => return self.entered(prompt),
            KeyCode::Tab => {
                let text = prompt.line.text().to_owned();
                let (completed, fitting) = match prompt.purpose {
                    Purpose::Filter => complete(&text, names(self.page().screen.fields())),
                    Purpose::Command => complete(&text, command::names()),
                };
                prompt.line = TextLine::of(completed);
                prompt.remark = fitting.join(" ");
            }
            _ if prompt.line.press(key) => {
                prompt.remark.clear();
                if prompt.purpose == Purpose::Filter {
                    prompt.remark = self.try_filter(prompt.line.text());
                }
            }
            _ => {}
        }
        self.popups.push(Popup::Prompt(prompt));
        Vec::new()
    }

    /// Pasted text goes where text is written, and nowhere else.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        self.dirty = true;
        match self.popups.pop() {
            Some(Popup::Prompt(mut prompt)) => {
                prompt.line.paste(text);
                if prompt.purpose == Purpose::Filter {
                    prompt.remark = self.try_filter(prompt.line.text());
                }
                self.popups.push(Popup::Prompt(prompt));
            }
            Some(Popup::Confirm(mut confirm)) => {
                // A word that is pasted was not read: only the reason takes it.
                if confirm.focus == super::Focus::Reason {
                    confirm.reason.paste(text);
                }
                self.popups.push(Popup::Confirm(confirm));
            }
            other => self.popups.extend(other),
        }
        Vec::new()
    }

    fn entered(&mut self, mut prompt: Prompt) -> Vec<Effect> {
        let text = prompt.line.text().trim().to_owned();
        match prompt.purpose {
            Purpose::Filter => {
                prompt.remark = self.try_filter(&text);
                if !prompt.remark.is_empty() {
                    self.popups.push(Popup::Prompt(prompt));
                }
                Vec::new()
            }
            Purpose::Command if text.is_empty() => Vec::new(),
            Purpose::Command => match command::parse(&text).and_then(|typed| self.typed(typed)) {
                Ok(effects) => effects,
                Err(problem) => {
                    prompt.remark = problem;
                    self.popups.push(Popup::Prompt(prompt));
                    Vec::new()
                }
            },
        }
    }

    /// Filters while one writes, as long as it is a filter; what is wrong otherwise.
    fn try_filter(&mut self, text: &str) -> String {
        match Filter::parse(text, self.page().screen.fields()) {
            Ok(_) => {
                self.set_filter(text);
                String::new()
            }
            Err(error) => plain(&error.to_string()),
        }
    }

    pub(super) fn set_filter(&mut self, text: &str) {
        if self.page().filter != text {
            let page = self.page_mut();
            text.clone_into(&mut page.filter);
            page.rewind();
        }
    }

    fn press_menu(&mut self, offers: Vec<Offer>, at: usize, key: KeyEvent) -> Vec<Effect> {
        let chosen = match key.code {
            _ if closes(key) => return Vec::new(),
            KeyCode::Char('q' | 'x') => return Vec::new(),
            KeyCode::Enter => Some(at),
            KeyCode::Char(c) => offers.iter().position(|offer| offer.key == c),
            _ => None,
        };
        if let Some(offer) = chosen.and_then(|at| offers.get(at)) {
            if let Some(why) = &offer.blocked {
                let why = format!("not now: {why}");
                self.say(why, Level::Warn);
                return Vec::new();
            }
            return self.begin(offer.action.clone(), offer.names.clone());
        }
        let last = offers.len().saturating_sub(1);
        let at = match key.code {
            KeyCode::Down => (at + 1).min(last),
            KeyCode::Up => at.saturating_sub(1),
            _ => at,
        };
        self.popups.push(Popup::Menu(offers, at));
        Vec::new()
    }

    pub(super) fn open_menu(&mut self) {
        let offers = menu::offers(self);
        if offers.is_empty() {
            self.say("nothing can be done with this row", Level::Good);
        } else {
            self.popups.push(Popup::Menu(offers, 0));
        }
    }

    fn press_sort(&mut self, at: usize, key: KeyEvent) -> Vec<Effect> {
        let fields = self.page().screen.fields();
        let at = match key.code {
            _ if closes(key) => return Vec::new(),
            KeyCode::Char('q' | 's') => return Vec::new(),
            KeyCode::Enter => {
                if let Some(field) = fields.get(at) {
                    self.sort_by(field.name, true);
                }
                return Vec::new();
            }
            KeyCode::Down | KeyCode::Char('j') => (at + 1).min(fields.len().saturating_sub(1)),
            KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
            _ => at,
        };
        self.popups.push(Popup::Sort(at));
        Vec::new()
    }

    /// Does an action, or asks back first, as its grade wants.
    pub(super) fn begin(&mut self, action: Action, names: Vec<String>) -> Vec<Effect> {
        if let Some(why) = self.blocked(&action) {
            self.say(format!("not now: {why}"), Level::Warn);
            return Vec::new();
        }
        self.keys += 1;
        let key = format!("{}-{}", self.settings.seed, self.keys);
        let confirm = Confirm::new(action, names, key, self.now, self.production());
        if Self::is_harmless(&confirm.action) {
            let request = ActionRequest { dry_run: false, key: confirm.key(), ..confirm.dry_run() };
            return self.ask(request);
        }
        let node = node_of(&confirm.action);
        let dry_run = Box::new(confirm.dry_run());
        self.popups.push(Popup::Confirm(Box::new(confirm)));
        vec![Effect::Act(dry_run, node)]
    }

    fn press_confirm(&mut self, mut confirm: Box<Confirm>, key: KeyEvent) -> Vec<Effect> {
        match confirm.press(key, self.now) {
            Outcome::Stay => {
                self.popups.push(Popup::Confirm(confirm));
                Vec::new()
            }
            Outcome::Cancelled => {
                self.say("nothing was done", Level::Good);
                Vec::new()
            }
            // What was allowed when the dialog opened need not be now.
            Outcome::Go(request) => match self.blocked(&request.action) {
                Some(why) => {
                    self.say(format!("not done: {why}"), Level::Crit);
                    Vec::new()
                }
                None => self.ask(*request),
            },
        }
    }

    fn ask(&mut self, request: ActionRequest) -> Vec<Effect> {
        let label = format!("{} {}", request.action.name().replace('_', " "), plain(&request.action.target()));
        self.say(format!("{label}: asked"), Level::Good);
        self.asked.insert(request.key.clone(), label);
        self.page_mut().marks.clear();
        let node = node_of(&request.action);
        vec![Effect::Act(Box::new(request), node)]
    }
}

/// The node an action is about: it is the best to ask.
pub(crate) fn node_of(action: &Action) -> Option<String> {
    match action {
        Action::Drain { node, .. } | Action::Undrain { node } => Some(node.clone()),
        Action::LogFilter { node, .. } => node.clone(),
        Action::Disconnect { target: Target::Connections(named) } => named.first().map(|one| one.node.clone()),
        Action::Ack { alert } | Action::Silence { alert, .. } => {
            alert.rsplit_once('@').map(|(_, node)| node.to_owned())
        }
        _ => None,
    }
}
