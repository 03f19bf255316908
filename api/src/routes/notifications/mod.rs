//! The caller's feed (R-100…R-106). Live delivery goes through the inbox; this is what stays.

pub mod list;
pub mod mark_read;
