//! What one client may do next: a pure state machine, no sockets, no clock.
//!
//! It answers three questions. [`Session::admit`]: may this frame be looked at, given how many came before?
//! [`Session::judge`]: may this command run, given who the client is? [`Session::charge`]: when, given how much work it
//! is? Everything that needs the world (is this token good, may this user enter that room) is asked elsewhere,
//! afterwards.

use crate::bucket::Bucket;
use shared::{
    config::GatewayLimits,
    model::Identity,
    protocol::{BadFrame, CloseReason, Command, RoomKind, RoomName},
};
use std::{sync::Arc, time::Duration};

/// Frames that are no JSON objects a client may send before it is closed 4400.
const BAD_FRAMES: u32 = 5;

/// Users watched that cost as much as a frame: each costs the engine a subscription at most, where a room costs five
/// calls, as `join` does.
const WATCHES_PER_FRAME: usize = 4;

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

/// No token, and no cookie that is one.
pub(crate) const NO_TOKEN: Refusal =
    Refusal { code: "invalid", message: "auth needs a token: no session came with the upgrade" };
const UNAUTHENTICATED: Refusal = Refusal { code: "unauthenticated", message: "send an auth frame first" };
const ALREADY: Refusal = Refusal { code: "already_authenticated", message: "this socket acts for somebody already" };
const TOO_MANY_ROOMS: Refusal = Refusal { code: "limit", message: "too many rooms on this connection" };
const TOO_MANY_WATCHES: Refusal = Refusal { code: "limit", message: "too many users to watch" };

/// A cookie's token. Few connections hold one, and those only for a moment: behind a pointer it costs the others little.
struct Cookie(String);

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookie")
    }
}

/// The state of one client.
#[derive(Debug)]
pub(crate) struct Session {
    identity: Option<Arc<Identity>>,
    /// The cookie that came with the upgrade, until the client's `auth` frame makes use of it. It is looked up then and
    /// not before: its session may end while the client takes its time.
    cookie: Option<Box<Cookie>>,
    bad_frames: u32,
    bucket: Bucket,
    /// Refused frames a client may send in a row before it is closed.
    patience: u64,
}

impl Session {
    pub(crate) fn new(limits: &GatewayLimits) -> Self {
        Self {
            identity: None,
            cookie: None,
            bad_frames: 0,
            bucket: Bucket::new(limits.frame_burst, limits.frames_per_second),
            patience: u64::from(limits.frame_burst),
        }
    }

    /// Who the client is, once known.
    pub(crate) fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// A cookie came with the upgrade, and the client wants to name its positions before it is told `ready`.
    pub(crate) fn hold_cookie(&mut self, token: String) {
        self.cookie = Some(Box::new(Cookie(token)));
    }

    /// The cookie, for the one `auth` frame that makes use of it.
    pub(crate) fn take_cookie(&mut self) -> Option<String> {
        self.cookie.take().map(|cookie| cookie.0)
    }

