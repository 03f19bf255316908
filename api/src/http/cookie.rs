//! The session cookie as it is set and cleared (R-002, R-007…R-013).

use ::cookie::{Cookie, SameSite, time::Duration as CookieAge};
use shared::{
    config::{Config, SameSite as Setting},
    secret::Token,
};

/// Name and attributes, worked out once from the configuration.
#[derive(Clone, Debug)]
pub struct SessionCookie {
    name: String,
    domain: Option<String>,
    secure: bool,
    same_site: SameSite,
    max_age: CookieAge,
}

impl SessionCookie {
    /// `Secure` unless told otherwise: in production, or when the base URL is https.
    pub fn new(config: &Config) -> Self {
        let session = &config.session;
        let https = config.http.base_url().starts_with("https://");
        Self {
            name: session.cookie.clone(),
            domain: session.domain.clone(),
            secure: session.secure.unwrap_or(https || !config.environment.is_development()),
            same_site: match session.same_site {
                Setting::Lax => SameSite::Lax,
                Setting::Strict => SameSite::Strict,
                Setting::None => SameSite::None,
            },
            max_age: CookieAge::seconds(i64::try_from(session.ttl.as_secs()).unwrap_or(i64::MAX)),
        }
    }

    /// The cookie's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hands a token to the browser.
    pub fn set(&self, token: &Token) -> Cookie<'static> {
        self.with(token.expose().to_owned(), self.max_age)
    }

    /// Hands the same token over again, with a new age. The text comes from the request that just proved it.
    pub fn renew(&self, presented: &str) -> Cookie<'static> {
        self.with(presented.to_owned(), self.max_age)
    }

    /// Takes it away.
    pub fn clear(&self) -> Cookie<'static> {
        self.with(String::new(), CookieAge::ZERO)
    }

    fn with(&self, value: String, max_age: CookieAge) -> Cookie<'static> {
        let mut cookie = Cookie::build((self.name.clone(), value))
            .path("/")
            .http_only(true)
            .same_site(self.same_site)
            .max_age(max_age);
        if self.secure {
            cookie = cookie.secure(true);
        }
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain.clone());
        }
        cookie.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::config::Environment;

    #[test]
    fn development_and_production_set_the_cookies_their_browsers_send_back() {
        let mut config = Config { environment: Environment::Development, ..Config::default() };
        let shown = |config: &Config| SessionCookie::new(config).renew("t").to_string();
        insta::assert_snapshot!(shown(&config), @"pitchey-session=t; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800");
        config.environment = Environment::Production;
        config.http.public_base_url = Some("https://api.pitchey.example".into());
        config.session.domain = Some("pitchey.example".into());
        insta::assert_snapshot!(
            shown(&config),
            @"pitchey-session=t; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=pitchey.example; Max-Age=604800"
        );
        insta::assert_snapshot!(
            SessionCookie::new(&config).clear().to_string(),
            @"pitchey-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=pitchey.example; Max-Age=0"
        );
    }
}
