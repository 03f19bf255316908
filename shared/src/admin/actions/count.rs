//! How many an action would concern: for dry runs, for the check against what the operator saw, for the row.

use super::{Refused, ops};
use crate::{
    admin::{Shared, Which},
    id::UserId,
    protocol::{
        RoomName,
        admin::{Action, Audience, ConnectionRow, Filter, Row as _, Target},
    },
    store::{sessions, users},
};
use hyper::StatusCode;
use std::collections::BTreeSet;

/// See the module.
pub(super) async fn concerned(shared: &Shared, action: &Action) -> Result<u64, Refused> {
    match action {
        Action::Disconnect { target } => {
            let sockets = shared.sources.sockets.as_ref().ok_or_else(|| Refused::unavailable("sockets"))?;
            Ok(sockets.matching(&which(shared, target)?).len() as u64)
        }
        Action::Drain { node, .. } | Action::Undrain { node } => {
            let sockets = shared.sources.sockets.as_ref().ok_or_else(|| Refused::unavailable("sockets"))?;
            known_node(shared, node)?;
            Ok(sockets.matching(&Which::All).len() as u64)
        }
        Action::RevokeSessions { user } => Ok(sessions_of(shared, *user).await?.len() as u64),
        Action::RevokeSession { user, session } => {
            Ok(sessions_of(shared, *user).await?.iter().filter(|known| *known == session).count() as u64)
        }
        Action::Kick { room, user } => Ok(in_room(shared, room, *user)),
        Action::Announce { to: Audience::Users(users), .. } => Ok(users.iter().collect::<BTreeSet<_>>().len() as u64),
        Action::Announce { to: Audience::Present, .. } => Ok(present(shared).len() as u64),
        Action::Announce { to: Audience::Everyone, .. } => {
            let count = ops(shared)?.store().read("users.count", async |c| users::count(c).await).await;
            count.map_err(Refused::failed)
        }
        Action::PurgeQueue { .. }
        | Action::Redeliver { .. }
        | Action::LogFilter { .. }
        | Action::Ack { .. }
        | Action::Silence { .. }
        | Action::KnowError { .. } => Ok(1),
    }
}

/// The sockets of this node that are meant.
pub(super) fn which(shared: &Shared, target: &Target) -> Result<Which, Refused> {
    Ok(match target {
        Target::Connections(named) => {
            let here = named.iter().filter(|one| one.node == shared.sources.name);
            Which::Ids(here.map(|one| one.id.clone()).collect())
        }
        Target::User(user) => Which::User(*user),
        Target::Filter(text) => match Filter::parse(text, ConnectionRow::FIELDS) {
            Ok(Some(filter)) => Which::Passing(filter),
            _ => return Err(Refused::bad("the filter is not understood")),
        },
        Target::Everyone => Which::All,
    })
}

/// Whether there is such a node.
pub(super) fn known_node(shared: &Shared, node: &str) -> Result<(), Refused> {
    if *node == shared.sources.name {
        return Ok(());
    }
    Err(Refused::new(StatusCode::NOT_FOUND, "not_found", format!("there is no node {node:?}")))
}

/// Users who are present.
pub(super) fn present(shared: &Shared) -> BTreeSet<UserId> {
    let sockets = shared.sources.sockets.as_ref();
    sockets.map(|sockets| sockets.users().into_iter().map(|row| row.user).collect()).unwrap_or_default()
}

async fn sessions_of(shared: &Shared, user: UserId) -> Result<Vec<crate::id::SessionId>, Refused> {
    let open = ops(shared)?.store().read("sessions.list", async |c| sessions::list(c, user).await).await;
    Ok(open.map_err(Refused::failed)?.into_iter().map(|session| session.id).collect())
}

fn in_room(shared: &Shared, room: &str, user: UserId) -> u64 {
    let Ok(room) = room.parse::<RoomName>() else { return 0 };
    let sockets = shared.sources.sockets.as_ref().map(|sockets| sockets.of_user(user)).unwrap_or_default();
    sockets.iter().filter(|socket| socket.rooms.iter().any(|name| *name == room.as_str())).count() as u64
}
