//! Who may enter, speak and watch.
//!
//! Ids cannot be written into the static statements of a test, so teams and pitches take the id of their owner.

use super::*;
use shared::{
    engine::Control,
    id::{PitchId, TeamId},
    ops::EVERYBODY,
    protocol::RoomName,
};

const TEAM_OF_ADA: &str = "insert into teams (id, name, created_by, created_at, updated_at)
    select id, 'team', id, created_at, created_at from users where username = 'ada'";
const ADA_AND_BOB_JOIN: &str = "insert into team_members (team_id, user_id, role, joined_at)
    select t.id, u.id, 'member', u.created_at from teams t, users u where u.username in ('ada', 'bob')";
pub(super) const DRAFT_OF_ADA: &str = "insert into pitches (id, creator_id, title, logline, genre, format, stage, created_at, updated_at)
    select id, id, 'title', 'logline', 'Drama', 'feature', 'script', created_at, created_at from users where username = 'ada'";
const PUBLISH: &str = "update pitches set status = 'published', published_at = created_at";
const BOB_SIGNS: &str = "insert into ndas (id, user_id, pitch_id, status, created_at, updated_at)
    select p.id, u.id, p.id, 'pending', u.created_at, u.created_at from pitches p, users u where u.username = 'bob'";

fn room(name: impl AsRef<str>) -> RoomName {
    name.as_ref().parse().expect("a room's name")
}

/// (may join, may publish).
async fn rights(ops: &Ops, who: &Identity, room: &RoomName) -> (bool, bool) {
    (ops.may_join(Some(who), room).await.unwrap(), ops.may_publish(who, room).await.unwrap())
}

on_both! {
    public_rooms_are_those_that_are_configured,
    a_conversation_is_open_to_its_participants_only,
    a_team_is_open_to_its_members_only,
    everybody_listens_to_a_published_pitch_and_its_creator_speaks,
    withdrawing_a_pitch_closes_its_room_for_all_but_its_creator_and_tells_every_node,
    deleting_a_pitch_closes_its_room_for_its_creator_too,
    a_room_that_does_not_exist_answers_like_a_closed_one,
    an_answer_is_cached_and_a_revoke_beats_the_cache,
    only_acquaintances_may_be_watched,
}

async fn public_rooms_are_those_that_are_configured(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit).with_public_rooms(&["hall".into()]), sign_in(kit, "ada").await);
    assert!(ops.may_join(None, &room("public:hall")).await.unwrap());
    assert_eq!(rights(&ops, &ada, &room("public:hall")).await, (true, true));
    assert!(!ops.may_join(None, &room("public:lobby")).await.unwrap());
    assert_eq!(rights(&ops, &ada, &room("public:lobby")).await, (false, false));
}

async fn a_conversation_is_open_to_its_participants_only(kit: &TestStore) {
    let ops = ops(kit);
    let ((_, ada), (_, bob), (_, eve)) =
        (sign_in(kit, "ada").await, sign_in(kit, "bob").await, sign_in(kit, "eve").await);
    let conversation = RoomName::conversation(ops.open_conversation(&ada, bob.user_id).await.unwrap().id);
    assert_eq!(rights(&ops, &ada, &conversation).await, (true, true));
    assert_eq!(rights(&ops, &bob, &conversation).await, (true, true));
    assert_eq!(rights(&ops, &eve, &conversation).await, (false, false));
    assert!(!ops.may_join(None, &conversation).await.unwrap());
}

async fn a_team_is_open_to_its_members_only(kit: &TestStore) {
    let ops = ops(kit);
    let ((_, ada), (_, bob), (_, eve)) =
        (sign_in(kit, "ada").await, sign_in(kit, "bob").await, sign_in(kit, "eve").await);
    sql(kit, TEAM_OF_ADA).await;
    sql(kit, ADA_AND_BOB_JOIN).await;
    let team = room(format!("team:{}", TeamId(ada.user_id.0)));
    assert_eq!(rights(&ops, &bob, &team).await, (true, true));
    assert_eq!(rights(&ops, &eve, &team).await, (false, false));
}

async fn everybody_listens_to_a_published_pitch_and_its_creator_speaks(kit: &TestStore) {
    let ((_, ada), (_, bob)) = (sign_in(kit, "ada").await, sign_in(kit, "bob").await);
    sql(kit, DRAFT_OF_ADA).await;
    let (pitch, draft) = (RoomName::pitch(PitchId(ada.user_id.0)), ops(kit));
    assert_eq!(rights(&draft, &ada, &pitch).await, (true, true));
    assert_eq!(rights(&draft, &bob, &pitch).await, (false, false));
    sql(kit, PUBLISH).await;
    draft.pitch_visibility_changed(PitchId(ada.user_id.0), true).await;
    for ops in [draft, ops(kit)] {
        assert_eq!(rights(&ops, &bob, &pitch).await, (true, false));
        assert!(!ops.may_join(None, &pitch).await.unwrap(), "anonymous sockets have the public rooms");
    }
}

