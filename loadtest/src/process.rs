//! The server process seen from outside: CPU and memory from `/proc/<pid>`, so that nothing the server says about
//! itself is taken on trust. Linux only; elsewhere every figure is absent.
//!
//! CPU has two sources. `stat` counts user and system time of the whole process, dead threads included, in ticks
//! of 10 ms. `task/*/schedstat` counts nanoseconds on a CPU for each living thread. The finer one is used as long
//! as no thread ended in between; the report says which.

use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// One tick of `/proc/<pid>/stat`: `USER_HZ` is 100 on every architecture Linux runs on here.
const TICK: Duration = Duration::from_millis(10);

/// A process to look at.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    root: PathBuf,
    pid: u32,
}

/// What a process had used at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    at: Instant,
    ticks: u64,
    /// Nanoseconds on a CPU by thread.
    threads: BTreeMap<u32, u64>,
    /// Resident memory in bytes.
    pub(crate) rss_bytes: u64,
}

/// What a process used between two moments.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Usage {
    #[serde(rename = "cpu_seconds", serialize_with = "seconds")]
    pub(crate) cpu: Duration,
    #[serde(rename = "wall_seconds", serialize_with = "seconds")]
    pub(crate) wall: Duration,
    /// Where the CPU time is from, and so how fine it is.
    pub(crate) cpu_source: &'static str,
    /// Resident memory at the end.
    pub(crate) rss_bytes: u64,
}

impl Process {
    /// The process with this id.
    pub(crate) fn new(pid: u32) -> Self {
        Self { root: PathBuf::from(format!("/proc/{pid}")), pid }
    }

    /// The harness itself.
    pub(crate) fn own() -> Self {
        Self::new(std::process::id())
    }

    /// Its id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has used so far.
    pub(crate) fn snapshot(&self) -> std::io::Result<Snapshot> {
        let bad = || std::io::Error::other(format!("{} is not understood", self.root.display()));
        let stat = std::fs::read_to_string(self.root.join("stat"))?;
        Ok(Snapshot {
            at: Instant::now(),
            ticks: cpu_ticks(&stat).ok_or_else(bad)?,
            threads: self.threads(),
            rss_bytes: self.rss_bytes().ok_or_else(bad)?,
        })
    }

    fn threads(&self) -> BTreeMap<u32, u64> {
        let Ok(tasks) = std::fs::read_dir(self.root.join("task")) else { return BTreeMap::new() };
        tasks
            .filter_map(|task| {
                let task = task.ok()?;
                let id = task.file_name().to_str()?.parse().ok()?;
                let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
                Some((id, text.split(' ').next()?.parse().ok()?))
            })
            .collect()
    }

    /// `smaps_rollup` is exact; `status` lags by what each CPU has not added yet, but may be read by anybody.
    fn rss_bytes(&self) -> Option<u64> {
        let read = |file| std::fs::read_to_string(self.root.join(file)).ok();
        read("smaps_rollup")
            .and_then(|text| kib_field(&text, "Rss:"))
            .or_else(|| read("status").and_then(|text| kib_field(&text, "VmRSS:")))
            .map(|kib| kib * 1_024)
    }
}

impl Snapshot {
    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Usage {
        let fine = earlier.threads.keys().all(|id| self.threads.contains_key(id)) && !self.threads.is_empty();
        let (cpu, cpu_source) = if fine {
            let used = |(id, now): (&u32, &u64)| now.saturating_sub(earlier.threads.get(id).copied().unwrap_or(0));
            (Duration::from_nanos(self.threads.iter().map(used).sum()), "schedstat, 1 ns")
        } else {
            let ticks = u32::try_from(self.ticks.saturating_sub(earlier.ticks)).unwrap_or(u32::MAX);
            (TICK.saturating_mul(ticks), "stat, 10 ms")
        };
        Usage { cpu, wall: self.at - earlier.at, cpu_source, rss_bytes: self.rss_bytes }
    }
}

impl Usage {
    /// Both together, over the same time.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            wall: self.wall.max(other.wall),
            cpu_source: if self.cpu_source == other.cpu_source { self.cpu_source } else { "stat, 10 ms" },
            rss_bytes: self.rss_bytes + other.rss_bytes,
        }
    }

    /// CPU used, as a share of one core.
    pub(crate) fn cores(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// utime + stime of a `stat` line. The command's name may hold spaces and parentheses, so counting starts behind
/// the last one.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// How many descriptors this process may open.
pub(crate) fn descriptor_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// A server the harness started. It ends with this value, and, because it watches its standard input, also when the
/// harness is killed without a chance to end it.
#[derive(Debug)]
pub(crate) struct ChildServer {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl ChildServer {
    /// Starts this same program with other arguments.
    pub(crate) fn own(arguments: &[&str]) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
        Ok(Self { child, stdout: BufReader::new(stdout) })
    }

    /// The next line it prints. Blocks: the caller knows that one is coming.
    pub(crate) fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// The process behind it.
    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.id())
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_named_like_a_stat_line_does_not_shift_the_fields() {
        let stat = "7 (a) R (b) 1) S 1 7 7 0 -1 4194304 100 0 0 0 31 11 0 0 20 0 4 0 318838 3133440 380";
        assert_eq!(cpu_ticks(stat), Some(42));
        for bad in ["", "7 (x", "7 (x) S 1 2", "7 (x) S 1 7 7 0 -1 4194304 100 0 0 0 x 1"] {
            assert_eq!(cpu_ticks(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn memory_is_read_in_kib() {
        let text = "55a3-7fff ---p 00000000 00:00 0 [rollup]\nRss:                1720 kB\nPss:  238 kB\n";
        assert_eq!(kib_field(text, "Rss:"), Some(1_720));
        assert_eq!(kib_field("Rss: many kB", "Rss:"), None);
    }

    #[test]
    fn this_process_is_seen_working() {
        let own = Process::own();
        let before = own.snapshot().unwrap();
        let mut work = 0_u64;
        let until = std::time::Instant::now() + Duration::from_millis(50);
        while std::time::Instant::now() < until {
            work = std::hint::black_box(work.wrapping_add(1));
        }
        let usage = own.snapshot().unwrap().since(&before);
        assert!(usage.rss_bytes > 1 << 20, "{usage:?}");
        assert!(usage.cpu > Duration::ZERO && usage.wall >= Duration::from_millis(50), "{usage:?}");
    }

    #[test]
    fn a_thread_that_ended_makes_the_coarse_clock_count() {
        let at = |ticks, threads: &[(u32, u64)]| Snapshot {
            at: Instant::now(),
            ticks,
            threads: threads.iter().copied().collect(),
            rss_bytes: 0,
        };
        let start = at(100, &[(1, 5_000), (2, 7_000)]);
        let fine = at(101, &[(1, 6_000), (2, 9_000), (3, 500)]).since(&start);
        assert_eq!((fine.cpu, fine.cpu_source), (Duration::from_nanos(3_500), "schedstat, 1 ns"));
        let coarse = at(103, &[(1, 6_000)]).since(&start);
        assert_eq!((coarse.cpu, coarse.cpu_source), (Duration::from_millis(30), "stat, 10 ms"));
    }
}
