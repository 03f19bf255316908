//! `chaos`: a fleet of real processes under load, one fault, and the ledgers of everybody who was there.
//!
//! ```text
//!  gather ─▶ introduce ─▶ talk ── fault ── talk on ─▶ settle ─▶ look ─▶ verdict
//!  connect    a letter     letters to the next user,   what is on        presence,
//!             each         events into rooms, REST     its way arrives   once more
//! ```
//!
//! Users are numbered in a ring: each writes durable letters to the next, watches the one before, and shares a room with
//! every N-th. They come back as the browser client does; a balancer gives them whatever gateway is ready.

mod backoff;
mod board;
mod fault;
mod inbox;
mod lane;
mod place;
mod presence;
mod requirements;
mod rest;
mod user;
mod verdict;

pub(crate) use fault::Fault;

use super::progress;
use crate::{
    cli::ChaosArgs,
    fleet::{Balancer, Fleet, Role, Service, Size},
    numbers::float_len,
    report::Report,
    target::Sources,
};
use anyhow::Context as _;
use board::{Board, Phase};
use requirements::{Dead, OFFLINE_WITHIN, Outcome};
use rest::{Ask, Asker, Rest};
use shared::lifecycle::Lifecycle;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use user::{Summary, User, World};

/// How long a crowd may take to come, and to have everything in the end.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the talk goes on after the fault, at least.
const AFTERMATH: Duration = Duration::from_millis(1_500);
/// Every so-manieth user stays away once its gateway was killed, and every so-manieth keeps no inbox position.
const MORTAL: usize = 50;
const FORGETFUL: usize = 5;
/// Which share of what users write is letters; the rest is events.
const LETTERS: f64 = 0.25;

pub(super) async fn run(args: &ChaosArgs, life: &Lifecycle) -> anyhow::Result<Report> {
    let outage = args.outage.unwrap_or_else(|| args.fault.outage());
    let rooms = args.users.div_ceil(args.room_size);
    let names: Vec<String> = (0..rooms).map(|room| format!("chaos-{room}")).collect();
    let mut settings = vec![format!("PUBLIC_ROOMS={}", names.join(","))];
    settings.extend(args.set.iter().cloned());
    let size = Size { gateways: args.nodes, apis: args.apis, users: args.users };
    let fleet = Fleet::start(size, args.fault.topology(), &settings).await?;

    let mut report = Report::new("chaos", format_args!("{} gateways, {} apis", args.nodes, args.apis));
    describe(&mut report, args, outage, &fleet);
    let board = Arc::new(Board::new(args.users, rooms));
    let run = Run { args, outage, fleet: &fleet, board: Arc::clone(&board), life };
    let rest = Arc::new(Rest::new());
    let outcome = run.carry_out(rooms, &rest).await?;
    for (name, latency) in rest.latencies() {
        report.latency(format!("REST {name}"), latency);
    }
    outcome.conclude(args.fault, &board, &mut report);
    for complaint in fleet.services().iter().flat_map(Service::complaints).take(10) {
        report.note(complaint);
    }
    Ok(report)
}

fn describe(report: &mut Report, args: &ChaosArgs, outage: Duration, fleet: &Fleet) {
    report.parameter("fault", format!("{:?}", args.fault));
    report.parameter("users", args.users);
    report.parameter("messages_per_second", args.rate);
    report.parameter("duration_seconds", args.duration.as_secs_f64());
    report.parameter("outage_seconds", outage.as_secs_f64());
    report.parameter("room_size", args.room_size);
    report.parameter("rest", rest::rates());
    report.parameter("server_settings", fleet.settings());
}

/// One run.
struct Run<'a> {
    args: &'a ChaosArgs,
    outage: Duration,
    fleet: &'a Fleet,
    board: Arc<Board>,
    life: &'a Lifecycle,
}

