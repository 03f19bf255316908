//! Messages: numbered without gaps, in every participant's inbox, once per id.

use super::*;
use shared::{
    engine::Signal,
    id::ConversationId,
    ops::SentMessage,
    protocol::{RoomName, command::BODY_BYTES},
};

/// Sends a message with an id of its own.
async fn send(ops: &Ops, from: &Identity, to: Uuid, body: &str) -> Result<SentMessage, OpsError> {
    ops.send_message(from, Uuid::now_v7(), to, body).await
}

async fn three(kit: &TestStore) -> (Identity, Identity, Identity) {
    (sign_in(kit, "ada").await.1, sign_in(kit, "bob").await.1, sign_in(kit, "eve").await.1)
}

on_both! {
    a_message_is_in_the_inbox_of_every_participant_when_it_is_acknowledged,
    twenty_concurrent_senders_leave_no_gap_in_any_inbox,
    two_who_write_to_each_other_at_once_share_one_conversation,
    a_repeated_id_is_one_message_for_ever_even_when_ten_come_at_once,
    foreign_conversations_and_unknown_people_are_not_found,
    a_body_that_cannot_be_kept_is_refused_by_name,
    pages_are_newest_first_without_repeats,
    the_list_shows_who_is_in_and_what_was_said_last,
    a_message_ends_typing,
    a_message_that_is_refused_leaves_nothing_behind,
}

