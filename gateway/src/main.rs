//! `pitchey-gateway`: the gateway as a process of its own, next to any number of others.
//!
//! That needs an engine the processes share. Without `REDIS_URL` there is none, and the api hosts the gateway itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!(
        "pitchey-gateway: REDIS_URL is not set: with the memory engine the api hosts the gateway (run pitchey-api instead)"
    );
    ExitCode::FAILURE
}
