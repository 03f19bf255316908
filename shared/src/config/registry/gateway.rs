//! What sockets meet: liveness, access, limits.

use super::MANY;
use crate::config::{
    setting::{Setting, setting},
    value::{Count, List, Maybe, Name, PlaceName, Size, Span, Switch},
};

pub(super) fn behaviour() -> Vec<Setting> {
    vec![
        setting::<PlaceName>(
            "gateway",
            |c| &mut c.gateway.place,
            "choice",
            "who serves sockets: `hosted` the api itself, on its port; `separate` any number of `pitchey-gateway`",
        )
        .computed("`hosted` with the memory engine, else `separate`"),
        setting::<Span<10>>(
            "ws_heartbeat",
            |c| &mut c.gateway.heartbeat,
            "duration",
            "silence after which the server pings a socket",
        ),
        setting::<Span<10>>(
            "ws_dead_after",
            |c| &mut c.gateway.dead_after,
            "duration",
            "silence after which a socket is closed 4409",
        ),
        setting::<Span<10>>(
            "ws_auth_timeout",
            |c| &mut c.gateway.auth_timeout,
            "duration",
            "how long a socket may stay unauthenticated (then 4403)",
        ),
        setting::<Span<10>>(
            "ws_handshake_timeout",
            |c| &mut c.gateway.handshake_timeout,
            "duration",
            "longest time for an upgrade",
        ),
        setting::<Span<0>>(
            "ws_drain_window",
            |c| &mut c.gateway.drain_window,
            "duration",
            "`bye.retry_after` is drawn from this window",
        ),
        setting::<Switch>(
            "allow_anonymous",
            |c| &mut c.gateway.allow_anonymous,
            "switch",
            "unauthenticated sockets may stay, for public rooms",
        ),
        setting::<List<Name>>(
            "public_rooms",
            |c| &mut c.gateway.public_rooms,
            "names",
            "the rooms `public:<name>` that exist, separated by commas",
        ),
        setting::<Switch>(
            "echo",
            |c| &mut c.gateway.echo,
            "switch",
            "`/ws/echo` sends every message back, for conformance tests; refused in production",
        ),
    ]
}

pub(super) fn limits() -> Vec<Setting> {
    vec![
        setting::<Size<1_024, { 16 << 20 }>>(
            "ws_max_message",
            |c| &mut c.gateway.limits.message_bytes,
            "size",
            "largest message from a client (then 1009)",
        ),
        setting::<Size<256, { 16 << 20 }>>(
            "ws_max_message_unauthenticated",
            |c| &mut c.gateway.limits.unauthenticated_message_bytes,
            "size",
            "the same before authentication",
        ),
        setting::<Count<u32, 1, MANY>>(
            "ws_frame_rate",
            |c| &mut c.gateway.limits.frames_per_second,
            "frames a second",
            "from one socket, control frames included (then 4429); a room in `auth` counts as one, four watched users too",
        ),
        setting::<Count<u32, 1, MANY>>(
            "ws_frame_burst",
            |c| &mut c.gateway.limits.frame_burst,
            "frames",
            "how many may come at once",
        ),
        setting::<Count<usize, 1, 100_000>>(
            "ws_max_rooms",
            |c| &mut c.gateway.limits.rooms,
            "rooms",
            "joined by one socket",
        ),
        setting::<Count<usize, 1, 100_000>>(
            "ws_max_watches",
            |c| &mut c.gateway.limits.watches,
            "users",
            "watched by one socket",
        ),
        setting::<Count<usize, 1, MANY>>(
            "ws_max_per_user",
            |c| &mut c.gateway.limits.connections_per_user,
            "sockets",
            "of one user; one more closes the oldest (4410)",
        ),
        setting::<Count<usize, 1, MANY>>(
            "ws_max_per_ip",
            |c| &mut c.gateway.limits.connections_per_ip,
            "sockets",
            "from one address",
        ),
        setting::<Count<usize, 1, MANY>>(
            "ws_max_connections",
            |c| &mut c.gateway.limits.connections,
            "sockets",
            "on this node; more are answered 503",
        ),
        setting::<Count<u32, 1, MANY>>(
            "ws_handshake_rate",
            |c| &mut c.gateway.limits.handshakes_per_second,
            "upgrades a second",
            "on this node",
        ),
        setting::<Count<usize, 1, 1_000_000>>(
            "ws_outbox_messages",
            |c| &mut c.gateway.limits.outbox_messages,
            "messages",
            "live frames a slow reader may be behind (then 4408)",
        ),
        setting::<Size<1_024, { 64 << 20 }>>(
            "ws_outbox_bytes",
            |c| &mut c.gateway.limits.outbox_bytes,
            "size",
            "the same in bytes",
        ),
        setting::<Maybe<Size<{ 16 << 20 }, { 1 << 50 }>>>(
            "memory_ceiling",
            |c| &mut c.gateway.limits.memory_bytes,
            "size",
            "resident memory of the process: near it typing and presence are dropped, then upgrades answered 503, then stuck sockets closed 1013",
        )
        .computed("three quarters of what the machine or the cgroup has"),
    ]
}
