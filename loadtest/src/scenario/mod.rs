//! One file per scenario. Each opens its users with [`Crowd`], does its one thing, and hands back a [`Report`].
//!
//! # Adding a scenario
//!
//! 1. A file here with `pub(super) async fn run(args, bench) -> anyhow::Result<Report>`.
//! 2. Its options in `cli.rs`, bounded, and its line in [`run`].
//! 3. Its command and the place of its figures in `loadtest/README.md`.
//! 4. A test that runs it small against [`crate::baseline`] or checks its arithmetic.

mod chaos;
mod churn;
mod compare;
mod connect;
mod fanout;
mod idle;
mod latency;
mod mix;
mod ping;
mod storm;
mod sweep;
mod typing;

pub(crate) use chaos::Fault;

use crate::{
    baseline,
    cli::{Aim, Cli, Command},
    client::Dialect,
    crowd::{self, Crowd, Opened},
    fleet::{Fleet, Size, Topology},
    platform::Platform,
    process::{Process, Snapshot, Usage},
    report::Report,
    target::{Sources, Target},
};
use anyhow::Context as _;
use shared::lifecycle::Lifecycle;
use std::{process::ExitCode, time::Duration};
use tokio::time::timeout;

/// What every scenario works with.
#[derive(Debug)]
pub(crate) struct Bench {
    crowd: Crowd,
    /// The processes that serve sockets, as far as we know them; what they use is added up.
    servers: Vec<Process>,
    life: Lifecycle,
    threads: usize,
    /// What we started ourselves: it ends with this.
    started: Started,
}

/// What a bench started to measure.
#[derive(Debug)]
enum Started {
    Nothing,
    Platform(Platform),
    Fleet(Fleet),
}

/// Runs what the command line asks for.
pub(crate) async fn run(cli: Cli, life: &Lifecycle) -> anyhow::Result<ExitCode> {
    let Cli { command, threads, json } = cli;
    let bench = async |aim: &Aim, users| Bench::new(aim, users, 50, threads, life.clone()).await;
    let report = match command {
        Command::Baseline(args) => return baseline::run(&args, life).await.map(|()| ExitCode::SUCCESS),
        Command::Ping(args) => bounded(args.duration, ping::run(&args, &bench(&args.aim, args.users).await?)).await?,
        Command::Connect(args) => {
            let rounds = u32::try_from(args.rounds)?;
            bounded((args.settle + A_CROWD) * rounds, connect::run(&args, &bench(&args.aim, args.users).await?)).await?
        }
        Command::Idle(args) => {
            bounded(args.hold + args.settle * 3, idle::run(&args, &bench(&args.aim, args.users).await?)).await?
        }
        Command::Churn(args) => bounded(LONG, churn::run(&args, &bench(&args.aim, args.users).await?)).await?,
        Command::Typing(args) => bounded(LONG, typing::run(&args, &bench(&args.aim, args.users).await?)).await?,
        Command::Fanout(args) => {
            let bench = bench(&args.aim, args.traffic.subscribers).await?;
            bounded(args.traffic.length(), fanout::run(&args, &bench)).await?
        }
        Command::Sweep(args) => {
            let (most, runs) = (args.sizes.iter().max().copied().unwrap_or(1), u32::try_from(args.sizes.len())?);
            bounded(args.traffic.length() * runs, sweep::run(&args, &bench(&args.aim, most).await?)).await?
        }
        Command::Latency(args) => {
            let bench = bench(&args.aim, args.traffic.subscribers).await?;
            bounded(args.traffic.length() * 2, latency::run(&args, &bench)).await?
        }
        Command::CompareFanout(args) => {
            let bench = bench(&args.aim, args.traffic.subscribers).await?;
            let pairs = u32::try_from(args.rounds * 2)?;
            bounded((args.traffic.length() + A_CROWD) * pairs, compare::run(&args, &bench)).await?
        }
        // One address a user, as in life: REST is limited per address too.
        Command::Mix(args) => {
            let bench = Bench::new(&args.aim, args.users, 1, threads, life.clone()).await?;
            bounded(args.duration, mix::run(&args, &bench)).await?
        }
        Command::Storm(args) => {
            bounded(args.settle + A_CROWD * 2, storm::run(&args, &bench(&args.aim, args.users).await?)).await?
        }
        Command::Chaos(args) => {
            let fault = args.outage.unwrap_or_else(|| args.fault.outage());
            bounded(args.duration + fault, chaos::run(&args, life)).await?
        }
    };
    report.finish(json.as_deref())
}

