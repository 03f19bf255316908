//! How many files this process may open. Every socket is one.

/// Files besides the sockets: database connections, listeners, logs, HTTP connections that are no sockets yet.
const OTHERS: u64 = 1_024;

/// Raises the soft limit to the hard one, as nginx, `HAProxy` and Go's runtime do: the usual soft limit of 1 024 is for
/// programs that still use `select`, and a node would stop accepting there. Says so if `sockets` do not fit even then.
pub fn allow(sockets: usize) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Err(problem) => tracing::warn!(%problem, "failed to raise the limit of open files"),
        Ok(limit) if limit < sockets as u64 + OTHERS => {
            tracing::warn!(
                limit,
                sockets,
                "WS_MAX_CONNECTIONS needs more open files than the hard limit (ulimit -Hn) allows"
            );
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use rlimit::Resource;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        super::allow(1);
        let (soft, hard) = Resource::NOFILE.get().unwrap();
        assert_eq!(soft, hard);
    }
}
