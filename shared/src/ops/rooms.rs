//! Who may enter and speak in which room, and who may watch whom.
//!
//! | room | enter | `send` |
//! |---|---|---|
//! | `public:<name>` | anybody, if the name is configured | anybody signed in |
//! | `conversation:<id>` | its participants | its participants |
//! | `team:<id>` | its members | its members |
//! | `pitch:<id>` | anybody signed in once it is published; its creator always | its creator: viewers listen, and talk in conversations |
//!
//! A room that does not exist answers like one that is closed to the asker. Answers are cached in the engine, one per
//! room and user. A pitch has two kinds of them: "is its creator" per user, and "is published" under the user
//! [`EVERYBODY`], so that one tombstone closes the room for all viewers when it is withdrawn.
//!
//! Answers are believed for an hour, and those that open sockets stand on are renewed meanwhile. Whoever changes the rows
//! behind one notes it in the same transaction (`store::invalidations`), and tells the cache after the commit (the
//! methods here), which is only quicker.

use super::{Ops, OpsError, heard};
use crate::{
    engine::Membership,
    id::{PitchId, UserId},
    model::Identity,
    protocol::{RoomKind, RoomName},
    store::{
        Store, StoreError,
        rooms::{self, Fact},
    },
};
use std::collections::HashSet;

pub use rooms::EVERYBODY;

impl Ops {
    /// Whether this identity (`None`: an anonymous socket) may enter the room.
    pub async fn may_join(&self, who: Option<&Identity>, room: &RoomName) -> Result<bool, OpsError> {
        match (room.kind(), who) {
            (RoomKind::Public, _) => Ok(self.is_public(room)),
            (_, None) => Ok(false),
            (RoomKind::Pitch(_), Some(who)) => {
                Ok(self.belongs(room, EVERYBODY).await? || self.belongs(room, who.user_id).await?)
            }
            (_, Some(who)) => self.belongs(room, who.user_id).await,
        }
    }

    /// Whether this identity may `send` to the room.
    pub async fn may_publish(&self, who: &Identity, room: &RoomName) -> Result<bool, OpsError> {
        match room.kind() {
            RoomKind::Public => Ok(self.is_public(room)),
            RoomKind::Pitch(_) | RoomKind::Conversation(_) | RoomKind::Team(_) => self.belongs(room, who.user_id).await,
        }
    }

    /// Those of `users` whose presence may be watched: the asker's own, and that of people who share a conversation, a
    /// team or a granted NDA with them. The order is kept, repeats are left out.
    pub async fn watchable(&self, who: &Identity, users: &[UserId]) -> Result<Vec<UserId>, OpsError> {
        let mut wanted = HashSet::new();
        let asked: Vec<_> = users.iter().copied().filter(|user| wanted.insert(*user)).collect();
        let others: Vec<_> = asked.iter().copied().filter(|user| *user != who.user_id).collect();
        let mut known = HashSet::from([who.user_id]);
        if !others.is_empty() {
            let found = self
                .store()
                .read("rooms.acquaintances", async |c| rooms::acquaintances(c, who.user_id, &others).await)
                .await?;
            known.extend(found);
        }
        Ok(asked.into_iter().filter(|user| known.contains(user)).collect())
    }

    /// The pitch was just published, or just withdrawn, which closes its room for everybody but its creator. To be
    /// called after the commit.
    pub async fn pitch_visibility_changed(&self, pitch: PitchId, published: bool) {
        let (room, members) = (RoomName::pitch(pitch), &self.engine().members);
        if published {
            heard("open a pitch's room", members.grant(&room, EVERYBODY).await);
        } else {
            heard("close a pitch's room", members.revoke(&room, EVERYBODY).await);
        }
    }

    /// The pitch was just deleted: its room closes for its creator too. To be called after the commit.
    pub async fn pitch_deleted(&self, pitch: PitchId, creator: UserId) {
        let (room, members) = (RoomName::pitch(pitch), &self.engine().members);
        for user in [EVERYBODY, creator] {
            heard("close a pitch's room", members.revoke(&room, user).await);
        }
    }

    fn is_public(&self, room: &RoomName) -> bool {
        room.public_name().is_some_and(|name| self.public_rooms().iter().any(|public| public == name))
    }

