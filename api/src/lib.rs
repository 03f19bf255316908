//! Pitchey's REST api, and the host of the embedded platform.
//!
//! ```text
//! server.rs ──▶ http/pipeline.rs ──▶ router.rs ──▶ routes/<resource>/<verb>.rs ──▶ shared::ops, shared::store
//! accept, time    every request's way   one table     reads, authorises, answers      transactions, inboxes
//! ```
//!
//! # One request
//!
//! A tracked task owns the connection ([`server`]). The [`http`] pipeline names the request, finds its line in the
//! table ([`routes`]), counts it against the limits, finds out who asks, reads the body, and runs the handler (in a
//! task of its own if it changes something). The handler's [`http::Reply`] or [`http::ApiError`] is rendered once, for
//! all routes alike, and leaves with the security headers.
//!
//! Only `embedded.rs` imports the gateway. Business rules that the WebSocket shares live in `shared::ops`; SQL lives in
//! `shared::store`.

mod activity;
pub mod announcements;
pub mod app;
pub mod banner;
pub mod demo;
pub mod embedded;
pub mod housekeeping;
pub mod http;
mod page;
pub mod router;
pub mod routes;
pub mod server;
pub mod services;
pub mod startup;
pub mod views;
