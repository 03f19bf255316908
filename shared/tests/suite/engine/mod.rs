//! The engine's conformance suite: every sentence of the contracts as a test, written once, run on every backend.
//!
//! A test is an `async fn` that takes a [`Fixture`] and is listed once in [`suite!`]; one that is not listed is dead
//! code, and the compiler says so. Adding a backend is a constructor on [`Fixture`] and one line at the end.
//!
//! Time is the fixture's: nothing sleeps. "Nothing arrives" is shown with a fence (see [`node`]), never with a wait.

#![expect(clippy::unwrap_used, clippy::unchecked_time_subtraction, reason = "tests: a panic is the report")]

mod bell;
mod broker;
mod cluster;
mod faults;
mod history;
mod in_redis;
mod interleaving;
mod limits;
mod lost_writes;
mod mailbox;
mod members;
mod node;
mod occupancy;
mod presence;
mod sessions;
mod stats;
mod topologies;

use futures_util::StreamExt;
use shared::{
    clock::{Clock, Timestamp},
    config::RedisConfig,
    engine::{Engine, presence::QUIET},
    protocol::RoomName,
    secret::Secret,
    testkit::{
        RedisCluster, RedisServer,
        redis::{Connection, Reply},
    },
};
use std::{net::SocketAddr, time::Duration};
use uuid::Uuid;

/// An engine nobody else uses, and the hand on its clock.
struct Fixture {
    engine: Engine,
    clock: Clock,
    /// The engine's settings if it is in Redis, and the servers that hold its keys.
    redis: Option<RedisConfig>,
    servers: Vec<SocketAddr>,
}

/// 2026-11-22, so that versions look like those of real life.
fn clock() -> Clock {
    Clock::manual(Timestamp::from_micros(1_795_305_600_000_000))
}

impl Fixture {
    #[expect(clippy::unused_async, reason = "other backends start servers")]
    async fn memory() -> Option<Self> {
        let clock = clock();
        Some(Self { engine: Engine::memory(clock.clone()), clock, redis: None, servers: Vec::new() })
    }

    /// On the server that all tests share, under a prefix of its own.
    async fn redis() -> Option<Self> {
        let url = RedisServer::shared().await?;
        let server = url.trim_start_matches("redis://").parse().expect("an address");
        Some(Self::at(url, vec![server]).await)
    }

    /// On the Cluster that all tests share, under a prefix of its own.
    async fn redis_cluster() -> Option<Self> {
        let cluster = RedisCluster::shared().await?;
        Some(Self::at(cluster.url(), cluster.nodes().take(3).map(RedisServer::addr).collect()).await)
    }

    async fn at(url: String, servers: Vec<SocketAddr>) -> Self {
        let url = Some(Secret::new(url));
        let prefix = format!("t{}", Uuid::now_v7().simple());
        let (config, clock) = (RedisConfig { url, prefix, ..RedisConfig::default() }, clock());
        let engine = Engine::redis(&config, clock.clone()).expect("the settings are right");
        until_up(&engine).await;
        clock.advance(QUIET);
        Self { engine, clock, redis: Some(config), servers }
    }

    /// Another process of the same cluster; without one to share, the same engine.
    async fn another_process(&self) -> Engine {
        let Some(config) = &self.redis else { return self.engine.clone() };
        let engine = Engine::redis(config, self.clock.clone()).expect("the settings are right");
        until_up(&engine).await;
        engine
    }

    /// Lets time pass for the engine.
    #[expect(clippy::unused_async, reason = "other backends have to tell their servers")]
    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// The engine loses everything it knew, as when Redis is flushed.
    async fn flush(&mut self) {
        if self.redis.is_none() {
            self.engine = Engine::memory(self.clock.clone());
        }
        for key in self.keys().await {
            self.call_where(&key, &["UNLINK", &key]).await;
        }
    }

    /// Every key of the engine in Redis, in no order.
    async fn keys(&self) -> Vec<String> {
        let Some(config) = &self.redis else { return Vec::new() };
        let mut keys = Vec::new();
        for server in &self.servers {
            let mut connection = Connection::open(*server, None).await.unwrap();
            let found = connection.call(&["KEYS", &format!("{}:*", config.prefix)]).await.unwrap();
            keys.extend(found.list().iter().map(|key| key.text().to_owned()));
        }
        keys
    }

    /// Sends a command about a key to the server that holds it.
    async fn call_where(&self, key: &str, command: &[&str]) -> Reply {
        for server in &self.servers {
            let mut connection = Connection::open(*server, None).await.unwrap();
            match connection.call(command).await.unwrap() {
                Reply::Error(error) if error.starts_with("MOVED") => {}
                reply => return reply,
            }
        }
        panic!("no server holds {key}")
    }

