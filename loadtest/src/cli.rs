//! The command line: one subcommand per scenario, the same options everywhere for the same thing, and an upper
//! bound on every number, so that no typing error keeps a machine busy for a night.

use crate::{scenario::Fault, target::Target};
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

/// Most simulated users of one process.
const MOST_USERS: u64 = 50_000;
/// Longest phase of a run.
const LONGEST: Duration = Duration::from_hours(24);

/// Simulated users who measure what Pitchey promises.
#[derive(Debug, Parser)]
#[command(name = "pitchey-loadtest", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// Which scenario.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Threads of the harness itself.
    #[arg(long, global = true, default_value_t = 1, value_parser = count(1, 64))]
    pub(crate) threads: usize,
    /// Also write the report as JSON to this file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Round trips of pings on many sockets, at a fixed rate.
    Ping(PingArgs),
    /// CPU of connecting and signing in, and of leaving.
    Connect(ConnectArgs),
    /// Memory and CPU of idle connections.
    Idle(IdleArgs),
    /// Memory while users come and go.
    Churn(ChurnArgs),
    /// Memory while users type.
    Typing(TypingArgs),
    /// Deliveries to many sockets in one room, and what each costs the server.
    Fanout(FanoutArgs),
    /// The fan-out with more and more subscribers: a delivery costs the same in any room.
    Sweep(SweepArgs),
    /// Latency of deliveries at a share of the rate at which the server is saturated.
    Latency(LatencyArgs),
    /// The fan-out of a gateway beside the plain baseline server's, alternating in one run.
    CompareFanout(CompareArgs),
    /// Users who browse over REST and talk over WebSocket at the same time.
    Mix(MixArgs),
    /// Everybody is cut off and comes back at once: the database must hardly notice (--nodes).
    Storm(StormArgs),
    /// A fleet of real processes under load, and one fault: nothing is lost, doubled or silently left out.
    Chaos(ChaosArgs),
    /// A plain tokio-tungstenite broadcast server to compare with; prints its address, ends with its standard input.
    Baseline(BaselineArgs),
}

/// Where to aim and how to get in.
#[derive(Clone, Debug, Args)]
pub(crate) struct Aim {
    /// The platform under test; only this machine is allowed.
    #[arg(long, default_value = "http://127.0.0.1:8001")]
    pub(crate) url: Target,
    /// Session tokens, one a line, as `pitchey-api seed --users N --tokens FILE` writes them. Without: anonymous.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// Start this server (`target/release/pitchey-api`) with a folder, users and limits of its own, and end it with the
    /// run; instead of --url, --tokens and --server-pid.
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["tokens", "server_pid", "baseline"])]
    pub(crate) spawn: Option<PathBuf>,
    /// A setting of that server or fleet, such as `WS_HEARTBEAT=5s`; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Start a fleet with this many gateways, a Redis and a PostgreSQL of its own, and spread the sockets over them.
    #[arg(long, value_parser = count(1, 16), conflicts_with_all = ["spawn", "url", "tokens", "server_pid", "baseline"])]
    pub(crate) nodes: Option<usize>,
    /// Apis of that fleet.
    #[arg(long, default_value_t = 1, value_parser = count(1, 16), requires = "nodes")]
    pub(crate) apis: usize,
    /// Process id of the server, to read its CPU and memory from /proc.
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// New connections a second (the platform allows 500).
    #[arg(long, default_value_t = 400.0, value_parser = rate)]
    pub(crate) ramp: f64,
    /// Simulated users on one source address (the platform allows 100 sockets).
    #[arg(long, value_parser = count(1, 20_000))]
    pub(crate) per_address: Option<usize>,
    /// The target is the plain baseline server: no hello, no sign-in, no rooms.
    #[arg(long)]
    pub(crate) baseline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PingArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    /// Sockets.
    #[arg(long, default_value_t = 200, value_parser = count(1, MOST_USERS))]
    pub(crate) users: usize,
    /// Pings a second, over all sockets; without, every socket pings again as soon as it has its pong.
    #[arg(long, value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// How long to measure.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) duration: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    /// Users who connect; --ramp says how many a second.
    #[arg(long, default_value_t = 2_000, value_parser = count(1, MOST_USERS))]
    pub(crate) users: usize,
    /// How often: the first time their sessions are news to the server.
    #[arg(long, default_value_t = 5, value_parser = count(2, 1_000))]
    pub(crate) rounds: usize,
    /// Silence after everybody has left, so that the server has forgotten them.
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub(crate) settle: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct ChurnArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    /// Users who come and go, each on one socket at a time.
    #[arg(long, default_value_t = 100, value_parser = count(1, MOST_USERS))]
    pub(crate) users: usize,
    /// Connections made and ended in all.
    #[arg(long, default_value_t = 100_000, value_parser = whole(1, 1_000_000_000))]
    pub(crate) cycles: u64,
    /// Connections a second, over all users; without, as fast as they are let in.
    #[arg(long, value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// MiB the server may grow from the second quarter of the run to the last.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) most_growth: f64,
}

