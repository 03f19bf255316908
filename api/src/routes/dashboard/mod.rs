//! The first screen of each portal.

mod creator;

pub use creator::creator;
