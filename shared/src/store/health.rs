//! What operators and probes ask of the database.

use super::{Conn, Store, StoreError, conn::with_conn};
use sqlx::FromRow;
use std::time::{Duration, Instant};

impl Store {
    /// How long the database takes to answer, the wait for a connection included.
    pub async fn ping(&self) -> Result<Duration, StoreError> {
        let started = Instant::now();
        self.read("health.ping", async |c| {
            with_conn!(c, |c| sqlx::query_scalar::<_, i32>("select 1").fetch_one(c).await)
        })
        .await?;
        Ok(started.elapsed())
    }
}

/// The PostgreSQL server's side of the connections.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Server {
    /// `max_connections` without those reserved for superusers.
    pub available: i64,
    /// Connections of every client.
    pub connected: i64,
    /// Connections of Pitchey's processes.
    pub pitchey: i64,
}

impl Server {
    /// Whether pools of this size together leave the server room: at most 80 % of what is available.
    pub fn has_room_for(&self, connections: u32) -> bool {
        i64::from(connections) * 5 <= self.available * 4
    }
}

/// The server's numbers; `None` on SQLite, which has no server.
pub async fn server(conn: &mut Conn) -> Result<Option<Server>, StoreError> {
    if !conn.is_postgres() {
        return Ok(None);
    }
    with_conn!(conn, |c| {
        sqlx::query_as(
            "select current_setting('max_connections')::bigint
                  - current_setting('superuser_reserved_connections')::bigint as available,
                count(*) as connected,
                count(*) filter (where application_name like 'pitchey-%') as pitchey
             from pg_stat_activity where backend_type = 'client backend'",
        )
        .fetch_optional(c)
        .await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_may_take_four_fifths_of_the_server() {
        let server = Server { available: 97, connected: 0, pitchey: 0 };
        assert!(server.has_room_for(25) && server.has_room_for(77) && !server.has_room_for(78));
    }
}
