//! Everything known, and how messages change it.

use super::{Event, Freshness, Link, Lists, MOST_NODES, Moment, Node, What};
use shared::{
    clock::Timestamp,
    protocol::admin::{Alert, Hello, Job, Message, Role, View},
};
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

/// Jobs remembered; those that are over go first.
const MOST_JOBS: usize = 64;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    links: Vec<Link>,
    nodes: Vec<Node>,
    /// As each link told them: a cluster's alerts come through every link.
    alerts: BTreeMap<String, Vec<Alert>>,
    jobs: VecDeque<Job>,
    /// What was subscribed to.
    pub(crate) lists: Lists,
    gap: u64,
}

impl Store {
    /// A store that has heard nothing and wants the same lists.
    pub(crate) fn wanting(lists: Lists) -> Self {
        Self { lists, ..Self::default() }
    }

    /// Takes in what a link said.
    pub(crate) fn apply(&mut self, event: Event, now: Moment) {
        let Some(at) = self.link_at(&event.link) else { return };
        match event.what {
            What::Connecting => {}
            What::Acted { outcome, .. } => {
                if let Ok(job) = *outcome {
                    self.job(job);
                }
            }
            What::Down { why, retry_in } => {
                self.links[at].down(why, now + retry_in);
                self.lists.forget(&event.link);
            }
            What::Said(message) => self.heard(at, &event.link, *message, now),
        }
    }

    fn heard(&mut self, at: usize, link: &str, message: Message, now: Moment) {
        match message {
            Message::Hello(hello) => self.greeted(at, hello),
            Message::History(history) => {
                if let Some(node) = self.entry(&history.node) {
                    node.remembers(&history);
                }
            }
            Message::Tick(tick) => {
                self.links[at].heard(now);
                if let Some(node) = self.entry(&tick.node) {
                    node.ticked(tick, now);
                }
            }
            Message::Nodes { nodes } => {
                for status in &nodes {
                    if let Some(node) = self.entry(&status.info.name) {
                        node.stands(status);
                    }
                }
            }
            Message::Alerts { alerts } => {
                self.alerts.insert(link.to_owned(), alerts);
            }
            Message::List(list) => self.lists.answered(link, *list, now),
            Message::Refused { id: Some(id), code, message } => self.lists.refused(link, id, &code, message),
            Message::Job(job) => self.job(*job),
            Message::Lost { count } => self.gap += count,
            Message::Refused { id: None, .. } | Message::Unknown => {}
        }
    }

    fn greeted(&mut self, at: usize, hello: Box<Hello>) {
        for status in &hello.nodes {
            if let Some(node) = self.entry(&status.info.name) {
                node.stands(status);
            }
        }
        if let Some(node) = self.entry(&hello.node.name) {
            node.is(&hello.node);
        }
        self.links[at].greeted(hello);
    }

    fn job(&mut self, job: Job) {
        if let Some(known) = self.jobs.iter_mut().find(|known| known.id == job.id) {
            *known = job;
            return;
        }
        if self.jobs.len() == MOST_JOBS {
            let over = self.jobs.iter().position(|job| job.ended_at.is_some()).unwrap_or(0);
            self.jobs.remove(over);
        }
        self.jobs.push_back(job);
    }

    /// The links, by name.
    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    /// The nodes, by name.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name() == name)
    }

    /// What the first link that said anything is: the cluster's name, who we are.
    pub(crate) fn hello(&self) -> Option<&Hello> {
        self.links.iter().find_map(Link::hello)
    }

    /// What the token allows; of several links the least.
    pub(crate) fn role(&self) -> Role {
        self.links.iter().filter_map(Link::hello).map(|hello| hello.role).min().unwrap_or_default()
    }

    /// Every alert once, the gravest and newest first.
    pub(crate) fn alerts(&self) -> Vec<&Alert> {
        let mut once: BTreeMap<&str, &Alert> = BTreeMap::new();
        for alert in self.alerts.values().flatten() {
            once.entry(&alert.id).or_insert(alert);
        }
        let mut alerts: Vec<_> = once.into_values().collect();
        alerts.sort_by(|a, b| (b.severity, b.since, &a.id).cmp(&(a.severity, a.since, &b.id)));
        alerts
    }

    /// The actions under way and done since the console began, oldest first.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter()
    }

    /// One job.
    pub(crate) fn find_job(&self, id: Uuid) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    /// Whether any process that is heard answers this view; none while no process has said what it answers.
    pub(crate) fn offers(&self, view: View) -> Option<bool> {
        self.hello()?;
        Some(self.links.iter().any(|link| link.offers(view)))
    }

    /// Ticks and lists that were skipped for us.
    pub(crate) fn gap(&self) -> u64 {
        self.gap
    }

    /// How many nodes are heard.
    pub(crate) fn live(&self, now: Moment) -> usize {
        self.nodes.iter().filter(|node| node.freshness(now) == Freshness::Live).count()
    }

    /// How old the picture is: live while any link is, else as old as the newest.
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        self.links.iter().map(|link| link.freshness(now)).fold(Freshness::Waiting, Freshness::best)
    }

    /// The nodes' clock, as far as it can be known.
    pub(crate) fn clock(&self, now: Moment) -> Option<Timestamp> {
        self.nodes.iter().filter_map(|node| node.clock(now)).max()
    }

    fn link_at(&mut self, name: &str) -> Option<usize> {
        match self.links.binary_search_by(|link| link.name().cmp(name)) {
            Ok(at) => Some(at),
            Err(_) if self.links.len() >= MOST_NODES => None,
            Err(at) => {
                self.links.insert(at, Link::new(name));
                Some(at)
            }
        }
    }

    fn entry(&mut self, name: &str) -> Option<&mut Node> {
        match self.nodes.binary_search_by(|node| node.name().cmp(name)) {
            Ok(at) => self.nodes.get_mut(at),
            Err(_) if self.nodes.len() >= MOST_NODES => None,
            Err(at) => {
                self.nodes.insert(at, Node::new(name));
                self.nodes.get_mut(at)
            }
        }
    }
}
