//! Pitches: what is browsed, what one look at a pitch shows, and the closed lists of words that describe one.
//!
//! Genres are no enum: they are rows of a table, so that the list can grow without a release.

use super::Person;
use crate::{clock::Timestamp, id::PitchId};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The text is none of the names of a closed list, which are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", .0.join(", "))]
pub struct UnknownName(pub &'static [&'static str]);

/// A closed list of names, the same in URLs, JSON and SQL.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$item_doc:meta])* $item:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $type {
            $($(#[$item_doc])* #[serde(rename = $name)] $item,)+
        }

        impl $type {
            /// Every name.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name in URLs, JSON and SQL.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$item => $name,)+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($name => Ok(Self::$item),)+
                    _ => Err(UnknownName(Self::NAMES)),
                }
            }
        }
    };
}

names! {
    /// What the pitch is to become.
    Format {
        /// A film for cinemas, an hour or longer.
        Feature = "feature",
        /// A film under forty minutes.
        Short = "short",
        /// Episodes with no end in sight.
        Series = "series",
        /// Episodes that end.
        LimitedSeries = "limited_series",
        /// Non-fiction.
        Documentary = "documentary",
        /// Drawn, modelled or rendered.
        Animation = "animation",
    }
}

names! {
    /// How far the project is.
    Stage {
        /// An idea on a page.
        Concept = "concept",
        /// The story told in prose.
        Treatment = "treatment",
        /// A screenplay.
        Script = "script",
        /// Rewrites, attachments, finance.
        Development = "development",
        /// Money is there, the shoot is planned.
        PreProduction = "pre_production",
        /// Shooting.
        Production = "production",
        /// Editing, sound, effects.
        PostProduction = "post_production",
        /// Done.
        Completed = "completed",
    }
}

names! {
    /// Who may see the pitch.
    PitchStatus {
        /// Its creator.
        Draft = "draft",
        /// Everybody.
        Published = "published",
        /// Its creator again.
        Archived = "archived",
    }
}

names! {
    /// The order of a list of pitches.
    Sort {
        /// Newest first.
        New = "new",
        /// Largest budget first; no budget comes last.
        Budget = "budget",
        /// By title, regardless of case.
        Title = "title",
        /// Most engagement of all time first.
        Popular = "popular",
    }
}

names! {
    /// How much of a pitch the reader is shown.
    Access {
        /// All of it, and it may be changed.
        Owner = "owner",
        /// All of it: an NDA in force admits the reader.
        Nda = "nda",
        /// What everybody sees.
        Public = "public",
    }
}

/// A pitch in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PitchCard {
    /// Identifier.
    pub id: PitchId,
    /// Who pitches it.
    pub creator: Person,
    /// Title.
    pub title: String,
    /// The story in a sentence or two.
    pub logline: String,
    /// One of the table's genres.
    pub genre: String,
    /// What it is to become.
    pub format: Format,
    /// How far it is.
    pub stage: Stage,
    /// Least budget, in whole US dollars.
    pub budget_min: Option<i64>,
    /// Largest budget, in whole US dollars.
    pub budget_max: Option<i64>,
    /// Whether money is wanted.
    pub seeking_investment: bool,
    /// Who may see it.
    pub status: PitchStatus,
    /// Chosen by the editors.
    pub featured: bool,
    /// Looks by others: one a day from each.
    pub view_count: i64,
    /// Likes.
    pub like_count: i64,
    /// How many keep it on their list.
    pub save_count: i64,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When its text last changed.
    pub updated_at: Timestamp,
    /// When it was first published.
    pub published_at: Option<Timestamp>,
}

/// A pitch as one reader sees it. The confidential part is only there when `access` says so; it is never sent
/// and hidden by a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pitch {
    /// What lists show too.
    #[serde(flatten)]
    pub card: PitchCard,
    /// The public synopsis.
    pub synopsis: String,
    /// Grows by one with every change by its owner; `If-Match` names it.
    pub version: i64,
    /// How much the reader is shown.
    pub access: Access,
    /// Whether there is more behind an NDA.
    pub has_confidential: bool,
    /// Whether the reader likes it.
    pub liked: bool,
    /// Whether the reader keeps it.
    pub saved: bool,
    /// The part behind the NDA.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub confidential: Option<Confidential>,
}

/// What only the owner, and those an NDA admits, may read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confidential {
    /// The whole story, its end included.
    pub confidential_synopsis: Option<String>,
    /// Attachments, finance plan, sales estimates.
    pub confidential_notes: Option<String>,
}

/// Everything a creator writes about a pitch: a new one, or the whole of a changed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PitchText {
    /// Title, 1–200 characters.
    pub title: String,
    /// 1–500 characters.
    pub logline: String,
    /// At most 20 000 characters.
    pub synopsis: String,
    /// A genre of the table.
    pub genre: String,
    /// What it is to become.
    pub format: Format,
    /// How far it is.
    pub stage: Stage,
    /// Least budget, in whole US dollars.
    pub budget_min: Option<i64>,
    /// Largest budget; not below the least.
    pub budget_max: Option<i64>,
    /// Whether money is wanted.
    pub seeking_investment: bool,
    /// The part behind the NDA.
    pub confidential: Confidential,
}

/// The numbers on a creator's dashboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "store", derive(sqlx::FromRow))]
pub struct CreatorStats {
    /// The creator's pitches, drafts included.
    pub total_pitches: i64,
    /// Those that everybody sees.
    pub published_pitches: i64,
    /// Those written down in the last 30 days.
    pub recent_pitches: i64,
    /// Looks at them, all together.
    pub total_views: i64,
    /// Likes of them, all together.
    pub total_likes: i64,
    /// NDAs about them, in whatever state.
    pub total_ndas: i64,
    /// NDAs about them that are approved.
    pub approved_ndas: i64,
    /// How many follow the creator.
    pub followers_count: i64,
    /// How many the creator follows.
    pub following_count: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        for name in Format::NAMES {
            assert_eq!(name.parse::<Format>().unwrap().as_str(), *name);
        }
        for name in Stage::NAMES {
            assert_eq!(name.parse::<Stage>().unwrap().to_string(), *name);
        }
        for name in Sort::NAMES {
            let json = format!("\"{name}\"");
            assert_eq!(serde_json::from_str::<Sort>(&json).unwrap().as_str(), *name);
        }
        let error = "Published".parse::<PitchStatus>().unwrap_err();
        assert_eq!(error.to_string(), "must be one of draft, published, archived");
    }
}
