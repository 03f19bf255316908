//! One owner at a time, a bounded number of connections, and no waiting after a crash.

use super::*;
use shared::{
    config::SHARED_POOL_SIZE,
    lifecycle::Lifecycle,
    store::leases::{self, BUDGET, Claim, Process, Refused, Role, TTL},
};

const OWNER: Claim = Claim { role: Role::Owner, connections: 14, budget: BUDGET };
const MEMBER: Claim = Claim { role: Role::Member, connections: 14, budget: BUDGET };

async fn claim(kit: &TestStore, process: &Process, claim: Claim) -> Result<u32, Refused> {
    kit.store.try_tx("leases.claim", async |tx| leases::claim(tx, process, claim).await).await
}

async fn renew(kit: &TestStore, process: &Process) -> bool {
    let renewed = kit.store.tx("leases.renew", async |tx| leases::renew(tx, process.id, TTL).await).await;
    renewed.expect("it is tried")
}

/// Makes every lease one of a process of this machine that has ended: no pid is negative.
async fn kill_everybody(kit: &TestStore) {
    let kill = "update process_leases set pid = -1";
    kit.store.tx("test.kill", async |tx| testing::execute(tx, kill).await).await.expect("they are dead");
}

/// Makes every lease one of a process that cannot be seen from here.
async fn move_everybody(kit: &TestStore) {
    let far = "update process_leases set pid = -1, machine = 'far away'";
    kit.store.tx("test.move", async |tx| testing::execute(tx, far).await).await.expect("they are far");
}

on_both! {
    a_second_process_is_refused_while_the_owner_lives,
    an_owner_is_refused_while_others_share_the_store,
    a_restart_right_after_a_kill_succeeds_at_once,
    a_lease_of_another_machine_ends_by_itself,
    a_lease_that_nobody_wanted_survives_a_sleep,
    claiming_again_replaces_the_own_lease,
    losing_the_lease_stops_the_process,
    a_draining_process_still_holds_its_lease,
}

async fn a_second_process_is_refused_while_the_owner_lives(kit: &TestStore) {
    let (first, second) = (Process::this("first"), Process::this("second"));
    assert_eq!(claim(kit, &first, OWNER).await.expect("nobody else is there"), 14);
    for request in [OWNER, MEMBER] {
        let refused = claim(kit, &second, request).await;
        assert!(matches!(&refused, Err(Refused::Taken { name, .. }) if name == "first"), "{refused:?}");
    }
    assert!(renew(kit, &first).await);
    kit.store.tx("leases.release", async |tx| leases::release(tx, first.id).await).await.expect("it is given back");
    claim(kit, &second, OWNER).await.expect("the store is free");
}

async fn an_owner_is_refused_while_others_share_the_store(kit: &TestStore) {
    claim(kit, &Process::this("first"), MEMBER).await.expect("nobody else is there");
    let refused = claim(kit, &Process::this("second"), OWNER).await;
    assert!(matches!(refused, Err(Refused::Taken { .. })), "{refused:?}");
}

async fn a_restart_right_after_a_kill_succeeds_at_once(kit: &TestStore) {
    let killed = Process::this("api");
    claim(kit, &killed, OWNER).await.expect("nobody else is there");
    kill_everybody(kit).await;
    claim(kit, &Process::this("api"), OWNER).await.expect("a dead process holds nothing");
    assert!(!renew(kit, &killed).await, "the dead one's lease is gone");
}

async fn a_lease_of_another_machine_ends_by_itself(kit: &TestStore) {
    claim(kit, &Process::this("far"), OWNER).await.expect("nobody else is there");
    move_everybody(kit).await;
    let near = Process::this("near");
    assert!(matches!(claim(kit, &near, OWNER).await, Err(Refused::Taken { .. })));
    kit.clock.advance(TTL);
    claim(kit, &near, OWNER).await.expect("it was not renewed");
}

