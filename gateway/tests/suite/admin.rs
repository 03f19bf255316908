//! The gateway through the operators' eyes: the admin listener over real sockets.

use crate::node::{LOBBY, Somebody, TestNode, send};
use serde_json::json;
use shared::{
    admin::{Admin, AdminSources},
    config::{AdminConfig, DataDir, Environment, GatewayConfig},
    protocol::{
        CloseReason,
        admin::{ClosedBy, ConnectionRow, ConnectionState, List, Message, Metric, Query, Rows, Sample, Sort, View},
    },
    testkit::{Console, Socket, socket::within},
};
use std::net::{Ipv4Addr, SocketAddr};

/// A node, its admin listener, a console.
pub(crate) struct Desk {
    pub(crate) node: TestNode,
    admin: Admin,
    pub(crate) console: Console,
    _folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        Self::at(TestNode::with(change).await, true).await
    }

    /// The admin listener knows of no store.
    pub(crate) async fn without_store() -> Self {
        Self::at(TestNode::start().await, false).await
    }

    async fn at(node: TestNode, with_store: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = AdminSources {
            name: "gw-1".into(),
            environment: Environment::Development,
            store: with_store.then(|| node.ops.store().clone()),
            metrics: node.metrics.clone(),
            clock: node.ops.clock().clone(),
            socket_limit: 100,
            ops: Some(node.ops.clone()),
            sockets: Some(node.gateway.inspector()),
        };
        let config = AdminConfig { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..AdminConfig::default() };
        let admin = Admin::open(&config, &DataDir(folder.path().into()), sources, &node.lifecycle).await.unwrap();
        let console = Console::open(admin.token_file()).await;
        Self { node, admin, console, _folder: folder }
    }

    pub(crate) async fn signed_in(&self, device: &str) -> (Socket, Somebody) {
        let somebody = self.node.somebody().await;
        let (socket, _) = Socket::resume(self.node.addr, &somebody.token, json!({ "device": device })).await;
        (socket, somebody)
    }

    pub(crate) async fn close(self) {
        drop(self.console);
        self.admin.close().await;
        self.node.stop().await;
    }
}

fn filtered(view: View, filter: &str) -> Query {
    Query { filter: filter.into(), ..Query::of(view) }
}

