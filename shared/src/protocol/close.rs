//! Why a socket ends. One table: close code, reason text, and whether the client should come back.
//!
//! 4000–4499 mean "reconnect", 4500–4999 "do not". RFC 6455 codes are used where the RFC asks for them.

/// Why the server closes (or saw closed) a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client said goodbye (1000/1001).
    Normal,
    /// The peer vanished without a close frame; never sent, only counted.
    Gone,
    /// The node is draining.
    Drain,
    /// The node sheds load.
    Overloaded,
    /// The WebSocket framing was broken.
    ProtocolError,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A message larger than allowed.
    TooLarge,
    /// A data type the protocol does not have: binary frames.
    Unsupported,
    /// Too many frames that are not JSON objects.
    BadFrames,
    /// The session ran out; log in and come back.
    SessionExpired,
    /// Not authenticated in time.
    AuthTimeout,
    /// Reads slower than it is sent to.
    SlowConsumer,
    /// Silent for too long.
    HeartbeatTimeout,
    /// The user opened too many sockets; the oldest goes.
    Replaced,
    /// An operator closed it; it may come back.
    Disconnected,
    /// Sent more than allowed.
    RateLimited,
    /// The token or ticket is not one of ours.
    BadToken,
    /// The page's origin is not on the allow-list.
    ForbiddenOrigin,
    /// The session was revoked, or the user blocked.
    SignedOut,
    /// The client asked for a protocol version we do not speak.
    ProtocolVersion,
}

impl CloseReason {
    /// Every reason, for metrics and documentation.
    pub const ALL: [Self; 20] = [
        Self::Normal,
        Self::Gone,
        Self::Drain,
        Self::Overloaded,
        Self::ProtocolError,
        Self::InvalidUtf8,
        Self::TooLarge,
        Self::Unsupported,
        Self::BadFrames,
        Self::SessionExpired,
        Self::AuthTimeout,
        Self::SlowConsumer,
        Self::HeartbeatTimeout,
        Self::Replaced,
        Self::Disconnected,
        Self::RateLimited,
        Self::BadToken,
        Self::ForbiddenOrigin,
        Self::SignedOut,
        Self::ProtocolVersion,
    ];

    /// The close code and the reason text in the close frame, the `bye` frame, logs and metrics.
    pub const fn code_and_text(self) -> (u16, &'static str) {
        match self {
            Self::Normal => (1000, "normal"),
            Self::Gone => (1006, "gone"),
            Self::Drain => (1012, "drain"),
            Self::Overloaded => (1013, "overloaded"),
            Self::ProtocolError => (1002, "protocol error"),
            Self::InvalidUtf8 => (1007, "invalid utf-8"),
            Self::TooLarge => (1009, "too large"),
            Self::Unsupported => (1003, "binary frames are not part of the protocol"),
            Self::BadFrames => (4400, "bad frames"),
            Self::SessionExpired => (4401, "session expired"),
            Self::AuthTimeout => (4403, "not authenticated in time"),
            Self::SlowConsumer => (4408, "slow consumer"),
            Self::HeartbeatTimeout => (4409, "no heartbeat"),
            Self::Replaced => (4410, "replaced by a newer connection"),
            Self::Disconnected => (4411, "disconnected by an operator"),
            Self::RateLimited => (4429, "rate limited"),
            Self::BadToken => (4500, "bad token"),
            Self::ForbiddenOrigin => (4501, "forbidden origin"),
            Self::SignedOut => (4503, "signed out"),
            Self::ProtocolVersion => (4520, "protocol version"),
        }
    }

    /// The close code.
    pub const fn code(self) -> u16 {
        self.code_and_text().0
    }

    /// The reason's text.
    pub const fn text(self) -> &'static str {
        self.code_and_text().1
    }

    /// Whether a client should reconnect and resume.
    pub const fn can_resume(self) -> bool {
        matches!(self.code(), 1001 | 1006 | 1012 | 1013 | 4000..=4499)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_a_code_of_its_own() {
        let codes: HashSet<_> = CloseReason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), CloseReason::ALL.len());
    }

    #[test]
    fn codes_below_4500_invite_the_client_back_and_those_above_do_not() {
        assert!(CloseReason::SlowConsumer.can_resume() && CloseReason::Drain.can_resume());
        assert!(!CloseReason::SignedOut.can_resume() && !CloseReason::TooLarge.can_resume());
    }
}
