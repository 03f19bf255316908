//! What can go wrong with the live side. Losing it never loses durable data, so every error here means "later" or
//! "ask the store", never "wrong".

/// Why an engine call failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine cannot be reached. Durable work goes on from the store; live work answers "try again".
    #[error("the engine is unavailable: failed to {what}")]
    Unavailable {
        /// What was being attempted.
        what: &'static str,
    },
    /// The engine refused because one of its bounds is reached; try again later.
    #[error("the engine is busy: failed to {what}")]
    Busy {
        /// What was being attempted.
        what: &'static str,
    },
    /// The node is not attached (any more): its queue was dropped.
    #[error("this node is not attached to the broker")]
    NotAttached,
    /// The settings of the engine cannot work.
    #[error("{why}")]
    Settings {
        /// Which one, and why.
        why: String,
    },
}