impl Run<'_> {
    async fn carry_out(&self, rooms: usize, rest: &Arc<Rest>) -> anyhow::Result<Outcome> {
        let (board, tracker, enough) = (&self.board, self.life.tracker(), CancellationToken::new());
        // Whatever way this ends, nobody stays behind.
        let _enough = enough.clone().drop_guard();
        let (gateways, apis) = (Balancer::new(&self.fleet.of(Role::Gateway)), Balancer::new(&self.fleet.of(Role::Api)));
        for balancer in [gateways.clone(), apis.clone()] {
            let enough = enough.clone();
            tracker.spawn(async move { enough.run_until_cancelled(balancer.watch()).await });
        }
        let users = self.spawn_users(gateways.clone(), rooms);
        progress(format_args!("{} users gather", self.args.users));
        board.gathered(PATIENCE).await.with_context(|| {
            format!("not everybody got in: refused {:?}, errors {:?}", board.refusals.counts(), board.errors.counts())
        })?;
        let on_nodes = board.on_nodes(self.args.nodes);
        board.begin(Phase::Introductions);
        sleep(Duration::from_secs_f64(float_len(self.args.users) / self.args.ramp)).await;
        board.settled(PATIENCE).await.context("the first letters did not arrive")?;

        self.spawn_rest(&apis, rest, &enough);
        let before = board.accepted_so_far();
        board.begin(Phase::Talking);
        let talking = Instant::now();
        sleep(self.args.duration / 5).await;
        progress(format_args!("fault: {:?}", self.args.fault));
        let struck_at = board.now();
        let struck = self.args.fault.strike(self.fleet, self.outage).await?;
        let healed_at = board.now();
        let dead = self.wait_for_the_dead(struck_at).await;
        sleep_until((talking + self.args.duration).max(Instant::now() + AFTERMATH)).await;

        board.begin(Phase::Settling);
        let talked = talking.elapsed();
        progress("settling");
        let settled = board.settled(PATIENCE).await;
        let survivors = board.people().iter().enumerate().filter(|(index, _)| !self.is_mortal(*index));
        let survivors_offline = survivors.filter(|(_, person)| person.offline_since().is_some()).count();
        board.begin(Phase::Looking);
        let looked = board.looked(Duration::from_secs(10)).await.is_some();
        enough.cancel();
        board.begin(Phase::Over);
        let mut summaries = Vec::with_capacity(users.len());
        for user in users {
            summaries.push(user.await.context("a user's task failed")?);
        }
        Ok(Outcome {
            users: self.args.users,
            on_nodes,
            accepted: board.accepted_so_far() - before,
            talked,
            struck_at,
            healed_at,
            struck,
            dead,
            survivors_offline,
            longest_way: board.longest_way(healed_at, |index| self.is_mortal(index)),
            settled,
            looked,
            answers: rest.answers(),
            summaries,
        })
    }

    fn is_mortal(&self, index: usize) -> bool {
        self.args.fault == Fault::KillGateway && index.is_multiple_of(MORTAL) && index.is_multiple_of(self.args.nodes)
    }

    fn spawn_users(&self, gateways: Balancer, rooms: usize) -> Vec<JoinHandle<Summary>> {
        let args = self.args;
        let sources = Sources::new(gateways.target(0), 50);
        let world = World { board: Arc::clone(&self.board), gateways, sources, rooms, ramp: args.ramp };
        let every = |share: f64| Duration::from_secs_f64(float_len(args.users) / (args.rate * share));
        let user = |(index, token): (usize, &String)| {
            let role = user::Role {
                index,
                token: token.clone(),
                mortal: self.is_mortal(index),
                forgetful: index % FORGETFUL == 1,
                letter_every: every(LETTERS),
                event_every: every(1.0 - LETTERS),
            };
            self.life.tracker().spawn(Box::pin(User::new(role, world.clone()).run()))
        };
        self.fleet.tokens().iter().take(args.users).enumerate().map(user).collect()
    }

    fn spawn_rest(&self, apis: &Balancer, rest: &Arc<Rest>, enough: &CancellationToken) {
        let tracker = self.life.tracker();
        let sources = Sources::new(apis.target(0), 1);
        for (ask, per_second) in Ask::ALL {
            let asker = Asker {
                rest: Arc::clone(rest),
                board: Arc::clone(&self.board),
                apis: apis.clone(),
                sources,
                tokens: self.fleet.tokens().into(),
                tracker: tracker.clone(),
            };
            tracker.spawn(asker.run(ask, per_second, enough.clone()));
        }
    }

    /// After a kill: how long until those who stay away are offline to their watchers.
    async fn wait_for_the_dead(&self, struck_at: Duration) -> Option<Dead> {
        let dead: Vec<usize> = (0..self.args.users).filter(|index| self.is_mortal(*index)).collect();
        if dead.is_empty() {
            return None;
        }
        progress(format_args!("{} users stay away until they are offline to others", dead.len()));
        self.board.offline(&dead, OFFLINE_WITHIN + Duration::from_secs(5)).await;
        let since: Option<Vec<Instant>> =
            dead.iter().map(|&index| self.board.people()[index].offline_since()).collect();
        let struck = self.board.origin + struck_at;
        let last = since.and_then(|since| since.into_iter().max());
        Some(Dead { offline_after: last.map(|last| last.saturating_duration_since(struck)) })
    }
}
