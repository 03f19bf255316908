//! Configuration: one section per file, read once in `main`, passed down by section.
//!
//! Every section is a plain struct whose `Default` is the only home of its defaults. Deep code never reads the
//! environment; it is handed the section it needs.

mod admin;
mod database;
mod environment;
mod gateway;
mod http;
mod log;
mod session;

pub use admin::AdminConfig;
pub use database::{DatabaseConfig, PoolConfig};
pub use environment::Environment;
pub use gateway::{GatewayConfig, GatewayLimits};
pub use http::HttpConfig;
pub use log::{LogConfig, LogFormat};
pub use session::SessionConfig;

/// Everything a process can be told.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Development or production; decides demo data, plain-HTTP cookies and how much an error says.
    pub environment: Environment,
    /// Where files go: the SQLite database, development mails, admin tokens. Created when missing.
    pub data_dir: DataDir,
    /// The store.
    pub database: DatabaseConfig,
    /// The engine: none means memory.
    pub redis_url: Option<crate::secret::Secret>,
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
