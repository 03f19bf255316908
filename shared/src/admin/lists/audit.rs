//! What operators did.

use super::{
    super::{Shared, actions::shown, select::Refusal},
    unavailable,
};
use crate::{
    protocol::admin::{AuditRow, View},
    store::operators,
};

/// How far back the view looks; the table has everything.
const NEWEST: u32 = 1_000;

/// The newest rows.
pub(super) async fn rows(shared: &Shared) -> Result<Vec<AuditRow>, Refusal> {
    let store = shared.sources.store.as_ref().ok_or_else(|| unavailable(View::Audit))?;
    let rows = store.read("operators.newest", async |c| operators::newest(c, NEWEST).await).await;
    let rows = rows.map_err(|error| Refusal::new("unavailable", error.to_string()))?;
    Ok(rows.into_iter().map(shown).collect())
}
