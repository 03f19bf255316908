//! One owner at a time, a bounded number of connections, and no waiting after a crash.

use super::*;
use shared::{
    config::SHARED_POOL_SIZE,
    lifecycle::Lifecycle,
    store::leases::{self, BUDGET, Claim, Lease, Process, Refused, Renewal, Role, TTL},
};

const OWNER: Claim = Claim { role: Role::Owner, connections: 14, budget: BUDGET };
const MEMBER: Claim = Claim { role: Role::Member, connections: 14, budget: BUDGET };

async fn claim(kit: &TestStore, process: &Process, claim: Claim) -> Result<Lease, Refused> {
    kit.store.try_tx("leases.claim", async |tx| leases::claim(tx, process, claim).await).await
}

async fn renew(kit: &TestStore, lease: &Lease) -> Renewal {
    let renewed = kit.store.tx("leases.renew", async |tx| leases::renew(tx, lease, TTL).await).await;
    renewed.expect("it is tried")
}

async fn release(kit: &TestStore, lease: &Lease) {
    let released = kit.store.tx("leases.release", async |tx| leases::release(tx, lease.process.id).await).await;
    released.expect("it is given back");
}

/// Every lease is so much older. On PostgreSQL it is the server's time that counts, which no test moves.
async fn pass(kit: &TestStore, time: Duration) {
    kit.clock.advance(time);
    if is_postgres(kit) {
        let older = format!("update process_leases set expires_at = expires_at - interval '{} s'", time.as_secs());
        let older: &'static str = older.leak();
        kit.store.tx("test.age", async |tx| testing::execute(tx, older).await).await.expect("they are older");
    }
}

/// What the processes that hold a lease have, each.
async fn connections(kit: &TestStore) -> Vec<u32> {
    let running = kit.store.read("leases.running", async |c| leases::running(c).await).await.expect("they are read");
    running.iter().map(|process| process.connections).collect()
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
    a_process_that_is_seen_to_run_keeps_its_lease_however_late_it_renews,
    a_member_whose_lease_lapsed_and_was_removed_claims_again_and_keeps_its_connections,
    a_member_gives_way_to_an_owner_that_took_the_store,
    claiming_again_replaces_the_own_lease,
    an_owner_that_lost_its_lease_stops_and_a_member_does_not,
    a_draining_process_still_holds_its_lease,
}

async fn a_second_process_is_refused_while_the_owner_lives(kit: &TestStore) {
    let (first, second) = (Process::this("first"), Process::this("second"));
    let lease = claim(kit, &first, OWNER).await.expect("nobody else is there");
    assert_eq!(lease.connections, 14);
    for request in [OWNER, MEMBER] {
        let refused = claim(kit, &second, request).await;
        assert!(matches!(&refused, Err(Refused::Taken { name, .. }) if name == "first"), "{refused:?}");
    }
    assert_eq!(renew(kit, &lease).await, Renewal::Kept);
    release(kit, &lease).await;
    claim(kit, &second, OWNER).await.expect("the store is free");
}

async fn an_owner_is_refused_while_others_share_the_store(kit: &TestStore) {
    claim(kit, &Process::this("first"), MEMBER).await.expect("nobody else is there");
    let refused = claim(kit, &Process::this("second"), OWNER).await;
    assert!(matches!(refused, Err(Refused::Taken { .. })), "{refused:?}");
}

async fn a_restart_right_after_a_kill_succeeds_at_once(kit: &TestStore) {
    let killed = Process::this("api");
    let lease = claim(kit, &killed, OWNER).await.expect("nobody else is there");
    kill_everybody(kit).await;
    claim(kit, &Process::this("api"), OWNER).await.expect("a dead process holds nothing");
    assert_eq!(renew(kit, &lease).await, Renewal::Lost, "the dead one's lease is gone");
}

async fn a_lease_of_another_machine_ends_by_itself(kit: &TestStore) {
    claim(kit, &Process::this("far"), OWNER).await.expect("nobody else is there");
    move_everybody(kit).await;
    let near = Process::this("near");
    assert!(matches!(claim(kit, &near, OWNER).await, Err(Refused::Taken { .. })));
    pass(kit, TTL).await;
    claim(kit, &near, OWNER).await.expect("it was not renewed");
}

async fn a_lease_that_nobody_wanted_survives_a_sleep(kit: &TestStore) {
    let owner = Process::this("laptop");
    let lease = claim(kit, &owner, OWNER).await.expect("nobody else is there");
    move_everybody(kit).await;
    pass(kit, Duration::from_hours(8)).await;
    assert_eq!(renew(kit, &lease).await, Renewal::Kept);
    assert!(matches!(claim(kit, &Process::this("other"), OWNER).await, Err(Refused::Taken { .. })));
}

