//! Whether an agent is reached, and why not.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// What the flushes to one agent came to. A forked child has another: its parent's may be locked there for ever.
#[derive(Debug, Default)]
pub(crate) struct Reach(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last_error: Option<Arc<str>>,
    last_sent_at: Option<SystemTime>,
}

impl Reach {
    /// A flush is over that sent something, and lost something if there is an error.
    pub(crate) fn note(&self, sent: bool, error: Option<impl fmt::Display>) {
        let error: Option<Arc<str>> = error.map(|error| error.to_string().into());
        let mut state = self.lock();
        if sent {
            state.last_sent_at = Some(SystemTime::now());
        }
        if sent || error.is_some() {
            state.last_error = error;
        }
    }

    pub(super) fn last_error(&self) -> Option<Arc<str>> {
        self.lock().last_error.clone()
    }

    pub(super) fn last_sent_at(&self) -> Option<SystemTime> {
        self.lock().last_sent_at
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a poisoned one would be as good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
