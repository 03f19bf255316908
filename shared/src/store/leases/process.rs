//! Which process holds a lease, told so exactly that another one on the same machine can see that it is dead.
//!
//! A pid means something only inside its pid namespace (two containers both have a process 1) and until the next
//! boot, and it is given out again. So a process is its boot, its namespace, its pid, and the kernel's time of its
//! start. Where the kernel does not tell (anything but Linux), nobody can be seen to be dead, and leases simply expire.

use std::fs;
use uuid::Uuid;

/// A process, for as long as it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Made anew at every start.
    pub id: Uuid,
    /// What operators call it: `api`, `gateway`, or the node's name; at most 64 characters.
    pub name: String,
    /// Boot and pid namespace.
    pub(super) machine: String,
    /// The process, in that namespace.
    pub(super) pid: i64,
    /// The kernel's time of its start, in ticks since boot; 0 if unknown.
    pub(super) started: i64,
}

impl Process {
    /// The process that asks.
    pub fn this(name: &str) -> Self {
        let pid = i64::from(std::process::id());
        let id = Uuid::now_v7();
        Self {
            id,
            name: name.chars().take(64).collect(),
            // Nobody else has this id, so on an unknown machine nobody is taken for dead.
            machine: machine().unwrap_or_else(|| id.to_string()),
            pid,
            started: start_time(pid).unwrap_or(0),
        }
    }

    /// Whether `other` runs, if that can be seen from here: on this machine, and nowhere else.
    pub(super) fn sees(&self, other: &Self) -> Option<bool> {
        let can_see = self.started != 0 && self.machine == other.machine;
        can_see.then(|| start_time(other.pid) == Some(other.started))
    }
}

fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// Field 22 of `/proc/<pid>/stat`. The second field is the program's name in parentheses, and may contain any.
fn start_time(pid: i64) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    // A zombie holds nothing any more, though its parent has not yet looked.
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_running_process_is_alive_and_an_ended_one_is_dead() {
        let this = Process::this("test");
        assert_ne!(this.sees(&this), Some(false));
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let pid = i64::from(child.id());
        let other = Process { pid, started: start_time(pid).unwrap_or(0), ..this.clone() };
        assert_ne!(this.sees(&other), Some(false));
        child.kill().expect("it can be killed");
        child.wait().expect("it ended");
        assert!(this.started == 0 || this.sees(&other) == Some(false));
    }

    #[test]
    fn a_pid_that_was_given_out_again_is_another_process() {
        let this = Process::this("test");
        let before = Process { started: this.started - 1, ..this.clone() };
        assert!(this.started == 0 || this.sees(&before) == Some(false));
    }

    #[test]
    fn nobody_is_seen_from_another_machine_or_container() {
        let this = Process::this("test");
        let far = Process { machine: "another boot".into(), pid: i64::from(i32::MAX), ..this.clone() };
        assert_eq!(this.sees(&far), None);
    }
}
