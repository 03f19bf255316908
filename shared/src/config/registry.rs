//! Every setting, once: its name, where its value lives, how it is read, its unit and what it means.
//!
//! File keys, environment variables, flags, `--print-config`, `--help` and the README's table all come from here.
//! Defaults do not: they stay in the sections' `Default`. **Adding a setting**: a field with its default in the
//! section's file, a line here, and the README's table as the failing test prints it.

use super::{
    alert::Alert,
    setting::{Setting, setting},
    value::{
        Address, AllowedOrigin, BaseUrl, CookieName, Count, DatabaseUrl, Domain, EnvironmentName, File, Filter, Folder,
        Format, List, Maybe, Name, PlaceName, PoolerName, PostgresUrl, RedisUrl, SameSiteName, Size, Socket, Span,
        Switch,
    },
};

/// Every setting, in the order of the documentation.
pub(super) fn settings() -> Vec<Setting> {
    [process(), store_and_engine(), http(), session(), gateway(), gateway_limits()].into_iter().flatten().collect()
}

const MANY: u64 = 10_000_000; // a bound that only catches typing errors

fn process() -> Vec<Setting> {
    vec![
        setting::<EnvironmentName>(
            "environment",
            |c| &mut c.environment,
            "choice",
            "`development` allows demo data, cookies over plain HTTP and error details; `production` none of them",
        )
        .computed("`development` with memory engine, SQLite, a loopback `HOST` and neither proxy nor public base URL, else `production`"),
        setting::<Folder>(
            "data_dir",
            |c| &mut c.data_dir,
            "path",
            "folder of the SQLite file, development mails and admin tokens; created when missing",
        ),
        setting::<Format>(
            "log_format",
            |c| &mut c.log.format,
            "choice",
            "`pretty` for people, `json` for one JSON object a line",
        ),
        setting::<Filter>(
            "log_filter",
            |c| &mut c.log.filter,
            "filter",
            "which log lines appear, such as `info,pitchey_gateway=debug`; `RUST_LOG` is understood too",
        )
        .alias("RUST_LOG"),
        setting::<Socket>(
            "admin_addr",
            |c| &mut c.admin.addr,
            "address",
            "the operators' listener; loopback only, guarded by `$DATA_DIR/admin-<name>.token`; port 0 takes a free one",
        ),
        setting::<List<Alert>>(
            "alert_rules",
            |c| &mut c.admin.alerts,
            "rules",
            "when operators are warned: `<metric>:<warn>/<for>:<critical>/<for>`, such as `error_share:1%/2m:5%/1m`, or `<metric>:off`; separated by commas",
        ),
        setting::<Name>(
            "node_name",
            |c| &mut c.gateway.node,
            "name",
            "this node's name in `hello`, logs and the console",
        )
        .computed("`gw-<hostname>-<PORT>`"),
        setting::<Span<0>>(
            "drain_delay",
            |c| &mut c.http.drain_delay,
            "duration",
            "how long a process that was told to stop goes on while `/health/ready` says no, so that balancers look elsewhere first",
        )
        .computed("`0`; `3s` with `REDIS_URL`"),
        setting::<Span<1_000>>(
            "drain_timeout",
            |c| &mut c.http.drain_timeout,
            "duration",
            "longest wait for open requests and sockets when the process stops",
        ),
    ]
}