/// What a crowd may take to come, beyond what the scenario itself is asked to take.
const A_CROWD: Duration = Duration::from_mins(1);
/// Bound of the scenarios that end with their work and not with a time.
const LONG: Duration = Duration::from_hours(12);

/// Ends a scenario that does not end by itself: what it was asked to take, and ten minutes for its crowd.
async fn bounded(longest: Duration, scenario: impl Future<Output = anyhow::Result<Report>>) -> anyhow::Result<Report> {
    let most = longest + Duration::from_mins(10);
    timeout(most, Box::pin(scenario)).await.with_context(|| format!("the run did not end within {most:?}"))?
}

impl Bench {
    /// For `users` users, `per_address` of them on one address; starts what it was asked to start.
    async fn new(aim: &Aim, users: usize, per_address: usize, threads: usize, life: Lifecycle) -> anyhow::Result<Self> {
        let started = Self::start(aim, users).await?;
        let (targets, tokens, servers) = match &started {
            Started::Nothing => {
                let tokens = aim.tokens.as_deref().map(crowd::read_tokens).transpose()?.unwrap_or_default();
                (vec![aim.url.clone()], tokens, aim.server_pid.map(Process::new).into_iter().collect())
            }
            Started::Platform(platform) => {
                let target = crate::target::at(platform.address());
                (vec![target], crowd::read_tokens(platform.tokens())?, vec![platform.process()])
            }
            Started::Fleet(fleet) => (fleet.gateways(), fleet.tokens().to_vec(), fleet.gateway_processes()),
        };
        let crowd = Crowd {
            sources: Sources::new(&targets[0], aim.per_address.unwrap_or(per_address)),
            targets,
            dialect: if aim.baseline { Dialect::Baseline } else { Dialect::Pitchey },
            tokens,
            ramp: aim.ramp,
        };
        for server in &servers {
            server.snapshot().with_context(|| format!("failed to read process {} (--server-pid)", server.pid()))?;
        }
        Ok(Self { crowd, servers, life, threads, started })
    }

    async fn start(aim: &Aim, users: usize) -> anyhow::Result<Started> {
        if let Some(gateways) = aim.nodes {
            let size = Size { gateways, apis: aim.apis, users };
            return Ok(Started::Fleet(Fleet::start(size, Topology::Alone { proxied: false }, &aim.set).await?));
        }
        let Some(program) = &aim.spawn else {
            anyhow::ensure!(aim.set.is_empty(), "--set is for a server of our own: --spawn or --nodes");
            return Ok(Started::Nothing);
        };
        progress(format_args!("starting {} with {users} users", program.display()));
        // Blocks, which is before anything else runs.
        Ok(Started::Platform(Platform::start(program, users, &aim.set)?))
    }

    /// The fleet of our own, if there is one.
    fn fleet(&self) -> Option<&Fleet> {
        if let Started::Fleet(fleet) = &self.started { Some(fleet) } else { None }
    }

    /// Where member `index` of the crowd asks over REST: gateways of a fleet have none.
    fn rest_target(&self, index: usize) -> Target {
        let apis = self.fleet().map(Fleet::apis).unwrap_or_default();
        let turn = index % apis.len().max(1);
        apis.into_iter().nth(turn).unwrap_or_else(|| self.crowd.target(index).clone())
    }

    /// The one server, for what only makes sense of one.
    fn server(&self) -> Option<&Process> {
        if let [server] = &self.servers[..] { Some(server) } else { None }
    }