fn connections(list: &List) -> &[ConnectionRow] {
    match &list.rows {
        Rows::Connections(rows) | Rows::Members(rows) => rows,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_console_sees_who_is_connected_with_what_and_how_much_they_sent() {
    let mut desk = Desk::open().await;
    let (mut ada, who) = desk.signed_in("phone-1").await;
    let (_bob, _) = desk.signed_in("laptop-1").await;
    let _stranger = Socket::open(desk.node.addr).await;
    ada.call(json!({"type": "join", "room": LOBBY})).await;
    ada.call(send(LOBBY, json!("hi"))).await;

    let everyone = desk.console.until(Query::of(View::Connections), |list| list.total == 3).await;
    assert_eq!((everyone.matched, connections(&everyone).len()), (3, 3));
    let query = filtered(View::Connections, "device=phone-1 state=ready");
    let list = desk.console.until(query, |list| connections(list).first().is_some_and(|row| row.rooms == 1)).await;
    let [row] = connections(&list) else { panic!("{list:?}") };
    assert_eq!((list.total, list.matched, row.user, row.session), (3, 1, Some(who.id), Some(who.session)));
    assert_eq!((row.node.as_str(), row.address.as_str()), ("gw-1", "127.0.0.1"));
    assert!(row.received >= 3 && row.received_bytes > 60, "auth, join, send: {row:?}");
    assert!(row.sent >= 4 && row.sent_bytes > 100, "hello, ready, joined, ack, event: {row:?}");
    assert_eq!((row.queue, row.stalled_s), (0, 0));

    let of = Query { of: Some(row.id.clone()), ..Query::of(View::Connection) };
    let detail = desk.console.until(of, |_| true).await;
    let Rows::Connection(Some(detail)) = detail.rows else { panic!("{detail:?}") };
    assert_eq!((detail.rooms, detail.siblings.len()), (vec![LOBBY.to_owned()], 0));

    let members = Query { of: Some(LOBBY.into()), ..Query::of(View::Members) };
    let members = desk.console.until(members, |list| list.total == 1).await;
    assert_eq!(connections(&members)[0].user, Some(who.id));
    let rooms = desk.console.until(filtered(View::Rooms, "members>0"), |list| list.total == 1).await;
    let Rows::Rooms(rooms) = &rooms.rows else { panic!("{rooms:?}") };
    assert_eq!((rooms[0].room.as_str(), rooms[0].members, rooms[0].events), (LOBBY, 1, 1));
    let users = desk.console.until(Query::of(View::Users), |list| list.total == 2).await;
    let Rows::Users(users) = &users.rows else { panic!("{users:?}") };
    assert!(users.iter().any(|user| user.user == who.id && user.connections == 1 && !user.away));

    let tick = desk.console.expect(tick_with_three).await;
    assert_eq!((tick.get(Metric::Authenticated, None), tick.get(Metric::Rooms, None)), (Some(2.0), Some(1.0)));
    desk.close().await;
}

fn tick_with_three(message: Message) -> Option<Sample> {
    match message {
        Message::Tick(tick) => Some(tick.sample).filter(|sample| sample.get(Metric::Connections, None) == Some(3.0)),
        _ => None,
    }
}

#[tokio::test]
async fn a_closed_socket_is_in_the_log_with_its_reason_and_who_closed_it() {
    let mut desk = Desk::open().await;
    let (socket, who) = desk.signed_in("phone-1").await;
    let mut stranger = Socket::open(desk.node.addr).await;
    stranger.send_raw(tokio_tungstenite::tungstenite::Message::binary(vec![1])).await;
    stranger.expect_close(CloseReason::Unsupported).await;
    drop(socket);
    let query = Query { sort: Some(Sort { by: "at".into(), descending: true }), ..Query::of(View::Closed) };
    let list = desk.console.until(query, |list| list.total == 2).await;
    let Rows::Closed(rows) = &list.rows else { panic!("{list:?}") };
    assert!(rows[0].at >= rows[1].at, "the newest first");
    let of = |code| rows.iter().find(|row| row.code == code).unwrap();
    let (gone, rude) = (of(CloseReason::Gone.code()), of(CloseReason::Unsupported.code()));
    assert_eq!((gone.user, &gone.by, gone.device.as_deref()), (Some(who.id), &ClosedBy::Peer, Some("phone-1")));
    assert_eq!((rude.user, &rude.by), (None, &ClosedBy::Server));
    desk.close().await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_is_shown_as_slow_with_what_waits_for_it() {
    let mut desk = Desk::with(|config| {
        config.limits.frames_per_second = 100_000;
        config.limits.frame_burst = 100_000;
        config.limits.outbox_messages = 1_000_000;
        config.limits.outbox_bytes = 1 << 30; // nobody is closed for being slow in this test
    })
    .await;
    let (mut reader, who) = desk.signed_in("slow-1").await;
    let (mut writer, _) = desk.signed_in("fast-1").await;
    reader.call(json!({"type": "join", "room": LOBBY})).await;
    let (text, inspector) = ("x".repeat(30_000), desk.node.gateway.inspector());
    within(async {
        // First the kernel's buffers fill.
        while inspector.of_user(who.id)[0].row.queue < 3 {
            writer.call(send(LOBBY, json!(text))).await;
        }
    })
    .await;
    let query = filtered(View::Connections, "device=slow-1 state=slow queue>2 queue_bytes>10kB");
    let list = desk.console.until(query, |list| list.matched == 1).await;
    assert_eq!(connections(&list)[0].state, ConnectionState::Slow);
    let slow = |message| match message {
        Message::Tick(tick) => tick.sample.get(Metric::SlowConnections, None).filter(|slow| *slow > 0.0),
        _ => None,
    };
    desk.console.expect(slow).await;
    let closed = desk.node.closed(CloseReason::SlowConsumer);
    assert_eq!((closed, connections(&list)[0].user), (0, Some(who.id)));
    drop(reader);
    desk.close().await;
}
