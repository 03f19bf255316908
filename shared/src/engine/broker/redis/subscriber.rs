//! The connection that hears: subscribes to what the registry wants, hands over what arrives, and notices when it no
//! longer does.
//!
//! # Why a node misses nothing without hearing of it
//!
//! * A subscription counts as confirmed when Redis has carried it out, not when it was sent. fred answers `SUBSCRIBE`
//!   as soon as it is written, so a ping follows on the same connection: Redis answers in order, and if it refused the
//!   subscription, the ping gets to hear that. Sharded subscriptions are answered by themselves, if they are sent one
//!   channel at a time.
//! * A connection that ends takes its subscriptions with it. The next one subscribes to everything first, and only then
//!   announces the loss, so that what is published after the filling is heard.
//! * fred drops messages when the dispatcher is too slow, and says so: that is a loss like any other.
//! * A subscription that has silently gone (a slot that moved to another node, a proxy in between) is found by the
//!   canary: this process publishes to channels of its own, one under every hash tag, and must hear itself.

use super::{
    Shared,
    registry::{Batch, Channel},
    wire,
};
use crate::engine::{
    Topic,
    redis::{Life, Pauses, Route, Script, Task, partition},
};
use fred::{
    clients::Client,
    error::{Error, ErrorKind},
    interfaces::{EventInterface, PubsubInterface},
    types::Message,
};
use futures_util::future::try_join_all;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, atomic::Ordering},
    time::Duration,
};
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};

/// Channels in one command: enough to subscribe to 10 000 in twenty round trips, few enough not to hold Redis up.
const BATCH: usize = 512;
/// Messages that are handed over under one lock.
const MESSAGES: usize = 256;
/// How often the connection is asked whether it is there.
const PROBE: Duration = Duration::from_secs(1);
/// How often the process publishes to itself. A slot that moved takes its subscriptions with it without a word: until this
/// finds out, what is published there is not heard.
const CANARY: Duration = Duration::from_secs(1);
/// How long it may take to hear itself; a connection that is this late serves nobody. Together with the pause above it is
/// well within the five seconds that users may have to wait for what was missed.
const CANARY_PATIENCE: Duration = Duration::from_secs(3);
/// How often to look whether it has.
const CANARY_LOOK: Duration = Duration::from_millis(50);
/// How often the rooms that are subscribed to are kept from being forgotten; well within the ten minutes they have.
const TOUCH: Duration = Duration::from_mins(2);
/// Rooms in one command.
const TOUCHED: usize = 256;

static TOUCH_ROOMS: Script =
    Script::new(concat!(include_str!("../../scripts/prelude.lua"), include_str!("../../scripts/touch.lua")));

/// Connects, again and again.
pub(super) async fn run(shared: &Shared) {
    let mut pauses = Pauses::new();
    loop {
        let problem = match Life::begin(shared.route.address(), shared.route.timeout()).await {
            Err(problem) => problem,
            Ok((life, task)) => {
                pauses.reset();
                Box::pin(listen(shared, life, task)).await
            }
        };
        shared.lives.down(&problem);
        pauses.pause().await;
    }
}

/// One life of the connection, to its end; says why it came.
async fn listen(shared: &Shared, life: Life, mut task: Task) -> Error {
    // Before the first subscription: nothing that arrives is missed.
    let messages = life.client.message_rx();
    let heard = Mutex::new(HashSet::new());
    tokio::select! {
        problem = task.ended() => problem,
        problem = dispatch(shared, messages, &heard) => problem,
        Err(problem) = settle(shared, &life) => problem,
        Err(problem) = probe(&life) => problem,
        problem = canary(shared, &heard) => problem,
        never = touch(shared) => never,
    }
}

