//! The conformance suites of both seams, each written once and run on every backend.
//!
//! One binary, so that all tests share one private PostgreSQL and the crate is linked once.

mod engine;
mod ops;
mod store;
mod testkit;
