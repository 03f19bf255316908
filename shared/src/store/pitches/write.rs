//! Changes to a pitch, each by its owner and in one transaction.
//!
//! **The bump is the lock.** A change begins with `update … set version = version + 1 … returning`, which on
//! PostgreSQL locks the row and on SQLite needs no lock: what follows in the transaction works on the row as it is,
//! and whoever comes second sees the first one's version. A refusal undoes the bump with everything else.

use super::order::title_key;
use crate::{
    id::{PitchId, UserId},
    model::{Confidential, Format, PitchStatus, PitchText, Stage},
    protocol::RoomName,
    store::{
        StoreError, Tx,
        conn::{execute, with_conn},
        invalidations::{self, Invalidation},
        rooms::EVERYBODY,
        words,
    },
};

/// Why a change of a pitch is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is none, or the caller may not know of it.
    #[error("no such pitch")]
    Missing,
    /// It is somebody else's, for everybody to see.
    #[error("the pitch belongs to somebody else")]
    NotYours,
    /// It has changed since the caller read it.
    #[error("the pitch is at version {current} by now")]
    Stale {
        /// Its version now.
        current: i64,
    },
    /// The genre is none of the table's.
    #[error("no such genre")]
    UnknownGenre,
    /// The least budget is above the largest.
    #[error("the budget's bounds are the wrong way round")]
    Budgets,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes down a new draft.
pub async fn create(tx: &mut Tx, id: PitchId, creator: UserId, text: &PitchText) -> Result<(), Refusal> {
    check_budgets(text)?;
    check_genre(tx, &text.genre).await?;
    let now = tx.now();
    execute!(
        tx,
        sqlx::query(
            "insert into pitches (id, creator_id, title, title_key, logline, synopsis, genre, format, stage,
                                  budget_min, budget_max, seeking_investment, confidential_synopsis,
                                  confidential_notes, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)",
        )
        .bind(id)
        .bind(creator)
        .bind(&text.title)
        .bind(title_key(&text.title))
        .bind(&text.logline)
        .bind(&text.synopsis)
        .bind(&text.genre)
        .bind(text.format)
        .bind(text.stage)
        .bind(text.budget_min)
        .bind(text.budget_max)
        .bind(text.seeking_investment)
        .bind(text.confidential.confidential_synopsis.as_deref())
        .bind(text.confidential.confidential_notes.as_deref())
        .bind(now)
    )?;
    words::index(tx, id, [&text.title, &text.logline]).await?;
    Ok(())
}

/// Changes a pitch's text with `edit`, which sees it as it is. `expected` is the version the caller has seen, if it
/// cares.
pub async fn update(
    tx: &mut Tx,
    id: PitchId,
    owner: UserId,
    expected: Option<i64>,
    edit: impl FnOnce(&mut PitchText),
) -> Result<(), Refusal> {
    let mut text = claim(tx, id, owner, expected).await?;
    let before = text.clone();
    edit(&mut text);
    check_budgets(&text)?;
    if text.genre != before.genre {
        check_genre(tx, &text.genre).await?;
    }
    execute!(
        tx,
        sqlx::query(
            "update pitches set title = $2, title_key = $3, logline = $4, synopsis = $5, genre = $6, format = $7,
                    stage = $8, budget_min = $9, budget_max = $10, seeking_investment = $11,
                    confidential_synopsis = $12, confidential_notes = $13
             where id = $1",
        )
        .bind(id)
        .bind(&text.title)
        .bind(title_key(&text.title))
        .bind(&text.logline)
        .bind(&text.synopsis)
        .bind(&text.genre)
        .bind(text.format)
        .bind(text.stage)
        .bind(text.budget_min)
        .bind(text.budget_max)
        .bind(text.seeking_investment)
        .bind(text.confidential.confidential_synopsis.as_deref())
        .bind(text.confidential.confidential_notes.as_deref())
    )?;
    if (&text.title, &text.logline) != (&before.title, &before.logline) {
        words::index(tx, id, [&text.title, &text.logline]).await?;
    }
    Ok(())
}

/// Shows a pitch to everybody. Whether this is the first time, which is when followers are told; publishing what is
/// published changes nothing.
pub async fn publish(tx: &mut Tx, id: PitchId, owner: UserId) -> Result<bool, Refusal> {
    authorise(tx, id, owner).await?;
    let now = tx.now();
    // Two at once: the second waits for the first, finds nothing left to publish and tells nobody. An older date of
    // publication stays, so one that equals this instant is the first.
    let published: Option<(bool,)> = with_conn!(tx, |c| {
        sqlx::query_as(
            "update pitches set status = 'published', published_at = coalesce(published_at, $2), updated_at = $2,
                    version = version + 1
             where id = $1 and status <> 'published' returning published_at = $2",
        )
        .bind(id)
        .bind(now)
        .fetch_optional(c)
        .await
    })?;
    if published.is_some() {
        note(tx, id, &[EVERYBODY]).await?;
    }
    Ok(published.is_some_and(|(first,)| first))
}