async fn a_process_that_is_seen_to_run_keeps_its_lease_however_late_it_renews(kit: &TestStore) {
    claim(kit, &Process::this("api"), OWNER).await.expect("nobody else is there");
    pass(kit, 10 * TTL).await;
    assert!(matches!(claim(kit, &Process::this("other"), OWNER).await, Err(Refused::Taken { .. })));
}

async fn a_member_whose_lease_lapsed_and_was_removed_claims_again_and_keeps_its_connections(kit: &TestStore) {
    let lease = claim(kit, &Process::this("api-1"), MEMBER).await.expect("nobody else is there");
    move_everybody(kit).await;
    pass(kit, TTL).await;
    assert_eq!(connections(kit).await, [0_u32; 0]);
    claim(kit, &Process::this("api-2"), MEMBER).await.expect("the budget is free");
    assert_eq!(connections(kit).await, [14], "the lapsed lease was removed");
    assert_eq!(renew(kit, &lease).await, Renewal::Regained);
    assert_eq!(renew(kit, &lease).await, Renewal::Kept);
    assert_eq!(connections(kit).await, [14, 14], "its connections are open, so they count");
}

async fn a_member_gives_way_to_an_owner_that_took_the_store(kit: &TestStore) {
    let lease = claim(kit, &Process::this("api"), MEMBER).await.expect("nobody else is there");
    move_everybody(kit).await;
    pass(kit, TTL).await;
    claim(kit, &Process::this("alone"), OWNER).await.expect("nobody is left");
    assert_eq!(renew(kit, &lease).await, Renewal::Lost);
}

async fn claiming_again_replaces_the_own_lease(kit: &TestStore) {
    let owner = Process::this("api");
    claim(kit, &owner, OWNER).await.expect("nobody else is there");
    claim(kit, &owner, Claim { connections: 5, ..OWNER }).await.expect("it is its own");
    assert_eq!(connections(kit).await, [5]);
}

async fn an_owner_that_lost_its_lease_stops_and_a_member_does_not(kit: &TestStore) {
    for request in [MEMBER, OWNER] {
        let life = Lifecycle::new();
        let lease = claim(kit, &Process::this("api"), request).await.expect("nobody else is there");
        release(kit, &lease).await;
        let keeper = spawn(leases::keep(kit.store.clone(), lease.clone(), life.clone(), Duration::from_secs(30)));
        match request.role {
            Role::Owner => eventually("it stops", async || life.stopping()).await,
            Role::Member => eventually("it is there again", async || !connections(kit).await.is_empty()).await,
        }
        assert_eq!(life.stopping(), request.role == Role::Owner);
        life.stop();
        keeper.await.expect("it ends by itself");
        release(kit, &lease).await;
    }
}

async fn a_draining_process_still_holds_its_lease(kit: &TestStore) {
    let life = Lifecycle::new();
    let lease = claim(kit, &Process::this("api"), OWNER).await.expect("nobody else is there");
    move_everybody(kit).await;
    let keeper = leases::keep(kit.store.clone(), lease, life.clone(), Duration::from_secs(30));
    let stop = async { life.stop() };
    tokio::join!(keeper, stop);
    pass(kit, Duration::from_secs(30)).await;
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
        let lease = claim(&kit, &Process::this(name), request).await.expect("there is room");
        assert_eq!(lease.connections, request.connections);
        processes.push((lease, request));
    }
    // Each is replaced by one that starts before it ends.
    for (old, request) in processes {
        let granted =
            claim(&kit, &Process::this("new"), request).await.expect("there is room for one more").connections;
        assert!(granted >= request.connections.min(5), "{granted} of {}", request.connections);
        release(&kit, &old).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_postgres_never_exceed_the_budget_together() {
    let Some(kit) = TestStore::postgres().await else { return };
    let processes: Vec<_> = (0..6).map(|i| Process::this(&format!("api-{i}"))).collect();
    let claims = processes.iter().map(|process| claim(&kit, process, Claim { connections: 7, ..MEMBER }));
    let mut granted: Vec<_> = futures_util::future::join_all(claims).await;
    granted.sort_by_key(|outcome| std::cmp::Reverse(outcome.as_ref().map_or(0, |lease| lease.connections)));
    let sizes: Vec<_> = granted.iter().map_while(|outcome| Some(outcome.as_ref().ok()?.connections)).collect();
    assert_eq!(sizes, [7, 7, 7, 4], "25 in all; the fourth shrinks to what is left");
    assert!(
        granted[4..].iter().all(|outcome| matches!(outcome, Err(Refused::Spent { held: 25, budget: 25 }))),
        "{granted:?}"
    );
}
