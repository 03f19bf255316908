//! The realtime side: heartbeats, limits, what anonymous sockets may do.

use std::time::Duration;

/// Settings of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    /// `NODE_NAME`: this node's name in `hello`, logs and the console. Loading fills in `gw-<hostname>-<PORT>`, or
    /// `api-…` where no sockets are served (the process id when the port is 0), which two processes of one fleet do not
    /// share; correctness never rests on it, because the engine tells incarnations apart by a random id.
    pub node: String,
    /// `GATEWAY`: where sockets are served. Loading fills in `separate` where the engine is shared.
    pub place: Place,
    /// `WS_HEARTBEAT`: silence after which the server pings.
    pub heartbeat: Duration,
    /// `WS_DEAD_AFTER`: silence after which a socket is closed 4409.
    pub dead_after: Duration,
    /// `WS_AUTH_TIMEOUT`: how long a socket may stay unauthenticated (then 4403).
    pub auth_timeout: Duration,
    /// `WS_HANDSHAKE_TIMEOUT`: longest time for an upgrade.
    pub handshake_timeout: Duration,
    /// `ALLOW_ANONYMOUS`: unauthenticated sockets may stay, for public rooms.
    pub allow_anonymous: bool,
    /// `PUBLIC_ROOMS`: names after `public:` that exist.
    pub public_rooms: Vec<String>,
    /// `WS_DRAIN_WINDOW`: `bye.retry_after` is drawn from this window.
    pub drain_window: Duration,
    /// `ECHO`: `/ws/echo` sends every message back, for conformance tests of the framing. Refused in production: it
    /// serves anybody.
    pub echo: bool,
    /// Bounds.
    pub limits: GatewayLimits,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            node: "gw-1".into(),
            place: Place::default(),
            heartbeat: Duration::from_secs(30),
            dead_after: Duration::from_secs(75),
            auth_timeout: Duration::from_secs(15),
            handshake_timeout: Duration::from_secs(5),
            allow_anonymous: false,
            public_rooms: vec!["lobby".into()],
            drain_window: Duration::from_secs(5),
            echo: false,
            limits: GatewayLimits::default(),
        }
    }
}

/// Where sockets are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// By the api's own process, on its port.
    #[default]
    Hosted,
    /// By `pitchey-gateway`, any number of them.
    Separate,
}

impl Place {
    /// The name in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hosted => "hosted",
            Self::Separate => "separate",
        }
    }
}

/// What one client, user, address or node may use; see "Limits" of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayLimits {
    /// `WS_MAX_MESSAGE`: largest message, in bytes.
    pub message_bytes: usize,
    /// `WS_MAX_MESSAGE_UNAUTHENTICATED`: the same before authentication.
    pub unauthenticated_message_bytes: usize,
    /// `WS_FRAME_RATE`: frames a second, control frames included.
    pub frames_per_second: u32,
    /// `WS_FRAME_BURST`.
    pub frame_burst: u32,
    /// `WS_MAX_ROOMS` per connection.
    pub rooms: usize,
    /// `WS_MAX_WATCHES` per connection.
    pub watches: usize,
    /// `WS_MAX_PER_USER` connections; one more closes the oldest (4410).
    pub connections_per_user: usize,
    /// `WS_MAX_PER_IP` connections.
    pub connections_per_ip: usize,
    /// `WS_MAX_CONNECTIONS` of this node.
    pub connections: usize,
    /// `WS_HANDSHAKE_RATE`: upgrades a second on this node.
    pub handshakes_per_second: u32,
    /// `WS_OUTBOX_MESSAGES`: live frames a slow reader may be behind before 4408.
    pub outbox_messages: usize,
    /// `WS_OUTBOX_BYTES`: the same in bytes.
    pub outbox_bytes: usize,
    /// `MEMORY_CEILING`: resident memory of the process at which load is shed; unset: three quarters of what the
    /// machine or the process's cgroup has.
    pub memory_bytes: Option<usize>,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            message_bytes: 64 * 1024,
            unauthenticated_message_bytes: 4 * 1024,
            frames_per_second: 50,
            frame_burst: 100,
            rooms: 100,
            watches: 200,
            connections_per_user: 10,
            connections_per_ip: 100,
            connections: 50_000,
            handshakes_per_second: 500,
            outbox_messages: 1_024,
            outbox_bytes: 256 * 1024,
            memory_bytes: None,
        }
    }
}
