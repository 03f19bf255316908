//! The Redis servers that the tests of one binary share, each under a key prefix of its own.

use super::{available, test_setting};
use crate::servers::{RedisCluster, RedisOptions, RedisServer};
use tokio::sync::OnceCell;

impl RedisServer {
    /// The URL of the server that the tests of this binary share: a private one, or what `TEST_REDIS_URL` names. `None`,
    /// and a loud line, if the machine has no Redis.
    pub async fn shared() -> Option<String> {
        static SHARED: OnceCell<Option<RedisServer>> = OnceCell::const_new();
        if let Some(url) = test_setting("TEST_REDIS_URL") {
            return Some(url);
        }
        let start = async || available("Redis", Self::start(&RedisOptions::default()).await);
        SHARED.get_or_init(start).await.as_ref().map(Self::url)
    }
}

impl RedisCluster {
    /// The Cluster that the tests of this binary share. `None`, and a loud line, if the machine has no Redis.
    pub async fn shared() -> Option<&'static Self> {
        static SHARED: OnceCell<Option<RedisCluster>> = OnceCell::const_new();
        let start = async || available("Redis Cluster", Self::start().await);
        SHARED.get_or_init(start).await.as_ref()
    }
}