async fn a_lease_that_nobody_wanted_survives_a_sleep(kit: &TestStore) {
    let owner = Process::this("laptop");
    claim(kit, &owner, OWNER).await.expect("nobody else is there");
    kit.clock.advance(Duration::from_hours(8));
    assert!(renew(kit, &owner).await);
    assert!(matches!(claim(kit, &Process::this("other"), OWNER).await, Err(Refused::Taken { .. })));
}

async fn claiming_again_replaces_the_own_lease(kit: &TestStore) {
    let owner = Process::this("api");
    claim(kit, &owner, OWNER).await.expect("nobody else is there");
    claim(kit, &owner, Claim { connections: 5, ..OWNER }).await.expect("it is its own");
    let running = kit.store.read("leases.running", async |c| leases::running(c).await).await.expect("they are read");
    assert_eq!(running.iter().map(|process| process.connections).collect::<Vec<_>>(), [5]);
}

async fn losing_the_lease_stops_the_process(kit: &TestStore) {
    let (life, process) = (Lifecycle::new(), Process::this("api"));
    claim(kit, &process, OWNER).await.expect("nobody else is there");
    kit.store.tx("leases.release", async |tx| leases::release(tx, process.id).await).await.expect("it is taken away");
    let keeper = leases::keep(kit.store.clone(), process.id, life.clone(), Duration::from_secs(30));
    tokio::time::timeout(Duration::from_secs(10), keeper).await.expect("it ends by itself");
    assert!(life.stopping());
}

async fn a_draining_process_still_holds_its_lease(kit: &TestStore) {
    let (life, process) = (Lifecycle::new(), Process::this("api"));
    claim(kit, &process, OWNER).await.expect("nobody else is there");
    move_everybody(kit).await;
    let keeper = leases::keep(kit.store.clone(), process.id, life.clone(), Duration::from_secs(30));
    let stop = async { life.stop() };
    tokio::join!(keeper, stop);
    kit.clock.advance(Duration::from_secs(30));
    assert!(matches!(claim(kit, &Process::this("next"), OWNER).await, Err(Refused::Taken { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_apis_and_two_gateways_leave_room_for_a_rolling_restart() {
    let Some(kit) = TestStore::postgres().await else { return };
    let (api, gateway) = (
        Claim { connections: SHARED_POOL_SIZE, ..MEMBER },
        Claim { connections: kit.config.gateway_pool_size, ..MEMBER },
    );
    let fleet = [("api-1", api), ("api-2", api), ("gw-1", gateway), ("gw-2", gateway)];
    let mut processes = Vec::new();
    for (name, request) in fleet {
        let process = Process::this(name);
        assert_eq!(claim(&kit, &process, request).await.expect("there is room"), request.connections);
        processes.push((process, request));
    }
    // Each is replaced by one that starts before it ends.
    for (old, request) in processes {
        let granted = claim(&kit, &Process::this("new"), request).await.expect("there is room for one more");
        assert!(granted >= request.connections.min(5), "{granted} of {}", request.connections);
        kit.store.tx("leases.release", async |tx| leases::release(tx, old.id).await).await.expect("it is given back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_postgres_never_exceed_the_budget_together() {
    let Some(kit) = TestStore::postgres().await else { return };
    let processes: Vec<_> = (0..6).map(|i| Process::this(&format!("api-{i}"))).collect();
    let claims = processes.iter().map(|process| claim(&kit, process, Claim { connections: 7, ..MEMBER }));
    let mut granted: Vec<_> = futures_util::future::join_all(claims).await;
    granted.sort_by_key(|outcome| std::cmp::Reverse(*outcome.as_ref().unwrap_or(&0)));
    let sizes: Vec<_> = granted.iter().map_while(|outcome| outcome.as_ref().ok().copied()).collect();
    assert_eq!(sizes, [7, 7, 7, 4], "25 in all; the fourth shrinks to what is left");
    assert!(
        granted[4..].iter().all(|outcome| matches!(outcome, Err(Refused::Spent { held: 25, budget: 25 }))),
        "{granted:?}"
    );
}
