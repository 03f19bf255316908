//! The scripts that more than one cache uses; see `scripts/cache.lua` for what an entry is.

use super::Script;
use fred::types::Value;
use std::time::Duration;

macro_rules! cache_script {
    ($name:ident, $file:literal) => {
        pub(in crate::engine) static $name: Script = Script::new(concat!(
            include_str!("../scripts/prelude.lua"),
            include_str!("../scripts/cache.lua"),
            include_str!(concat!("../scripts/", $file))
        ));
    };
}

cache_script!(CACHE_GET, "cache_get.lua");
cache_script!(CACHE_PUT, "cache_put.lua");
cache_script!(CACHE_FORGET, "cache_forget.lua");

/// A duration as scripts take it.
pub(in crate::engine) fn millis(duration: Duration) -> Value {
    Value::Integer(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
