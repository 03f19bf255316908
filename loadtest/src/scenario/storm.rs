//! `storm`: everybody has been here, everybody is cut off, everybody comes back at once. Sessions and memberships are
//! cached, so the database must hardly notice: its statements are counted by the database itself, and what it does anyway
//! (the relay's polls, leases) is measured before and taken off.

use super::{Bench, check_opened, progress};
use crate::{
    cli::StormArgs,
    fleet::Fleet,
    numbers::{float, float_len, rate},
    report::Report,
};
use anyhow::Context as _;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the database is watched while nothing happens.
const CALM: Duration = Duration::from_secs(4);
/// Statements named in the report.
const NAMED: usize = 6;

pub(super) async fn run(args: &StormArgs, bench: &Bench) -> anyhow::Result<Report> {
    bench.crowd.check(args.users)?;
    let fleet = bench.fleet().context("the database is ours to look into: --nodes N")?;
    let mut report = bench.report("storm");
    report.parameter("users", args.users);
    progress(format_args!("{} users connect for the first time", args.users));
    let opened = bench.crowd.open(0..args.users, Some(&args.room)).await;
    check_opened(&mut report, &opened, args.users)?;
    // The sockets are cut, not closed: nobody says goodbye when a balancer dies.
    drop(opened);
    sleep(args.settle).await;
    fleet.sql("select pg_stat_statements_reset() is not null").await?;
    sleep(CALM).await;
    let calm = rate(statements(fleet).await?, CALM);

    progress("the storm");
    fleet.sql("select pg_stat_statements_reset() is not null").await?;
    let started = Instant::now();
    let storm = crate::crowd::Crowd { ramp: 1e6, ..bench.crowd.clone() };
    let back = storm.open(0..args.users, Some(&args.room)).await;
    let took = started.elapsed();
    sleep(Duration::from_secs(1)).await;
    let asked = float(statements(fleet).await?) - calm * started.elapsed().as_secs_f64();
    check_opened(&mut report, &back, args.users)?;

    report.figure("storm_seconds", took.as_secs_f64());
    report.figure("reconnects_per_second", rate(u64::try_from(back.members.len())?, took));
    report.figure("statements_per_second_before", calm);
    report.figure("statements_of_the_storm", asked);
    let percent = 100.0 * asked.max(0.0) / float_len(back.members.len());
    let (wanted, seen) = (format!("at most {} % of reconnects", args.max_percent), format!("{percent:.2} %"));
    report.check("SQL statements", wanted, seen, percent <= args.max_percent);
    report.note(format!("most frequent statements of the storm: {}", frequent(fleet).await?));
    Ok(report)
}

/// Statements since the last reset, without those that only begin and end transactions.
async fn statements(fleet: &Fleet) -> anyhow::Result<u64> {
    let sum = fleet.sql("select coalesce(sum(calls), 0)::bigint from pg_stat_statements").await?;
    sum.parse().context("a count was expected")
}

async fn frequent(fleet: &Fleet) -> anyhow::Result<String> {
    let list = format!(
        "select string_agg(calls || ' × ' || query, '; ') from (select calls, \
         left(regexp_replace(query, '\\s+', ' ', 'g'), 70) as query from pg_stat_statements order by calls desc limit {NAMED}) s"
    );
    fleet.sql(&list).await
}
