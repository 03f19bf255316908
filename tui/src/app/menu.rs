//! What can be done with the row under the cursor, or with those that were marked, and why not if it cannot.

use super::{App, page::Screen, selected::Selected};
use crate::{figures::plain, model::Freshness};
use shared::protocol::admin::{Action, AlertState, ConnectionRef, Grade, State, Target, View};

/// One thing that can be done.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// The key that chooses it.
    pub(crate) key: char,
    /// What it does.
    pub(crate) label: String,
    /// The action.
    pub(crate) action: Action,
    /// What it concerns, by name.
    pub(crate) names: Vec<String>,
    /// Why it cannot be done now.
    pub(crate) blocked: Option<String>,
}

/// Seconds an alert is silenced for.
const QUARTER: u64 = 15 * 60;
const HOUR: u64 = 60 * 60;

/// Everything on offer.
pub(crate) fn offers(app: &App) -> Vec<Offer> {
    let mut offers = Vec::new();
    let mut offer = |key, label: String, action: Action, names: Vec<String>| {
        let blocked = app.blocked(&action);
        offers.push(Offer { key, label, action, names, blocked });
    };
    let page = app.page();
    let marked: Vec<ConnectionRef> = page.marks.values().cloned().collect();
    if !marked.is_empty() {
        let names = marked.iter().map(|one| plain(&format!("{}@{}", one.id, one.node))).collect();
        let label = format!("disconnect {} marked: they may come back", marked.len());
        offer('d', label, Action::Disconnect { target: Target::Connections(marked) }, names);
    }
    let selected = app.selected();
    match &selected {
        Some(Selected::Connection(row)) => {
            let name = plain(&format!("{} {}@{}", row.name.as_deref().unwrap_or("-"), row.id, row.node));
            if page.marks.is_empty() {
                let one = ConnectionRef { node: row.node.clone(), id: row.id.clone() };
                let action = Action::Disconnect { target: Target::Connections(vec![one]) };
                offer('d', "disconnect: the client may come back".into(), action, vec![name.clone()]);
            }
            if let (Screen::List(View::Members), Some(room), Some(user)) = (page.screen, &page.of, row.user) {
                offer('k', format!("kick from {}", plain(room)), Action::Kick { room: room.clone(), user }, vec![name]);
            }
            if let (Some(user), Some(session)) = (row.user, row.session) {
                let action = Action::RevokeSession { user, session };
                offer('s', "end its session: sign in again on this device".into(), action, Vec::new());
            }
        }
        Some(Selected::Node(row)) => {
            let node = row.name.clone();
            if row.state == State::Draining {
                offer('u', "undrain: take sockets again".into(), Action::Undrain { node }, Vec::new());
            } else {
                let steady = Action::Drain { node: node.clone(), per_second: Some(50) };
                offer('d', "drain at 50 sockets a second".into(), steady, vec![plain(&node)]);
                let at_once = Action::Drain { node: node.clone(), per_second: None };
                offer('D', "drain within the drain window".into(), at_once, vec![plain(&node)]);
            }
        }
        Some(Selected::Alert(alert)) if alert.state == AlertState::Firing => {
            let id = || alert.id.clone();
            offer('a', "acknowledge: I look after it".into(), Action::Ack { alert: id() }, Vec::new());
            if alert.silenced_until.is_some() {
                let action = Action::Silence { alert: id(), for_s: 0 };
                offer('u', "no longer silent".into(), action, Vec::new());
            }
            let quarter = Action::Silence { alert: id(), for_s: QUARTER };
            offer('z', "silence for 15 minutes".into(), quarter, Vec::new());
            offer('Z', "silence for an hour".into(), Action::Silence { alert: id(), for_s: HOUR }, Vec::new());
        }
        Some(Selected::Error(row)) => {
            let action = Action::KnowError { code: row.code.clone() };
            offer('k', "known: no longer new".into(), action, Vec::new());
        }
        _ => {}
    }
    let inspected = page.of.as_ref().filter(|_| page.screen == Screen::User).and_then(|of| of.parse().ok());
    if let Some(user) = inspected.or_else(|| selected.as_ref().and_then(Selected::user)) {
        let names = || vec![user.to_string()];
        let all = Action::Disconnect { target: Target::User(user) };
        offer('c', "disconnect the user everywhere: they may come back".into(), all, names());
        offer('r', "end all sessions: sign in again everywhere".into(), Action::RevokeSessions { user }, names());
        offer('l', "redeliver the offline queue".into(), Action::Redeliver { user }, names());
        offer('p', "purge the offline queue".into(), Action::PurgeQueue { user }, names());
    }
    let filter = page.whole_filter();
    if page.screen == Screen::List(View::Connections) && !filter.is_empty() {
        let action = Action::Disconnect { target: Target::Filter(filter.clone()) };
        offer('F', "disconnect all that pass the filter".into(), action, vec![plain(&filter)]);
    }
    offers
}

impl App {
    /// Why an action cannot be done now; none if it can.
    pub(crate) fn blocked(&self, action: &Action) -> Option<String> {
        let (store, now) = self.known();
        let reason = if self.is_replay() {
            "this is a recording".to_owned()
        } else if self.rewound() {
            format!("the picture is of the past: {} goes back to now", self.keymap().key(crate::keymap::Action::Live))
        } else if self.paused() {
            format!("the picture is held: {} lets it go on", self.keymap().key(crate::keymap::Action::Pause))
        } else if store.freshness(now) != Freshness::Live {
            "the connection is lost: what you see is old".to_owned()
        } else if !self.may_write() {
            "read-only: :write allows actions (or start with --write)".to_owned()
        } else if store.role() < action.role() {
            format!("needs the role {}; yours is {}", action.role(), store.role())
        } else if !store.links().iter().any(|link| link.can(action.name())) {
            "no process that is heard can do this".to_owned()
        } else {
            return None;
        };
        Some(reason)
    }

    /// Whether an action is done without asking back.
    pub(crate) fn is_harmless(action: &Action) -> bool {
        action.grade() == Grade::Harmless
    }
}
