//! The platform's programs: built files that lie beside the harness.

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) api: PathBuf,
    pub(crate) gateway: PathBuf,
}

impl Binaries {
    /// Those in the folder of this very program.
    pub(crate) fn beside_us() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("failed to find this program's own file")?;
        Self::in_folder(own.parent().context("a program lies in a folder")?)
    }

    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let find = |name: &str| {
            let file = folder.join(name);
            if !file.is_file() {
                let profile = if cfg!(debug_assertions) { "" } else { " --release" };
                bail!("there is no {}: build it with `cargo build{profile} --workspace --bins`", file.display());
            }
            Ok(file)
        };
        Ok(Self { api: find("pitchey-api")?, gateway: find("pitchey-gateway")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_not_built_is_named_with_the_command_that_builds_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pitchey-api"), "").unwrap();
        let missing = Binaries::in_folder(folder.path()).unwrap_err().to_string();
        assert!(missing.contains("pitchey-gateway") && missing.contains("cargo build"), "{missing}");
        std::fs::write(folder.path().join("pitchey-gateway"), "").unwrap();
        assert!(Binaries::in_folder(folder.path()).is_ok());
    }
}
