//! How many files this process may open. Every socket is one.

/// Files besides the sockets: database connections, listeners, logs, HTTP connections that are no sockets yet.
const OTHERS: u64 = 1_024;

/// What the process may open, raised as far as it may raise it by itself.
#[derive(Debug)]
pub struct Files(std::io::Result<u64>);

impl Files {
    /// Raises the soft limit to the hard one, as nginx and Go's runtime do: the usual soft limit of 1 024 is for programs
    /// that still use `select`, and a node would stop accepting there. Says nothing: a start that fails has its
    /// own one line to say.
    pub fn allow() -> Self {
        Self(rlimit::increase_nofile_limit(u64::MAX))
    }

    /// Tells the log if so many sockets do not fit. For a process that is up.
    pub fn check(self, sockets: usize) {
        match self.0 {
            Err(problem) => tracing::warn!(%problem, "failed to raise the limit of open files"),
            Ok(limit) if limit < sockets as u64 + OTHERS => tracing::warn!(
                limit,
                sockets,
                "WS_MAX_CONNECTIONS needs more open files than the hard limit (ulimit -Hn) allows"
            ),
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlimit::Resource;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let Files(limit) = Files::allow();
        let (soft, hard) = Resource::NOFILE.get().unwrap();
        assert_eq!((limit.unwrap(), soft), (hard, hard));
    }
}
