//! The rows of the lists, and the fields they can be filtered and sorted by.
//!
//! Ages are seconds before [`super::List::at`], not times, so that a console whose clock is wrong shows them right.

mod closed;
mod connection;
mod endpoint;
mod error;
mod log;
mod queue;
mod room;
mod statement;
mod user;

pub use closed::{ClosedBy, ClosedRow};
pub use connection::{ConnectionDetail, ConnectionRow, ConnectionState, Moment};
pub use endpoint::{EndpointRow, RequestRow};
pub use error::{AffectedRow, ErrorRow, MOST_AFFECTED};
pub use log::{AuditRow, Level, LogRow};
pub use queue::QueueRow;
pub use room::RoomRow;
pub use statement::StatementRow;
pub use user::{SessionRow, UserDetail, UserRow};
