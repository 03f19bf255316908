//! Full-text search that gives the same answers on both databases: an index of words, kept by us.
//!
//! PostgreSQL's `tsvector` and SQLite's FTS5 differ in what a word is, and `like '%word%'` reads the whole table.
//! Here a word is a run of letters and digits in lower case, cut at [`MAX_WORD`] characters; `pitch_words` has a row
//! for each word of a title or logline, and a query finds the pitches that have, for **every** word of the query, a
//! word that begins with it. Nothing in a query is an operator or a wildcard, so there is nothing to escape. There is
//! no stemming, no ranking by relevance and no folding of accents.
//!
//! A query without a single letter or digit (`%`, `"'; --`) finds nothing: no title has such a word.

use super::{
    StoreError, Tx,
    conn::{execute, with_conn},
};
use crate::id::PitchId;
use sqlx::QueryBuilder;
use std::collections::BTreeSet;

/// Longer words are cut here, in the index and in queries alike.
pub const MAX_WORD: usize = 40;

/// Of a longer query the first words count; each costs a walk along the index.
pub const MAX_TERMS: usize = 8;

/// Sorts after every word that begins with the same letters: no character is greater.
const AFTER_ALL: char = char::MAX;

/// The words of a query, each to be found as the beginning of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms(Vec<String>);

impl Terms {
    /// Reads a query as typed.
    pub fn parse(query: &str) -> Self {
        let mut terms: Vec<String> = Vec::new();
        for word in split(query) {
            if terms.len() < MAX_TERMS && !terms.contains(&word) {
                terms.push(word);
            }
        }
        Self(terms)
    }

    /// For each term the range of words that begin with it, the end excluded.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|term| (term.clone(), format!("{term}{AFTER_ALL}")))
    }

    /// Whether the query has no word at all, and therefore finds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Replaces the words under which a pitch is found.
pub(super) async fn index(tx: &mut Tx, pitch: PitchId, texts: [&str; 2]) -> Result<(), StoreError> {
    let words: BTreeSet<String> = texts.into_iter().flat_map(split).collect();
    execute!(tx, sqlx::query("delete from pitch_words where pitch_id = $1").bind(pitch))?;
    if words.is_empty() {
        return Ok(());
    }
    with_conn!(tx, |c| {
        let mut sql = QueryBuilder::new("insert into pitch_words (word, pitch_id) ");
        sql.push_values(&words, |mut row, word| {
            row.push_bind(word.as_str()).push_bind(pitch);
        });
        sql.build().execute(c).await.map(drop)
    })
}

fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.to_lowercase().chars().filter(|c| c.is_alphanumeric()).take(MAX_WORD).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(query: &str) -> Vec<String> {
        Terms::parse(query).0
    }

    #[test]
    fn a_query_is_split_into_words_regardless_of_case_and_signs() {
        assert_eq!(terms("The LAST  ferry, the-Éclair"), ["the", "last", "ferry", "éclair"]);
    }

    #[test]
    fn wildcards_and_sql_are_no_words() {
        assert!(Terms::parse("%").is_empty());
        assert!(Terms::parse("_'; -- \" *").is_empty());
        assert_eq!(terms("' or 1=1"), ["or", "1"]);
    }

    #[test]
    fn long_queries_are_cut() {
        let query = (0..50).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(terms(&query).len(), MAX_TERMS);
        assert_eq!(terms(&"x".repeat(500))[0].len(), MAX_WORD);
    }

    proptest! {
        #[test]
        fn every_word_of_a_text_is_found_by_itself_and_by_its_beginning(text in "\\PC{0,80}") {
            for word in split(&text) {
                let first: String = word.chars().take(1).collect();
                for query in [&word, &first] {
                    for (from, to) in Terms::parse(query).ranges() {
                        prop_assert!(from <= word && word < to, "{query:?} does not find {word:?}");
                    }
                }
            }
        }
    }
}
