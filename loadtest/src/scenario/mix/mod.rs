//! `mix`: users who browse over REST and talk over WebSocket at the same time, as real ones do. The promise it
//! checks: no 5xx, 95 % of reads within 50 ms, every message to its inbox once and in order.

mod rest;
mod talk;

use super::{Bench, check_opened, progress};
use crate::{
    cli::MixArgs,
    crowd::Member,
    fleet::Fleet,
    http::Line,
    numbers::{float_len, rate},
    pacer::Pacer,
    report::Report,
};
use anyhow::ensure;
use std::sync::Arc;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Seconds between two things a user does on the WebSocket.
const TALK_EVERY: f64 = 2.0;

pub(super) async fn run(args: &MixArgs, bench: &Bench) -> anyhow::Result<Report> {
    bench.crowd.check(args.users * 2)?;
    ensure!(
        bench.crowd.tokens.len() >= args.users,
        "--tokens with at least {} tokens is needed: every user is somebody (pitchey-api seed --users N --tokens FILE)",
        args.users
    );
    let mut report = bench.report("mix");
    report.parameter("users", args.users);
    report.parameter("reads_per_second_per_user", args.reads);
    progress(format_args!("opening {} sockets", args.users));
    let opened = bench.crowd.open(0..args.users, Some(&args.room)).await;
    check_opened(&mut report, &opened, args.users)?;

    let browsing = Arc::new(rest::Browsing::new());
    let talking = Arc::new(talk::Talking::new(&opened.members, &args.room));
    let (start, users) = (Instant::now(), opened.members.len());
    let (tracker, enough) = (TaskTracker::new(), CancellationToken::new());
    let _enough = enough.clone().drop_guard();
    progress(format_args!("{users} users for {:?}", args.duration));
    let before = bench.measure()?;
    for (part, member) in opened.members.into_iter().enumerate() {
        let reads = Pacer::share(start, args.reads * float_len(users), part, users);
        let words = Pacer::share(start, float_len(users) / TALK_EVERY, part, users);
        spawn_user(bench, &tracker, (part, member), (reads, words), (&browsing, &talking), &enough);
    }
    tracker.close();
    sleep(args.duration).await;
    let (server, harness) = bench.measure()?.since(&before);
    enough.cancel();
    talking.last_letters().await;
    talking.over.cancel();
    tracker.wait().await;

    report.figure("reads_per_second", rate(browsing.all().summary().map_or(0, |all| all.count), args.duration));
    browsing.conclude(&mut report, args.max_p95);
    talking.conclude(&mut report, args.duration);
    if let Some(fleet) = bench.fleet() {
        pools(fleet, &mut report).await;
    }
    report.usage(server, harness, bench.threads);
    Ok(report)
}

/// What the apis say of their connection pools: waits and refusals can be seen.
async fn pools(fleet: &Fleet, report: &mut Report) {
    for (number, api) in fleet.apis().into_iter().enumerate() {
        let answer = Line::new(api, None, TaskTracker::new()).get("/api/health/db", None).await;
        let body = answer.map_or_else(|error| error.to_string(), |answer| String::from_utf8_lossy(&answer.body).into());
        report.note(format!("api-{}: {body}", number + 1));
    }
}

fn spawn_user(
    bench: &Bench,
    tracker: &TaskTracker,
    (place, member): (usize, Member),
    (reads, words): (Pacer, Pacer),
    (browsing, talking): (&Arc<rest::Browsing>, &Arc<talk::Talking>),
    enough: &CancellationToken,
) {
    let reader = rest::Reader {
        line: Line::new(bench.rest_target(member.index), bench.crowd.sources.of(member.index), tracker.clone()),
        token: bench.crowd.token(member.index).unwrap_or_default().to_owned(),
        start: member.index,
    };
    tracker.spawn(Box::pin(reader.run(reads, Arc::clone(browsing), enough.clone())));
    tracker.spawn(Box::pin(talk::user(member, place, words, Arc::clone(talking), enough.clone())));
}