    /// The client proved who it is.
    pub(crate) fn authenticated(&mut self, identity: Arc<Identity>) {
        self.identity = Some(identity);
        self.cookie = None;
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

    /// Takes what a command costs beyond its frame, and says how long it must wait before it runs: a client's budget
    /// bounds the work it causes, however few frames it says it in. A room in `auth` costs what a `join` does.
    pub(crate) fn charge(&mut self, command: &Command<'_>, now_ms: u64) -> Duration {
        let more = match command {
            Command::Auth(auth) => auth.rooms.len(),
            Command::Watch(watch) => watch.users.len() / WATCHES_PER_FRAME,
            _ => 0,
        };
        Duration::from_millis(self.bucket.charge(u32::try_from(more).unwrap_or(u32::MAX), now_ms))
    }

    /// Whether a command may run, as far as the connection itself can tell; `rooms` are those it is in.
    pub(crate) fn judge<'r>(
        &self,
        command: &Command<'_>,
        rooms: &(impl Iterator<Item = &'r RoomName> + Clone),
        limits: &GatewayLimits,
    ) -> Result<(), Refusal> {
        let inside = |room: &RoomName| rooms.clone().any(|other| other == room);
        let refuse_if = |condition: bool, refusal| if condition { Err(refusal) } else { Ok(()) };
        let anonymous = self.identity.is_none();
        match command {
            Command::Ping(_) | Command::Leave(_) => Ok(()),
            Command::Auth(auth) => {
                refuse_if(anonymous && self.cookie.is_none() && auth.token.is_none(), NO_TOKEN)?;
                refuse_if(!anonymous && auth.token.is_some(), ALREADY)?;
                refuse_if(auth.rooms.len() > limits.rooms, TOO_MANY_ROOMS)?;
                let added = auth.rooms.keys().filter(|room| !inside(room)).count();
                refuse_if(rooms.clone().count() + added > limits.rooms, TOO_MANY_ROOMS)
            }
            Command::Join(join) => {
                refuse_if(anonymous && join.room.kind() != RoomKind::Public, UNAUTHENTICATED)?;
                refuse_if(!inside(&join.room) && rooms.clone().count() >= limits.rooms, TOO_MANY_ROOMS)
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
    use std::collections::BTreeSet;

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
        let judge = |text: &str| session.judge(&Frame::parse(text).command.unwrap(), &std::iter::empty(), &limits());
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
    fn rooms_one_is_in_already_are_counted_once() {
        let mut session = Session::new(&limits());
        session.authenticated(somebody());
        let inside: Vec<RoomName> = ["public:a", "public:b"].map(|room| room.parse().unwrap()).into();
        let judge = |text: &str| session.judge(&Frame::parse(text).command.unwrap(), &inside.iter(), &limits());
        assert_eq!(judge(r#"{"type":"auth","rooms":{"public:a":"k3:1","public:b":null}}"#), Ok(()));
        assert_eq!(judge(r#"{"type":"join","room":"public:b","pos":"k3:1"}"#), Ok(()));
        assert_eq!(judge(r#"{"type":"auth","rooms":{"public:a":null,"public:c":null}}"#), Err(TOO_MANY_ROOMS));
        assert_eq!(judge(r#"{"type":"join","room":"public:c"}"#), Err(TOO_MANY_ROOMS));
    }

    #[test]
    fn a_command_costs_what_it_makes_the_node_do_and_waits_for_what_its_client_has_not_saved() {
        let charge = |session: &mut Session, text: &str, now| {
            session.charge(&Frame::parse(text).command.unwrap(), now).as_millis()
        };
        let list = |item: &dyn Fn(usize) -> String, count| (0..count).map(item).collect::<Vec<_>>().join(",");
        let rooms = list(&|n| format!(r#""public:r{n}":null"#), 100);
        let auth = format!(r#"{{"type":"auth","token":"x","rooms":{{{rooms}}}}}"#);
        let users = list(&|_| format!(r#""{}""#, uuid::Uuid::now_v7()), 200);
        let watch = format!(r#"{{"type":"watch","users":[{users}]}}"#);

        let mut session = Session::new(&limits());
        assert_eq!(charge(&mut session, r#"{"type":"join","room":"public:a"}"#, 0), 0, "its frame was all it costs");
        assert_eq!(charge(&mut session, &auth, 0), 201, "the whole burst, and a tenth of it is wanted back");
        assert_eq!(charge(&mut session, &watch, 200), 1_001, "fifty frames' worth, at fifty a second");
        assert!(matches!(session.admit(500), Admission::TooFast { .. }));
        let mut again = Session::new(&limits());
        let waits: Vec<_> = (0..50).map(|_| charge(&mut again, &auth, 0)).collect();
        assert_eq!((waits[0], waits[49]), (201, 2_201), "nobody waits longer than it takes to save up a burst");
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
            let (mut rooms, mut now, mut malformed) = (BTreeSet::new(), 0, 0);
            for step in steps {
                let (who, cookie) = (session.identity().cloned(), session.cookie.is_some());
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
                    Step::Cookie if who.is_none() => session.hold_cookie("a token".into()),
                    Step::Cookie => {}
                    Step::Command(text) => {
                        let Ok(command) = Frame::parse(&text).command else { panic!("{text}") };
                        let verdict = session.judge(&command, &rooms.iter(), &limits());
                        if let Err(refusal) = verdict {
                            prop_assert!(!refusal.code.is_empty() && !refusal.message.is_empty());
                        }
                        prop_assert_eq!(session.judge(&command, &rooms.iter(), &limits()), verdict, "judging changes nothing");
                        let heard_of_strangers = match &command {
                            Command::Ping(_) | Command::Leave(_) => true,
                            Command::Auth(auth) => auth.token.is_some() || cookie,
                            Command::Join(join) => join.room.kind() == RoomKind::Public,
                            _ => false,
                        };
                        prop_assert!(who.is_some() || heard_of_strangers || verdict.is_err(), "{} of a stranger", text);
                        match command {
                            Command::Join(join) if verdict.is_ok() => drop(rooms.insert(join.room)),
                            Command::Leave(leave) => drop(rooms.remove(&leave.room)),
                            Command::Auth(auth) if verdict.is_ok() => {
                                prop_assert!(who.is_none() || auth.token.is_none(), "nobody becomes somebody else");
                                rooms.extend(auth.rooms.into_keys());
                                if who.is_none() {
                                    session.authenticated(somebody());
                                    prop_assert!(session.take_cookie().is_none(), "a cookie is not kept beyond its use");
                                }
                            }
                            _ => {}
                        }
                    }
                }
                prop_assert!(rooms.len() <= limits().rooms);
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