    /// The cache in front of the facts. An unreachable engine only costs a query.
    async fn belongs(&self, room: &RoomName, user: UserId) -> Result<bool, OpsError> {
        let members = &self.engine().members;
        match members.get(room, user).await {
            Ok(Membership::Allowed) => return Ok(true),
            Ok(Membership::Denied) => return Ok(false),
            Ok(Membership::Unknown) | Err(_) => {}
        }
        let allowed = self.belongs_by_fact(room, user).await?;
        if members.fill(room, user, allowed).await.is_err() {
            return Ok(allowed);
        }
        // A revoke that came between the query and the fill has left a tombstone, and the tombstone is right.
        Ok(match members.get(room, user).await {
            Ok(Membership::Denied) => false,
            Ok(Membership::Allowed | Membership::Unknown) | Err(_) => allowed,
        })
    }

    /// Asks the store, together with all others who ask at this moment.
    async fn belongs_by_fact(&self, room: &RoomName, user: UserId) -> Result<bool, OpsError> {
        let Some(fact) = fact(room, user) else { return Ok(false) };
        let fetch = |facts: Vec<Fact>| async move {
            let holding = self.store().read("rooms.belongs", async |c| rooms::that_hold(c, &facts).await).await?;
            Ok(holding.into_iter().map(|fact| (fact, ())).collect())
        };
        Ok(self.facts().get(fact, fetch).await?.is_some())
    }

    /// Those of these users in rooms who no longer belong there, by the store's word: what a node asks that may have
    /// missed a revocation.
    pub async fn lost_places(&self, places: &[(RoomName, UserId)]) -> Result<Vec<(RoomName, UserId)>, OpsError> {
        let reasons = |(room, user): &(RoomName, UserId)| {
            let for_everybody = matches!(room.kind(), RoomKind::Pitch(_)).then_some(EVERYBODY);
            std::iter::once(*user).chain(for_everybody).filter_map(|user| fact(room, user)).collect::<Vec<_>>()
        };
        let facts: HashSet<_> = places.iter().flat_map(reasons).collect();
        if facts.is_empty() {
            return Ok(Vec::new());
        }
        let facts: Vec<_> = facts.into_iter().collect();
        let holding = self.store().read("rooms.lost", async |c| rooms::that_hold(c, &facts).await).await?;
        let lost = |place: &&(RoomName, UserId)| {
            let mut reasons = reasons(place).into_iter().peekable();
            reasons.peek().is_some() && !reasons.any(|fact| holding.contains(&fact)) // a public room needs no reason
        };
        Ok(places.iter().filter(lost).cloned().collect())
    }

    /// Keeps the cached answers of people who are in rooms right now, as far as the store still says so: when they come
    /// back after a node's end, nobody has to be asked.
    pub async fn renew_memberships(&self, of: &[(RoomName, UserId)]) -> Result<(), OpsError> {
        let asked: Vec<_> = of.iter().filter_map(|(room, user)| Some((room, *user, fact(room, *user)?))).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let facts: Vec<_> = asked.iter().map(|(_, _, fact)| *fact).collect();
        let holding = self.store().read("rooms.renew", async |c| rooms::that_hold(c, &facts).await).await?;
        for (room, user, _) in asked.into_iter().filter(|(_, _, fact)| holding.contains(fact)) {
            self.engine().members.renew(room, user).await?;
        }
        Ok(())
    }
}

/// What must be so for the user to belong to the room; nobody belongs to a public one.
fn fact(room: &RoomName, user: UserId) -> Option<Fact> {
    match room.kind() {
        RoomKind::Conversation(id) => Some(Fact::InConversation(id, user)),
        RoomKind::Team(id) => Some(Fact::InTeam(id, user)),
        RoomKind::Pitch(id) if user == EVERYBODY => Some(Fact::Published(id)),
        RoomKind::Pitch(id) => Some(Fact::Owns(id, user)),
        RoomKind::Public => None,
    }
}

/// The facts: whether the user (or [`EVERYBODY`]) belongs to the room.
pub(crate) async fn belongs_in_store(store: &Store, room: &RoomName, user: UserId) -> Result<bool, StoreError> {
    let Some(fact) = fact(room, user) else { return Ok(false) };
    let holding = store.read("rooms.belongs", async |c| rooms::that_hold(c, &[fact]).await).await?;
    Ok(holding.contains(&fact))
}
