//! Who belongs where: the facts behind rooms and presence. The rules made of them are in `ops::rooms`.

use super::{
    StoreError,
    conn::{Conn, with_conn},
};
use crate::id::{ConversationId, PitchId, TeamId, UserId};
use sqlx::QueryBuilder;
use std::collections::HashSet;
use uuid::Uuid;

/// Stands for every signed-in user in the membership cache and in `Control::MembershipRevoked`. Nobody has this id.
pub const EVERYBODY: UserId = UserId(Uuid::nil());

/// Facts in one statement; SQLite takes 500 parts of a union.
const BATCH: usize = 128;

/// What makes somebody belong to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// The user is in the conversation.
    InConversation(ConversationId, UserId),
    /// The user is in the team.
    InTeam(TeamId, UserId),
    /// The pitch is there for everybody.
    Published(PitchId),
    /// The user is the pitch's creator.
    Owns(PitchId, UserId),
}

/// Those of these facts that hold.
pub async fn that_hold(conn: &mut Conn, facts: &[Fact]) -> Result<HashSet<Fact>, StoreError> {
    let mut hold = HashSet::with_capacity(facts.len());
    for batch in facts.chunks(BATCH) {
        let numbers: Vec<i32> = with_conn!(conn, |c| {
            let mut query = QueryBuilder::new("");
            for (n, fact) in batch.iter().enumerate() {
                query.push(if n == 0 { "select " } else { " union all select " }).push(n);
                query.push(" where exists (select 1 from ");
                match *fact {
                    Fact::InConversation(id, user) => query
                        .push("conversation_participants where left_at is null and conversation_id = ")
                        .push_bind(id)
                        .push(" and user_id = ")
                        .push_bind(user),
                    Fact::InTeam(id, user) => query
                        .push("team_members where team_id = ")
                        .push_bind(id)
                        .push(" and user_id = ")
                        .push_bind(user),
                    Fact::Published(id) => query.push("pitches where status = 'published' and id = ").push_bind(id),
                    Fact::Owns(id, user) => {
                        query.push("pitches where id = ").push_bind(id).push(" and creator_id = ").push_bind(user)
                    }
                };
                query.push(")");
            }
            query.build_query_scalar().fetch_all(c).await
        })?;
        hold.extend(numbers.into_iter().filter_map(|n| batch.get(usize::try_from(n).ok()?)));
    }
    Ok(hold)
}

/// Whether the user is in the conversation.
pub async fn in_conversation(conn: &mut Conn, id: ConversationId, user: UserId) -> Result<bool, StoreError> {
    let fact = Fact::InConversation(id, user);
    Ok(that_hold(conn, &[fact]).await?.contains(&fact))
}

/// Those of `others` with whom the user shares a conversation, a team, or an NDA that was granted and still holds;
/// in no particular order.
pub async fn acquaintances(conn: &mut Conn, user: UserId, others: &[UserId]) -> Result<Vec<UserId>, StoreError> {
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let now = conn.now();
    with_conn!(conn, |c| {
        let mut query = QueryBuilder::new("with wanted (id) as (");
        query.push_values(others, |mut row, other| {
            row.push_bind(*other);
        });
        query.push(
            ") select w.id from wanted w where exists (
                select 1 from conversation_participants mine
                join conversation_participants theirs on theirs.conversation_id = mine.conversation_id
                where theirs.user_id = w.id and theirs.left_at is null and mine.left_at is null and mine.user_id = ",
        );
        query.push_bind(user);
        query.push(
            ") or exists (
                select 1 from team_members mine join team_members theirs on theirs.team_id = mine.team_id
                where theirs.user_id = w.id and mine.user_id = ",
        );
        query.push_bind(user);
        query.push(
            ") or exists (
                select 1 from ndas n join pitches p on p.id = n.pitch_id
                where n.status in ('approved', 'signed') and (n.expires_at is null or n.expires_at > ",
        );
        query.push_bind(now);
        query.push(") and ((p.creator_id = w.id and n.user_id = ").push_bind(user);
        query.push(") or (n.user_id = w.id and p.creator_id = ").push_bind(user);
        query.push(")))");
        query.build_query_scalar().fetch_all(c).await
    })
}
