//! Where data lives: the database, the connections to it, and Redis.

use crate::config::{
    setting::{Setting, setting},
    value::{Count, DatabaseUrl, File, Maybe, Name, PoolerName, PostgresUrl, RedisUrl, Span},
};

pub(super) fn database() -> Vec<Setting> {
    vec![
        setting::<Maybe<DatabaseUrl>>(
            "database_url",
            |c| &mut c.database.url,
            "URL",
            "the store: `sqlite:<file>` or `postgres://…`",
        )
        .computed("`sqlite:$DATA_DIR/pitchey.db`")
        .secret(),
        setting::<Maybe<PostgresUrl>>(
            "database_direct_url",
            |c| &mut c.database.direct_url,
            "URL",
            "the same PostgreSQL database past its pooler, for migrations",
        )
        .computed("unset: `DATABASE_URL`, unless there is a pooler")
        .secret(),
        setting::<PoolerName>(
            "db_pooler",
            |c| &mut c.database.pooler,
            "choice",
            "what stands before PostgreSQL: `direct` nothing, or a pooler in session mode; in transaction mode `tracked` if it tracks prepared statements (Neon, PgBouncer from 1.21), else `legacy`",
        ),
    ]
}

pub(super) fn pool() -> Vec<Setting> {
    vec![
        setting::<Count<u32, 2, 1_000>>(
            "db_pool_size",
            |c| &mut c.database.pool.max_size,
            "connections",
            "most database connections of an api; on SQLite its readers (writes share one)",
        )
        .computed("`14`; `7` with `REDIS_URL`, where it has company"),
        setting::<Count<u32, 2, 1_000>>(
            "gateway_db_pool_size",
            |c| &mut c.database.gateway_pool_size,
            "connections",
            "the same of a `pitchey-gateway`",
        ),
        setting::<Count<u32, 2, 100_000>>(
            "db_connection_budget",
            |c| &mut c.database.connection_budget,
            "connections",
            "PostgreSQL connections of all processes together; a process shrinks its pool to what is left, or refuses to start",
        ),
        setting::<Span<1>>(
            "db_pool_timeout",
            |c| &mut c.database.pool.wait_timeout,
            "duration",
            "longest wait for a connection; then 503 with `Retry-After`",
        ),
        setting::<Span<1_000>>(
            "db_pool_max_lifetime",
            |c| &mut c.database.pool.max_lifetime,
            "duration",
            "an older connection is replaced (±10 %)",
        ),
        setting::<Span<1_000>>(
            "db_pool_idle_timeout",
            |c| &mut c.database.pool.idle_timeout,
            "duration",
            "a connection unused for this long is closed",
        ),
        setting::<Span<0>>(
            "db_validate_after",
            |c| &mut c.database.pool.validate_after,
            "duration",
            "how long a connection counts as valid after its last success, so that the hot path needs no ping",
        ),
        setting::<Span<1>>(
            "db_connect_timeout",
            |c| &mut c.database.pool.connect_timeout,
            "duration",
            "longest time to open one connection",
        ),
        setting::<Span<0>>(
            "db_start_timeout",
            |c| &mut c.database.pool.start_timeout,
            "duration",
            "how long a process that starts waits for a database that is away or asleep",
        ),
        setting::<Span<1>>(
            "db_statement_timeout",
            |c| &mut c.database.pool.statement_timeout,
            "duration",
            "longest time of one statement",
        ),
        setting::<Span<1>>(
            "db_idle_in_transaction_timeout",
            |c| &mut c.database.pool.idle_in_transaction_timeout,
            "duration",
            "a transaction idle for longer is ended by PostgreSQL",
        ),
    ]
}

pub(super) fn redis() -> Vec<Setting> {
    vec![
        setting::<Maybe<RedisUrl>>(
            "redis_url",
            |c| &mut c.redis.url,
            "URL",
            "the engine: `redis(s)://…`, `redis(s)-sentinel://…`, `redis(s)-cluster://…`; unset keeps everything live in this process's memory",
        )
        .computed("unset")
        .secret(),
        setting::<Name>(
            "redis_prefix",
            |c| &mut c.redis.prefix,
            "name",
            "what every Redis key and channel begins with, so that installations can share a server",
        ),
        setting::<Span<100>>(
            "redis_timeout",
            |c| &mut c.redis.timeout,
            "duration",
            "longest wait for one command's answer; then the caller goes on without Redis where it can",
        ),
        setting::<Maybe<File>>(
            "redis_ca_file",
            |c| &mut c.redis.ca_file,
            "path",
            "PEM certificates that `rediss://` trusts instead of the system's",
        )
        .computed("the system's"),
    ]
}
