//! A certificate authority of one run, made by `openssl`, and a certificate for `localhost` and `127.0.0.1`.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// PEM files; gone with this value.
#[derive(Debug)]
pub struct Certificates {
    /// The authority's certificate: what clients trust.
    pub ca: PathBuf,
    /// The server's certificate.
    pub server_cert: PathBuf,
    /// The server's private key.
    pub server_key: PathBuf,
    _folder: TempDir,
}

/// One key on P-256, unencrypted.
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

impl Certificates {
    /// A fresh authority and certificate.
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("pitchey-tls-").tempdir()?;
        let path = |name| folder.path().join(name);
        let (ca, ca_key, server_cert, server_key) =
            (path("ca.crt"), path("ca.key"), path("server.crt"), path("server.key"));
        let subject = ["-subj", "/CN=Pitchey's test authority", "-addext", "keyUsage=critical,keyCertSign"];
        request(&ca, &ca_key, &subject)?;
        let (issuer, issuer_key) = (ca.display().to_string(), ca_key.display().to_string());
        let signed = ["-CA", &issuer, "-CAkey", &issuer_key, "-subj", "/CN=localhost"];
        let names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext"];
        request(
            &server_cert,
            &server_key,
            &[&signed[..], &names[..], &["basicConstraints=critical,CA:FALSE"]].concat(),
        )?;
        Ok(Self { ca, server_cert, server_key, _folder: folder })
    }
}

/// Makes a key and a certificate for it.
fn request(cert: &Path, key: &Path, more: &[&str]) -> io::Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-days", "30"]).args(KEY).args(more);
    let made = openssl.arg("-keyout").arg(key).arg("-out").arg(cert).output()?;
    if made.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("openssl failed: {}", String::from_utf8_lossy(&made.stderr).trim())))
}
