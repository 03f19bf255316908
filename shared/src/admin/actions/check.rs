//! What an action must look like, and who may ask for it. Pure.

use super::Refused;
use crate::protocol::{
    RoomName,
    admin::{Action, ActionRequest, Audience, ConnectionRow, Filter, Grade, MOST_NAMED, Role, Row as _, Target},
};
use hyper::StatusCode;

/// Longest title and body of an announcement, in characters: what a notification takes.
const TITLE_CHARS: usize = 200;
const BODY_CHARS: usize = 2_000;
/// Longest time for other log lines, in seconds.
pub(super) const LOG_FILTER_S: u64 = 3_600;
/// Longest silence, in seconds.
const SILENCE_S: u64 = 86_400;

/// The form of a request.
pub(super) fn form(asked: &ActionRequest) -> Result<(), Refused> {
    let visible = |c: char| c.is_ascii_graphic();
    if !(8..=64).contains(&asked.key.len()) || !asked.key.chars().all(visible) {
        return Err(Refused::bad("key must be 8 to 64 visible ASCII characters"));
    }
    let reason = asked.reason.trim().chars().count();
    if reason > 500 || asked.reason.chars().any(char::is_control) {
        return Err(Refused::bad("reason must be at most 500 characters, none of them control characters"));
    }
    if asked.action.grade() >= Grade::Costly && reason < 3 && !asked.dry_run {
        let message = "say why, in 3 to 500 characters: this goes into the audit log";
        return Err(Refused::new(StatusCode::BAD_REQUEST, "reason_missing", message));
    }
    action(&asked.action)
}

fn action(action: &Action) -> Result<(), Refused> {
    let bounds = |what: &str, text: &str, least: usize, most: usize| {
        let chars = text.chars().count();
        let good = (least..=most).contains(&chars) && !text.chars().any(|c| c.is_control() && c != '\n');
        if good { Ok(()) } else { Err(Refused::bad(format!("{what} must have {least} to {most} characters"))) }
    };
    match action {
        Action::Disconnect { target } => which(target),
        Action::Kick { room, .. } => {
            room.parse::<RoomName>().map(drop).map_err(|error| Refused::bad(error.to_string()))
        }
        Action::Drain { node, per_second } => {
            if *per_second == Some(0) {
                return Err(Refused::bad("per_second must be at least 1"));
            }
            bounds("node", node, 1, 64)
        }
        Action::Undrain { node } => bounds("node", node, 1, 64),
        Action::Announce { to, title, body } => {
            if matches!(to, Audience::Users(users) if users.is_empty() || users.len() > MOST_NAMED) {
                return Err(Refused::bad(format!("name 1 to {MOST_NAMED} users")));
            }
            bounds("title", title, 1, TITLE_CHARS)?;
            bounds("body", body, 0, BODY_CHARS)
        }
        Action::LogFilter { filter, for_s, .. } => {
            if !(1..=LOG_FILTER_S).contains(for_s) {
                return Err(Refused::bad(format!("for_s must be 1 to {LOG_FILTER_S}")));
            }
            bounds("filter", filter, 1, 500)
        }
        Action::Silence { alert, for_s } => {
            if *for_s > SILENCE_S {
                return Err(Refused::bad(format!("for_s must be 0 to {SILENCE_S}")));
            }
            bounds("alert", alert, 1, 200)
        }
        Action::Ack { alert } => bounds("alert", alert, 1, 200),
        Action::KnowError { code } => bounds("code", code, 1, 64),
        Action::RevokeSessions { .. }
        | Action::RevokeSession { .. }
        | Action::PurgeQueue { .. }
        | Action::Redeliver { .. } => Ok(()),
    }
}

/// A blank filter would mean everyone, which has a word of its own.
fn which(target: &Target) -> Result<(), Refused> {
    match target {
        Target::Connections(named) if named.is_empty() || named.len() > MOST_NAMED => {
            Err(Refused::bad(format!("name 1 to {MOST_NAMED} connections")))
        }
        Target::Filter(text) => match Filter::parse(text, ConnectionRow::FIELDS) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Refused::bad("a blank filter is refused: say `everyone` if everyone is meant")),
            Err(error) => Err(Refused::bad(format!("the filter is not understood: {error}"))),
        },
        Target::Connections(_) | Target::User(_) | Target::Everyone => Ok(()),
    }
}

