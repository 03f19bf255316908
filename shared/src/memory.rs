//! How much memory this process holds, and how much it may. Linux only; elsewhere both are unknown.

use std::fs;

/// Resident memory of this process, in bytes; `None` where it cannot be read. One small file: tens of microseconds.
pub fn resident() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// What this process may use, in bytes: the machine's memory or, where it is smaller, the limit of its cgroup
/// (a container's, a systemd unit's).
pub fn available() -> Option<u64> {
    let machine = kibibytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal:");
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|file| limit(&fs::read_to_string(file).ok()?));
    machine.into_iter().chain(limits).min()
}

/// Where the limits are written that hold for a process in these cgroups: of its own group and of those around it. In a
/// container the own path may not be visible; the root then is the container's.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = vec![
        "/sys/fs/cgroup/memory.max".to_owned(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(), // version 1
    ];
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let mut path = unified.unwrap_or_default().trim_end_matches('/');
    while !path.is_empty() {
        files.push(format!("/sys/fs/cgroup{path}/memory.max"));
        path = path.rsplit_once('/').map_or("", |(around, _)| around);
    }
    files
}

/// `max` is no number, and version 1 writes "unlimited" as something near 2⁶³.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < 1 << 60)
}

/// The number of kB on the line that begins with `name`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_holds_some_memory_and_less_than_it_may() {
        if cfg!(target_os = "linux") {
            let (held, may) = (resident().unwrap(), available().unwrap());
            assert!(held > 1 << 20 && held < may, "{held} of {may}");
        }
    }

    #[test]
    fn the_limits_of_every_group_around_the_process_count() {
        let files = limit_files("12:cpu:/x\n0::/system.slice/pitchey.service\n");
        assert!(files.contains(&"/sys/fs/cgroup/system.slice/pitchey.service/memory.max".into()));
        assert!(files.contains(&"/sys/fs/cgroup/system.slice/memory.max".into()));
        assert_eq!(limit_files("0::/\n"), limit_files(""));
    }

    #[test]
    fn no_limit_is_no_number() {
        assert_eq!(limit("536870912\n"), Some(512 << 20));
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("9223372036854771712\n"), None);
    }
}
