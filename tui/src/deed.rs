//! Actions as they are written: after `:` in the console and after `act` on the command line, in the same words.

use shared::{
    id::{SessionId, UserId},
    protocol::admin::{Action, Audience, ConnectionRef, ConnectionRow, Filter, Row as _, Target},
};

/// The forms there are.
pub(crate) const FORMS: &str = "\
disconnect everyone | user USER | where FILTER | CONN@NODE …
revoke USER [SESSION]
kick ROOM USER
drain NODE [PER_SECOND]
undrain NODE
announce present|everyone TITLE
purge USER
redeliver USER
log FILTER FOR [NODE]
ack ALERT
silence ALERT FOR
know CODE";

/// Understands an action. The error says what is missing.
pub(crate) fn parse(words: &[&str]) -> Result<Action, String> {
    match words {
        ["disconnect", rest @ ..] => disconnect(rest).map(|target| Action::Disconnect { target }),
        ["revoke", of] => Ok(Action::RevokeSessions { user: user(of)? }),
        ["revoke", of, session] => {
            let session = session.parse::<SessionId>().map_err(|_| format!("{session:?} is no session's id"))?;
            Ok(Action::RevokeSession { user: user(of)?, session })
        }
        ["kick", room, of] => Ok(Action::Kick { room: (*room).to_owned(), user: user(of)? }),
        ["drain", node] => Ok(Action::Drain { node: (*node).to_owned(), per_second: None }),
        ["drain", node, rate] => {
            let per_second = rate.parse().map_err(|_| format!("{rate:?} is no number of sockets a second"))?;
            Ok(Action::Drain { node: (*node).to_owned(), per_second: Some(per_second) })
        }
        ["undrain", node] => Ok(Action::Undrain { node: (*node).to_owned() }),
        ["announce", to, title @ ..] if !title.is_empty() => {
            let to = match *to {
                "present" => Audience::Present,
                "everyone" => Audience::Everyone,
                users => Audience::Users(users.split(',').map(user).collect::<Result<_, _>>()?),
            };
            Ok(Action::Announce { to, title: title.join(" "), body: String::new() })
        }
        ["purge", of] => Ok(Action::PurgeQueue { user: user(of)? }),
        ["redeliver", of] => Ok(Action::Redeliver { user: user(of)? }),
        ["log", filter, time] => log(filter, time, None),
        ["log", filter, time, node] => log(filter, time, Some((*node).to_owned())),
        ["ack", alert] => Ok(Action::Ack { alert: (*alert).to_owned() }),
        ["silence", alert, time] => Ok(Action::Silence { alert: (*alert).to_owned(), for_s: seconds(time)? }),
        ["know", code] => Ok(Action::KnowError { code: (*code).to_owned() }),
        [verb, ..] => {
            let forms = FORMS.lines().find(|form| form.split(' ').next() == Some(verb));
            Err(forms.map_or_else(|| format!("there is no action {verb:?}"), |form| format!("write: {form}")))
        }
        [] => Err("say what to do".to_owned()),
    }
}

fn disconnect(words: &[&str]) -> Result<Target, String> {
    match words {
        ["everyone"] => Ok(Target::Everyone),
        ["user", of] => Ok(Target::User(user(of)?)),
        ["where", filter @ ..] if !filter.is_empty() => {
            let filter = filter.join(" ");
            Filter::parse(&filter, ConnectionRow::FIELDS).map_err(|error| error.to_string())?;
            Ok(Target::Filter(filter))
        }
        ["where" | "user"] | [] => Err("say whom: everyone, user ID, where FILTER, or CONN@NODE".to_owned()),
        named => {
            let one = |text: &&str| match text.split_once('@') {
                Some((id, node)) => Ok(ConnectionRef { node: node.to_owned(), id: id.to_owned() }),
                None => Err(format!("{text:?} is no connection: write c_7f@gw-1")),
            };
            named.iter().map(one).collect::<Result<_, _>>().map(Target::Connections)
        }
    }
}

fn log(filter: &str, time: &str, node: Option<String>) -> Result<Action, String> {
    Ok(Action::LogFilter { node, filter: filter.to_owned(), for_s: seconds(time)? })
}

fn user(text: &str) -> Result<UserId, String> {
    text.parse().map_err(|_| format!("{text:?} is no user's id"))
}

/// `90s`, `15m`, `1h`, `0`.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => 0,
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(seconds) if factor > 0 => Ok(seconds),
        _ => Err(format!("{text:?} is no time: write 90s, 15m or 1h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_there_is_can_be_written() {
        let id = uuid::Uuid::nil().to_string();
        let written = [
            format!("disconnect user {id}"),
            format!("revoke {id}"),
            format!("revoke {id} {id}"),
            format!("kick public:lobby {id}"),
            "drain gw-1 50".into(),
            "undrain gw-1".into(),
            "announce present we are back".into(),
            format!("purge {id}"),
            format!("redeliver {id}"),
            "log debug 10m".into(),
            "ack x@gw-1".into(),
            "silence x@gw-1 15m".into(),
            "know db_timeout".into(),
        ];
        let names = written.iter().map(|text| parse(&text.split(' ').collect::<Vec<_>>()).unwrap().name());
        assert_eq!(names.collect::<Vec<_>>(), Action::NAMES);
    }

    #[test]
    fn nobody_is_ever_meant_by_accident() {
        let target = |text: &str| parse(&text.split(' ').collect::<Vec<_>>());
        assert_eq!(target("disconnect everyone"), Ok(Action::Disconnect { target: Target::Everyone }));
        for text in
            ["disconnect", "disconnect where", "disconnect user", "disconnect all", "disconnect where colour=red"]
        {
            assert!(target(text).is_err(), "{text}");
        }
        assert_eq!(parse(&["drain"]).unwrap_err(), "write: drain NODE [PER_SECOND]");
        assert!(parse(&["levitate"]).unwrap_err().contains("no action"));
    }

    #[test]
    fn times_have_units() {
        assert_eq!([seconds("90"), seconds("15m"), seconds("1h")], [Ok(90), Ok(900), Ok(3_600)]);
        assert!(seconds("soon").is_err() && seconds("5w").is_err() && seconds("99999999999999999999d").is_err());
    }
}
