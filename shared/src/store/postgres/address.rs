//! From `DATABASE_URL` to connect options: the name our connections carry, and how far the server is trusted.
//!
//! `sslmode` means what it means to libpq, but for one word. libpq's `require` encrypts for whoever answers, and
//! everybody copies it from a provider's page in the belief that it protects them; here it is read as `verify-full`,
//! unless the server is this machine. Who wants encryption without proof, for a server with a certificate of its own
//! making, says `prefer`, or better `verify-full` with that certificate as `sslrootcert`.
//!
//! | `sslmode` | encrypted | the server proves who it is |
//! |---|---|---|
//! | `disable` | no | no |
//! | `prefer`, or nothing said | if the server can | no; said in the log if the server is elsewhere |
//! | `require`, `verify-full` | yes | its certificate names the host, and is signed by a public authority or `sslrootcert` |
//! | `verify-ca` | yes | its certificate is signed by one of these |

use crate::store::StoreError;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::{fs::File, str::FromStr};

/// Where a database is, and how to speak to it.
pub(super) struct Address {
    options: PgConnectOptions,
}

impl Address {
    /// `setting` is the one that an operator would change if this fails.
    pub(super) fn parse(setting: &'static str, url: &str) -> Result<Self, StoreError> {
        let refuse = |why: &str| StoreError::Config(format!("{setting}: {why}"));
        let url = check_parameters(url).map_err(|why| refuse(&why))?;
        // The parser's own message would repeat the address, password included.
        let options = PgConnectOptions::from_str(&url).map_err(|_| refuse("not a valid postgres:// address"))?;
        let mode = match options.get_ssl_mode() {
            PgSslMode::Require if !is_here(&options) => PgSslMode::VerifyFull,
            // sqlx would send everything in the clear.
            PgSslMode::Allow => return Err(refuse("sslmode=allow protects nothing: say prefer or disable")),
            mode => mode,
        };
        Ok(Self { options: options.ssl_mode(mode) })
    }

    /// The options, with the name that `process` has in `pg_stat_activity`.
    pub(super) fn options(&self, process: &str) -> PgConnectOptions {
        // PgBouncer refuses connections that ask for extra_float_digits.
        self.options.clone().application_name(&format!("pitchey-{process}")).extra_float_digits(None)
    }

    /// Says so when anybody on the way could read along or pose as the server.
    pub(super) fn warn_if_unverified(&self) {
        if !is_here(&self.options) && matches!(self.options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Prefer) {
            tracing::warn!(
                host = self.options.get_host(),
                "the database server does not prove who it is: add sslmode=verify-full to DATABASE_URL"
            );
        }
    }
}

/// Reached without a network: nobody stands in between.
fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    options.get_socket().is_some() || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Looks at what sqlx would report badly or late, and drops what it does not know: `sslrootcert=system` is libpq's word
/// for the public authorities, which are trusted anyway.
fn check_parameters(url: &str) -> Result<String, String> {
    let Some((address, parameters)) = url.split_once('?') else { return Ok(url.to_owned()) };
    let mut kept = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=').unwrap_or((parameter, "")) {
            ("sslmode", "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full") => {}
            ("sslmode", _) => return Err("sslmode is disable, prefer, require, verify-ca or verify-full".into()),
            // Neon's page adds the second; sqlx cannot, and a verified certificate proves the same.
            ("sslrootcert", "system") | ("channel_binding", _) => continue,
            ("sslrootcert", file) if !file.contains('%') => {
                File::open(file).map_err(|error| format!("sslrootcert={file}: {error}"))?;
            }
            _ => {}
        }
        kept.push(parameter);
    }
    Ok(if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> PgSslMode {
        Address::parse("DATABASE_URL", url).unwrap_or_else(|error| panic!("{url}: {error}")).options.get_ssl_mode()
    }

    fn refused(url: &str) -> String {
        let Err(StoreError::Config(why)) = Address::parse("DATABASE_URL", url) else { panic!("{url} was taken") };
        why
    }

    #[test]
    fn requiring_encryption_of_another_machine_means_proof_of_who_it_is() {
        let neon = "postgres://u:p@ep-x.eu-central-1.aws.neon.tech/db?sslmode=require&channel_binding=require";
        assert!(matches!(mode(neon), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://u@10.0.0.5/db?sslmode=require"), PgSslMode::VerifyFull));
        for here in ["postgres://u@localhost/db", "postgres://u@127.0.0.1/db", "postgres://u@[::1]/db"] {
            assert!(matches!(mode(&format!("{here}?sslmode=require")), PgSslMode::Require), "{here}");
        }
        assert!(matches!(mode("postgres://u@h/db?sslmode=verify-ca"), PgSslMode::VerifyCa));
        assert!(matches!(mode("postgres://u@h/db?sslmode=verify-full&sslrootcert=system"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://u@h/db?sslmode=prefer"), PgSslMode::Prefer));
    }

    #[test]
    fn what_cannot_work_is_named_without_the_password() {
        for (url, word) in [
            ("postgres://u:hidden@h/d?sslmode=on", "sslmode"),
            ("postgres://u:hidden@h/d?sslmode=allow", "prefer"),
            ("postgres://u:hidden@h/d?sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem"),
            ("postgres://u:hidden@h:port/d", "postgres://"),
        ] {
            let why = refused(url);
            assert!(why.starts_with("DATABASE_URL: ") && why.contains(word) && !why.contains("hidden"), "{why}");
        }
    }
}
