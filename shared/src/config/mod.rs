//! Configuration: one section per file, read once in `main`, passed down by section.
//!
//! Every section is a plain struct whose `Default` is the only home of its defaults. Deep code never reads the
//! environment; it is handed the section it needs.
//!
//! ```text
//! source.rs    the layers: file < environment < flags        registry/    every setting, once
//! value.rs     text <-> value                                load.rs      layers -> Config, computed values
//! validate.rs  rules between settings                        document.rs  the README's table, the flags' help
//! ```
//!
//! `main` reads like this; a problem is one line each, with the setting's name:
//!
//! ```
//! use shared::config::{self, Config, ConfigError, Source};
//!
//! fn run(args: impl IntoIterator<Item = String>) -> Result<(), ConfigError> {
//!     let (settings, rest) = config::split_args(args); // `rest`: subcommands, --help
//!     let loaded = Config::load(&Source::process(settings))?;
//!     if loaded.print {
//!         print!("{}", loaded.render());
//!     }
//!     Ok(())
//! }
//! ```

mod admin;
mod alert;
mod database;
pub mod document;
mod environment;
mod error;
mod gateway;
mod http;
mod load;
mod log;
pub mod origin;
mod redis;
mod registry;
mod session;
mod setting;
mod source;
#[cfg(test)]
mod tests;
mod validate;
mod value;

pub use admin::AdminConfig;
pub use alert::AlertRule;
pub use database::{DatabaseConfig, PoolConfig, Pooler, SHARED_POOL_SIZE};
pub use environment::Environment;
pub use error::{ConfigError, Origin, Problem};
pub use gateway::{GatewayConfig, GatewayLimits, Place};
pub use http::HttpConfig;
pub use load::Loaded;
pub use log::{LogConfig, LogFormat};
pub use redis::RedisConfig;
pub use session::{SameSite, SessionConfig};
pub use source::{Source, split_args};

/// Everything a process can be told.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Development or production; decides demo data, plain-HTTP cookies and how much an error says.
    pub environment: Environment,
    /// Where files go: the SQLite database, development mails, admin tokens. Created when missing.
    pub data_dir: DataDir,
    /// The store.
    pub database: DatabaseConfig,
    /// The engine.
    pub redis: RedisConfig,
    /// The public listener and its rules.
    pub http: HttpConfig,
    /// Sessions and cookies.
    pub session: SessionConfig,
    /// The realtime side.
    pub gateway: GatewayConfig,
    /// The operators' listener.
    pub admin: AdminConfig,
    /// Logging.
    pub log: LogConfig,
}

/// The folder of the process's files; `./data` unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir(pub std::path::PathBuf);

impl Default for DataDir {
    fn default() -> Self {
        Self("./data".into())
    }
}

impl DataDir {
    /// Makes the folder if it is missing (for its owner only: it holds tokens and mails) and proves that files can be
    /// made in it.
    pub fn prepare(&self) -> Result<(), ConfigError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let unusable = |error: std::io::Error| ConfigError::unusable("DATA_DIR", self.0.display(), error);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(unusable)?;
        let probe = self.0.join(format!(".writable-{}", std::process::id()));
        std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).map_err(unusable)
    }
}
