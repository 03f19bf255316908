//! The three sides of the marketplace, and the set of them one user may enter.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One side of the marketplace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Portal {
    /// Publishes pitches.
    Creator,
    /// Browses and invests.
    Investor,
    /// Browses, options and produces.
    Production,
}

impl Portal {
    /// Every portal, in the order people list them.
    pub const ALL: [Self; 3] = [Self::Creator, Self::Investor, Self::Production];

    /// The name in URLs, JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creator => "creator",
            Self::Investor => "investor",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("portal must be creator, investor or production")]
pub struct UnknownPortal;

impl FromStr for Portal {
    type Err = UnknownPortal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|portal| portal.as_str() == text).ok_or(UnknownPortal)
    }
}

/// A set of portals. Stored and sent as sorted names (`"creator,investor"` in SQL, an array in JSON).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Portals(u8);

impl Portals {
    /// The set with these members.
    pub fn of(portals: impl IntoIterator<Item = Portal>) -> Self {
        Self(portals.into_iter().fold(0, |set, portal| set | bit(portal)))
    }

    /// Whether the set has this portal.
    pub const fn contains(self, portal: Portal) -> bool {
        self.0 & bit(portal) != 0
    }

    /// The members, in the order of [`Portal::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Portal> {
        Portal::ALL.into_iter().filter(move |portal| self.contains(*portal))
    }

    /// From the form in SQL; names it does not know are left out.
    pub fn from_list(text: &str) -> Self {
        Self::of(text.split(',').filter_map(|name| name.parse().ok()))
    }

    /// The form in SQL.
    pub fn to_list(self) -> String {
        self.iter().map(Portal::as_str).collect::<Vec<_>>().join(",")
    }
}

const fn bit(portal: Portal) -> u8 {
    1 << portal as u8
}

impl Serialize for Portals {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Portals {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Portal>::deserialize(deserializer).map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_survive_sql_and_json() {
        let set = Portals::of([Portal::Production, Portal::Creator]);
        assert_eq!(set.to_list(), "creator,production");
        assert_eq!(Portals::from_list(&set.to_list()), set);
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["creator","production"]"#);
        assert_eq!(serde_json::from_str::<Portals>(&json).unwrap(), set);
        assert!(!set.contains(Portal::Investor));
    }
}
