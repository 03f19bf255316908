//! What REST clients meet: the listener, its limits, and sessions.

use super::MANY;
use crate::config::{
    setting::{Setting, setting},
    value::{
        Address, AllowedOrigin, BaseUrl, CookieName, Count, Domain, File, List, Maybe, SameSiteName, Size, Span, Switch,
    },
};

pub(super) fn http() -> Vec<Setting> {
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
            "longest time to look the session up and handle the request",
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

pub(super) fn session() -> Vec<Setting> {
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
