//! The token file: how a console on this machine, run by the same user, proves that it may look.

use crate::{
    protocol::admin::{TOKEN_PREFIX, TOKEN_SUFFIX, TokenFile},
    secret::{Token, TokenHash},
};
use std::{
    fs, io,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The file while its process lives; removed when dropped, unless another process has replaced it since.
#[derive(Debug)]
pub(super) struct TokenGuard {
    path: PathBuf,
    content: Vec<u8>,
}

impl TokenGuard {
    /// Writes a fresh token for a listener. A file that a killed process left behind is replaced, in one step and
    /// without following links: readers see the old file or the new one.
    pub(super) fn write(folder: &Path, name: &str, address: SocketAddr) -> io::Result<(Self, TokenHash)> {
        let token = Token::generate();
        let file = TokenFile { name: name.into(), address, token: token.expose().into(), pid: std::process::id() };
        let content = serde_json::to_vec(&file)?;
        let path = folder.join(format!("{TOKEN_PREFIX}{name}{TOKEN_SUFFIX}"));
        let fresh = folder.join(format!(".{TOKEN_PREFIX}{name}.{:?}", token.hash()));
        let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        out.write_all(&content).and_then(|()| fs::rename(&fresh, &path)).inspect_err(|_| {
            let _ = fs::remove_file(&fresh); // the first error is the one worth telling
        })?;
        Ok((Self { path, content }, token.hash()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TokenGuard {
    fn drop(&mut self) {
        if fs::read(&self.path).is_ok_and(|content| content == self.content) {
            let _ = fs::remove_file(&self.path); // a stale file is harmless: its token opens nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 8002);

    #[test]
    fn only_the_owner_can_read_it_and_it_goes_with_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin-api.token");
        fs::write(&path, "left behind, readable by all").unwrap();
        let (guard, hash) = TokenGuard::write(folder.path(), "api", ADDRESS.into()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let file: TokenFile = serde_json::from_slice(&fs::read(guard.path()).unwrap()).unwrap();
        assert_eq!((TokenHash::of(&file.token), file.address), (hash, ADDRESS.into()));
        drop(guard);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_process_does_not_remove_the_file_of_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let (first, _) = TokenGuard::write(folder.path(), "api", ADDRESS.into()).unwrap();
        let (second, _) = TokenGuard::write(folder.path(), "api", ADDRESS.into()).unwrap();
        drop(first);
        assert!(second.path().exists());
    }
}