async fn withdrawing_a_pitch_closes_its_room_for_all_but_its_creator_and_tells_every_node(kit: &TestStore) {
    let ((_, ada), (_, bob)) = (sign_in(kit, "ada").await, sign_in(kit, "bob").await);
    sql(kit, DRAFT_OF_ADA).await;
    sql(kit, PUBLISH).await;
    let (ops, id) = (ops(kit), PitchId(ada.user_id.0));
    let (pitch, mut node) = (RoomName::pitch(id), node(ops.engine(), &[]).await);
    assert_eq!(rights(&ops, &bob, &pitch).await, (true, false));
    sql(kit, "update pitches set status = 'archived'").await;
    ops.pitch_visibility_changed(id, false).await;
    assert_eq!(rights(&ops, &bob, &pitch).await, (false, false));
    assert_eq!(rights(&ops, &ada, &pitch).await, (true, true));
    let told = node.deliveries.try_recv();
    let expected = Control::MembershipRevoked(pitch, EVERYBODY);
    assert!(matches!(&told, Some(Delivery::Control(control)) if *control == expected), "{told:?}");
}

async fn deleting_a_pitch_closes_its_room_for_its_creator_too(kit: &TestStore) {
    let ((_, ada), (_, bob)) = (sign_in(kit, "ada").await, sign_in(kit, "bob").await);
    sql(kit, DRAFT_OF_ADA).await;
    sql(kit, PUBLISH).await;
    let (ops, id) = (ops(kit), PitchId(ada.user_id.0));
    let pitch = RoomName::pitch(id);
    assert_eq!(rights(&ops, &ada, &pitch).await, (true, true));
    assert_eq!(rights(&ops, &bob, &pitch).await, (true, false));
    sql(kit, "delete from pitches").await;
    ops.pitch_deleted(id, ada.user_id).await;
    assert_eq!(rights(&ops, &ada, &pitch).await, (false, false));
    assert_eq!(rights(&ops, &bob, &pitch).await, (false, false));
}

async fn a_room_that_does_not_exist_answers_like_a_closed_one(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    for kind in ["pitch", "conversation", "team"] {
        assert_eq!(rights(&ops, &ada, &room(format!("{kind}:{}", Uuid::now_v7()))).await, (false, false));
    }
}

async fn an_answer_is_cached_and_a_revoke_beats_the_cache(kit: &TestStore) {
    let ops = ops(kit);
    let ((_, ada), (_, bob)) = (sign_in(kit, "ada").await, sign_in(kit, "bob").await);
    let conversation = RoomName::conversation(ops.open_conversation(&ada, bob.user_id).await.unwrap().id);
    for _ in 0..20 {
        assert!(ops.may_join(Some(&bob), &conversation).await.unwrap());
    }
    assert_eq!(runs(kit, "rooms.belongs"), 1);
    ops.engine().members.revoke(&conversation, bob.user_id).await.unwrap();
    assert_eq!(rights(&ops, &bob, &conversation).await, (false, false));
}

async fn only_acquaintances_may_be_watched(kit: &TestStore) {
    let ops = ops(kit);
    let ((_, ada), (_, bob)) = (sign_in(kit, "ada").await, sign_in(kit, "bob").await);
    let (a, b, unknown) = (ada.user_id, bob.user_id, UserId::new());
    let watched = async |who: &Identity| ops.watchable(who, &[b, unknown, a, b]).await.unwrap();
    assert_eq!(watched(&ada).await, [a], "oneself, nobody else, and no hint that the others exist");

    ops.open_conversation(&ada, b).await.unwrap();
    assert_eq!(watched(&ada).await, [b, a], "a conversation; in the order asked, without repeats");
    assert_eq!(watched(&bob).await, [b, a]);
    sql(kit, "update conversation_participants set left_at = joined_at").await;
    assert_eq!(watched(&ada).await, [a], "one that was left does not count");

    sql(kit, TEAM_OF_ADA).await;
    sql(kit, ADA_AND_BOB_JOIN).await;
    assert_eq!(watched(&bob).await, [b, a], "a team");
    sql(kit, "delete from team_members").await;

    sql(kit, DRAFT_OF_ADA).await;
    sql(kit, BOB_SIGNS).await;
    assert_eq!(watched(&ada).await, [a], "an NDA that was only asked for does not count");
    sql(kit, "update ndas set status = 'approved'").await;
    assert_eq!(watched(&ada).await, [b, a], "a granted NDA");
    assert_eq!(watched(&bob).await, [b, a], "from both sides");
    sql(kit, "update ndas set expires_at = created_at").await;
    assert_eq!(watched(&bob).await, [b], "but not when it is over");
}
