//! Genres.

mod list;

pub use list::list;