/// Hands over what arrives.
async fn dispatch(shared: &Shared, mut messages: Receiver<Message>, heard: &Mutex<HashSet<String>>) -> Error {
    let mut batch = Vec::with_capacity(MESSAGES);
    loop {
        let mut missed = match messages.recv().await {
            Ok(message) => {
                batch.push(message);
                0
            }
            Err(RecvError::Lagged(missed)) => missed,
            Err(RecvError::Closed) => return Error::new(ErrorKind::Canceled, "fred ended the stream of messages"),
        };
        while missed == 0 && batch.len() < MESSAGES {
            match messages.try_recv() {
                Ok(message) => batch.push(message),
                Err(TryRecvError::Lagged(count)) => missed = count,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        hand_over(shared, &batch, heard);
        batch.clear();
        if missed > 0 {
            shared.missed.fetch_add(missed, Ordering::Relaxed);
            tracing::warn!(missed, "messages came faster than they were handed over: every topic is filled");
            shared.registry.announce_loss();
        }
    }
}

/// Runs of messages for topics go to the registry at once; those for the process itself are dealt with in their place,
/// so that a control message does not overtake what was published before it.
fn hand_over(shared: &Shared, batch: &[Message], heard: &Mutex<HashSet<String>>) {
    for run in batch.chunk_by(|a, b| !shared.is_own(&a.channel) && !shared.is_own(&b.channel)) {
        match run {
            [message] if *message.channel == *shared.control => {
                if let Some(control) = wire::read_control(bytes(message)) {
                    shared.registry.control(&control);
                } else {
                    tracing::debug!("a control message of another version was left out");
                }
            }
            [message] if *message.channel == *shared.bell => shared.rung(bytes(message)),
            [message] if shared.canaries.contains(&*message.channel) => {
                crate::engine::shards::lock(heard).insert(message.channel.to_string());
            }
            run => shared.registry.deliver(run.iter().map(|message| (&*message.channel, bytes(message)))),
        }
    }
}

fn bytes(message: &Message) -> &[u8] {
    message.value.as_bytes().unwrap_or_default()
}

/// Brings Redis in line with the registry; first everything, then every difference.
async fn settle(shared: &Shared, life: &Life) -> Result<std::convert::Infallible, Error> {
    let own: Vec<Channel> = shared.own_channels().map(Channel::from).collect();
    for channels in own.chunks(BATCH) {
        subscribe(life, shared.route.is_cluster(), channels).await?;
    }
    let mut missing = shared.registry.start_over();
    while missing > 0 {
        let batch = shared.registry.batch(BATCH);
        missing = missing.saturating_sub(batch.subscribe.len() + batch.unsubscribe.len()).min(missing - 1);
        carry_out(shared, life, batch).await?;
    }
    if shared.lives.connects() > 0 {
        shared.registry.announce_loss();
    }
    shared.lives.up(());
    loop {
        let batch = shared.registry.batch(BATCH);
        if batch.subscribe.is_empty() && batch.unsubscribe.is_empty() {
            shared.registry.changed.notified().await;
        } else {
            carry_out(shared, life, batch).await?;
        }
    }
}

async fn carry_out(shared: &Shared, life: &Life, batch: Batch) -> Result<(), Error> {
    let cluster = shared.route.is_cluster();
    subscribe(life, cluster, &batch.subscribe).await?;
    shared.registry.confirm(&batch.subscribe);
    let (gone, topics): (Vec<_>, Vec<_>) = batch.unsubscribe.into_iter().unzip();
    // Whoever reloads a page leaves and comes back: the position must survive that. A room is kept by its subscribers,
    // so it is touched while this is still one.
    keep_rooms(&shared.route, topics).await;
    unsubscribe(&life.client, cluster, &gone).await
}

/// Returns when Redis has carried it out.
async fn subscribe(life: &Life, cluster: bool, channels: &[Channel]) -> Result<(), Error> {
    if channels.is_empty() {
        return Ok(()); // an empty SUBSCRIBE is an error
    }
    if cluster {
        let one = |channel: &Channel| life.answer(life.client.ssubscribe(channel.to_string()));
        return try_join_all(channels.iter().map(one)).await.map(drop);
    }
    life.answer(life.client.subscribe(names(channels))).await?;
    life.ping().await
}

/// Returns when it is written: what still arrives finds no listener.
async fn unsubscribe(client: &Client, cluster: bool, channels: &[Channel]) -> Result<(), Error> {
    if channels.is_empty() {
        return Ok(()); // an empty UNSUBSCRIBE means "from everything"
    }
    if cluster {
        let one = |channel: &Channel| client.sunsubscribe(channel.to_string());
        return try_join_all(channels.iter().map(one)).await.map(drop);
    }
    client.unsubscribe(names(channels)).await
}

fn names(channels: &[Channel]) -> Vec<String> {
    channels.iter().map(ToString::to_string).collect()
}

/// Asks whether the connection is there, until it is not.
async fn probe(life: &Life) -> Result<std::convert::Infallible, Error> {
    loop {
        tokio::time::sleep(PROBE).await;
        life.ping().await?;
    }
}

/// Publishes to itself, until it does not hear itself.
async fn canary(shared: &Shared, heard: &Mutex<HashSet<String>>) -> Error {
    let mut patience = Patience::default();
    loop {
        tokio::time::sleep(CANARY).await;
        if shared.lives.now().is_none() {
            continue; // the subscriptions are not confirmed yet
        }
        crate::engine::shards::lock(heard).clear();
        let missed = shared.missed.load(Ordering::Relaxed);
        let mut sent = Vec::new();
        for channel in &shared.canaries {
            // Without a way to publish there is nothing to hear, and the probe still watches the connection.
            if shared.route.publish("prove the subscription", channel.clone(), String::new()).await.is_ok() {
                sent.push(channel);
            }
        }
        let silent = unheard(heard, &sent).await;
        let overrun = shared.missed.load(Ordering::Relaxed) != missed;
        if let Some(silent) = patience.judge(silent, overrun) {
            return Error::new(ErrorKind::Routing, format!("nothing is heard any more on {silent}"));
        }
    }
}

/// Waits until all of them have been heard; else one that was not, in the time they have.
async fn unheard<'a>(heard: &Mutex<HashSet<String>>, sent: &[&'a String]) -> Option<&'a String> {
    let deadline = tokio::time::Instant::now() + CANARY_PATIENCE;
    loop {
        let silent = {
            let heard = crate::engine::shards::lock(heard);
            sent.iter().find(|channel| !heard.contains(**channel)).copied()
        };
        if silent.is_none() || tokio::time::Instant::now() >= deadline {
            return silent;
        }
        tokio::time::sleep(CANARY_LOOK).await;
    }
}

