//! Carrying an action out, step by step, so that its progress can be seen and the process's end is not held up.

use super::{
    super::{Shared, SocketHandle, Which},
    Refused, count, ops,
};
use crate::{
    engine::Control,
    id::UserId,
    model::NewNotification,
    protocol::admin::{Action, ActionRequest, Audience, Target},
    store::users,
};
use std::{sync::PoisonError, time::Duration};
use tokio::time::sleep;
use uuid::Uuid;

/// Sockets asked to close in one step, and the pause after it: four thousand a second, so that those who come back at
/// once do not come all at once.
const CLOSES: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);
/// Users told in one transaction: some 50 ms of it, in which their inboxes are locked.
const TOLD_AT_ONCE: usize = 200;
/// How often a drain looks how far it is.
const LOOK: Duration = Duration::from_millis(200);

/// Runs to the end; `Err` says what went wrong.
pub(super) async fn run(shared: &Shared, id: Uuid, asked: &ActionRequest) -> Result<(), String> {
    let step = Step { shared, id };
    let outcome = match &asked.action {
        Action::Disconnect { target } => step.disconnect(target).await,
        Action::RevokeSessions { user } => step.revoke_all(*user).await,
        Action::RevokeSession { user, session } => {
            let revoked = ops(shared).map(|ops| ops.revoke_session(*user, *session));
            match revoked {
                Ok(revoked) => revoked.await.map(|revoked| step.done(revoked.into())).map_err(Refused::failed),
                Err(refused) => Err(refused),
            }
        }
        Action::Kick { room, user } => step.kick(room, *user).await,
        Action::Drain { per_second, .. } => step.drain(*per_second).await,
        Action::Undrain { .. } => {
            if let Some(sockets) = &shared.sources.sockets {
                sockets.undrain();
            }
            step.done(1);
            Ok(())
        }
        Action::Announce { to, title, body } => step.announce(to, title, body).await,
        Action::Ack { alert } => step.alert(|alerts, operator| alerts.ack(alert, operator)),
        Action::Silence { alert, for_s } => {
            let until = (*for_s > 0).then(|| shared.now() + Duration::from_secs(*for_s));
            step.alert(|alerts, _| alerts.silence(alert, until))
        }
        Action::PurgeQueue { .. } | Action::Redeliver { .. } | Action::LogFilter { .. } | Action::KnowError { .. } => {
            Err(Refused::unavailable("such action"))
        }
    };
    outcome.map_err(|refused| refused.body.message)
}

struct Step<'a> {
    shared: &'a Shared,
    id: Uuid,
}

impl Step<'_> {
    /// So many more are done.
    fn done(&self, more: u64) {
        self.shared.jobs.change(self.id, |job| job.done += more);
    }

    fn operator(&self) -> String {
        self.shared.jobs.get(self.id).map(|job| job.operator).unwrap_or_default()
    }

    async fn disconnect(&self, target: &Target) -> Result<(), Refused> {
        let Some(sockets) = &self.shared.sources.sockets else { return Err(Refused::unavailable("sockets")) };
        let meant = sockets.matching(&count::which(self.shared, target)?);
        self.shared.jobs.change(self.id, |job| job.matched = meant.len() as u64);
        let operator = self.operator();
        for (at, batch) in meant.chunks(CLOSES).enumerate() {
            if at > 0 {
                sleep(PAUSE).await;
            }
            let batch: &[SocketHandle] = batch;
            let closed = sockets.close(batch, &operator);
            let gone = batch.len() as u64 - closed;
            self.shared.jobs.change(self.id, |job| {
                job.done += closed;
                job.failed += gone;
                if gone > 0 {
                    job.note = "the others had gone by themselves".into();
                }
            });
        }
        Ok(())
    }

    async fn revoke_all(&self, user: UserId) -> Result<(), Refused> {
        let revoked = ops(self.shared)?.revoke_all_sessions(user).await.map_err(Refused::failed)?;
        self.done(revoked as u64);
        Ok(())
    }

    async fn kick(&self, room: &str, user: UserId) -> Result<(), Refused> {
        let room = room.parse().map_err(|_| Refused::bad("this is no room"))?;
        let told = ops(self.shared)?.engine().broker.control(Control::MembershipRevoked(room, user)).await;
        told.map_err(Refused::failed)?;
        self.shared.jobs.change(self.id, |job| job.done = job.matched);
        Ok(())
    }

    /// Runs until nobody is left, or until somebody takes the drain back.
    async fn drain(&self, per_second: Option<u32>) -> Result<(), Refused> {
        let Some(sockets) = &self.shared.sources.sockets else { return Err(Refused::unavailable("sockets")) };
        let all = sockets.matching(&Which::All).len() as u64;
        self.shared.jobs.change(self.id, |job| job.matched = all);
        sockets.drain(per_second, &self.operator());
        loop {
            let left = sockets.matching(&Which::All).len() as u64;
            self.shared.jobs.change(self.id, |job| job.done = job.matched.saturating_sub(left));
            if left == 0 {
                return Ok(());
            }
            if !sockets.gauges().draining {
                self.shared.jobs.change(self.id, |job| job.note = "taken back".into());
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    async fn announce(&self, to: &Audience, title: &str, body: &str) -> Result<(), Refused> {
        let tell = async |users: &[UserId]| -> Result<(), Refused> {
            for batch in users.chunks(TOLD_AT_ONCE) {
                let new = batch.iter().map(|user| NewNotification {
                    user: *user,
                    kind: "announcement",
                    title: title.to_owned(),
                    body: body.to_owned(),
                    metadata: [("job".to_owned(), self.id.to_string())].into(),
                });
                let told = ops(self.shared)?.notify(new.collect()).await.map_err(Refused::failed)?;
                self.done(told.len() as u64);
            }
            Ok(())
        };
        match to {
            Audience::Users(users) => {
                let users: std::collections::BTreeSet<_> = users.iter().copied().collect();
                tell(&users.into_iter().collect::<Vec<_>>()).await
            }
            Audience::Present => tell(&count::present(self.shared).into_iter().collect::<Vec<_>>()).await,
            Audience::Everyone => {
                let (store, mut after) = (ops(self.shared)?.store(), None);
                loop {
                    let limit = u32::try_from(TOLD_AT_ONCE).expect("a small number");
                    let page = store.read("users.page", async |c| users::page(c, after, limit).await).await;
                    let page = page.map_err(Refused::failed)?;
                    tell(&page).await?;
                    after = page.last().copied();
                    if after.is_none() {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn alert(&self, change: impl FnOnce(&mut crate::admin::Alerts, &str) -> bool) -> Result<(), Refused> {
        let operator = self.operator();
        let mut alerts = self.shared.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        if !change(&mut alerts, &operator) {
            return Err(Refused::bad("no such alert fires here"));
        }
        drop(alerts);
        self.done(1);
        Ok(())
    }
}
