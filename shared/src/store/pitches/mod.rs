//! Pitches: written by their creator, read by whoever may.
//!
//! `write` changes one, `read` shows one (and decides how much of it), `browse` lists them. What only an NDA opens is
//! left out here, in the store: no caller can forget to hide it.

mod browse;
mod order;
mod read;
mod row;
mod write;

pub use browse::{Filter, List, NEW_WINDOW, Page, count, page, page_at, plan};
pub use order::{After, BadKey, Key};
pub use read::{by_id, creator_of};
pub use write::{Refusal, archive, create, delete, publish, set_featured, update};