/// What a canary's silence means. Among the messages that fred drops in an overload may be the canaries themselves, and
/// to begin anew would make the overload worse: so that excuses a silence, but not two in a row.
#[derive(Debug, Default)]
struct Patience {
    spent: bool,
}

impl Patience {
    /// The channel to give the connection up for, if it is to be given up.
    fn judge<'a>(&mut self, silent: Option<&'a String>, overrun: bool) -> Option<&'a String> {
        let excused = overrun && !self.spent;
        self.spent = silent.is_some() && excused;
        silent.filter(|_| !excused)
    }
}

/// Keeps the rooms that are subscribed to from being forgotten.
async fn touch(shared: &Shared) -> Error {
    loop {
        tokio::time::sleep(TOUCH).await;
        keep_rooms(&shared.route, shared.registry.topics()).await;
    }
}

/// Rooms among these topics count as used now. If that fails they are forgotten a little early, or touched next time.
async fn keep_rooms(route: &Route, topics: Vec<Topic>) {
    let mut partitions: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for topic in topics {
        if let Topic::Room(room) = topic {
            let [key, ..] = route.keys().room(&room);
            partitions.entry(partition(room.as_str())).or_default().push(key);
        }
    }
    for keys in partitions.into_values() {
        for keys in keys.chunks(TOUCHED) {
            let touched = route.run("keep rooms", &TOUCH_ROOMS, keys.to_vec(), vec![route.now()]).await;
            if let Err(problem) = touched {
                tracing::debug!(%problem, "rooms were not touched");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overload_excuses_one_silence_and_not_the_next() {
        let channel = "canary".to_owned();
        let (silent, mut patience) = (Some(&channel), Patience::default());
        assert_eq!(patience.judge(silent, true), None);
        assert_eq!(patience.judge(silent, true), silent);
        let mut patience = Patience::default();
        for _ in 0..3 {
            assert_eq!(patience.judge(silent, true), None);
            assert_eq!(patience.judge(None, true), None, "heard again");
        }
        assert_eq!(patience.judge(silent, false), silent, "nothing was dropped: it is gone");
    }
}
