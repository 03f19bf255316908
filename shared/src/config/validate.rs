//! Rules between settings. Each problem names the setting an operator would change to mend it.

use super::{Config, Environment, Place, Pooler, SameSite, origin};

/// Every broken rule: the setting's name and what is wrong.
pub(super) fn check(config: &Config) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    cookie(config, &mut problems);
    lifetimes(config, &mut problems);
    database(config, &mut problems);
    limits(config, &mut problems);
    listeners(config, &mut problems);
    if config.gateway.echo && config.environment == Environment::Production {
        problems.push(("echo", "a route that serves anybody, for tests of the framing: not in production".into()));
    }
    problems
}

type Problems = Vec<(&'static str, String)>;

/// A cookie that a browser would refuse, not send back, or share with strangers.
fn cookie(config: &Config, problems: &mut Problems) {
    let session = &config.session;
    let secure = config.cookie_secure();
    let base = config.http.base_url();
    let Some(base) = origin::Origin::parse(&base) else { return };
    if let Some(domain) = &session.domain {
        if origin::is_public_suffix(domain) {
            problems
                .push(("session_cookie_domain", "strangers share this suffix, browsers refuse such a cookie".into()));
        } else if base.host() != domain && !base.host().ends_with(&format!(".{domain}")) {
            let host = base.host();
            problems.push(("session_cookie_domain", format!("not the base URL's host {host} nor a parent of it")));
        }
    }
    if !secure && session.same_site == SameSite::None {
        problems.push(("session_cookie_samesite", "browsers refuse SameSite=None without Secure".into()));
    }
    if !secure && config.environment == Environment::Production {
        problems.push(("session_cookie_secure", "production sends the session over https only".into()));
    }
    if secure && config.http.public_base_url.is_some() && !base.is_secure() && !base.is_loopback() {
        problems.push(("public_base_url", "the session cookie is Secure and would never come back: use https".into()));
    }
    if session.cookie.starts_with("__Secure-") && !secure {
        problems.push(("session_cookie", "browsers refuse __Secure- names without Secure".into()));
    }
    if session.cookie.starts_with("__Host-") && (!secure || session.domain.is_some()) {
        problems.push(("session_cookie", "browsers refuse __Host- names without Secure or with a domain".into()));
    }
}

fn lifetimes(config: &Config, problems: &mut Problems) {
    let (session, pool, gateway) = (&config.session, &config.database.pool, &config.gateway);
    let mut at_most = |name, wrong: bool, message: &str| {
        if wrong {
            problems.push((name, message.to_owned()));
        }
    };
    at_most(
        "session_update_age",
        session.update_age > session.ttl,
        "longer than SESSION_TTL: sessions would never be refreshed",
    );
    at_most("session_ttl", session.ttl > session.absolute_max, "longer than SESSION_ABSOLUTE_MAX");
    at_most(
        "session_rotation_grace",
        session.rotation_grace.as_secs() > 60,
        "longer than 1m: a stolen old token would live on",
    );
    at_most(
        "ws_dead_after",
        gateway.dead_after <= gateway.heartbeat,
        "must be longer than WS_HEARTBEAT, or sockets die unasked",
    );
    at_most("db_pool_idle_timeout", pool.idle_timeout > pool.max_lifetime, "longer than DB_POOL_MAX_LIFETIME");
    at_most(
        "db_pool_timeout",
        pool.wait_timeout >= config.http.request_timeout,
        "must be shorter than REQUEST_TIMEOUT, or 503 never reaches the client",
    );
}

/// What would fail at the first connection, and with a line from afar that names no setting.
fn database(config: &Config, problems: &mut Problems) {
    let database = &config.database;
    if database.is_sqlite() {
        if database.pooler != Pooler::Direct {
            problems.push(("db_pooler", "the store is SQLite, which has no pooler".into()));
        }
        if database.direct_url.is_some() {
            problems.push(("database_direct_url", "the store is SQLite, which has no pooler to go past".into()));
        }
        return;
    }
    let url = database.url.as_ref().map_or("", |url| url.expose());
    // Neon's naming: `ep-…-pooler.<region>.aws.neon.tech`.
    if database.pooler == Pooler::Direct && url.contains("-pooler.") && url.contains(".neon.tech") {
        problems.push(("db_pooler", "DATABASE_URL goes through Neon's pooler: say tracked".into()));
    }
}

fn limits(config: &Config, problems: &mut Problems) {
    let limits = &config.gateway.limits;
    if limits.unauthenticated_message_bytes > limits.message_bytes {
        problems.push(("ws_max_message_unauthenticated", "larger than WS_MAX_MESSAGE".into()));
    }
    if limits.outbox_bytes < limits.message_bytes {
        problems.push(("ws_outbox_bytes", "smaller than WS_MAX_MESSAGE: one message would overflow it".into()));
    }
    if limits.frame_burst < limits.frames_per_second {
        problems.push(("ws_frame_burst", "smaller than WS_FRAME_RATE".into()));
    }
}

fn listeners(config: &Config, problems: &mut Problems) {
    if config.gateway.place == Place::Separate && config.redis.url.is_none() {
        problems.push(("gateway", "needs REDIS_URL: the memory engine is the api's own".into()));
    }
    let (admin, http) = (config.admin.addr, &config.http);
    match (&http.tls_cert, &http.tls_key) {
        (Some(_), None) => problems.push(("tls_key", "TLS_CERT is set: its private key is needed too".into())),
        (None, Some(_)) => problems.push(("tls_cert", "TLS_KEY is set: its certificate is needed too".into())),
        _ => {}
    }
    if !admin.ip().is_loopback() {
        // Its token would cross the network in the clear.
        problems.push(("admin_addr", "must be a loopback address, the listener has no TLS".into()));
    }
    if admin.port() != 0 && admin.port() == http.port && (http.host.is_unspecified() || http.host == admin.ip()) {
        problems.push(("admin_addr", "the same port as PORT".into()));
    }
}
