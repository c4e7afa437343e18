//! Whether a source answers, told where it changes.

use super::operator::tell;
use crate::readable::readable_start;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

/// The characters of a reason that are told: a server may say anything.
const MAX_REASON: usize = 300;

/// What is known of one source. It is taken to answer until it does not.
#[derive(Debug)]
pub(super) struct Reachability {
    source: String,
    is_away: AtomicBool,
}

impl Reachability {
    pub(super) fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), is_away: AtomicBool::new(false) }
    }

    /// Takes note of how a question ended.
    pub(super) fn note<T, E: Display>(&self, ended: Result<T, E>) -> Option<T> {
        let was_away = self.is_away.swap(ended.is_err(), Ordering::Relaxed);
        match (&ended, was_away) {
            (Err(reason), false) => tell(&no_answer(&self.source, reason)),
            (Ok(_), true) => tell(&format!("{}: it answers again", self.source)),
            _ => {}
        }
        ended.ok()
    }
}

/// Says that a source did not answer, and why.
pub(super) fn no_answer(source: &impl Display, reason: &impl Display) -> String {
    format!("{source}: no answer: {}", readable_start(&reason.to_string(), MAX_REASON))
}
