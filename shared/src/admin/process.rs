//! What Linux and the runtime say about this process. Elsewhere, and for what cannot be read, zero.

use crate::protocol::admin::ProcessStats;
use std::{fs, time::Duration};

/// Reads `/proc/self`: five small files, tens of microseconds.
pub(super) fn read(loop_lag: Duration) -> ProcessStats {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    ProcessStats {
        rss_bytes: field(&status, "VmRSS:") * 1_024,
        cpu_ms: cpu_ms(&stat),
        threads: field(&status, "Threads:"),
        open_fds: open_fds(),
        max_fds: field(&limits, "Max open files"),
        tasks: tokio::runtime::Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks() as u64),
        loop_lag_us: u64::try_from(loop_lag.as_micros()).unwrap_or(u64::MAX),
    }
}

/// The first number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    rest.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// User and system time. Linux counts in hundredths of a second towards programs, whatever the kernel's own tick.
fn cpu_ms(stat: &str) -> u64 {
    // The second field is the program's name in parentheses and may hold anything; count from behind it.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum();
    ticks * 10
}

/// Since Linux 6.2 the folder's size is the count; before, the entries have to be counted.
fn open_fds() -> u64 {
    let size = fs::metadata("/proc/self/fd").map_or(0, |folder| folder.len());
    if size > 0 { size } else { fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_has_memory_threads_and_files() {
        let stats = read(Duration::from_micros(7));
        assert!(
            stats.rss_bytes > 1 << 20 && stats.threads >= 1 && stats.open_fds >= 3 && stats.max_fds > stats.open_fds
        );
        assert_eq!(stats.loop_lag_us, 7);
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_numbers() {
        assert_eq!(cpu_ms("1 (a) b (c)) S 2 3 4 5 6 7 8 9 10 11 12 34 0 0"), 460);
        assert_eq!(cpu_ms(""), 0);
    }
}
