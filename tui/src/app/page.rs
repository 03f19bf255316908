//! What is on the screen, and how one looks at it: which list, filtered and sorted how, which row chosen, which marked.

use shared::protocol::admin::{ConnectionRef, Field, Row as _, Sort, View};
use std::collections::BTreeMap;

use crate::model::{NodeRow, PoolRow};

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Screen {
    /// Everything at a glance.
    Overview,
    /// The processes.
    Nodes,
    /// The database pools.
    Pools,
    /// One process with its curves.
    Node,
    /// Everything about one user.
    User,
    /// A list of the server's, or the details of one thing.
    List(View),
}

impl Screen {
    /// The screens with a number of their own, in the order of their tabs.
    pub(crate) const ROOTS: [Self; 10] = [
        Self::Overview,
        Self::Nodes,
        Self::Pools,
        Self::List(View::Connections),
        Self::List(View::Rooms),
        Self::List(View::Queues),
        Self::List(View::Endpoints),
        Self::List(View::Errors),
        Self::List(View::Alerts),
        Self::List(View::Logs),
    ];

    /// Its name on the tab and over its list.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Nodes => "Nodes",
            Self::Pools => "Pools",
            Self::Node => "Node",
            Self::User | Self::List(View::User) => "User",
            Self::List(view) => match view {
                View::Connections => "Connections",
                View::Connection => "Connection",
                View::Closed => "Closed",
                View::Rooms => "Rooms",
                View::Members => "Members",
                View::Users => "Users",
                View::Queues => "Offline",
                View::Endpoints => "Endpoints",
                View::Requests => "Requests",
                View::Errors => "Errors",
                View::Affected => "Affected",
                View::Statements => "Statements",
                View::Alerts => "Alerts",
                View::Logs => "Logs",
                View::Audit => "Audit",
                View::Jobs => "Jobs",
                View::User => "User",
            },
        }
    }

    /// Its name on a narrow tab.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::Overview => "Over",
            Self::List(View::Connections) => "Conns",
            Self::List(View::Queues) => "Offl",
            Self::List(View::Endpoints) => "API",
            Self::List(View::Errors) => "Err",
            Self::List(View::Alerts) => "Alert",
            _ => self.title(),
        }
    }

    /// The fields its list can be filtered and sorted by.
    pub(crate) const fn fields(self) -> &'static [Field] {
        match self {
            Self::Nodes => NodeRow::FIELDS,
            Self::Pools => PoolRow::FIELDS,
            Self::List(view) => view.fields(),
            Self::Overview | Self::Node | Self::User => &[],
        }
    }

    /// The order its rows come in if none was chosen.
    pub(crate) fn default_sort(self) -> Option<Sort> {
        let sort = |by: &str, descending| Some(Sort { by: by.into(), descending });
        match self {
            Self::Nodes => sort("node", false),
            Self::Pools => sort("worst", true),
            Self::List(view) => view.default_sort(),
            Self::Overview | Self::Node | Self::User => None,
        }
    }

    /// The filter that leaves only rows with faults; none if the list has nothing but faults, or none that can be told.
    pub(crate) const fn faults(self) -> Option<&'static str> {
        match self {
            Self::Nodes => Some("state!=running or errors>=0.5% or lag>=20ms"),
            Self::Pools => Some("worst>=1"),
            Self::List(View::Connections | View::Members) => {
                Some("state=slow or stalled>0 or dropped>0 or queue>0 or rtt>500ms")
            }
            Self::List(View::Closed) => Some("code!=1000 and code!=1001"),
            Self::List(View::Users) => Some("reconnects>=10"),
            Self::List(View::Endpoints) => Some("server_errors>0 or limited>0 or p95>1s"),
            Self::List(View::Statements) => Some("errors>0 or p95>1s"),
            Self::List(View::Alerts) => Some("severity>0"),
            Self::List(View::Logs) => Some("level>=4"),
            Self::List(View::Jobs) => Some("state=failed"),
            _ => None,
        }
    }
}

/// One page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// What it is about.
    pub(crate) screen: Screen,
    /// Whose, for the details of one thing.
    pub(crate) of: Option<String>,
    /// On which node, for the details of one socket.
    pub(crate) node: Option<String>,
    /// As it was written.
    pub(crate) filter: String,
    /// The order that was chosen.
    pub(crate) sort: Option<Sort>,
    /// Only rows with faults.
    pub(crate) faults: bool,
    /// Where the cursor was put…
    pub(crate) row: usize,
    /// …and on which row, so that it stays there when the list moves. None while it was never moved: then it stays at
    /// the top, where the worst is.
    pub(crate) key: Option<String>,
    /// Sockets that were marked, by their rows' keys.
    pub(crate) marks: BTreeMap<String, ConnectionRef>,
    /// Most rows asked for.
    pub(crate) limit: usize,
}

/// Rows asked for at first; more when one goes to the end of them.
pub(crate) const FIRST_ROWS: usize = 100;

impl Page {
    /// A page nobody has touched.
    pub(crate) fn new(screen: Screen) -> Self {
        Self {
            screen,
            of: None,
            node: None,
            filter: String::new(),
            sort: None,
            faults: false,
            row: 0,
            key: None,
            marks: BTreeMap::new(),
            limit: FIRST_ROWS,
        }
    }

    /// The same about one thing.
    pub(crate) fn about(screen: Screen, of: impl Into<String>) -> Self {
        Self { of: Some(of.into()), ..Self::new(screen) }
    }

    /// The same, filtered.
    pub(crate) fn filtered(screen: Screen, filter: impl Into<String>) -> Self {
        Self { filter: filter.into(), ..Self::new(screen) }
    }

    /// Its filter and the one for faults, as one.
    pub(crate) fn whole_filter(&self) -> String {
        match (self.faults.then(|| self.screen.faults()).flatten(), self.filter.trim()) {
            (None, filter) => filter.to_owned(),
            (Some(faults), "") => faults.to_owned(),
            (Some(faults), filter) => format!("({filter}) and ({faults})"),
        }
    }

    /// The order of its rows.
    pub(crate) fn order(&self) -> Option<Sort> {
        self.sort.clone().or_else(|| self.screen.default_sort())
    }

    /// Goes back to the top: the list is another now.
    pub(crate) fn rewind(&mut self) {
        (self.row, self.key, self.limit) = (0, None, FIRST_ROWS);
    }
}
