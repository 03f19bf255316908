//! Opens many sockets at a steady pace, and says honestly how many it got.
//!
//! A server that sheds load answers 503 with `Retry-After`; that is obeyed a few times before it counts as a
//! failure. Who fails is counted by kind: "achieved" is reported, never "configured".

use crate::{
    client::{ClientError, Dialect, Socket},
    numbers::float_len,
    target::{Sources, Target},
};
use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, stream};
use shared::id::UserId;
use std::{collections::BTreeMap, ops::Range, path::Path, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// Handshakes under way at once. More would only queue in the server's accept backlog.
const AT_ONCE: usize = 128;
/// How often a refusal that asks us to come back is obeyed.
const RETRIES: u32 = 3;
/// Sockets of one user that the platform allows by default; one more closes the oldest.
const PER_USER: usize = 10;
/// Descriptors the harness needs beside its sockets.
const SPARE_DESCRIPTORS: usize = 64;

/// How to open sockets.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    /// Gateways, used in turn; at least one.
    pub(crate) targets: Vec<Target>,
    pub(crate) sources: Sources,
    pub(crate) dialect: Dialect,
    /// Session tokens, used in turn; empty means anonymous.
    pub(crate) tokens: Vec<String>,
    /// New connections a second.
    pub(crate) ramp: f64,
}

/// One member.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its number in the crowd, which decides its token and its address.
    pub(crate) index: usize,
    pub(crate) socket: Socket,
    /// Who it is signed in as.
    pub(crate) user: Option<UserId>,
    /// How long it took from the first SYN to the last answer.
    pub(crate) took: Duration,
}

/// Who got in, and why others did not.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) members: Vec<Member>,
    pub(crate) failures: BTreeMap<String, u64>,
}

impl Crowd {
    /// Opens members `range`, in `room` if one is given.
    pub(crate) async fn open(&self, range: Range<usize>, room: Option<&str>) -> Opened {
        let (start, first) = (Instant::now(), range.start);
        let mut arrivals = stream::iter(range)
            .map(|index| async move {
                sleep_until(start + Duration::from_secs_f64(float_len(index - first) / self.ramp)).await;
                self.one(index, room).await
            })
            .buffer_unordered(AT_ONCE);
        let mut opened = Opened::default();
        while let Some(arrival) = arrivals.next().await {
            match arrival {
                Ok(member) => opened.members.push(member),
                Err(error) => *opened.failures.entry(error.kind()).or_default() += 1,
            }
        }
        opened.members.sort_by_key(|member| member.index);
        opened
    }

    /// Opens member `index`.
    pub(crate) async fn one(&self, index: usize, room: Option<&str>) -> Result<Member, ClientError> {
        let mut attempt = 0;
        loop {
            match self.attempt(index, room).await {
                Err(ClientError::Refused { status: 429 | 503, retry_after }) if attempt < RETRIES => {
                    attempt += 1;
                    sleep(Duration::from_secs(retry_after.unwrap_or(1).clamp(1, 10))).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt(&self, index: usize, room: Option<&str>) -> Result<Member, ClientError> {
        let started = Instant::now();
        let mut socket = Socket::open(self.target(index), self.sources.of(index), self.dialect).await?;
        let user = match self.token(index) {
            Some(token) => Some(socket.auth(token).await?),
            None => None,
        };
        if let Some(room) = room {
            socket.join(room).await?;
        }
        Ok(Member { index, socket, user, took: started.elapsed() })
    }

    /// Where member `index` connects to.
    pub(crate) fn target(&self, index: usize) -> &Target {
        &self.targets[index % self.targets.len()]
    }

    /// The token of member `index`.
    pub(crate) fn token(&self, index: usize) -> Option<&str> {
        (!self.tokens.is_empty()).then(|| self.tokens[index % self.tokens.len()].as_str())
    }

    /// Refuses, before anything is opened, a crowd that cannot be: too few descriptors, or so few tokens that
    /// members of one user would push each other out.
    pub(crate) fn check(&self, users: usize) -> anyhow::Result<()> {
        if let Some(limit) = crate::process::descriptor_limit()
            && users + SPARE_DESCRIPTORS > limit
        {
            bail!("{users} sockets need more than the {limit} descriptors this process may open (ulimit -n)");
        }
        if !self.tokens.is_empty() && users > PER_USER * self.tokens.len() {
            bail!(
                "{users} sockets with {} tokens: the platform allows {PER_USER} a user; seed more users",
                self.tokens.len()
            );
        }
        Ok(())
    }
}

impl Opened {
    /// How many were refused or failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The failures in one line.
    pub(crate) fn reasons(&self) -> String {
        self.failures.iter().map(|(kind, count)| format!("{count} × {kind}")).collect::<Vec<_>>().join(", ")
    }
}

/// Reads a tokens file as `pitchey-api seed --tokens` writes it: one a line; empty lines are passed over.
pub(crate) fn read_tokens(path: &Path) -> anyhow::Result<Vec<String>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("failed to read tokens from {}", path.display()))?;
    let tokens: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if tokens.is_empty() {
        bail!("{} holds no tokens", path.display());
    }
    Ok(tokens)
}