    /// Where it aims, in words.
    fn aimed_at(&self) -> String {
        self.crowd.targets.iter().map(|target| target.addr.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// An empty report that knows where this bench aims.
    fn report(&self, scenario: &'static str) -> Report {
        let mut report = Report::new(scenario, self.aimed_at());
        report.parameter("ramp_per_second", self.crowd.ramp);
        report.parameter("harness_threads", self.threads);
        report.parameter("signed_in", !self.crowd.tokens.is_empty());
        match &self.started {
            Started::Nothing => {}
            Started::Platform(platform) => report.parameter("server_settings", platform.settings()),
            Started::Fleet(fleet) => report.parameter("server_settings", fleet.settings()),
        }
        report
    }

    /// What server and harness have used so far.
    fn measure(&self) -> anyhow::Result<Measure> {
        let servers = self.servers.iter().map(Process::snapshot).collect::<Result<_, _>>();
        Ok(Measure {
            servers: servers.context("failed to read the server's process: has it ended?")?,
            harness: Process::own().snapshot().ok(),
        })
    }
}

/// One reading of every process.
#[derive(Debug)]
struct Measure {
    servers: Vec<Snapshot>,
    harness: Option<Snapshot>,
}

impl Measure {
    /// What was used since `earlier`: by the servers together, and by the harness.
    fn since(&self, earlier: &Self) -> (Option<Usage>, Option<Usage>) {
        let servers = self.servers.iter().zip(&earlier.servers).map(|(now, before)| now.since(before));
        let harness = self.harness.as_ref().zip(earlier.harness.as_ref()).map(|(now, before)| now.since(before));
        (servers.reduce(Usage::and), harness)
    }
}

/// Notes in the report how many of `wanted` users got in; fails when nobody did.
fn check_opened(report: &mut Report, opened: &Opened, wanted: usize) -> anyhow::Result<()> {
    let seen = opened.members.len();
    let why = if opened.failed() == 0 { String::new() } else { format!(" ({})", opened.reasons()) };
    anyhow::ensure!(seen > 0, "nobody got in{why}");
    report.check("users connected", wanted, format!("{seen}{why}"), seen == wanted);
    Ok(())
}

/// A line of progress on standard error: plain, because it is as often read in a log as on a screen.
pub(crate) fn progress(text: impl std::fmt::Display) {
    eprintln!("… {text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use tokio::net::TcpListener;

    /// Runs a scenario against a baseline server inside this process.
    async fn against_baseline(arguments: &str) -> ExitCode {
        let life = Lifecycle::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = listener.local_addr().unwrap().to_string();
        let server = life.clone();
        life.tracker().spawn(async move {
            tokio::select! {
                () = baseline::serve(&listener, &server) => {}
                () = server.soft().cancelled() => {}
            }
        });
        let pid = std::process::id().to_string();
        let words = arguments.split(' ').chain(["--baseline", "--url", &url, "--server-pid", &pid]);
        let cli = Cli::try_parse_from(std::iter::once("pitchey-loadtest").chain(words)).unwrap();
        let outcome = run(cli, &life).await.unwrap();
        life.shutdown(Duration::from_secs(5)).await;
        outcome
    }

    #[tokio::test]
    async fn every_ping_of_a_small_run_is_answered() {
        let outcome = against_baseline("ping --users 5 --rate 200 --duration 300ms --ramp 1000").await;
        assert_eq!(outcome, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_closed_fan_out_reaches_everybody_once_and_in_order() {
        let arguments =
            "fanout --subscribers 8 --in-flight 5 --publishers 2 --duration 300ms --warmup 50ms --ramp 1000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn an_open_fan_out_reaches_everybody_once_and_in_order() {
        let arguments = "fanout --subscribers 8 --rate 300 --publishers 3 --duration 300ms --warmup 50ms --ramp 1000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn idle_sockets_are_held_and_counted() {
        let arguments = "idle --from 5 --users 20 --hold 100ms --settle 50ms --ramp 1000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_crowd_comes_and_goes_in_rounds() {
        let arguments = "connect --users 5 --rounds 2 --settle 10ms --ramp 1000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_sweep_measures_every_size() {
        let arguments =
            "sweep --sizes 2,6 --in-flight 2 --duration 100ms --warmup 50ms --ramp 1000 --max-ratio 1000000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn latency_is_measured_at_a_share_of_the_saturated_rate() {
        let arguments = "latency --subscribers 4 --in-flight 2 --duration 200ms --warmup 50ms --ramp 1000 --share 0.01 --max-p99 1m";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn pings_without_a_rate_follow_their_pongs() {
        assert_eq!(against_baseline("ping --users 5 --duration 200ms --ramp 1000").await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn users_who_come_and_go_leave_a_curve() {
        let arguments = "churn --users 3 --cycles 60 --rate 100 --most-growth 1000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn every_typing_event_is_sent() {
        let arguments = "typing --users 3 --events 40000 --ramp 1000 --most-growth 1000";
        assert_eq!(against_baseline(arguments).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure_and_not_an_empty_report() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let words = ["x", "ping", "--users", "2", "--duration", "100ms", "--url", &free];
        let error = run(Cli::try_parse_from(words).unwrap(), &Lifecycle::new()).await.unwrap_err();
        assert!(error.to_string().contains("nobody got in"), "{error:#}");
    }
}
