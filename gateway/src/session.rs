//! What one client may do next: a pure state machine, no sockets, no clock.
//!
//! It answers two questions. [`Session::admit`]: may this frame be looked at, given how many came before?
//! [`Session::judge`]: may this command run, given who the client is? Everything that needs the world (is this token
//! good, may this user enter that room) is asked elsewhere, afterwards.

use crate::bucket::Bucket;
use shared::{
    config::GatewayLimits,
    model::Identity,
    protocol::{BadFrame, CloseReason, Command, RoomKind},
};
use std::sync::Arc;

/// Frames that are no JSON objects a client may send before it is closed 4400.
const BAD_FRAMES: u32 = 5;

/// Whether a frame may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Go ahead.
    Admitted,
    /// Refuse it with `rate_limited`; one is admitted again after this many milliseconds.
    TooFast { retry_after_ms: u64 },
    /// Enough.
    Close(CloseReason),
}

/// Why a command does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Stable code.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: &'static str,
}

const UNAUTHENTICATED: Refusal = Refusal { code: "unauthenticated", message: "send an auth frame first" };
const ALREADY: Refusal = Refusal { code: "already_authenticated", message: "this socket acts for somebody already" };
const NO_TOKEN: Refusal = Refusal { code: "invalid", message: "auth needs a token: no session came with the upgrade" };
const TOO_MANY_ROOMS: Refusal = Refusal { code: "limit", message: "too many rooms on this connection" };
const TOO_MANY_WATCHES: Refusal = Refusal { code: "limit", message: "too many users to watch" };

/// The state of one client.
#[derive(Debug)]
pub(crate) struct Session {
    identity: Option<Arc<Identity>>,
    /// Who the upgrade's cookie vouches for, until the client's `auth` frame makes the connection act for them.
    vouched: Option<Arc<Identity>>,
    bad_frames: u32,
    bucket: Bucket,
    /// Refused frames a client may send in a row before it is closed.
    patience: u64,
}

impl Session {
    pub(crate) fn new(limits: &GatewayLimits) -> Self {
        Self {
            identity: None,
            vouched: None,
            bad_frames: 0,
            bucket: Bucket::new(limits.frame_burst, limits.frames_per_second),
            patience: u64::from(limits.frame_burst),
        }
    }

    /// Who the client is, once known.
    pub(crate) fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// Who the client is or, by its cookie, will be with its `auth` frame.
    pub(crate) fn known(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref().or(self.vouched.as_ref())
    }

    /// A cookie says who the client is, and the client wants to name its positions before it is told `ready`.
    pub(crate) fn vouch(&mut self, identity: Arc<Identity>) {
        self.vouched = Some(identity);
    }

    /// The client proved who it is.
    pub(crate) fn authenticated(&mut self, identity: Arc<Identity>) {
        self.identity = Some(identity);
        self.vouched = None;
    }

    /// Takes one frame, control frames included, from the client's budget.
    pub(crate) fn admit(&mut self, now_ms: u64) -> Admission {
        match self.bucket.take(now_ms) {
            Ok(()) => Admission::Admitted,
            // A client that goes on for a whole burst after the first refusal does not listen to errors.
            Err(debt) if debt.frames > self.patience => Admission::Close(CloseReason::RateLimited),
            Err(debt) => Admission::TooFast { retry_after_ms: debt.retry_after_ms },
        }
    }

    /// A frame was refused by the parser: how many of the malformed ones are too many?
    pub(crate) fn bad_frame(&mut self, problem: &BadFrame) -> Option<CloseReason> {
        if matches!(problem, BadFrame::Malformed(_)) {
            self.bad_frames += 1;
        }
        (self.bad_frames >= BAD_FRAMES).then_some(CloseReason::BadFrames)
    }