async fn a_message_is_in_the_inbox_of_every_participant_when_it_is_acknowledged(kit: &TestStore) {
    let (ops, (ada, bob, eve)) = (ops(kit), three(kit).await);
    let first = send(&ops, &ada, bob.user_id.0, "hello").await.unwrap();
    let second =
        send(&ops, &bob, first.message.conversation_id.0, "<b>\"hi\"</b>'; drop table messages; --").await.unwrap();
    assert_eq!((first.message.seq, second.message.seq), (1, 2));
    assert_eq!(first.message.conversation_id, second.message.conversation_id);
    for participant in [&ada, &bob] {
        let inbox = inbox_of(kit, participant.user_id).await;
        assert_eq!(inbox.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
        assert!(inbox.iter().all(|entry| entry.event == "message.created"));
        assert_eq!(data(&inbox[1])["message"], serde_json::to_value(&second.message).unwrap());
    }
    assert!(inbox_of(kit, eve.user_id).await.is_empty());
}

async fn twenty_concurrent_senders_leave_no_gap_in_any_inbox(kit: &TestStore) {
    let (ops, (ada, ..)) = (ops(kit), three(kit).await);
    let mut sending = Vec::new();
    for n in 0..20 {
        let (_, sender) = sign_in(kit, &format!("sender{n}")).await;
        let (ops, to) = (ops.clone(), ada.user_id.0);
        sending.push(spawn(async move {
            for m in 0..5 {
                send(&ops, &sender, to, &format!("message {m}")).await.expect("it is sent");
            }
            sender.user_id
        }));
    }
    let mut senders = Vec::new();
    for sender in sending {
        senders.push(sender.await.unwrap());
    }
    let inbox = inbox_of(kit, ada.user_id).await;
    assert_eq!(inbox.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    for sender in senders {
        let own: Vec<_> = inbox_of(kit, sender).await.iter().map(|entry| entry.seq).collect();
        assert_eq!(own, [1, 2, 3, 4, 5]);
        let sender = sender.to_string();
        let of_sender = inbox.iter().map(data).filter(|data| data["message"]["senderId"] == sender.as_str());
        let said: Vec<_> = of_sender.map(|data| data["message"]["body"].as_str().unwrap().to_owned()).collect();
        assert_eq!(said, ["message 0", "message 1", "message 2", "message 3", "message 4"]);
    }
}

async fn two_who_write_to_each_other_at_once_share_one_conversation(kit: &TestStore) {
    let (ops, (ada, bob, _)) = (ops(kit), three(kit).await);
    let sending: Vec<_> = (0..10)
        .map(|n| {
            let (ops, ada, bob) = (ops.clone(), ada.clone(), bob.clone());
            spawn(async move {
                let (from, to) = if n % 2 == 0 { (&ada, &bob) } else { (&bob, &ada) };
                send(&ops, from, to.user_id.0, "hello").await.expect("it is sent").message
            })
        })
        .collect();
    let mut messages = Vec::new();
    for sent in sending {
        messages.push(sent.await.unwrap());
    }
    assert!(messages.iter().all(|message| message.conversation_id == messages[0].conversation_id));
    let mut numbers: Vec<_> = messages.iter().map(|message| message.seq).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    assert_eq!(ops.conversations(&ada, None, 10).await.unwrap().len(), 1);
}

async fn a_repeated_id_is_one_message_for_ever_even_when_ten_come_at_once(kit: &TestStore) {
    let (ops, (ada, bob, eve)) = (ops(kit), three(kit).await);
    let id = Uuid::now_v7();
    let sending: Vec<_> = (0..10)
        .map(|_| {
            let (ops, ada, to) = (ops.clone(), ada.clone(), bob.user_id.0);
            spawn(async move { ops.send_message(&ada, id, to, "once").await.expect("it is sent") })
        })
        .collect();
    let mut sent = Vec::new();
    for one in sending {
        sent.push(one.await.unwrap());
    }
    assert_eq!(sent.iter().filter(|one| !one.repeated).count(), 1);
    assert!(sent.iter().all(|one| one.message == sent[0].message));
    let elsewhere = ops.send_message(&ada, id, eve.user_id.0, "another text").await.unwrap();
    assert_eq!(elsewhere, SentMessage { message: sent[0].message.clone(), repeated: true });
    assert_eq!(inbox_of(kit, bob.user_id).await.len(), 1);
    assert!(inbox_of(kit, eve.user_id).await.is_empty());
    let of_bob = ops.send_message(&bob, id, ada.user_id.0, "ids are the sender's own").await.unwrap();
    assert!(!of_bob.repeated && of_bob.message.seq == 2);
}

async fn foreign_conversations_and_unknown_people_are_not_found(kit: &TestStore) {
    let (ops, (ada, bob, eve)) = (ops(kit), three(kit).await);
    let conversation = send(&ops, &ada, bob.user_id.0, "private").await.unwrap().message.conversation_id;
    assert_eq!(send(&ops, &eve, conversation.0, "let me in").await, Err(OpsError::NotFound));
    assert_eq!(send(&ops, &eve, Uuid::now_v7(), "anybody?").await, Err(OpsError::NotFound));
    for foreign in [conversation, ConversationId(ada.user_id.0)] {
        assert_eq!(ops.say(&eve, Uuid::now_v7(), foreign, "let me in").await, Err(OpsError::NotFound));
    }
    assert_eq!(ops.messages(&eve, conversation, None, 10).await, Err(OpsError::NotFound));
    assert_eq!(ops.messages(&eve, ConversationId::new(), None, 10).await, Err(OpsError::NotFound));
    assert_eq!(ops.open_conversation(&eve, UserId::new()).await, Err(OpsError::NotFound));
    assert!(ops.conversations(&eve, None, 10).await.unwrap().is_empty());
}

async fn a_body_that_cannot_be_kept_is_refused_by_name(kit: &TestStore) {
    let (ops, (ada, bob, _)) = (ops(kit), three(kit).await);
    let long = "x".repeat(BODY_BYTES + 1);
    for body in ["", " \n\t", "a\0b", &long] {
        let refused = send(&ops, &ada, bob.user_id.0, body).await.unwrap_err();
        assert!(matches!(refused, OpsError::Invalid { field: "body", .. }), "{refused:?}");
    }
    let alone = send(&ops, &ada, ada.user_id.0, "to myself").await.unwrap_err();
    assert!(matches!(alone, OpsError::Invalid { field: "to", .. }), "{alone:?}");
    let longest = "é".repeat(BODY_BYTES / 2);
    assert_eq!(send(&ops, &ada, bob.user_id.0, &longest).await.unwrap().message.body, longest);
    assert_eq!(inbox_of(kit, bob.user_id).await.len(), 1);
}

async fn pages_are_newest_first_without_repeats(kit: &TestStore) {
    let (ops, (ada, bob, _)) = (ops(kit), three(kit).await);
    let mut conversation = None;
    for n in 1..=7 {
        conversation = Some(send(&ops, &ada, bob.user_id.0, &n.to_string()).await.unwrap().message.conversation_id);
    }
    let (conversation, mut before, mut read) = (conversation.unwrap(), None, Vec::new());
    loop {
        let page = ops.messages(&bob, conversation, before, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.seq);
        read.extend(page.into_iter().map(|message| message.body));
    }
    assert_eq!(read, ["7", "6", "5", "4", "3", "2", "1"]);
}

async fn the_list_shows_who_is_in_and_what_was_said_last(kit: &TestStore) {
    let (ops, (ada, bob, eve)) = (ops(kit), three(kit).await);
    ops.open_conversation(&ada, bob.user_id).await.unwrap();
    kit.clock.advance(Duration::from_secs(1));
    ops.open_conversation(&ada, eve.user_id).await.unwrap();
    kit.clock.advance(Duration::from_secs(1));
    send(&ops, &bob, ada.user_id.0, "news").await.unwrap();
    let list = ops.conversations(&ada, None, 10).await.unwrap();
    let names = |n: usize| list[n].participants.iter().map(|person| person.name.as_str()).collect::<Vec<_>>();
    assert_eq!((names(0), names(1)), (vec!["ada", "bob"], vec!["ada", "eve"]));
    assert_eq!(list[0].last_message.as_ref().map(|message| message.body.as_str()), Some("news"));
    assert_eq!(list[1].last_message, None);
    let rest = ops.conversations(&ada, Some((list[0].updated_at, list[0].id)), 10).await.unwrap();
    assert_eq!(rest, list[1..]);
}

async fn a_message_ends_typing(kit: &TestStore) {
    let (ops, (ada, bob, _)) = (ops(kit), three(kit).await);
    let conversation = ops.open_conversation(&ada, bob.user_id).await.unwrap().id;
    let (mut node, topic) = (node(ops.engine(), &[]).await, Topic::Room(RoomName::conversation(conversation)));
    ops.engine().broker.subscribe(node.node, &topic).await.unwrap();
    send(&ops, &ada, conversation.0, "there").await.unwrap();
    let Some(Delivery::Signal(room, signal)) = node.deliveries.try_recv() else { panic!("a signal was expected") };
    assert_eq!((room, signal), (topic, Signal::Typing { user: ada.user_id, ttl_ms: 0 }));
}

async fn a_message_that_is_refused_leaves_nothing_behind(kit: &TestStore) {
    let (ops, (ada, bob, _)) = (ops(kit), three(kit).await);
    let first = send(&ops, &ada, bob.user_id.0, "one").await.unwrap().message;
    let id: Uuid = first.client_id.parse().unwrap();
    assert!(ops.send_message(&ada, id, bob.user_id.0, "two").await.unwrap().repeated);
    let next = send(&ops, &ada, bob.user_id.0, "three").await.unwrap().message;
    assert_eq!(next.seq, 2, "the repeat gave its number back");
    assert_eq!(inbox_of(kit, bob.user_id).await.len(), 2);
}
