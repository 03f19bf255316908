//! The row under the cursor, whatever kind it is of, and where it leads.

use super::page::{Page, Screen};
use crate::{
    figures::plain,
    model::{NodeRow, PoolRow},
};
use shared::{
    id::UserId,
    protocol::admin::{
        AffectedRow, Alert, AuditRow, ClosedRow, ConnectionRow, EndpointRow, ErrorRow, Job, LogRow, QueueRow,
        RequestRow, RoomRow, Row, Rows, StatementRow, UserRow, View,
    },
};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Selected {
    Node(Box<NodeRow>),
    Pool(Box<PoolRow>),
    Connection(Box<ConnectionRow>),
    Closed(Box<ClosedRow>),
    Room(RoomRow),
    User(UserRow),
    Queue(QueueRow),
    Endpoint(Box<EndpointRow>),
    Request(Box<RequestRow>),
    Error(Box<ErrorRow>),
    Affected(AffectedRow),
    Statement(StatementRow),
    Alert(Box<Alert>),
    Log(Box<LogRow>),
    Audit(Box<AuditRow>),
    Job(Box<Job>),
}

impl Selected {
    /// The row of a list at this place.
    pub(crate) fn of(rows: &Rows, at: usize) -> Option<Self> {
        Some(match rows {
            Rows::Connections(rows) | Rows::Members(rows) => Self::Connection(Box::new(rows.get(at)?.clone())),
            Rows::Connection(detail) => Self::Connection(Box::new(detail.as_ref()?.row.clone())),
            Rows::Closed(rows) => Self::Closed(Box::new(rows.get(at)?.clone())),
            Rows::Rooms(rows) => Self::Room(rows.get(at)?.clone()),
            Rows::Users(rows) => Self::User(rows.get(at)?.clone()),
            Rows::Queues(rows) => Self::Queue(rows.get(at)?.clone()),
            Rows::Endpoints(rows) => Self::Endpoint(Box::new(rows.get(at)?.clone())),
            Rows::Requests(rows) => Self::Request(Box::new(rows.get(at)?.clone())),
            Rows::Errors(rows) => Self::Error(Box::new(rows.get(at)?.clone())),
            Rows::Affected(rows) => Self::Affected(rows.get(at)?.clone()),
            Rows::Statements(rows) => Self::Statement(rows.get(at)?.clone()),
            Rows::Alerts(rows) => Self::Alert(Box::new(rows.get(at)?.clone())),
            Rows::Logs(rows) => Self::Log(Box::new(rows.get(at)?.clone())),
            Rows::Audit(rows) => Self::Audit(Box::new(rows.get(at)?.clone())),
            Rows::Jobs(rows) => Self::Job(Box::new(rows.get(at)?.clone())),
            Rows::User(_) => return None,
        })
    }

    /// The page that looks closer at it; none if its fields are all there is.
    pub(crate) fn drill(&self) -> Option<Page> {
        Some(match self {
            Self::Node(row) => Page::about(Screen::Node, &row.name),
            Self::Connection(row) => {
                Page { node: Some(row.node.clone()), ..Page::about(Screen::List(View::Connection), &row.id) }
            }
            Self::Room(row) => Page::about(Screen::List(View::Members), &row.room),
            Self::Endpoint(row) => Page::about(Screen::List(View::Requests), format!("{} {}", row.method, row.route)),
            Self::Error(row) => Page::about(Screen::List(View::Affected), &row.code),
            Self::Alert(alert) => look_at(alert)?,
            Self::User(_) | Self::Queue(_) | Self::Affected(_) | Self::Closed(_) => user_page(self.user()?),
            Self::Pool(_) | Self::Request(_) | Self::Statement(_) | Self::Log(_) | Self::Audit(_) | Self::Job(_) => {
                return None;
            }
        })
    }

    /// The user it is about.
    pub(crate) fn user(&self) -> Option<UserId> {
        match self {
            Self::Connection(row) => row.user,
            Self::Closed(row) => row.user,
            Self::User(row) => Some(row.user),
            Self::Queue(row) => Some(row.user),
            Self::Affected(row) => Some(row.user),
            Self::Request(row) => row.user,
            Self::Log(row) => row.fields.get("user_id")?.as_str()?.parse().ok(),
            _ => None,
        }
    }

    /// The node it is on.
    pub(crate) fn node(&self) -> Option<&str> {
        match self {
            Self::Node(row) => Some(&row.name),
            Self::Pool(row) => Some(&row.node),
            Self::Connection(row) => Some(&row.node),
            Self::Closed(row) => Some(&row.node),
            Self::Request(row) => Some(&row.node),
            Self::Alert(row) => Some(&row.node),
            Self::Log(row) => Some(&row.node),
            _ => None,
        }
    }

    /// What one would quote to a colleague: an id where there is one.
    pub(crate) fn copy(&self) -> String {
        let text = match self {
            Self::Node(row) => row.name.clone(),
            Self::Pool(row) => row.key(),
            Self::Connection(row) => format!("{}@{}", row.id, row.node),
            Self::Closed(row) => format!("{}@{}", row.id, row.node),
            Self::Room(row) => row.room.clone(),
            Self::User(row) => row.user.to_string(),
            Self::Queue(row) => row.user.to_string(),
            Self::Endpoint(row) => format!("{} {}", row.method, row.route),
            Self::Request(row) => row.request_id.clone(),
            Self::Error(row) => row.code.clone(),
            Self::Affected(row) => row.user.to_string(),
            Self::Statement(row) => row.name.clone(),
            Self::Alert(row) => row.id.clone(),
            Self::Log(row) => row.message.clone(),
            Self::Audit(row) => row.id.to_string(),
            Self::Job(row) => row.id.to_string(),
        };
        plain(&text)
    }
}

/// The inspector of a user.
pub(crate) fn user_page(user: UserId) -> Page {
    Page::about(Screen::User, user.to_string())
}

/// Where an alert's cause can be seen. A view this console does not know leads nowhere.
pub(crate) fn look_at(alert: &Alert) -> Option<Page> {
    let look = alert.look_at.as_ref()?;
    let screen = match look.screen.as_str() {
        "overview" => Screen::Overview,
        "nodes" => Screen::Nodes,
        "pools" => Screen::Pools,
        name => Screen::List(View::ALL.into_iter().find(|view| view.name() == name && !view.needs_of())?),
    };
    Some(Page::filtered(screen, &look.filter))
}
