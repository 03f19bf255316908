//! The first connection of a process, to a database that may be asleep (Neon wakes within seconds), restarting, or
//! started in the same moment.

use super::manager::{Backend, Managed, Manager};
use crate::store::StoreError;
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// The pause after the first failure; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Opens it, trying again for `patience` if the database is away. A wrong password or name is told at once.
pub(super) async fn first<B: Backend>(
    bb8: &bb8::Pool<Manager<B>>,
    name: &'static str,
    patience: Duration,
) -> Result<Managed<B::Raw>, StoreError> {
    let (deadline, mut pause) = (Instant::now() + patience, FIRST_PAUSE);
    loop {
        let error = match bb8.dedicated_connection().await {
            Ok(first) => return Ok(first),
            Err(error) => error,
        };
        // Half of the pause is random: processes that were started together do not come back together.
        let wait = pause.mul_f64(0.5 + random_part() / 2.0);
        if !may_come(&error) || Instant::now() + wait > deadline {
            return Err(StoreError::Unavailable(error.to_string()));
        }
        tracing::warn!(pool = name, %error, "the database cannot be reached yet: trying again");
        sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether trying again may help.
fn may_come(error: &sqlx::Error) -> bool {
    match error {
        // A certificate that does not hold is an error of this kind.
        sqlx::Error::Io(error) => !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::PermissionDenied),
        // Starting up, shutting down, too many connections; PgBouncer whose server is away.
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            ["57P", "53", "08"].iter().any(|class| code.starts_with(class))
        }
        _ => false,
    }
}

/// A random number from 0 to 1; without randomness one half, since nothing but politeness depends on it.
pub(super) fn random_part() -> f64 {
    let mut byte = [0_u8; 1];
    getrandom::fill(&mut byte).map_or(0.5, |()| f64::from(byte[0]) / 255.0)
}
