//! A session acts in one portal at a time. Endpoints of a portal refuse the others, and leave the session alone: the
//! client switches with `POST /api/auth/portal` and calls again.

use crate::http::{ApiError, Ctx};
use shared::model::{Identity, Portal};

/// Who asks, if they act in this portal; 401 without a session, 403 from another portal.
pub(super) fn acting_in(ctx: &Ctx, portal: Portal) -> Result<&Identity, ApiError> {
    let identity = ctx.user()?;
    if identity.portal == portal {
        return Ok(identity);
    }
    Err(ApiError::forbidden(match portal {
        Portal::Creator => "This belongs to the creator portal",
        Portal::Investor => "This belongs to the investor portal",
        Portal::Production => "This belongs to the production portal",
    }))
}