/// Whether the role suffices.
pub(super) fn role(action: &Action, role: Role) -> Result<(), Refused> {
    let needed = action.role();
    if role >= needed {
        return Ok(());
    }
    let message = format!("this needs the role {needed}; yours is {role}");
    Err(Refused::new(StatusCode::FORBIDDEN, "forbidden_role", message))
}

/// Whether it concerns no more than the operator saw.
pub(super) fn expected(asked: &ActionRequest, matched: u64) -> Result<(), Refused> {
    let Some(expected) = asked.expect.filter(|expected| matched > *expected) else { return Ok(()) };
    let message = format!("this would concern {matched} by now, not {expected}: look again");
    let mut refused = Refused::new(StatusCode::CONFLICT, "count_changed", message);
    refused.body.matched = Some(matched);
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::UserId, protocol::admin::ConnectionRef};

    fn asked(action: Action) -> ActionRequest {
        ActionRequest { key: "0123456789".into(), reason: "inc-4711".into(), expect: None, dry_run: false, action }
    }

    fn code(asked: &ActionRequest) -> Option<String> {
        form(asked).err().map(|refused| refused.body.code)
    }

    #[test]
    fn everyone_is_a_word_and_neither_an_empty_list_nor_a_blank_filter_means_it() {
        let disconnect = |target| code(&asked(Action::Disconnect { target }));
        assert_eq!(disconnect(Target::Everyone), None);
        assert_eq!(disconnect(Target::User(UserId::new())), None);
        assert_eq!(disconnect(Target::Filter("queue>8".into())), None);
        for target in [
            Target::Connections(Vec::new()),
            Target::Connections(vec![ConnectionRef { node: "a".into(), id: "c_1".into() }; MOST_NAMED + 1]),
            Target::Filter("  ".into()),
            Target::Filter("colour=red".into()),
        ] {
            assert_eq!(disconnect(target).as_deref(), Some("bad_action"));
        }
    }

    #[test]
    fn what_is_costly_needs_a_reason_and_what_is_not_does_not() {
        let costly =
            ActionRequest { reason: " ".into(), ..asked(Action::Drain { node: "gw-1".into(), per_second: None }) };
        assert_eq!(code(&costly).as_deref(), Some("reason_missing"));
        assert_eq!(code(&ActionRequest { dry_run: true, ..costly }), None);
        let harmless = ActionRequest { reason: String::new(), ..asked(Action::Ack { alert: "x".into() }) };
        assert_eq!(code(&harmless), None);
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        let too_long = "x".repeat(300);
        let to = Audience::Present;
        let announce = |title: &str| Action::Announce { to: to.clone(), title: title.into(), body: String::new() };
        for action in [
            announce(""),
            announce(&too_long),
            announce("escape \u{1b}[31m"),
            Action::Drain { node: "gw-1".into(), per_second: Some(0) },
            Action::Kick { room: "nowhere".into(), user: UserId::new() },
            Action::Silence { alert: "x".into(), for_s: SILENCE_S + 1 },
            Action::LogFilter { node: None, filter: "debug".into(), for_s: 0 },
        ] {
            assert_eq!(code(&asked(action.clone())).as_deref(), Some("bad_action"), "{action:?}");
        }
        let short_key = ActionRequest { key: "short".into(), ..asked(announce("hi")) };
        assert_eq!(code(&short_key).as_deref(), Some("bad_action"));
    }

    #[test]
    fn fewer_than_expected_is_fine_and_more_is_not() {
        let asked = ActionRequest { expect: Some(2), ..asked(Action::Disconnect { target: Target::Everyone }) };
        assert!(expected(&asked, 1).is_ok() && expected(&asked, 2).is_ok());
        assert_eq!(expected(&asked, 3).unwrap_err().body.matched, Some(3));
        assert!(expected(&ActionRequest { expect: None, ..asked }, 3).is_ok());
    }

    #[test]
    fn a_viewer_may_do_nothing_and_only_an_administrator_may_lose_something() {
        let (ack, purge) = (Action::Ack { alert: "x".into() }, Action::PurgeQueue { user: UserId::new() });
        assert!(role(&ack, Role::Viewer).is_err() && role(&ack, Role::Operator).is_ok());
        assert!(role(&purge, Role::Operator).is_err() && role(&purge, Role::Admin).is_ok());
    }
}
