//! Whether an agent can be reached, and the last error if not.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The results of the flushes to one agent. A forked child gets a new one, because its parent's lock may stay locked
/// there forever.
#[derive(Debug, Default)]
pub(crate) struct Reach(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last_error: Option<Arc<str>>,
    last_sent_at: Option<SystemTime>,
}

impl Reach {
    /// Notes a finished flush. `sent` is whether it sent something, and `error` is why it lost something.
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
        // Nothing panics while holding the lock, so a poisoned lock is still consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
