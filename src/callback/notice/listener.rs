//! The closure that receives loss notices.

use super::LossNotice;
use crate::ledger::Ledger;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// A shared slot for the closure. The settings, from which a forked child starts over, the worker, and cloned builders
/// all hold clones of the same slot.
#[derive(Clone)]
pub(crate) struct Listener(Arc<Mutex<Option<Closure>>>);

type Act = dyn FnMut(&LossNotice) + Send;

struct Closure {
    // `None` only while this is being dropped.
    act: Option<Box<Act>>,
}

impl Listener {
    pub(crate) fn new(act: impl FnMut(&LossNotice) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Closure { act: Some(Box::new(act)) }))))
    }

    /// Calls the closure. Returns `false` if the slot is empty, because another client's worker is calling the closure,
    /// or because it panicked before.
    pub(super) fn tell(&self, notice: &LossNotice, ledger: &Ledger) -> bool {
        // The slot is empty during the call, and no lock is held: the closure may do anything.
        let Some(mut closure) = self.take() else { return false };
        let act = closure.act.iter_mut();
        if catch_unwind(AssertUnwindSafe(|| act.for_each(|act| act(notice)))).is_ok() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(closure);
        } else {
            ledger.notice_panics.add(1);
        }
        true
    }

    /// Runs when the worker stops. The closure may hold the client itself, and the two would keep each other alive
    /// forever.
    pub(super) fn retire(&self) {
        // The settings and the worker hold one each.
        let is_last = Arc::strong_count(&self.0) <= 2;
        drop(is_last.then(|| self.take()));
    }

    fn take(&self) -> Option<Closure> {
        // This never waits. A child may have been forked while another thread held the lock, which stays locked in the
        // child.
        match self.0.try_lock() {
            Ok(mut place) => place.take(),
            Err(TryLockError::Poisoned(place)) => place.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Drop for Closure {
    fn drop(&mut self) {
        // What a closure captured may panic when it is dropped, possibly on a caller's thread.
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
        // A child that was forked in the meantime finds the lock taken forever.
        let locked = listener.0.lock().unwrap();
        assert!(!listener.tell(&notice, &ledger));
        listener.retire();
        drop(locked);
        assert!(listener.tell(&notice, &ledger));
        assert_eq!(notices.try_iter().count(), 1);
    }
}
