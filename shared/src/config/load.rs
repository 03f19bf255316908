//! From what a process was told to what it goes by: layers applied in order, then computed values, then the rules.

use super::{
    Config, DatabaseConfig, Environment, Place, SHARED_POOL_SIZE,
    error::{ConfigError, Origin, Problem},
    origin::Origin as WebOrigin,
    registry,
    setting::Setting,
    source::Source,
    validate,
};
use crate::secret::TokenHash;
use std::{fmt::Write as _, time::Duration};

/// Three looks of a balancer that looks every second.
const BALANCED_DRAIN_DELAY: Duration = Duration::from_secs(3);

/// Characters of the machine's name in a node's name, which must stay readable in a table of the console.
const LONGEST_HOST: usize = 40;

/// A configuration that passed every rule, and where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the process goes by.
    pub config: Config,
    /// `--print-config` was given: print [`Loaded::render`] and exit.
    pub print: bool,
    origins: Vec<Origin>,
}

impl Config {
    /// Applies defaults < file < environment < flags, works out what was left open, and checks the rules between
    /// settings. The error holds every problem there is, not the first.
    pub fn load(source: &Source) -> Result<Loaded, ConfigError> {
        let settings = registry::settings();
        let mut problems = Vec::new();
        let (given, print) = source.collect(&settings, &mut problems);
        let mut config = Self::default();
        let mut origins = vec![Origin::Default; settings.len()];
        for given in given {
            let setting = &settings[given.setting];
            match setting.set(&mut config, &given.text) {
                Ok(()) => origins[given.setting] = given.origin,
                Err(message) => {
                    let text = (!setting.secret).then_some(given.text.as_str());
                    problems.push(Problem::value(&setting.env(), text, &given.origin, &message));
                }
            }
        }
        compute(&mut config, &mut origins, &settings, source.is_gateway());
        for (name, message) in validate::check(&config) {
            let at = settings.iter().position(|setting| setting.name == name).expect("rules name settings that exist");
            let shown = shown(&settings[at], &config);
            problems.push(Problem::value(&settings[at].env(), Some(&shown), &origins[at], &message));
        }
        if problems.is_empty() { Ok(Loaded { config, print, origins }) } else { Err(ConfigError::new(problems)) }
    }

    /// Whether the session cookie is for https only.
    pub fn cookie_secure(&self) -> bool {
        self.session.secure.unwrap_or(!self.environment.is_development() || self.http.base_url().starts_with("https:"))
    }

    /// The store's address, with the default filled in.
    pub fn database_url(&self) -> crate::secret::Secret {
        self.database.url.clone().unwrap_or_else(|| {
            crate::secret::Secret::new(format!("sqlite:{}", self.data_dir.0.join("pitchey.db").display()))
        })
    }
}

impl DatabaseConfig {
    /// Whether the store is a SQLite file (or memory).
    pub fn is_sqlite(&self) -> bool {
        self.url.as_ref().is_none_or(|url| url.expose().starts_with("sqlite:"))
    }
}

impl Loaded {
    /// The effective values, each with where it came from, as a file that would give the same configuration. Secrets
    /// are comments without their value.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (setting, origin) in registry::settings().iter().zip(&self.origins) {
            let value = shown(setting, &self.config);
            // A JSON string is a TOML string.
            let unset = setting.show(&self.config).is_empty();
            let comment = if unset || setting.secret { "# " } else { "" };
            let line = format!("{comment}{} = {}", setting.name, serde_json::Value::String(value));
            writeln!(out, "{line:<60} # {origin}").expect("writing to a string");
        }
        out
    }
}

/// A value as it may be printed.
fn shown(setting: &Setting, config: &Config) -> String {
    let value = setting.show(config);
    if setting.secret && !value.is_empty() && !value.starts_with("sqlite:") { "<redacted>".into() } else { value }
}

/// Fills in what depends on other settings or the machine, for those nobody gave.
fn compute(config: &mut Config, origins: &mut [Origin], settings: &[Setting], is_gateway: bool) {
    let mut open = |name: &str| {
        let at = settings.iter().position(|setting| setting.name == name).expect("computed settings exist");
        let open = origins[at] == Origin::Default;
        if open {
            origins[at] = Origin::Computed;
        }
        open
    };
    if open("environment") {
        config.environment = detect(config);
    }
    if config.redis.url.is_some() {
        shared_engine(config, &mut open);
    }
    if open("node_name") {
        let serves_sockets = is_gateway || config.gateway.place == Place::Hosted;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        config.gateway.node = node_name(if serves_sockets { "gw" } else { "api" }, &host, config.http.port);
    }
}

/// Where the engine is shared, the process has company, and a balancer in front.
fn shared_engine(config: &mut Config, open: &mut impl FnMut(&str) -> bool) {
    if open("db_pool_size") {
        config.database.pool.max_size = SHARED_POOL_SIZE;
    }
    if open("gateway") {
        config.gateway.place = Place::Separate;
    }
    if open("drain_delay") {
        config.http.drain_delay = BALANCED_DRAIN_DELAY;
    }
}

/// Development only if nothing of this installation can be seen or shared by anybody else.
fn detect(config: &Config) -> Environment {
    // A proxy in front of a loopback port, or a public address in the links, is the public: no demo accounts there.
    let http = &config.http;
    let behind_proxy = http.trusted_proxies > 0;
    let named =
        http.public_base_url.as_deref().is_some_and(|url| !WebOrigin::parse(url).is_some_and(|o| o.is_loopback()));
    let here = http.host.is_loopback() && !behind_proxy && !named;
    let private = config.redis.url.is_none() && config.database.is_sqlite() && here;
    if private { Environment::Development } else { Environment::Production }
}

/// Of this machine and port. What makes a long name unique stands at its end in Kubernetes and at its beginning in
/// domains: so the end is kept to be recognized by, and a hash of the whole stands for the rest.
fn node_name(kind: &str, host: &str, port: u16) -> String {
    let mut host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if host.is_empty() {
        host.push_str("node");
    }
    if host.len() > LONGEST_HOST {
        let [a, b, c, d, ..] = TokenHash::of(&host).0;
        host = format!("{a:02x}{b:02x}{c:02x}{d:02x}-{}", &host[host.len() - (LONGEST_HOST - 9)..]);
    }
    let unique = if port == 0 { std::process::id() } else { port.into() };
    format!("{kind}-{host}-{unique}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_of_different_machines_stay_different_and_keep_their_end() {
        let pod = "pitchey-gateway-of-the-european-region-deployment-7d9c6b8f5d-x2x9z";
        let named = node_name("gw", pod, 8080);
        assert!(named.ends_with("-deployment-7d9c6b8f5d-x2x9z-8080") && named.len() == 48, "{named}");
        assert_ne!(named, node_name("gw", &pod.replace("x2x9z", "k4m7q"), 8080));
        let domain =
            |machine| node_name("gw", &format!("ip-10-0-0-{machine}.eu-central-1.compute.internal.example"), 8080);
        assert_ne!(domain(1), domain(2));
        assert_eq!(node_name("gw", "laptop\n", 8080), "gw-laptop-8080");
    }
}
