//! What can be written after `:`. One table, from which completion and help come too.

use super::page::{Page, Screen};
use crate::deed;
use shared::protocol::admin::{Action, Sort, View};

/// One command.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its name, then its other names.
    pub(crate) names: &'static [&'static str],
    /// What follows it.
    pub(crate) arguments: &'static str,
    /// One line for the help.
    pub(crate) help: &'static str,
    make: fn(&str) -> Result<Typed, String>,
}

/// What was written.
#[derive(Clone, Debug)]
pub(crate) enum Typed {
    /// Another page.
    Open(Box<Page>),
    /// A moment to go to, as it was written.
    At(String),
    /// Back to now.
    Live,
    /// Filter the list.
    Filter(String),
    /// Sort the list.
    Sort(Sort),
    /// Colours by name; the next ones if blank.
    Theme(String),
    /// Curves over this much time, as it was written.
    Window(String),
    /// Another cluster of the configuration file.
    Context(String),
    /// A filter of the configuration file.
    Saved(String),
    /// Whether actions may be done.
    Write(bool),
    /// Do something.
    Act(Box<Action>),
    /// Write what is known to files.
    Snapshot,
    /// The help.
    Help,
    /// End.
    Quit,
}

const fn known(
    names: &'static [&'static str],
    arguments: &'static str,
    help: &'static str,
    make: fn(&str) -> Result<Typed, String>,
) -> Known {
    Known { names, arguments, help, make }
}

fn open(page: Page) -> Typed {
    Typed::Open(Box::new(page))
}

fn list(view: View, filter: &str) -> Typed {
    open(Page::filtered(Screen::List(view), filter))
}

fn about(screen: Screen, what: &'static str, of: &str) -> Result<Typed, String> {
    if of.is_empty() { Err(format!("say which {what}")) } else { Ok(open(Page::about(screen, of))) }
}

fn act(verb: &str, rest: &str) -> Result<Typed, String> {
    let words: Vec<&str> = std::iter::once(verb).chain(rest.split_whitespace()).collect();
    deed::parse(&words).map(|action| Typed::Act(Box::new(action)))
}

