//! People with accounts.

use super::{Portal, Portals};
use crate::{clock::Timestamp, id::UserId};
use serde::Serialize;

/// An account, as its owner sees it. Never carries the password hash: the one query that needs it returns it apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "store", derive(sqlx::FromRow))]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Identifier.
    pub id: UserId,
    /// Lower-cased address, unique.
    pub email: String,
    /// Unique handle, shown to others.
    pub username: String,
    /// Display name.
    pub name: String,
    /// The portal the account was registered for.
    pub user_type: Portal,
    /// Every portal the account may enter.
    pub portals: Portals,
    /// Whether the address was proven; login needs it.
    pub email_verified: bool,
    /// Whether the account may set flags such as `featured`.
    pub is_admin: bool,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// What other users may see of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "store", derive(sqlx::FromRow))]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Identifier.
    pub id: UserId,
    /// Display name.
    pub name: String,
    /// The portal the account was registered for.
    pub portal: Portal,
}
