//! Web origins: the base URL, the allow-list of browsers' origins, and the domains no cookie may be set for.
//!
//! An origin is a scheme, a host and a port (RFC 6454), so this is no URL parser: anything with a path, a user or a
//! query is refused. The allow-list serves CORS and the WebSocket alike; there is no "any origin".

use std::fmt;

/// `http(s)://host[:port]`, lower-cased, without the scheme's own port: the form in which browsers send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Reads an origin; `None` for anything that is more or less than one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://")?;
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (host, port) = split_port(authority)?;
        let default = if secure { 443 } else { 80 };
        Some(Self { secure, host: host.to_owned(), port: port.filter(|port| *port != default) })
    }

    /// The host's name or address; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own if none is named.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// Whether it is https.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether the host is this machine; browsers treat plain HTTP to it as safe.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// An entry of the allow-list: one origin, or every direct subdomain of one (`https://*.example.org`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    origin: Origin,
    subdomains: bool,
}

impl Pattern {
    /// Reads an entry. A star may only be the whole first label, and never stands in front of a public suffix:
    /// `https://*.pages.dev` would let in every customer of that host.
    pub fn parse(text: &str) -> Option<Self> {
        let Some((scheme, rest)) = text.split_once("://*.") else {
            return Some(Self { origin: Origin::parse(text)?, subdomains: false });
        };
        let origin = Origin::parse(&format!("{scheme}://{rest}"))?;
        (!is_public_suffix(&origin.host)).then_some(Self { origin, subdomains: true })
    }

    /// Whether the entry lets this origin in. A star stands for exactly one label, as in certificates.
    pub fn matches(&self, other: &Origin) -> bool {
        if !self.subdomains {
            return self.origin == *other;
        }
        let label = other.host.strip_suffix(&self.origin.host).and_then(|head| head.strip_suffix('.'));
        let one_label = label.is_some_and(|label| !label.is_empty() && !label.contains('.'));
        one_label && other.secure == self.origin.secure && other.port == self.origin.port
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.origin.to_string();
        if self.subdomains { f.write_str(&text.replacen("://", "://*.", 1)) } else { f.write_str(&text) }
    }
}

/// Splits `host[:port]`, with brackets around an IPv6 address; `None` if either part is not one.
pub(crate) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    is_host(host).then_some((host, port))
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let label = |label: &str| {
        let safe = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(safe)
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// Whether a host names this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Suffixes under which strangers register names, so that a cookie for one would be shared with all of them.
///
/// The real list has ten thousand lines and changes weekly. Browsers enforce it; this excerpt only turns the likely
/// mistakes (the first of them was the old platform's) into an error at start. A name without a dot is always one.
const PUBLIC_SUFFIXES: &[&str] = &[
    "pages.dev",
    "workers.dev",
    "vercel.app",
    "netlify.app",
    "fly.dev",
    "onrender.com",
    "herokuapp.com",
    "github.io",
    "gitlab.io",
    "web.app",
    "firebaseapp.com",
    "azurewebsites.net",
    "cloudfront.net",
    "deno.dev",
    "up.railway.app",
    "ngrok.io",
    "ngrok-free.app",
    "co.uk",
    "org.uk",
    "me.uk",
    "ac.uk",
    "gov.uk",
    "com.au",
    "net.au",
    "org.au",
    "co.nz",
    "co.za",
    "co.jp",
    "ne.jp",
    "or.jp",
    "com.br",
    "com.mx",
    "com.ar",
    "com.tr",
    "com.cn",
    "com.hk",
    "com.sg",
    "co.in",
    "co.kr",
    "co.il",
    "com.ua",
    "com.pl",
]; // kept as a block: one per line would be a page of nothing

/// Whether strangers share this domain.
pub(super) fn is_public_suffix(domain: &str) -> bool {
    !domain.contains('.') || PUBLIC_SUFFIXES.contains(&domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_in_the_form_browsers_send() {
        let shown = |text: &str| Origin::parse(text).map(|origin| origin.to_string());
        assert_eq!(shown("HTTPS://App.Example.org:443").as_deref(), Some("https://app.example.org"));
        assert_eq!(shown("http://[::1]:8001").as_deref(), Some("http://[::1]:8001"));
        for wrong in [
            "null",
            "*",
            "example.org",
            "ftp://example.org",
            "https://",
            "https://example.org/path",
            "https://a@b.org",
            "https://example.org:99999",
            "https://example.org:",
            "https://exa mple.org",
            "https://a..b",
            "http://[::1",
        ] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_star_lets_in_one_label_and_nothing_else() {
        let pattern = Pattern::parse("https://*.preview.example.org").unwrap();
        let lets_in = |text: &str| pattern.matches(&Origin::parse(text).unwrap());
        assert!(lets_in("https://a1b2.preview.example.org"));
        for stranger in [
            "http://a.preview.example.org",
            "https://preview.example.org",
            "https://a.b.preview.example.org",
            "https://a.preview.example.org:8443",
            "https://evilpreview.example.org",
            "https://a.preview.example.org.evil.net",
        ] {
            assert!(!lets_in(stranger), "{stranger}");
        }
        assert_eq!(pattern.to_string(), "https://*.preview.example.org");
        assert!(Pattern::parse("https://*.pages.dev").is_none() && Pattern::parse("https://*").is_none());
    }

    #[test]
    fn loopback_is_told_from_names_that_only_look_like_it() {
        assert!(["localhost", "127.0.0.1", "127.8.9.1", "[::1]"].into_iter().all(is_loopback));
        assert!(!["localhost.evil.net", "127.0.0.1.evil.net", "0.0.0.0", "10.0.0.1"].into_iter().any(is_loopback));
    }
}