    /// A number of repetitions: all of them in memory, fewer where each is a round trip.
    fn repeat(&self, in_memory: usize, elsewhere: usize) -> usize {
        if self.redis.is_some() { elsewhere } else { in_memory }
    }
}

/// Waits until both connections are there.
async fn until_up(engine: &Engine) {
    let up = async {
        while !engine.health().is_some_and(|health| health.is_up()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), up).await.expect("Redis is there");
}

/// Does the same many times, some at once: begun in order, and quick where each is a round trip.
async fn many<F: Future>(count: usize, each: impl Fn() -> F) {
    let running = futures_util::stream::iter(0..count).map(|_| each()).buffered(256);
    running.for_each(async |_| {}).await;
}

/// A room nobody else uses.
fn some_room() -> RoomName {
    format!("public:{}", Uuid::now_v7()).parse().expect("a uuid is a plain name")
}

/// Instantiates the tests of one concern.
macro_rules! tests {
    ($fixture:expr; $concern:ident: $($name:ident)+) => {
        mod $concern {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(fixture) = $fixture.await {
                        crate::engine::$concern::$name(fixture).await;
                    }
                }
            )+
        }
    };
}

/// The tests of each concern.
macro_rules! concern {
    ($fixture:expr; broker) => {
        tests! { $fixture; broker:
            a_node_gets_what_is_published_to_its_topics_and_nothing_else
            a_frame_is_its_halves_around_the_position
            concurrent_publishers_get_contiguous_numbers_and_every_node_sees_them_in_order
            a_repeated_id_gets_the_first_position_and_is_delivered_once
            a_repeated_id_is_one_event_however_many_send_it_at_once
            the_same_id_of_another_user_or_room_is_another_event
            an_id_is_remembered_for_ten_minutes
            subscribing_twice_delivers_once
            an_unsubscribed_topic_is_silent_and_unsubscribing_again_is_harmless
            a_dropped_node_is_detached_and_the_others_go_on
            an_overflow_is_announced_once_and_then_everything_is_delivered_again
            what_was_dropped_is_in_the_history_when_lost_arrives
            a_stuck_node_costs_the_others_nothing
            signals_reach_the_subscribers_of_their_topic
            control_messages_reach_every_node
            a_waiting_node_is_woken_and_a_cancelled_wait_loses_nothing
        }
    };
    ($fixture:expr; history) => {
        tests! { $fixture; history:
            a_room_nobody_published_to_has_a_position_that_stays
            history_is_read_in_pages_without_a_gap
            without_since_or_limit_only_the_top_is_read
            the_last_500_events_are_kept
            a_room_of_large_events_keeps_what_fits
            events_are_kept_for_ten_minutes
            positions_from_elsewhere_are_not_recovered
            a_room_nobody_uses_for_ten_minutes_starts_a_new_epoch
            a_room_somebody_is_in_keeps_its_epoch_and_numbers
            looking_at_a_position_keeps_it
            a_flushed_engine_starts_new_epochs
        }
    };
    ($fixture:expr; interleaving) => {
        tests! { $fixture; interleaving:
            replay_and_live_together_are_what_was_published_once_and_in_order
            and_so_they_are_when_everything_happens_at_once
        }
    };
    ($fixture:expr; mailbox) => {
        tests! { $fixture; mailbox:
            a_missing_mailbox_starts_at_any_number
            a_missing_mailbox_opens_where_the_store_stands
            who_was_here_finds_their_place_again
            a_flushed_ack_moves_its_devices_place
            the_place_noted_longest_ago_makes_room
            only_the_next_number_is_accepted
            what_is_already_there_changes_and_delivers_nothing
            of_an_overlapping_batch_the_new_part_is_taken
            a_gap_is_refused_with_the_head_and_changes_nothing
            a_batch_with_a_hole_is_taken_up_to_the_hole
            accepted_entries_reach_the_nodes_of_that_inbox_in_order
            two_relays_at_once_deliver_every_entry_once_and_in_order
            reading_answers_only_when_it_knows_everything_after
            reading_is_paged
            the_window_is_bounded_in_entries
            the_window_is_bounded_in_bytes
            a_vanished_mailbox_may_start_earlier_again
            a_mailbox_made_absent_begins_anew_and_keeps_its_cursors
            acks_only_grow
            an_ack_stays_readable_until_it_is_flushed
            an_ack_during_a_flush_is_not_lost
            a_failed_flush_loses_nothing
            cursors_wait_their_turn
        }
    };
    ($fixture:expr; sessions) => {
        tests! { $fixture; sessions:
            a_token_is_unknown_until_it_is_filled
            a_fill_never_replaces_and_a_put_does
            only_what_was_seen_is_prolonged
            a_revoked_session_is_dead_under_every_hash
            neither_fill_nor_put_resurrects_a_revoked_session
            a_fill_that_races_a_revoke_loses
            every_node_hears_of_a_revocation_and_finds_the_tombstone
            entries_and_tombstones_live_an_hour
            a_renewal_prolongs_what_says_the_same_and_changes_nothing_else
            a_forgotten_token_is_asked_from_the_store_and_a_tombstone_is_not_forgotten
            a_ticket_is_redeemed_once_by_one_of_a_hundred
            a_ticket_dies_after_thirty_seconds
            a_ticket_of_a_revoked_session_is_worth_nothing
            a_ticket_issued_while_its_session_ends_is_worth_nothing
        }
    };
    ($fixture:expr; members) => {
        tests! { $fixture; members:
            an_answer_is_unknown_until_it_is_filled
            a_fill_never_replaces
            a_fill_that_races_a_revoke_loses
            a_grant_ends_a_revocation
            every_node_hears_of_a_revocation_and_finds_the_tombstone
            a_renewal_prolongs_a_yes_and_leaves_a_no_alone
            answers_are_believed_for_an_hour
        }
    };
    ($fixture:expr; presence) => {
        tests! { $fixture; presence:
            a_first_connection_is_announced_and_a_second_is_only_counted
            the_merged_status_is_the_most_present_one
            a_page_reload_makes_no_noise
            offline_is_announced_once_after_the_grace
            who_comes_back_elsewhere_within_the_grace_is_not_announced
            a_killed_node_takes_its_users_offline_within_thirty_seconds
            a_killed_node_takes_nobody_offline_who_is_elsewhere
            the_grace_of_a_killed_nodes_users_counts_from_its_last_renewal
            a_lease_that_is_renewed_keeps_its_users_present
            a_silent_node_that_comes_back_is_told_to_join_again_and_nobody_notices
            a_restarted_node_is_not_its_predecessor
            a_retired_node_is_as_if_all_had_left
            versions_grow_and_are_never_behind_the_clock
            versions_do_not_go_back_over_a_flushed_engine
            an_offline_users_version_is_remembered_for_a_day
            strangers_are_offline_and_answers_come_in_the_order_asked
            what_is_not_there_cannot_leave_or_change
            sweepers_at_the_same_time_announce_everybody_once
        }
    };
    ($fixture:expr; occupancy) => {
        tests! { $fixture; occupancy:
            a_node_hears_of_the_others_and_not_of_itself
            what_a_node_tells_replaces_what_it_told_and_nobody_ends_it
            the_occupants_of_a_dead_node_vanish_and_those_of_a_living_one_stay
            a_hundred_users_are_listed_each_once_and_everybody_is_counted
            a_node_tells_of_all_its_rooms_at_once
            what_a_flushed_engine_forgot_is_told_again
        }
    };
    ($fixture:expr; limits) => {
        tests! { $fixture; limits:
            a_burst_is_allowed_and_then_one_at_a_time
            takers_at_the_same_time_never_get_more_than_the_burst
            a_refused_take_costs_nothing
            the_answer_says_what_is_left_and_when_it_is_won_back
            keys_do_not_know_each_other
        }
    };
    ($fixture:expr; stats) => {
        tests! { $fixture; stats:
            a_report_replaces_the_nodes_earlier_one
            a_node_that_stops_reporting_is_forgotten_after_a_minute
        }
    };
    ($fixture:expr; bell) => {
        tests! { $fixture; bell:
            rings_are_coalesced
            a_ring_while_nobody_waits_is_remembered
            every_clone_hears_every_ring
            a_wait_that_is_given_up_loses_no_ring
        }
    };
    ($fixture:expr; cluster) => {
        tests! { $fixture; cluster:
            nodes_that_share_an_engine_hear_each_other
            any_number_of_typing_signals_leaves_nothing_behind
        }
    };
    // Not on a Cluster, where the fence is made of typing: what gives way here.
    ($fixture:expr; crowded) => {
        mod crowded {
            tests! { $fixture; broker:
                typing_gives_way_before_events_do
            }
        }
    };
    ($fixture:expr; one_process) => {
        mod one_process {
            tests! { $fixture; mailbox:
                mailboxes_touched_longest_ago_vanish_first
            }
            tests! { $fixture; cluster:
                two_engines_know_nothing_of_each_other
            }
        }
    };
}

/// Instantiates concerns for one backend.
macro_rules! suite {
    ($backend:ident: $fixture:expr; $($concern:ident)+) => {
        mod $backend {
            $(concern! { $fixture; $concern })+
        }
    };
}

suite! { memory: crate::engine::Fixture::memory();
    broker history interleaving mailbox sessions members presence occupancy limits stats bell cluster crowded one_process
}
suite! { redis: crate::engine::Fixture::redis();
    broker history interleaving mailbox sessions members presence occupancy limits stats bell cluster crowded
}
suite! { redis_cluster: crate::engine::Fixture::redis_cluster();
    broker history interleaving mailbox sessions members presence occupancy limits stats bell cluster
}
