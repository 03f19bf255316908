//! One pitch, as one reader may see it.

use super::row::{CardRow, card_columns};
use crate::{
    id::{PitchId, UserId},
    model::{Access, Confidential, Pitch, PitchStatus},
    store::{Conn, StoreError, conn::with_conn},
};

#[derive(sqlx::FromRow)]
struct PitchRow {
    #[sqlx(flatten)]
    card: CardRow,
    synopsis: String,
    version: i64,
    confidential_synopsis: Option<String>,
    confidential_notes: Option<String>,
    admitted: bool,
    liked: bool,
    saved: bool,
}

/// The pitch, if this reader may know of it: drafts and archived ones are their creator's alone. The confidential
/// part comes only with ownership or with an NDA that is in force now.
pub async fn by_id(conn: &mut Conn, id: PitchId, reader: Option<UserId>) -> Result<Option<Pitch>, StoreError> {
    let now = conn.now();
    // A reader who is nobody (null) equals no user: all three answers are false.
    let row: Option<PitchRow> = with_conn!(conn, |c| {
        sqlx::query_as(concat!(
            "select ",
            card_columns!(),
            ", p.synopsis, p.version, p.confidential_synopsis, p.confidential_notes,
                exists (select 1 from ndas n where n.pitch_id = p.id and n.user_id = $2
                        and n.status in ('approved', 'signed') and n.revoked_at is null
                        and (n.expires_at is null or n.expires_at > $3)) as admitted,
                exists (select 1 from pitch_likes l where l.pitch_id = p.id and l.user_id = $2) as liked,
                exists (select 1 from pitch_saves s where s.pitch_id = p.id and s.user_id = $2) as saved
             from pitches p join users u on u.id = p.creator_id
             where p.id = $1"
        ))
        .bind(id)
        .bind(reader)
        .bind(now)
        .fetch_optional(c)
        .await
    })?;
    Ok(row.and_then(|row| row.shown_to(reader)))
}

impl PitchRow {
    fn shown_to(self, reader: Option<UserId>) -> Option<Pitch> {
        let access = match reader {
            Some(reader) if reader == self.card.creator_id => Access::Owner,
            _ if self.card.status != PitchStatus::Published => return None,
            _ if self.admitted => Access::Nda,
            _ => Access::Public,
        };
        let confidential = Confidential {
            confidential_synopsis: self.confidential_synopsis,
            confidential_notes: self.confidential_notes,
        };
        Some(Pitch {
            card: self.card.into(),
            synopsis: self.synopsis,
            version: self.version,
            access,
            has_confidential: confidential != Confidential::default(),
            liked: self.liked,
            saved: self.saved,
            confidential: (access != Access::Public).then_some(confidential),
        })
    }
}

/// Whose pitch it is and who may see it; for decisions, not for showing.
pub async fn creator_of(conn: &mut Conn, id: PitchId) -> Result<Option<(UserId, PitchStatus)>, StoreError> {
    with_conn!(conn, |c| {
        sqlx::query_as("select creator_id, status from pitches where id = $1").bind(id).fetch_optional(c).await
    })
}