#[derive(Debug, Args)]
pub(crate) struct TypingArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    /// Users who type, all in one room.
    #[arg(long, default_value_t = 200, value_parser = count(1, MOST_USERS))]
    pub(crate) users: usize,
    /// Typing events in all.
    #[arg(long, default_value_t = 1_000_000, value_parser = whole(1, 1_000_000_000))]
    pub(crate) events: u64,
    /// The room.
    #[arg(long, default_value = "public:lobby")]
    pub(crate) room: String,
    /// MiB the server may grow from the second quarter of the run to the last.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) most_growth: f64,
}

#[derive(Debug, Args)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    /// Sockets at the end.
    #[arg(long, default_value_t = 10_000, value_parser = count(2, MOST_USERS))]
    pub(crate) users: usize,
    /// Sockets at the first measurement; the slope between the two counts is the cost of one.
    #[arg(long, default_value_t = 2_000, value_parser = count(1, MOST_USERS))]
    pub(crate) from: usize,
    /// How long to stay idle, for the CPU figure.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub(crate) hold: Duration,
    /// Silence before memory is read, so that what a handshake needed is given back.
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub(crate) settle: Duration,
}

/// What to publish; shared by `fanout` and `compare-fanout`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Traffic {
    /// Sockets in the room; the publishers are among them.
    #[arg(long, default_value_t = 1_000, value_parser = count(1, MOST_USERS))]
    pub(crate) subscribers: usize,
    /// Sockets that publish, in turn (default 100; the platform allows each 50 frames a second).
    #[arg(long, value_parser = count(1, 1_000))]
    pub(crate) publishers: Option<usize>,
    /// Publishes that may be under way: a publish counts as done when everybody has it.
    #[arg(long, default_value_t = 16, value_parser = count(1, 1_000))]
    pub(crate) in_flight: usize,
    /// Bytes of each message's data.
    #[arg(long, default_value_t = 128, value_parser = count(crate::frames::SHORTEST_PAYLOAD as u64, 60_000))]
    pub(crate) payload: usize,
    /// Publishes a second at a fixed rate, whatever is in flight (open loop), instead of as fast as they arrive.
    #[arg(long, value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// How long to measure.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// How long to publish before measuring.
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub(crate) warmup: Duration,
    /// The room; a public one may be entered without signing in.
    #[arg(long, default_value = "public:lobby")]
    pub(crate) room: String,
}

impl Traffic {
    /// How long one run of it takes.
    pub(crate) fn length(&self) -> Duration {
        self.warmup + self.duration
    }
}

#[derive(Debug, Args)]
pub(crate) struct FanoutArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    #[command(flatten)]
    pub(crate) traffic: Traffic,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    #[command(flatten)]
    pub(crate) traffic: Traffic,
    /// How many subscribers, one run each; instead of --subscribers.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000", value_parser = count(1, MOST_USERS))]
    pub(crate) sizes: Vec<usize>,
    /// Most the dearest of them may cost, as a multiple of the cheapest.
    #[arg(long, default_value_t = 1.5)]
    pub(crate) max_ratio: f64,
}

#[derive(Debug, Args)]
pub(crate) struct LatencyArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    #[command(flatten)]
    pub(crate) traffic: Traffic,
    /// At which share of the saturated rate to measure.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) share: f64,
    /// Most the 99th percentile may be.
    #[arg(long, default_value = "5ms", value_parser = duration)]
    pub(crate) max_p99: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    #[command(flatten)]
    pub(crate) traffic: Traffic,
    /// Pairs of runs; the medians are compared.
    #[arg(long, default_value_t = 5, value_parser = count(1, 99))]
    pub(crate) rounds: usize,
    /// Most the gateway may cost, as a share of the baseline's CPU per delivery.
    #[arg(long, default_value_t = 0.2)]
    pub(crate) max_ratio: f64,
}

