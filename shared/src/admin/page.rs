//! A tick as Prometheus' text: what [`crate::metrics::text`] knows, and around it pools, process and build.
//!
//! Percentiles are gauges: they are those of the process's whole life, which a summary's are not. `.ci/run` holds the
//! page of a running platform against `promtool check metrics`.

use crate::{
    metrics::text::Page,
    model::{PoolStats, StatementStats},
    protocol::admin::{ProcessStats, State, Tick},
};

/// The page at `/metrics`.
pub(super) fn render(tick: &Tick, statements: &[StatementStats], version: &str) -> String {
    let mut page = Page::new();
    page.head("pitchey_build_info", "gauge", "Which release runs under which name; always 1.");
    page.sample("pitchey_build_info", &[("name", &tick.node), ("version", version)], 1.0);
    page.gauge("pitchey_draining", "1 while the process takes no new work.", u64::from(tick.state == State::Draining));
    process(&mut page, &tick.process, tick.uptime_ms);
    pools(&mut page, &tick.pools);
    work(&mut page, statements);
    page.stats(&tick.stats);
    page.gauge("pitchey_admin_consoles", "Consoles that listen to this process.", tick.consoles.into());
    page.finish()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are doubles")]
fn process(page: &mut Page, process: &ProcessStats, uptime_ms: u64) {
    page.head("process_cpu_seconds_total", "counter", "CPU time, user and system.");
    page.sample("process_cpu_seconds_total", &[], process.cpu_ms as f64 / 1e3);
    page.gauge("process_resident_memory_bytes", "Resident memory.", process.rss_bytes);
    page.gauge("process_open_fds", "Open files and sockets.", process.open_fds);
    page.gauge("process_max_fds", "Most files and sockets that may be open.", process.max_fds);
    page.gauge("process_threads", "Threads.", process.threads);
    page.head("pitchey_uptime_seconds", "gauge", "Since the process began.");
    page.sample("pitchey_uptime_seconds", &[], uptime_ms as f64 / 1e3);
    page.gauge("pitchey_runtime_tasks", "Tasks alive in the runtime.", process.tasks);
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are doubles")]
fn pools(page: &mut Page, pools: &[PoolStats]) {
    let rows = |value: fn(&PoolStats) -> u64| -> Vec<(&str, u64)> {
        pools.iter().map(|pool| (pool.name.as_str(), value(pool))).collect()
    };
    let by_state = "pitchey_db_pool_connections";
    page.head(by_state, "gauge", "Open database connections.");
    for pool in pools {
        page.sample(by_state, &[("pool", &pool.name), ("state", "idle")], pool.idle.into());
        page.sample(by_state, &[("pool", &pool.name), ("state", "in_use")], pool.in_use.into());
    }
    let most = rows(|pool| pool.max_size.into());
    page.family("pitchey_db_pool_max_connections", "gauge", "Most connections that may be open.", "pool", &most);
    let waiting = rows(|pool| pool.waiting.into());
    page.family("pitchey_db_pool_waiting", "gauge", "Callers waiting for a connection.", "pool", &waiting);
    page.family("pitchey_db_pool_gets_total", "counter", "Requests for a connection.", "pool", &rows(|pool| pool.gets));
    let timeouts = rows(|pool| pool.timeouts);
    page.family("pitchey_db_pool_timeouts_total", "counter", "Requests given up after the wait.", "pool", &timeouts);
    let created = rows(|pool| pool.created);
    page.family("pitchey_db_pool_created_total", "counter", "Connections opened.", "pool", &created);
    let errors = rows(|pool| pool.errors);
    page.family("pitchey_db_pool_errors_total", "counter", "Failures to open or check a connection.", "pool", &errors);
    let closed = "pitchey_db_pool_closed_total";
    page.head(closed, "counter", "Connections closed, by reason.");
    for pool in pools {
        for (reason, count) in [
            ("broken", pool.closed_broken),
            ("invalid", pool.closed_invalid),
            ("max_lifetime", pool.closed_max_lifetime),
            ("idle", pool.closed_idle),
        ] {
            page.sample(closed, &[("pool", &pool.name), ("reason", reason)], count as f64);
        }
    }
    let wait = "pitchey_db_pool_wait_seconds";
    page.head(wait, "gauge", "How long a connection was waited for, by percentile, since the process began.");
    for pool in pools {
        page.sample(wait, &[("pool", &pool.name), ("percentile", "50")], pool.wait_p50_us as f64 / 1e6);
        page.sample(wait, &[("pool", &pool.name), ("percentile", "95")], pool.wait_p95_us as f64 / 1e6);
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are doubles")]
fn work(page: &mut Page, statements: &[StatementStats]) {
    let rows = |value: fn(&StatementStats) -> u64| -> Vec<(&str, u64)> {
        statements.iter().map(|row| (row.name.as_str(), value(row))).collect()
    };
    let counts = rows(|row| row.count);
    page.family("pitchey_db_work_total", "counter", "Database work done, by kind.", "work", &counts);
    let errors = rows(|row| row.errors);
    page.family("pitchey_db_work_errors_total", "counter", "Database work that failed, by kind.", "work", &errors);
    let duration = "pitchey_db_work_seconds";
    page.head(duration, "gauge", "How long database work takes, by kind and percentile, since the process began.");
    for row in statements {
        page.sample(duration, &[("work", &row.name), ("percentile", "50")], row.p50_us as f64 / 1e6);
        page.sample(duration, &[("work", &row.name), ("percentile", "95")], row.p95_us as f64 / 1e6);
        page.sample(duration, &[("work", &row.name), ("percentile", "100")], row.max_us as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn every_pool_and_kind_of_work_has_its_lines_and_no_name_two_heads() {
        let tick = Tick {
            node: "api".into(),
            seq: 1,
            uptime_ms: 1_500,
            state: State::Draining,
            process: ProcessStats { cpu_ms: 250, ..ProcessStats::default() },
            pools: ["sqlite-read", "sqlite-write"]
                .map(|name| PoolStats { name: name.into(), ..PoolStats::default() })
                .into(),
            stats: Metrics::new().stats(),
            consoles: 2,
            ..Tick::default()
        };
        let work = StatementStats { name: "users.by_email".into(), max_us: 2_000_000, ..StatementStats::default() };
        let page = render(&tick, &[work], "1.0.0");
        for line in [
            "pitchey_build_info{name=\"api\",version=\"1.0.0\"} 1",
            "pitchey_draining 1",
            "process_cpu_seconds_total 0.25",
            "pitchey_uptime_seconds 1.5",
            "pitchey_db_pool_connections{pool=\"sqlite-write\",state=\"in_use\"} 0",
            "pitchey_db_work_seconds{work=\"users.by_email\",percentile=\"100\"} 2",
            "pitchey_admin_consoles 2",
        ] {
            assert!(page.lines().any(|it| it == line), "{line} is missing in:\n{page}");
        }
        let mut heads: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        let all = heads.len();
        heads.sort_unstable();
        heads.dedup();
        assert_eq!(heads.len(), all);
    }
}
