//! The closure that is told of losses.

use super::LossNotice;
use crate::ledger::Ledger;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// The place of a closure. Clones are the same one: the settings', from which a forked child starts over, the worker's, and
/// those of a builder that was cloned.
#[derive(Clone)]
pub(crate) struct Listener(Arc<Mutex<Option<Closure>>>);

type Act = dyn FnMut(&LossNotice) + Send;

struct Closure {
    // Gone only while this is dropped.
    act: Option<Box<Act>>,
}

impl Listener {
    pub(crate) fn new(act: impl FnMut(&LossNotice) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Closure { act: Some(Box::new(act)) }))))
    }

    /// Calls the closure. `false` where it is not here: another client's worker is in it, or it panicked before.
    pub(super) fn tell(&self, notice: &LossNotice, ledger: &Ledger) -> bool {
        // It is out of its place meanwhile, and no lock is held: what it does may be anything.
        let Some(mut closure) = self.take() else { return false };
        let act = closure.act.iter_mut();
        if catch_unwind(AssertUnwindSafe(|| act.for_each(|act| act(notice)))).is_ok() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(closure);
        } else {
            ledger.notice_panics.add(1);
        }
        true
    }

    /// The worker ends. What the closure holds may be the client itself, which would keep both for ever.
    pub(super) fn retire(&self) {
        // The settings have it, and the worker.
        let is_last = Arc::strong_count(&self.0) <= 2;
        drop(is_last.then(|| self.take()));
    }

    fn take(&self) -> Option<Closure> {
        // Never waits: a child may have been forked while another thread had the lock, which stays locked there.
        match self.0.try_lock() {
            Ok(mut place) => place.take(),
            Err(TryLockError::Poisoned(place)) => place.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Drop for Closure {
    fn drop(&mut self) {
        // What a closure holds may panic when it is dropped, and that may be on a caller's thread.
        let act = self.act.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(act)));
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::notice::{Dropped, LossPhase};
    use std::time::Duration;

    #[test]
    fn a_place_that_another_thread_has_locked_is_not_waited_for() {
        let (told, notices) = std::sync::mpsc::channel();
        let listener = Listener::new(move |_| told.send(()).unwrap());
        let (phase, dropped) = (LossPhase::Started, Dropped::default());
        let notice =
            LossNotice { phase, agent: 0, lasted: Duration::ZERO, probe: None, last_error: None, dropped };
        let ledger = Ledger::default();
        // As a child finds it that was forked meanwhile, for ever.
        let locked = listener.0.lock().unwrap();
        assert!(!listener.tell(&notice, &ledger));
        listener.retire();
        drop(locked);
        assert!(listener.tell(&notice, &ledger));
        assert_eq!(notices.try_iter().count(), 1);
    }
}
