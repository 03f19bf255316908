//! Where the processes are: token files in a folder, or one that was named. A file is read anew for every attempt,
//! because a process that starts again writes another token.

use anyhow::{Context as _, bail, ensure};
use shared::protocol::admin::{TOKEN_PREFIX, TOKEN_SUFFIX, TokenFile};
use std::{
    fmt, fs,
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// A token file is some hundred bytes; more is something else.
const FILE_BYTES: u64 = 16 * 1024;

/// Where to look.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    file: Option<PathBuf>,
    addr: Option<SocketAddr>,
}

/// One process that may be listened to.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Its name.
    pub(super) name: String,
    path: PathBuf,
    addr: Option<SocketAddr>,
    /// Whether `addr` chooses among files, or replaces what the file says.
    choose: bool,
}

impl Place {
    /// A place: the token files of a folder, or one file; of them only the process at `addr` if one is given.
    pub(crate) fn new(folder: PathBuf, file: Option<PathBuf>, addr: Option<SocketAddr>) -> Self {
        Self { folder, file, addr }
    }

    /// Every process there is a token file of now.
    pub(super) fn sources(&self) -> Vec<Source> {
        if let Some(path) = &self.file {
            let name = name_of(path).unwrap_or_else(|| path.display().to_string());
            return vec![Source { name, path: path.clone(), addr: self.addr, choose: false }];
        }
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let mut sources: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let source = Source { name: name_of(&path)?, path, addr: self.addr, choose: true };
                // With an address, only the file that names it is of interest.
                let chosen = self.addr.is_none_or(|addr| read(&source.path).is_ok_and(|file| file.address == addr));
                chosen.then_some(source)
            })
            .collect();
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        sources
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.addr) {
            (Some(file), _) => write!(f, "{}", file.display()),
            (None, None) => write!(f, "{}/{TOKEN_PREFIX}*{TOKEN_SUFFIX}", self.folder.display()),
            (None, Some(addr)) => write!(f, "{}/{TOKEN_PREFIX}*{TOKEN_SUFFIX} for {addr}", self.folder.display()),
        }
    }
}

impl Source {
    /// Where the process listens now, and what it wants to hear.
    pub(super) fn resolve(&self) -> anyhow::Result<TokenFile> {
        let mut file = read(&self.path)?;
        match self.addr {
            Some(addr) if self.choose => ensure!(file.address == addr, "no process says that it listens at {addr}"),
            Some(addr) => file.address = addr,
            None => {}
        }
        if !file.address.ip().is_loopback() {
            bail!("{} is not on this machine, and a token is never sent in the clear", file.address);
        }
        Ok(file)
    }
}

fn read(path: &Path) -> anyhow::Result<TokenFile> {
    let shown = path.display();
    let file = fs::File::open(path).with_context(|| format!("failed to open {shown}: is the process running?"))?;
    let mut text = String::new();
    file.take(FILE_BYTES).read_to_string(&mut text).with_context(|| format!("failed to read {shown}"))?;
    // serde's own message could quote the token.
    serde_json::from_str(&text).map_err(|_| anyhow::anyhow!("{shown} is no token file"))
}

fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_prefix(TOKEN_PREFIX)?.strip_suffix(TOKEN_SUFFIX)?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, address: &str) {
        let file = TokenFile { name: name.into(), address: address.parse().unwrap(), token: "t".into(), pid: 1 };
        fs::write(folder.join(format!("admin-{name}.token")), serde_json::to_string(&file).unwrap()).unwrap();
    }

    fn place(folder: &Path) -> Place {
        Place { folder: folder.into(), file: None, addr: None }
    }

    #[test]
    fn every_token_file_of_the_folder_is_a_process_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "gw-2", "127.0.0.1:2");
        write(folder.path(), "api", "127.0.0.1:1");
        for other in [".admin-api.fresh", "admin-.token", "pitchey.db", "admin-x.token.bak"] {
            fs::write(folder.path().join(other), "{}").unwrap();
        }
        let names: Vec<_> = place(folder.path()).sources().into_iter().map(|source| source.name).collect();
        assert_eq!(names, ["api", "gw-2"]);
        let chosen = Place { addr: Some("127.0.0.1:2".parse().unwrap()), ..place(folder.path()) };
        assert_eq!(chosen.sources().len(), 1);
        assert!(place(Path::new("/nowhere/at/all")).sources().is_empty());
    }

    #[test]
    fn a_token_is_never_sent_to_another_machine() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "far", "192.0.2.1:8002");
        let error = place(folder.path()).sources()[0].resolve().unwrap_err().to_string();
        assert!(error.contains("not on this machine"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_token_file_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin-x.token");
        fs::write(&path, r#"{"token":"hush","#).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("no token file") && !error.contains("hush"), "{error}");
    }
}