    /// Whether a command may run, as far as the connection itself can tell.
    pub(crate) fn judge(&self, command: &Command<'_>, rooms: usize, limits: &GatewayLimits) -> Result<(), Refusal> {
        let refuse_if = |condition: bool, refusal| if condition { Err(refusal) } else { Ok(()) };
        let anonymous = self.identity.is_none();
        match command {
            Command::Ping(_) | Command::Leave(_) => Ok(()),
            Command::Auth(auth) => {
                let known = self.known().is_some();
                refuse_if(!known && auth.token.is_none(), NO_TOKEN)?;
                refuse_if(known && auth.token.is_some(), ALREADY)?;
                refuse_if(rooms + auth.rooms.len() > limits.rooms, TOO_MANY_ROOMS)
            }
            Command::Join(join) => {
                refuse_if(anonymous && join.room.kind() != RoomKind::Public, UNAUTHENTICATED)?;
                refuse_if(rooms >= limits.rooms, TOO_MANY_ROOMS)
            }
            Command::Watch(watch) => {
                refuse_if(anonymous, UNAUTHENTICATED)?;
                refuse_if(watch.users.len() > limits.watches, TOO_MANY_WATCHES)
            }
            Command::Ack(_)
            | Command::Send(_)
            | Command::Message(_)
            | Command::Typing(_)
            | Command::Presence(_)
            | Command::Read(_) => refuse_if(anonymous, UNAUTHENTICATED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shared::protocol::Frame;

    fn limits() -> GatewayLimits {
        GatewayLimits { frames_per_second: 50, frame_burst: 100, rooms: 2, ..GatewayLimits::default() }
    }

    #[test]
    fn a_flood_gets_errors_and_then_is_closed() {
        let mut session = Session::new(&limits());
        let seen: Vec<Admission> = (0..201).map(|_| session.admit(0)).collect();
        assert!(seen[..100].iter().all(|a| *a == Admission::Admitted));
        assert!(seen[100..200].iter().all(|a| matches!(a, Admission::TooFast { .. })));
        assert_eq!(seen[200], Admission::Close(CloseReason::RateLimited));
    }

    #[test]
    fn a_client_within_its_rate_is_never_refused() {
        let mut session = Session::new(&limits());
        for n in 0..10_000 {
            assert_eq!(session.admit(n * 20), Admission::Admitted);
        }
    }

    #[test]
    fn before_authentication_only_ping_auth_and_public_rooms_are_heard() {
        let session = Session::new(&limits());
        let judge = |text: &str| session.judge(&Frame::parse(text).command.unwrap(), 0, &limits());
        assert_eq!(judge(r#"{"type":"ping"}"#), Ok(()));
        assert_eq!(judge(r#"{"type":"auth","token":"x"}"#), Ok(()));
        assert_eq!(judge(r#"{"type":"auth"}"#), Err(NO_TOKEN));
        assert_eq!(judge(r#"{"type":"join","room":"public:lobby"}"#), Ok(()));
        let private = format!(r#"{{"type":"join","room":"pitch:{}"}}"#, uuid::Uuid::now_v7());
        assert_eq!(judge(&private), Err(UNAUTHENTICATED));
        assert_eq!(judge(r#"{"type":"ack","pos":"1"}"#), Err(UNAUTHENTICATED));
        assert_eq!(judge(r#"{"type":"watch","users":[]}"#), Err(UNAUTHENTICATED));
    }

    #[test]
    fn a_few_frames_that_are_no_json_close_and_unknown_types_do_not() {
        let mut session = Session::new(&limits());
        for _ in 0..100 {
            assert_eq!(session.bad_frame(&BadFrame::UnknownType("x".into())), None);
        }
        let malformed = BadFrame::Malformed(String::new());
        let verdicts: Vec<_> = (0..5).map(|_| session.bad_frame(&malformed)).collect();
        assert_eq!(verdicts.iter().filter(|verdict| verdict.is_none()).count(), 4);
        assert_eq!(verdicts[4], Some(CloseReason::BadFrames));
    }

    /// What happens to a session.
    #[derive(Clone, Debug)]
    enum Step {
        Wait(u64),
        Frame,
        Malformed,
        Cookie,
        Command(String),
    }

    fn step() -> impl Strategy<Value = Step> {
        let id = uuid::Uuid::now_v7();
        let command = prop::sample::select(vec![
            r#"{"type":"ping"}"#.to_owned(),
            r#"{"type":"auth"}"#.into(),
            r#"{"type":"auth","token":"x"}"#.into(),
            r#"{"type":"auth","rooms":{"public:a":null,"public:b":"k3:1"}}"#.into(),
            r#"{"type":"auth","token":"x","rooms":{"public:a":null}}"#.into(),
            r#"{"type":"ack","pos":"1"}"#.into(),
            r#"{"type":"join","room":"public:a"}"#.into(),
            format!(r#"{{"type":"join","room":"pitch:{id}"}}"#),
            r#"{"type":"leave","room":"public:a"}"#.into(),
            format!(r#"{{"type":"send","id":"{id}","room":"public:a","data":1}}"#),
            format!(r#"{{"type":"message","id":"{id}","to":"{id}","body":"x"}}"#),
            r#"{"type":"typing","room":"public:a"}"#.into(),
            r#"{"type":"presence","status":"away"}"#.into(),
            format!(r#"{{"type":"watch","users":["{id}"]}}"#),
            format!(r#"{{"type":"read","notifications":["{id}"]}}"#),
        ]);
        prop_oneof![
            1 => (0_u64..3_000).prop_map(Step::Wait),
            4 => Just(Step::Frame),
            1 => Just(Step::Malformed),
            1 => Just(Step::Cookie),
            12 => command.prop_map(Step::Command),
        ]
    }

    fn somebody() -> Arc<Identity> {
        let now = shared::clock::Timestamp::from_micros(1);
        Arc::new(Identity {
            user_id: shared::id::UserId::new(),
            session_id: shared::id::SessionId::new(),
            name: "Ada".into(),
            is_admin: false,
            portal: shared::model::Portal::Creator,
            portals: shared::model::Portals::of([shared::model::Portal::Creator]),
            created_at: now,
            refreshed_at: now,
            expires_at: now,
        })
    }

    proptest! {
        #[test]
        fn any_sequence_of_commands_leaves_the_session_in_a_legal_state(steps in prop::collection::vec(step(), 1..200)) {
            let mut session = Session::new(&limits());
            let (mut rooms, mut now, mut malformed) = (0, 0, 0);
            for step in steps {
                let (who, known) = (session.identity().cloned(), session.known().cloned());
                match step {
                    Step::Wait(ms) => now += ms,
                    Step::Frame => {
                        // A client that was cut off stays cut off for as long as it goes on.
                        if let Admission::Close(reason) = session.admit(now) {
                            prop_assert_eq!(reason, CloseReason::RateLimited);
                            prop_assert_eq!(session.admit(now), Admission::Close(CloseReason::RateLimited));
                        }
                    }
                    Step::Malformed => {
                        malformed += 1;
                        let verdict = session.bad_frame(&BadFrame::Malformed(String::new()));
                        prop_assert_eq!(verdict.is_some(), malformed >= BAD_FRAMES);
                    }
                    Step::Cookie if who.is_none() => session.vouch(somebody()),
                    Step::Cookie => {}
                    Step::Command(text) => {
                        let Ok(command) = Frame::parse(&text).command else { panic!("{text}") };
                        let verdict = session.judge(&command, rooms, &limits());
                        if let Err(refusal) = verdict {
                            prop_assert!(!refusal.code.is_empty() && !refusal.message.is_empty());
                        }
                        prop_assert_eq!(session.judge(&command, rooms, &limits()), verdict, "judging changes nothing");
                        let heard_of_strangers = match &command {
                            Command::Ping(_) | Command::Leave(_) => true,
                            Command::Auth(auth) => auth.token.is_some() || known.is_some(),
                            Command::Join(join) => join.room.kind() == RoomKind::Public,
                            _ => false,
                        };
                        prop_assert!(who.is_some() || heard_of_strangers || verdict.is_err(), "{} of a stranger", text);
                        match command {
                            Command::Join(_) if verdict.is_ok() => rooms += 1,
                            Command::Leave(_) => rooms = rooms.saturating_sub(1),
                            Command::Auth(auth) if verdict.is_ok() => {
                                prop_assert!(who.is_none() || auth.token.is_none(), "nobody becomes somebody else");
                                rooms += auth.rooms.len();
                                if who.is_none() {
                                    session.authenticated(known.clone().unwrap_or_else(somebody));
                                }
                            }
                            _ => {}
                        }
                    }
                }
                prop_assert!(rooms <= limits().rooms);
                let same = |before: &Option<Arc<Identity>>, now: Option<&Arc<Identity>>| {
                    before.as_ref().is_none_or(|before| now.is_some_and(|now| Arc::ptr_eq(before, now)))
                };
                prop_assert!(same(&who, session.identity()), "who the client is never changes");
            }
        }

        #[test]
        fn no_more_than_burst_plus_rate_is_ever_admitted(gaps in prop::collection::vec(0_u64..200, 1..400)) {
            let mut session = Session::new(&limits());
            let (mut now, mut admitted) = (0, 0);
            for gap in gaps {
                now += gap;
                admitted += u64::from(session.admit(now) == Admission::Admitted);
            }
            prop_assert!(admitted <= 100 + now * 50 / 1_000 + 1);
        }
    }
}