fn store_and_engine() -> Vec<Setting> {
    vec![
        setting::<Maybe<DatabaseUrl>>(
            "database_url",
            |c| &mut c.database.url,
            "URL",
            "the store: `sqlite:<file>` or `postgres://…`",
        )
        .computed("`sqlite:$DATA_DIR/pitchey.db`")
        .secret(),
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

fn http() -> Vec<Setting> {
    vec![
        setting::<Address>("host", |c| &mut c.http.host, "address", "address to listen on"),
        setting::<Count<u16, 0, 65_535>>(
            "port",
            |c| &mut c.http.port,
            "TCP port",
            "port to listen on; 0 takes a free one",
        ),
        setting::<Maybe<File>>(
            "tls_cert",
            |c| &mut c.http.tls_cert,
            "path",
            "certificate chain in PEM, leaf first; with `TLS_KEY` the listener speaks TLS, and reads both again on SIGHUP",
        )
        .computed("unset: no TLS"),
        setting::<Maybe<File>>("tls_key", |c| &mut c.http.tls_key, "path", "the certificate's private key in PEM")
            .computed("unset: no TLS"),
        setting::<Maybe<BaseUrl>>(
            "public_base_url",
            |c| &mut c.http.public_base_url,
            "origin",
            "what links and cookies are built from, never the `Host` header",
        )
        .computed("`http://HOST:PORT`, `https:` with `TLS_CERT`"),
        setting::<List<AllowedOrigin>>(
            "cors_origins",
            |c| &mut c.http.allowed_origins,
            "origins",
            "browsers' origins that may call and open sockets, besides the base URL: exact, or `https://*.example.org` for one label; separated by commas",
        ),
        setting::<Count<u8, 0, 16>>(
            "trusted_proxies",
            |c| &mut c.http.trusted_proxies,
            "proxies",
            "how many `X-Forwarded-For` hops, from the right, are our own proxies",
        ),
        setting::<Size<1_024, { 64 << 20 }>>("max_body", |c| &mut c.http.max_body_bytes, "size", "largest JSON body"),
        setting::<Span<1>>(
            "header_timeout",
            |c| &mut c.http.header_timeout,
            "duration",
            "longest time for a request's head to arrive",
        ),
        setting::<Span<1>>(
            "body_timeout",
            |c| &mut c.http.body_timeout,
            "duration",
            "longest time for a request's body to arrive",
        ),
        setting::<Span<1>>(
            "request_timeout",
            |c| &mut c.http.request_timeout,
            "duration",
            "longest time a handler may take",
        ),
        setting::<Count<u32, 1, MANY>>(
            "rate_per_ip",
            |c| &mut c.http.rate_per_ip,
            "requests a minute",
            "from one address (IPv6: one /64)",
        ),
        setting::<Count<u32, 1, MANY>>(
            "rate_per_user",
            |c| &mut c.http.rate_per_user,
            "requests a minute",
            "of one user",
        ),
        setting::<Count<u32, 1, MANY>>(
            "login_rate_per_ip",
            |c| &mut c.http.login_rate_per_ip,
            "attempts a minute",
            "logins from one address (IPv6: one /64), whatever the accounts",
        ),
    ]
}

fn session() -> Vec<Setting> {
    vec![
        setting::<CookieName>(
            "session_cookie",
            |c| &mut c.session.cookie,
            "name",
            "the cookie's name; browsers hold `__Host-…` and `__Secure-…` names to stricter rules",
        ),
        setting::<Maybe<Domain>>(
            "session_cookie_domain",
            |c| &mut c.session.domain,
            "domain",
            "share the cookie with subdomains; a parent of the base URL's host",
        )
        .computed("unset: this host only"),
        setting::<SameSiteName>(
            "session_cookie_samesite",
            |c| &mut c.session.same_site,
            "choice",
            "`lax`, `strict` or `none`",
        ),
        setting::<Maybe<Switch>>(
            "session_cookie_secure",
            |c| &mut c.session.secure,
            "switch",
            "send the cookie over https only",
        )
        .computed("`true` in production or with an https base URL"),
        setting::<Span<1_000>>(
            "session_ttl",
            |c| &mut c.session.ttl,
            "duration",
            "how long a session lives without being used",
        ),
        setting::<Span<0>>(
            "session_update_age",
            |c| &mut c.session.update_age,
            "duration",
            "how old the last refresh must be before a request moves the expiry",
        ),
        setting::<Span<1_000>>(
            "session_absolute_max",
            |c| &mut c.session.absolute_max,
            "duration",
            "how long a session lives however much it is used",
        ),
        setting::<Span<0>>(
            "session_rotation_grace",
            |c| &mut c.session.rotation_grace,
            "duration",
            "how long the old token works after a rotation, for requests under way",
        ),
    ]
}

fn gateway() -> Vec<Setting> {
    vec![
        setting::<PlaceName>(
            "gateway",
            |c| &mut c.gateway.place,
            "choice",
            "who serves sockets: `hosted` the api itself, on its port; `separate` any number of `pitchey-gateway`",
        )
        .computed("`hosted` with the memory engine, else `separate`"),
        setting::<Span<10>>(
            "ws_heartbeat",
            |c| &mut c.gateway.heartbeat,
            "duration",
            "silence after which the server pings a socket",
        ),
        setting::<Span<10>>(
            "ws_dead_after",
            |c| &mut c.gateway.dead_after,
            "duration",
            "silence after which a socket is closed 4409",
        ),
        setting::<Span<10>>(
            "ws_auth_timeout",
            |c| &mut c.gateway.auth_timeout,
            "duration",
            "how long a socket may stay unauthenticated (then 4403)",
        ),
        setting::<Span<10>>(
            "ws_handshake_timeout",
            |c| &mut c.gateway.handshake_timeout,
            "duration",
            "longest time for an upgrade",
        ),
        setting::<Span<0>>(
            "ws_drain_window",
            |c| &mut c.gateway.drain_window,
            "duration",
            "`bye.retry_after` is drawn from this window",
        ),
        setting::<Switch>(
            "allow_anonymous",
            |c| &mut c.gateway.allow_anonymous,
            "switch",
            "unauthenticated sockets may stay, for public rooms",
        ),
        setting::<List<Name>>(
            "public_rooms",
            |c| &mut c.gateway.public_rooms,
            "names",
            "the rooms `public:<name>` that exist, separated by commas",
        ),
        setting::<Switch>(
            "echo",
            |c| &mut c.gateway.echo,
            "switch",
            "`/ws/echo` sends every message back, for conformance tests; refused in production",
        ),
    ]
}

fn gateway_limits() -> Vec<Setting> {
    vec![
        setting::<Size<1_024, { 16 << 20 }>>(
            "ws_max_message",
            |c| &mut c.gateway.limits.message_bytes,
            "size",
            "largest message from a client (then 1009)",
        ),
        setting::<Size<256, { 16 << 20 }>>(
            "ws_max_message_unauthenticated",
            |c| &mut c.gateway.limits.unauthenticated_message_bytes,
            "size",
            "the same before authentication",
        ),
        setting::<Count<u32, 1, MANY>>(
            "ws_frame_rate",
            |c| &mut c.gateway.limits.frames_per_second,
            "frames a second",
            "from one socket, control frames included (then 4429)",
        ),
        setting::<Count<u32, 1, MANY>>(
            "ws_frame_burst",
            |c| &mut c.gateway.limits.frame_burst,
            "frames",
            "how many may come at once",
        ),
        setting::<Count<usize, 1, 100_000>>(
            "ws_max_rooms",
            |c| &mut c.gateway.limits.rooms,
            "rooms",
            "joined by one socket",
        ),
        setting::<Count<usize, 1, 100_000>>(
            "ws_max_watches",
            |c| &mut c.gateway.limits.watches,
            "users",
            "watched by one socket",
        ),
        setting::<Count<usize, 1, MANY>>(
            "ws_max_per_user",
            |c| &mut c.gateway.limits.connections_per_user,
            "sockets",
            "of one user; one more closes the oldest (4410)",
        ),
        setting::<Count<usize, 1, MANY>>(
            "ws_max_per_ip",
            |c| &mut c.gateway.limits.connections_per_ip,
            "sockets",
            "from one address",
        ),
        setting::<Count<usize, 1, MANY>>(
            "ws_max_connections",
            |c| &mut c.gateway.limits.connections,
            "sockets",
            "on this node; more are answered 503",
        ),
        setting::<Count<u32, 1, MANY>>(
            "ws_handshake_rate",
            |c| &mut c.gateway.limits.handshakes_per_second,
            "upgrades a second",
            "on this node",
        ),
        setting::<Count<usize, 1, 1_000_000>>(
            "ws_outbox_messages",
            |c| &mut c.gateway.limits.outbox_messages,
            "messages",
            "live frames a slow reader may be behind (then 4408)",
        ),
        setting::<Size<1_024, { 64 << 20 }>>(
            "ws_outbox_bytes",
            |c| &mut c.gateway.limits.outbox_bytes,
            "size",
            "the same in bytes",
        ),
        setting::<Maybe<Size<{ 16 << 20 }, { 1 << 50 }>>>(
            "memory_ceiling",
            |c| &mut c.gateway.limits.memory_bytes,
            "size",
            "resident memory of the process: near it typing and presence are dropped, then upgrades answered 503, then stuck sockets closed 1013",
        )
        .computed("three quarters of what the machine or the cgroup has"),
    ]
}
