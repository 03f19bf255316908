//! What a request for an event stream asks for, carried out as the connection's first job: a client that cannot say
//! anything later has said it all in its address.

use super::{
    event_id::EventId,
    jobs::{self, Done, Resume},
    outbox::Outbox,
};
use crate::node::Node;
use shared::{id::UserId, model::Identity, protocol::RoomName};
use std::{collections::BTreeSet, sync::Arc};

/// What the request asks for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The rooms to enter.
    pub(crate) rooms: BTreeSet<RoomName>,
    /// Whose presence to follow.
    pub(crate) watch: Vec<UserId>,
    /// What the client has already.
    pub(crate) after: EventId,
}

/// Does what `auth`, `ack` and `watch` do on a socket, or `join` of every room for somebody unknown.
pub(super) async fn open(node: Arc<Node>, outbox: Arc<Outbox>, who: Option<Arc<Identity>>, asked: Asked) -> Done {
    let Asked { rooms, watch, after } = asked;
    let since = |room: RoomName| {
        let at = after.room(&room);
        (room, at)
    };
    let mut done = Vec::new();
    let Some(who) = who else {
        for (room, at) in rooms.into_iter().map(since) {
            done.push(jobs::join(Arc::clone(&node), Arc::clone(&outbox), None, None, room, at).await);
        }
        return Done::All(done);
    };
    let inbox = after.inbox_of(who.user_id);
    let resume = Resume { id: None, inbox, rooms: rooms.into_iter().map(since).collect() };
    let ready = jobs::ready(Arc::clone(&node), Arc::clone(&outbox), Arc::clone(&who), false, resume).await;
    if let (Done::Ready(ready), Some(pos)) = (&ready, inbox)
        && ready.goes_on_from(pos)
    {
        // Only now is it known that the position is one this inbox has been at.
        let device = outbox.device_of(&who).into_owned();
        done.push(jobs::ack(Arc::clone(&node), who.user_id, device, pos, None).await);
    }
    done.push(ready);
    if !watch.is_empty() {
        done.push(jobs::watch(node, outbox, who, None, watch).await);
    }
    Done::All(done)
}
