//! Following somebody: whoever follows a creator is told when they publish.

mod create;
mod delete;

pub use create::create;
pub use delete::delete;
