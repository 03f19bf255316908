//! How a pitch looks as a row. The list of columns and the struct that reads them stand side by side.

use crate::{
    clock::Timestamp,
    id::{PitchId, UserId},
    model::{Format, Person, PitchCard, PitchStatus, Portal, Stage},
};

text_column!(Format, |format| format.as_str().to_owned(), |text| Ok(text.parse()?));
text_column!(Stage, |stage| stage.as_str().to_owned(), |text| Ok(text.parse()?));
text_column!(PitchStatus, |status| status.as_str().to_owned(), |text| Ok(text.parse()?));

/// What a card is read from: `pitches p join users u on u.id = p.creator_id`.
macro_rules! card_columns {
    () => {
        "p.id, p.creator_id, u.name as creator_name, u.user_type as creator_portal, p.title, p.logline, p.genre, \
         p.format, p.stage, p.budget_min, p.budget_max, p.seeking_investment, p.status, p.featured, p.view_count, \
         p.like_count, p.save_count, p.created_at, p.updated_at, p.published_at, p.trend_score"
    };
}
pub(super) use card_columns;

/// The columns of [`card_columns!`].
#[derive(Debug, sqlx::FromRow)]
pub(super) struct CardRow {
    pub(super) id: PitchId,
    pub(super) creator_id: UserId,
    creator_name: String,
    creator_portal: Portal,
    pub(super) title: String,
    logline: String,
    genre: String,
    format: Format,
    stage: Stage,
    pub(super) budget_min: Option<i64>,
    pub(super) budget_max: Option<i64>,
    seeking_investment: bool,
    pub(super) status: PitchStatus,
    featured: bool,
    pub(super) view_count: i64,
    pub(super) like_count: i64,
    pub(super) save_count: i64,
    pub(super) created_at: Timestamp,
    updated_at: Timestamp,
    pub(super) published_at: Option<Timestamp>,
    pub(super) trend_score: f64,
}

impl From<CardRow> for PitchCard {
    fn from(row: CardRow) -> Self {
        Self {
            id: row.id,
            creator: Person { id: row.creator_id, name: row.creator_name, portal: row.creator_portal },
            title: row.title,
            logline: row.logline,
            genre: row.genre,
            format: row.format,
            stage: row.stage,
            budget_min: row.budget_min,
            budget_max: row.budget_max,
            seeking_investment: row.seeking_investment,
            status: row.status,
            featured: row.featured,
            view_count: row.view_count,
            like_count: row.like_count,
            save_count: row.save_count,
            created_at: row.created_at,
            updated_at: row.updated_at,
            published_at: row.published_at,
        }
    }
}
