//! Keyset cursors: where the last page ended, sealed so that only this installation can have made it and only the list
//! it was made for will take it.
//!
//! A cursor is base64url of `version · list hash · id · mac · sort key`. The list's name holds its filters, so a cursor
//! taken from one filter to another is refused instead of silently skipping rows.

use super::{ApiError, query::Query};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Entries a page has when nobody says.
pub const DEFAULT_LIMIT: u32 = 20;
/// Most entries a page may have.
pub const MAX_LIMIT: u32 = 100;

const VERSION: u8 = 1;
const LIST_BYTES: usize = 8;
const ID_BYTES: usize = 16;
const MAC_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + LIST_BYTES + ID_BYTES + MAC_BYTES;
/// Longest cursor that is looked at; ours stay far below.
const MAX_TEXT: usize = 1_024;

/// The last entry of a page: its sort key as text, and its id, which breaks ties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The value the list is ordered by.
    pub key: String,
    /// The entry's id.
    pub id: Uuid,
}

/// One page as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many entries, 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// Where the page before ended; none is the first page.
    pub after: Option<Cursor>,
}

/// Seals and opens cursors. A cheap clone.
#[derive(Clone)]
pub struct Cursors(Hmac<Sha256>);

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursors")
    }
}

impl Cursors {
    /// With the installation's secret, which every process of it shares.
    pub fn new(secret: &[u8]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        // Domain separation: the same secret may seal other things one day.
        mac.update(b"pitchey cursor\0");
        Self(mac)
    }

    /// The cursor's text. `list` names the list with all its filters.
    pub fn seal(&self, list: &str, cursor: &Cursor) -> String {
        let (list, id) = (list_hash(list), cursor.id.into_bytes());
        let mac = self.mac(&list, &id, cursor.key.as_bytes());
        let mut bytes = Vec::with_capacity(HEAD_BYTES + cursor.key.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&list);
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(&mac);
        bytes.extend_from_slice(cursor.key.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor in a text, if this installation sealed it for this list.
    pub fn open(&self, list: &str, text: &str) -> Option<Cursor> {
        let bytes = (text.len() <= MAX_TEXT).then(|| URL_SAFE_NO_PAD.decode(text).ok())??;
        let (head, key) = bytes.split_at_checked(HEAD_BYTES)?;
        let (version, rest) = head.split_first()?;
        let (sealed_list, rest) = rest.split_at(LIST_BYTES);
        let (id, mac) = rest.split_at(ID_BYTES);
        let genuine = shared::secret::constant_time_eq(mac, &self.mac(sealed_list, id, key));
        if *version != VERSION || !genuine || sealed_list != list_hash(list) {
            return None;
        }
        Some(Cursor { key: String::from_utf8(key.to_vec()).ok()?, id: Uuid::from_slice(id).ok()? })
    }

    fn mac(&self, list: &[u8], id: &[u8], key: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = self.0.clone();
        // The first two have fixed lengths, so the parts cannot run into each other.
        for part in [list, id, key] {
            mac.update(part);
        }
        let full = mac.finalize().into_bytes();
        full[..MAC_BYTES].try_into().expect("a SHA-256 has 32 bytes")
    }
}

fn list_hash(list: &str) -> [u8; LIST_BYTES] {
    Sha256::digest(list)[..LIST_BYTES].try_into().expect("a SHA-256 has 32 bytes")
}

impl Query {
    /// Takes `limit` and `cursor`; what is wrong with them is reported by `finish`.
    pub fn page(&mut self, cursors: &Cursors, list: &str) -> Page {
        self.page_of(cursors, list, DEFAULT_LIMIT)
    }

    /// The same with another limit for those who name none.
    pub fn page_of(&mut self, cursors: &Cursors, list: &str, limit: u32) -> Page {
        let named = self.number("limit", 1..=i64::from(MAX_LIMIT));
        let limit = named.and_then(|named| u32::try_from(named).ok()).unwrap_or(limit);
        let after = self.get::<String>("cursor").and_then(|text| {
            let cursor = cursors.open(list, &text);
            self.problems().require(cursor.is_some(), "cursor", "is not a cursor of this list");
            cursor
        });
        Page { limit, after }
    }
}

impl Page {
    /// Cuts a list that was asked for with one entry too many down to the page, and makes the cursor of the next one
    /// if there is more.
    pub fn cut<T>(
        &self,
        cursors: &Cursors,
        list: &str,
        rows: &mut Vec<T>,
        position: impl FnOnce(&T) -> Cursor,
    ) -> Option<String> {
        let limit = self.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        rows.last().filter(|_| more).map(|last| cursors.seal(list, &position(last)))
    }

    /// One more than the page, to learn whether there is a next one.
    pub fn probe(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// A cursor that is not ours, as routes that read it themselves say it.
pub fn bad_cursor() -> ApiError {
    ApiError::field("cursor", "is not a cursor of this list")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        Cursor { key: "2026-11-22T01:20:00.000000Z".into(), id: Uuid::from_u128(7) }
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let cursors = Cursors::new(b"k");
        let text = cursors.seal("pitches:new", &cursor());
        assert_eq!(cursors.open("pitches:new", &text), Some(cursor()));
    }

    #[test]
    fn foreign_and_altered_cursors_are_refused() {
        let cursors = Cursors::new(b"k");
        let text = cursors.seal("pitches:new", &cursor());
        assert_eq!(cursors.open("pitches:new?genre=Drama", &text), None);
        assert_eq!(Cursors::new(b"other").open("pitches:new", &text), None);
        assert_eq!(cursors.open("pitches:new", &"A".repeat(5_000)), None);
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(cursors.open("pitches:new", &altered), None, "byte {at}");
        }
    }

    #[test]
    fn pages_are_cut_and_say_whether_there_is_more() {
        let cursors = Cursors::new(b"k");
        let page = Page { limit: 2, after: None };
        let mut rows = vec![1, 2, 3];
        let next = page.cut(&cursors, "l", &mut rows, |_| cursor());
        assert_eq!((rows, next.is_some()), (vec![1, 2], true));
        let mut rows = vec![1, 2];
        assert_eq!(page.cut(&cursors, "l", &mut rows, |_| cursor()), None);
    }

    #[test]
    fn a_limit_out_of_range_and_a_bad_cursor_are_reported_by_name() {
        let mut query = Query::parse("limit=101&cursor=zzz").unwrap();
        let page = query.page(&Cursors::new(b"k"), "l");
        assert_eq!(page, Page { limit: DEFAULT_LIMIT, after: None });
        assert_eq!(query.finish().unwrap_err().field_errors().len(), 2);
    }
}