/// The table.
pub(crate) const KNOWN: &[Known] = &[
    known(&["overview", "ov"], "", "everything at a glance", |_| Ok(open(Page::new(Screen::Overview)))),
    known(&["nodes", "no"], "[filter]", "processes", |f| Ok(open(Page::filtered(Screen::Nodes, f)))),
    known(&["pools", "po"], "[filter]", "database pools", |f| Ok(open(Page::filtered(Screen::Pools, f)))),
    known(&["connections", "conns", "co"], "[filter]", "open sockets", |f| Ok(list(View::Connections, f))),
    known(&["closed", "cl"], "[filter]", "sockets that ended", |f| Ok(list(View::Closed, f))),
    known(&["rooms", "ro"], "[filter]", "rooms somebody is in", |f| Ok(list(View::Rooms, f))),
    known(&["users", "us"], "[filter]", "users who are present", |f| Ok(list(View::Users, f))),
    known(&["offline", "queues", "of"], "[filter]", "offline queues", |f| Ok(list(View::Queues, f))),
    known(&["endpoints", "api", "en"], "[filter]", "REST endpoints", |f| Ok(list(View::Endpoints, f))),
    known(&["requests", "re"], "[filter]", "slow and failed requests", |f| Ok(list(View::Requests, f))),
    known(&["errors", "er"], "[filter]", "errors by code", |f| Ok(list(View::Errors, f))),
    known(&["statements", "sql"], "[filter]", "kinds of database work", |f| Ok(list(View::Statements, f))),
    known(&["alerts", "al"], "[filter]", "alerts", |f| Ok(list(View::Alerts, f))),
    known(&["logs", "lo"], "[filter]", "log lines", |f| Ok(list(View::Logs, f))),
    known(&["audit", "au"], "[filter]", "what operators did", |f| Ok(list(View::Audit, f))),
    known(&["jobs", "jo"], "[filter]", "actions under way and done", |f| Ok(list(View::Jobs, f))),
    known(&["user"], "ID", "everything about one user", |of| about(Screen::User, "user", of)),
    known(&["node"], "NAME", "one process with its curves", |of| about(Screen::Node, "node", of)),
    known(&["room"], "NAME", "the sockets in a room", |of| about(Screen::List(View::Members), "room", of)),
    known(&["conn"], "ID", "one socket", |of| about(Screen::List(View::Connection), "connection", of)),
    known(&["error"], "CODE", "the users an error hit", |of| about(Screen::List(View::Affected), "error", of)),
    known(&["filter", "f"], "[filter]", "filter the list; nothing drops the filter", |f| Ok(Typed::Filter(f.into()))),
    known(&["saved"], "NAME", "a filter of the configuration file", |name| Ok(Typed::Saved(name.into()))),
    known(&["sort"], "FIELD [asc]", "sort the list", |text| {
        let mut words = text.split_whitespace();
        let by = words.next().ok_or("say which field")?.to_owned();
        Ok(Typed::Sort(Sort { by, descending: words.next() != Some("asc") }))
    }),
    known(&["at"], "12:03 or -3m", "go back to a moment of the last 15 minutes", |at| Ok(Typed::At(at.into()))),
    known(&["live"], "", "back to now", |_| Ok(Typed::Live)),
    known(&["window"], "1m, 5m, 15m or 24h", "how much time curves cover", |text| Ok(Typed::Window(text.into()))),
    known(&["theme"], "[NAME]", "other colours", |name| Ok(Typed::Theme(name.into()))),
    known(&["context", "ctx"], "NAME", "another cluster of the configuration file", |name| {
        Ok(Typed::Context(name.into()))
    }),
    known(&["write"], "[off]", "allow actions, or no longer", |text| Ok(Typed::Write(text != "off"))),
    known(&["disconnect"], "everyone | user ID | where FILTER", "close sockets", |rest| act("disconnect", rest)),
    known(&["revoke"], "USER", "end every session of a user", |rest| act("revoke", rest)),
    known(&["kick"], "ROOM USER", "take a user out of a room", |rest| act("kick", rest)),
    known(&["drain"], "NODE [PER SECOND]", "a node takes no new sockets", |rest| act("drain", rest)),
    known(&["undrain"], "NODE", "a node takes sockets again", |rest| act("undrain", rest)),
    known(&["announce"], "present|everyone TITLE", "notify users", |rest| act("announce", rest)),
    known(&["purge"], "USER", "throw an offline queue away", |rest| act("purge", rest)),
    known(&["redeliver"], "USER", "send an offline queue again", |rest| act("redeliver", rest)),
    known(&["log"], "FILTER FOR [NODE]", "other log lines for a while: debug 10m", |rest| act("log", rest)),
    known(&["ack"], "ALERT", "somebody looks after an alert", |rest| act("ack", rest)),
    known(&["silence"], "ALERT FOR", "an alert is quiet for a while: 15m", |rest| act("silence", rest)),
    known(&["know"], "CODE", "an error is known: no longer new", |rest| act("know", rest)),
    known(&["snapshot"], "", "write what is known to files", |_| Ok(Typed::Snapshot)),
    known(&["help", "h"], "", "keys and commands", |_| Ok(Typed::Help)),
    known(&["quit", "q"], "", "end", |_| Ok(Typed::Quit)),
];

/// Understands what was written.
pub(crate) fn parse(text: &str) -> Result<Typed, String> {
    let text = text.trim();
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let known = KNOWN.iter().find(|known| known.names.contains(&name));
    let known = known.ok_or_else(|| format!("there is no command {name:?}: ? shows all"))?;
    (known.make)(rest.trim())
}

/// The first names, for completion.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.names[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_command_has_a_name_of_its_own_and_a_line_of_help() {
        let names: Vec<_> = KNOWN.iter().flat_map(|known| known.names).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(KNOWN.iter().all(|known| !known.help.is_empty()));
    }

    #[test]
    fn commands_open_pages_and_say_what_is_missing() {
        let Ok(Typed::Open(page)) = parse("conns queue>8") else { panic!("a page") };
        assert_eq!((page.screen, page.filter.as_str()), (Screen::List(View::Connections), "queue>8"));
        assert_eq!(parse("user").unwrap_err(), "say which user");
        assert!(parse("levitate now").unwrap_err().contains("levitate"));
        assert!(matches!(parse("sort queue asc"), Ok(Typed::Sort(Sort { descending: false, .. }))));
        assert!(matches!(parse("drain gw-1 50"), Ok(Typed::Act(_))));
    }

    #[test]
    fn every_view_can_be_reached() {
        for view in View::ALL {
            let reached = |text: &str| match parse(text) {
                Ok(Typed::Open(page)) => page.screen == Screen::List(view),
                _ => false,
            };
            let by_name =
                KNOWN.iter().any(|known| reached(known.names[0]) || reached(&format!("{} x", known.names[0])));
            assert!(by_name || view == View::User, "{view:?}; the user view is part of the user's page");
        }
    }
}
