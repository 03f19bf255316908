//! The table of promises, on real processes: two gateways, two apis, Redis and PostgreSQL as they are on this machine, 500
//! users and 220 messages a second, one fault. `pitchey-loadtest chaos` is what runs; its 60-second form is in the README.
//!
//! One at a time: each fills two cores. The bursts last five seconds; with the fault, and with the time until everybody
//! has everything, a run takes about twenty.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pitchey-loadtest");
/// Held by the run that has the machine.
static MACHINE: Mutex<()> = Mutex::new(());

/// One burst with a fault, for which the program has the machine to itself; a missed promise fails with the whole report.
fn burst(fault: &str, more: &[&str]) {
    let _one_at_a_time = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(PROGRAM).parent().unwrap();
    for name in ["pitchey-gateway", "pitchey-api"] {
        assert!(folder.join(name).is_file(), "no {name} in {}: build with `--workspace`", folder.display());
    }
    let run = Command::new(PROGRAM).args(["chaos", "--duration", "5s", "--fault", fault]).args(more).output().unwrap();
    let (report, said) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{}\n{report}\n{said}", run.status);
    assert!(report.contains("ok   lost, doubled, reordered or silently left out: wanted nothing"), "{report}");
}

#[test]
fn a_killed_gateways_users_resume_elsewhere_and_lose_nothing() {
    burst("kill-gateway", &[]);
}

#[test]
fn a_rolling_restart_of_every_process_shows_clients_nothing_but_1012() {
    burst("rolling-restart", &["--set", "DRAIN_DELAY=1s", "--set", "WS_DRAIN_WINDOW=2s"]);
}

#[test]
fn a_killed_redis_costs_no_socket_no_letter_and_no_rest_request() {
    burst("redis-restart", &[]);
}

#[test]
fn fifteen_seconds_without_redis_cost_no_socket_no_letter_and_no_rest_request() {
    burst("redis-cut", &[]);
}

#[test]
fn a_redis_that_does_not_answer_costs_no_more_than_one_that_is_gone() {
    burst("redis-stall", &["--outage", "5s"]);
}

#[test]
fn a_flushed_redis_costs_rooms_their_positions_and_nothing_durable() {
    burst("redis-flush", &[]);
}

#[test]
fn a_sentinel_failover_costs_no_socket_and_no_letter() {
    burst("sentinel-failover", &[]);
}

#[test]
fn a_cluster_that_loses_a_master_costs_no_socket_and_no_letter() {
    burst("cluster-node-loss", &[]);
}

#[test]
fn slots_that_move_cost_no_socket_and_no_letter() {
    burst("cluster-slot-move", &[]);
}

#[test]
fn a_node_whose_subscription_lags_leaves_nothing_out_silently() {
    burst("lag", &[]);
}

#[test]
fn a_restarted_postgres_is_503_meanwhile_and_costs_no_letter() {
    burst("postgres-restart", &[]);
}

#[test]
fn every_backend_terminated_costs_at_most_one_request_each_and_no_letter() {
    burst("postgres-terminate-backends", &[]);
}