/// Takes a pitch back from everybody but its creator. Whether it was published until now; withdrawing what nobody sees
/// changes nothing. Published again it is no new release: its date stays.
pub async fn archive(tx: &mut Tx, id: PitchId, owner: UserId) -> Result<bool, Refusal> {
    authorise(tx, id, owner).await?;
    let now = tx.now();
    let done = execute!(
        tx,
        sqlx::query(
            "update pitches set status = 'archived', featured = false, updated_at = $2, version = version + 1
             where id = $1 and status = 'published'",
        )
        .bind(id)
        .bind(now)
    )?;
    if done > 0 {
        note(tx, id, &[EVERYBODY]).await?;
    }
    Ok(done > 0)
}

/// Removes a pitch and everything that hangs on it. `expected` as in [`update`].
pub async fn delete(tx: &mut Tx, id: PitchId, owner: UserId, expected: Option<i64>) -> Result<(), Refusal> {
    claim(tx, id, owner, expected).await?;
    execute!(tx, sqlx::query("delete from pitches where id = $1").bind(id))?;
    note(tx, id, &[EVERYBODY, owner]).await?;
    Ok(())
}

/// For the caches: whether these users may enter the pitch's room changed.
async fn note(tx: &mut Tx, id: PitchId, users: &[UserId]) -> Result<(), StoreError> {
    let (now, room) = (tx.now(), RoomName::pitch(id));
    let changed: Vec<_> = users.iter().map(|user| Invalidation::Room(room.clone(), *user)).collect();
    invalidations::write(tx, &changed, now).await
}

/// Puts a published pitch on the editors' list, or takes it off. The caller has made sure that an editor asks. The
/// version stays: it tells the owner whether somebody changed the text.
pub async fn set_featured(tx: &mut Tx, id: PitchId, featured: bool) -> Result<(), Refusal> {
    let done = execute!(
        tx,
        sqlx::query("update pitches set featured = $2 where id = $1 and status = 'published'").bind(id).bind(featured)
    )?;
    if done == 0 { Err(Refusal::Missing) } else { Ok(()) }
}

#[derive(sqlx::FromRow)]
struct TextRow {
    version: i64,
    title: String,
    logline: String,
    synopsis: String,
    genre: String,
    format: Format,
    stage: Stage,
    budget_min: Option<i64>,
    budget_max: Option<i64>,
    seeking_investment: bool,
    confidential_synopsis: Option<String>,
    confidential_notes: Option<String>,
}

/// The owner's pitch, locked until the end of the transaction and one version on.
async fn claim(tx: &mut Tx, id: PitchId, owner: UserId, expected: Option<i64>) -> Result<PitchText, Refusal> {
    authorise(tx, id, owner).await?;
    let now = tx.now();
    let row: Option<TextRow> = with_conn!(tx, |c| {
        sqlx::query_as(
            "update pitches set version = version + 1, updated_at = $2 where id = $1
             returning version, title, logline, synopsis, genre, format, stage, budget_min, budget_max,
                       seeking_investment, confidential_synopsis, confidential_notes",
        )
        .bind(id)
        .bind(now)
        .fetch_optional(c)
        .await
    })?;
    let row = row.ok_or(Refusal::Missing)?;
    let current = row.version - 1;
    if expected.is_some_and(|expected| expected != current) {
        return Err(Refusal::Stale { current });
    }
    Ok(PitchText {
        title: row.title,
        logline: row.logline,
        synopsis: row.synopsis,
        genre: row.genre,
        format: row.format,
        stage: row.stage,
        budget_min: row.budget_min,
        budget_max: row.budget_max,
        seeking_investment: row.seeking_investment,
        confidential: Confidential {
            confidential_synopsis: row.confidential_synopsis,
            confidential_notes: row.confidential_notes,
        },
    })
}

/// A pitch never changes hands, so looking once is enough. Somebody else's draft is nobody's business: missing.
async fn authorise(tx: &mut Tx, id: PitchId, owner: UserId) -> Result<(UserId, PitchStatus), Refusal> {
    match super::read::creator_of(tx, id).await? {
        Some((creator, status)) if creator == owner => Ok((creator, status)),
        Some((_, PitchStatus::Published)) => Err(Refusal::NotYours),
        _ => Err(Refusal::Missing),
    }
}

async fn check_genre(tx: &mut Tx, genre: &str) -> Result<(), Refusal> {
    if crate::store::genres::exists(tx, genre).await? { Ok(()) } else { Err(Refusal::UnknownGenre) }
}

fn check_budgets(text: &PitchText) -> Result<(), Refusal> {
    match (text.budget_min, text.budget_max) {
        (Some(least), Some(most)) if least > most => Err(Refusal::Budgets),
        _ => Ok(()),
    }
}
