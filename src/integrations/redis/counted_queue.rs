//! A queue's status, with what was counted while it was asked for.

use crate::api::watch::{Count, Field, Promise, QueueStatus, Reported, Watchable};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CountedQueue {
    pub(super) status: QueueStatus,
    /// The moments that were ahead of the server's clock.
    pub(super) clamped: u64,
    /// The questions that failed, or that took too long.
    pub(super) unanswered: u64,
}

impl Watchable for CountedQueue {}

impl Reported for CountedQueue {
    const NOUN: &'static str = QueueStatus::NOUN;

    fn fields(&self) -> Vec<Field> {
        self.status.fields()
    }

    fn counts(&self) -> Vec<Count> {
        vec![
            Count { name: "clamped_ages", added: self.clamped },
            Count { name: "unanswered", added: self.unanswered },
        ]
    }

    fn with_promise(self, promise: Option<Promise>) -> Self {
        Self { status: self.status.with_promise(promise), ..self }
    }
}