#[derive(Debug, Args)]
pub(crate) struct MixArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    /// Simulated users; each has a REST connection and a WebSocket.
    #[arg(long, default_value_t = 200, value_parser = count(2, MOST_USERS))]
    pub(crate) users: usize,
    /// How long to measure.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// Reads a second of each user (the platform allows 100 a minute).
    #[arg(long, default_value_t = 1.0, value_parser = rate)]
    pub(crate) reads: f64,
    /// Most the 95th percentile of reads may take.
    #[arg(long, default_value = "50ms", value_parser = duration)]
    pub(crate) max_p95: Duration,
    /// The room to enter and to type in.
    #[arg(long, default_value = "public:lobby")]
    pub(crate) room: String,
}

#[derive(Debug, Args)]
pub(crate) struct StormArgs {
    #[command(flatten)]
    pub(crate) aim: Aim,
    /// Users who come back.
    #[arg(long, default_value_t = 10_000, value_parser = count(1, MOST_USERS))]
    pub(crate) users: usize,
    /// The room everybody is in.
    #[arg(long, default_value = "public:lobby")]
    pub(crate) room: String,
    /// Silence after everybody was cut off, so that the gateways have noticed.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub(crate) settle: Duration,
    /// Most SQL statements for a hundred reconnects.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) max_percent: f64,
}

#[derive(Debug, Args)]
pub(crate) struct ChaosArgs {
    /// What goes wrong.
    #[arg(long, value_enum)]
    pub(crate) fault: Fault,
    /// Gateways.
    #[arg(long, default_value_t = 2, value_parser = count(2, 16))]
    pub(crate) nodes: usize,
    /// Apis.
    #[arg(long, default_value_t = 2, value_parser = count(1, 16))]
    pub(crate) apis: usize,
    /// Users, each with a socket.
    #[arg(long, default_value_t = 500, value_parser = count(100, 10_000))]
    pub(crate) users: usize,
    /// Users in one room.
    #[arg(long, default_value_t = 10, value_parser = count(2, 1_000))]
    pub(crate) room_size: usize,
    /// Durable letters and room events a second, together.
    #[arg(long, default_value_t = 220.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// How long to talk; longer if the fault takes longer.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// How long the fault lasts, if it is one that lasts.
    #[arg(long, value_parser = duration)]
    pub(crate) outage: Option<Duration>,
    /// New connections a second at the start.
    #[arg(long, default_value_t = 200.0, value_parser = rate)]
    pub(crate) ramp: f64,
    /// A setting of the processes, such as `WS_DRAIN_WINDOW=2s`; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BaselineArgs {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Go on when standard input ends (to start it by hand in the background).
    #[arg(long)]
    pub(crate) stay: bool,
}

/// Reads a whole number within bounds.
fn whole(least: u64, most: u64) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| match text.replace('_', "").parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("a whole number from {least} to {most} is wanted")),
    }
}

/// The same, to count things in memory.
fn count(least: u64, most: u64) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync + 'static {
    let whole = whole(least, most);
    move |text| usize::try_from(whole(text)?).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| (0.001..=1e6).contains(rate))
        .ok_or_else(|| "a rate from 0.001 to 1000000 a second is wanted".to_owned())
}

/// Reads `500ms`, `30s`, `5m` or `2h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis))
        .map(Duration::from_millis)
        .filter(|time| (Duration::from_millis(1)..=LONGEST).contains(time))
        .ok_or_else(|| "a time like 500ms, 30s, 5m or 2h is wanted, at most 24h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_their_units_and_bounded() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        for bad in ["", "s", "0s", "25h", "-1s", "1d", "1.5s", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn another_machine_is_refused_before_anything_is_sent() {
        let error = Cli::try_parse_from(["x", "ping", "--url", "http://192.0.2.1:80"]).unwrap_err().to_string();
        assert!(error.contains("refusing to aim"), "{error}");
        for bad in [["--users", "0"], ["--users", "999999999"], ["--rate", "0"], ["--rate", "NaN"], ["--rate", "inf"]] {
            assert!(Cli::try_parse_from(["x", "ping"].into_iter().chain(bad)).is_err(), "{bad:?}");
        }
    }
}
