//! The demo's pitches, from a file that people can read and edit: `catalogue.json`. Every title, person and company in
//! it is invented. Ages are days before now, so the lists look alive whenever the platform is first started: some old
//! pitches still trend, and some new ones nobody has seen yet.

use super::accounts::ACCOUNTS;
use crate::{app::App, http::ApiError};
use serde::Deserialize;
use shared::{
    clock::Timestamp,
    id::UserId,
    model::{Confidential, Format, PitchStatus, PitchText, Stage},
    store::{
        StoreError, Tx,
        demo::{self, DemoCreator, DemoPitch},
        installation, users,
    },
};
use std::{collections::HashMap, time::Duration};

const FILE: &str = include_str!("catalogue.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    creators: Vec<Creator>,
    pitches: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Creator {
    key: String,
    email: String,
    username: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    creator: String,
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
    status: PitchStatus,
    featured: bool,
    age_days: u64,
    views: i64,
    likes: i64,
    saves: i64,
    engaged_days_ago: u64,
}

/// Brings the catalogue in, in one transaction, unless one of its creators is there already: then it was brought in
/// before, and what people changed since stays changed.
pub async fn bring_in(app: &App) -> Result<(), ApiError> {
    let catalogue = read();
    let work = async |tx: &mut Tx| {
        // Two processes that start together: the second one waits here, and then finds everybody.
        installation::first(tx, "demo.catalogue").await?;
        let Some(ids) = creators(tx, &catalogue.creators).await? else { return Ok(()) };
        let now = tx.now();
        for entry in catalogue.pitches {
            let creator = ids[&entry.creator];
            demo::pitch(tx, &entry.at(creator, now)).await?;
        }
        let mut followers = Vec::new();
        for account in &ACCOUNTS[1..] {
            followers.extend(users::by_email(tx, account.email).await?.map(|user| user.id));
        }
        demo::follow_all(tx, &followers, &ids.into_values().collect::<Vec<_>>()).await
    };
    Ok(app.store.tx("demo.catalogue", work).await?)
}

/// Everybody of the catalogue, by key; none if all of them were there before.
async fn creators(tx: &mut Tx, creators: &[Creator]) -> Result<Option<HashMap<String, UserId>>, StoreError> {
    let (mut ids, mut news) = (HashMap::new(), false);
    for creator in creators {
        let Creator { key, email, username, name } = creator;
        let creator = DemoCreator { email: email.clone(), username: username.clone(), name: name.clone() };
        let (id, made) = demo::creator(tx, &creator).await?;
        news |= made;
        ids.insert(key.clone(), id);
    }
    Ok(news.then_some(ids))
}

impl Entry {
    fn at(self, creator: UserId, now: Timestamp) -> DemoPitch {
        let days_ago = |days: u64| now - Duration::from_hours(days * 24);
        // An hour each keeps two pitches of the same day from having the same age.
        let within_day = Duration::from_mins(self.title.len() as u64 * 7 % (20 * 60));
        DemoPitch {
            creator,
            status: self.status,
            featured: self.featured,
            created_at: days_ago(self.age_days) - within_day,
            engaged_at: days_ago(self.engaged_days_ago),
            views: self.views,
            likes: self.likes,
            saves: self.saves,
            text: PitchText {
                title: self.title,
                logline: self.logline,
                synopsis: self.synopsis,
                genre: self.genre,
                format: self.format,
                stage: self.stage,
                budget_min: self.budget_min,
                budget_max: self.budget_max,
                seeking_investment: self.seeking_investment,
                confidential: Confidential {
                    confidential_synopsis: self.confidential_synopsis,
                    confidential_notes: self.confidential_notes,
                },
            },
        }
    }
}

fn read() -> Catalogue {
    serde_json::from_str(FILE).expect("the embedded catalogue is read by a test")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_catalogue_is_varied_and_holds_together() {
        let Catalogue { creators, pitches } = read();
        let keys: HashSet<_> = creators.iter().map(|creator| &creator.key).collect();
        assert!(pitches.iter().all(|pitch| keys.contains(&pitch.creator)));
        assert!(creators.iter().any(|creator| creator.email == ACCOUNTS[0].email), "the demo creator has pitches");
        let titles: HashSet<_> = pitches.iter().map(|pitch| &pitch.title).collect();
        assert_eq!(titles.len(), pitches.len());
        for genre in ["Action", "Comedy", "Drama", "Horror", "Sci-Fi", "Thriller"] {
            assert!(pitches.iter().filter(|pitch| pitch.genre == genre).count() >= 5, "{genre}");
        }
        let formats: HashSet<_> = pitches.iter().map(|pitch| pitch.format).collect();
        assert_eq!(formats.len(), Format::NAMES.len());
        assert!(pitches.iter().filter(|pitch| pitch.featured).count() >= 5);
        assert!(pitches.iter().any(|pitch| pitch.age_days > 30 && pitch.engaged_days_ago < 5), "old and trending");
        assert!(pitches.iter().any(|pitch| pitch.age_days < 30 && pitch.views < 100), "new and unknown");
    }
}
