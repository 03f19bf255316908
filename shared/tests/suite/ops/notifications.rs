//! The feed: one change is one event, and counts and versions agree with positions.

use super::*;
use shared::{
    id::NotificationId,
    model::{NewNotification, Notification},
    ops::{MarkRead, notifications},
    store::StoreError,
};

fn new(user: UserId, title: &str) -> NewNotification {
    let metadata = BTreeMap::from([("pitchId".into(), "42".into())]);
    NewNotification { user, kind: "pitch.liked", title: title.into(), body: "body".into(), metadata }
}

/// `count` notifications for the user, oldest first.
async fn notify(ops: &Ops, user: UserId, count: usize) -> Vec<Notification> {
    ops.notify((0..count).map(|n| new(user, &n.to_string())).collect()).await.unwrap()
}

fn ids(notifications: &[Notification]) -> Vec<NotificationId> {
    notifications.iter().map(|notification| notification.id).collect()
}

on_both! {
    a_notification_and_its_event_are_one_change,
    a_business_change_that_is_undone_notifies_nobody,
    a_hundred_concurrent_marks_are_one_change_and_one_event,
    concurrent_marks_of_different_ones_count_down_in_the_order_of_positions,
    nobody_marks_what_belongs_to_somebody_else,
    the_feed_is_paged_newest_first_and_can_show_the_unread_only,
    people_with_long_names_do_not_fail_a_business_change,
}

async fn a_notification_and_its_event_are_one_change(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let written = notify(&ops, ada.user_id, 2).await;
    let inbox = inbox_of(kit, ada.user_id).await;
    assert_eq!(inbox.len(), 2);
    for (n, entry) in inbox.iter().enumerate() {
        assert_eq!((entry.event.as_str(), entry.seq), ("notification.created", written[n].version));
        assert_eq!(data(entry)["notification"], serde_json::to_value(&written[n]).unwrap());
        assert_eq!(data(entry)["unreadCount"], n + 1);
    }
    let feed = ops.notifications(&ada, false, None, 10).await.unwrap();
    assert_eq!((feed.notifications.len(), feed.unread_count), (2, 2));
    assert_eq!(feed.notifications[1].metadata, BTreeMap::from([("pitchId".into(), "42".into())]));
}

async fn a_business_change_that_is_undone_notifies_nobody(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let failed: Result<(), _> = kit
        .store
        .tx("test.fail", async |tx| {
            notifications::write(tx, vec![new(ada.user_id, "never")]).await?;
            Err(StoreError::Corrupt("made up".into()))
        })
        .await;
    assert!(failed.is_err() && inbox_of(kit, ada.user_id).await.is_empty());
    assert!(ops.notifications(&ada, false, None, 10).await.unwrap().notifications.is_empty());
}

async fn a_hundred_concurrent_marks_are_one_change_and_one_event(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let written = notify(&ops, ada.user_id, 3).await;
    let marking: Vec<_> = (0..100)
        .map(|n| {
            let (ops, ada, ids) = (ops.clone(), ada.clone(), ids(&written));
            let which = if n % 3 == 0 { MarkRead::All } else { MarkRead::Ids(ids) };
            spawn(async move { ops.mark_read(&ada, which).await.expect("it is marked") })
        })
        .collect();
    let mut changes = Vec::new();
    for mark in marking {
        let marked = mark.await.unwrap();
        assert_eq!(marked.unread_count, 0);
        changes.extend(marked.version.map(|_| marked));
    }
    assert_eq!(changes.len(), 1, "one of them changed something");
    assert_eq!(changes[0].ids.len(), 3);
    let inbox = inbox_of(kit, ada.user_id).await;
    let read: Vec<_> = inbox.iter().filter(|entry| entry.event == "notification.read").collect();
    assert_eq!(read.len(), 1);
    assert_eq!(
        (data(read[0])["version"].as_u64(), data(read[0])["unreadCount"].as_u64()),
        (changes[0].version, Some(0))
    );
    let feed = ops.notifications(&ada, false, None, 10).await.unwrap();
    assert!(
        feed.notifications
            .iter()
            .all(|one| one.read && one.read_at.is_some() && Some(one.version) == changes[0].version)
    );
    assert!(changes[0].version > written.iter().map(|one| one.version).max());
}

async fn concurrent_marks_of_different_ones_count_down_in_the_order_of_positions(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let written = notify(&ops, ada.user_id, 20).await;
    let marking: Vec<_> = ids(&written)
        .into_iter()
        .map(|id| {
            let (ops, ada) = (ops.clone(), ada.clone());
            spawn(async move { ops.mark_read(&ada, MarkRead::Ids(vec![id])).await.expect("it is marked") })
        })
        .collect();
    for mark in marking {
        assert_eq!(mark.await.unwrap().ids.len(), 1);
    }
    let counts: Vec<_> = inbox_of(kit, ada.user_id)
        .await
        .iter()
        .filter(|entry| entry.event == "notification.read")
        .map(|entry| data(entry)["unreadCount"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, (0..20).rev().collect::<Vec<_>>());
}

async fn nobody_marks_what_belongs_to_somebody_else(kit: &TestStore) {
    let (ops, (_, ada), (_, eve)) = (ops(kit), sign_in(kit, "ada").await, sign_in(kit, "eve").await);
    let written = notify(&ops, ada.user_id, 1).await;
    let mut wanted = ids(&written);
    wanted.push(NotificationId::new());
    let marked = ops.mark_read(&eve, MarkRead::Ids(wanted)).await.unwrap();
    assert!(marked.ids.is_empty() && marked.version.is_none());
    assert!(inbox_of(kit, eve.user_id).await.is_empty());
    assert_eq!(ops.notifications(&ada, true, None, 10).await.unwrap().unread_count, 1);
    let many = MarkRead::Ids(vec![NotificationId::new(); notifications::MAX_IDS + 1]);
    assert!(matches!(ops.mark_read(&eve, many).await, Err(OpsError::Invalid { field: "ids", .. })));
    let none = ops.mark_read(&eve, MarkRead::Ids(Vec::new())).await.unwrap();
    assert!(none.ids.is_empty() && none.version.is_none());
}

async fn the_feed_is_paged_newest_first_and_can_show_the_unread_only(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    for n in 0..5 {
        ops.notify(vec![new(ada.user_id, &n.to_string())]).await.unwrap();
        kit.clock.advance(Duration::from_micros(1));
    }
    let (mut after, mut titles, mut all) = (None, Vec::new(), Vec::new());
    loop {
        let page = ops.notifications(&ada, false, after, 2).await.unwrap().notifications;
        let Some(last) = page.last() else { break };
        after = Some((last.created_at, last.id));
        titles.extend(page.iter().map(|one| one.title.clone()));
        all.extend(ids(&page));
    }
    assert_eq!(titles, ["4", "3", "2", "1", "0"]);
    ops.mark_read(&ada, MarkRead::Ids(all[..2].to_vec())).await.unwrap();
    let unread = ops.notifications(&ada, true, None, 10).await.unwrap();
    assert_eq!((ids(&unread.notifications), unread.unread_count), (all[2..].to_vec(), 3));
}

async fn people_with_long_names_do_not_fail_a_business_change(kit: &TestStore) {
    let (ops, (_, ada)) = (ops(kit), sign_in(kit, "ada").await);
    let written = ops.notify(vec![new(ada.user_id, &"é".repeat(300))]).await.unwrap();
    assert_eq!(written[0].title.chars().count(), 200);
}
