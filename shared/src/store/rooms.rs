//! Who belongs where: the facts behind rooms and presence. The rules made of them are in `ops::rooms`.

use super::{
    StoreError,
    conn::{Conn, with_conn},
};
use crate::id::{ConversationId, PitchId, TeamId, UserId};
use sqlx::QueryBuilder;
use uuid::Uuid;

/// Stands for every signed-in user in the membership cache and in `Control::MembershipRevoked`. Nobody has this id.
pub const EVERYBODY: UserId = UserId(Uuid::nil());

/// Whether the user is in the conversation.
pub async fn in_conversation(conn: &mut Conn, id: ConversationId, user: UserId) -> Result<bool, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar(
            "select exists (select 1 from conversation_participants
             where conversation_id = $1 and user_id = $2 and left_at is null)",
        )
        .bind(id)
        .bind(user)
        .fetch_one(c)
        .await
    })
}

/// Whether the user is in the team.
pub async fn in_team(conn: &mut Conn, id: TeamId, user: UserId) -> Result<bool, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar("select exists (select 1 from team_members where team_id = $1 and user_id = $2)")
            .bind(id)
            .bind(user)
            .fetch_one(c)
            .await
    })
}

/// Whether the pitch is there for everybody.
pub async fn pitch_is_published(conn: &mut Conn, id: PitchId) -> Result<bool, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar("select exists (select 1 from pitches where id = $1 and status = 'published')")
            .bind(id)
            .fetch_one(c)
            .await
    })
}

/// Whether the user is the pitch's creator.
pub async fn owns_pitch(conn: &mut Conn, id: PitchId, user: UserId) -> Result<bool, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_scalar("select exists (select 1 from pitches where id = $1 and creator_id = $2)")
            .bind(id)
            .bind(user)
            .fetch_one(c)
            .await
    })
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
