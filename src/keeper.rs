//! What keeps handles for callers that come by name: told of every flush, so that it can let go of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Keeps handles on behalf of callers that have none. It lives beside the index, for as long as somebody refers to it.
pub(crate) trait Keep: Send + Sync {
    /// A flush begins. Lets go of what nobody used for long; `crowded` says that there was no room for another context.
    fn tidy(&self, crowded: bool);

    /// Keeps everybody out for as long as the answer lives: while a thread forks.
    fn freeze(&self) -> Box<dyn Held + '_>;
}

/// Locks, held.
pub(crate) trait Held {}

impl<T> Held for T {}

/// The keepers of a client.
#[derive(Default)]
pub(crate) struct Keepers(Mutex<Vec<Weak<dyn Keep>>>);

impl Keepers {
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn add(&self, keeper: Weak<dyn Keep>) {
        let mut known = self.freeze();
        known.retain(|known| known.strong_count() > 0);
        known.push(keeper);
    }

    /// Tells each of a flush.
    pub(crate) fn tidy(&self, crowded: bool) {
        // Not under the lock: one that nobody else refers to any more is dropped here.
        let known: Vec<_> = present(&self.freeze()).collect();
        for keeper in known {
            keeper.tidy(crowded);
        }
    }

    /// Keeps everybody out for as long as the answer lives.
    pub(crate) fn freeze(&self) -> MutexGuard<'_, Vec<Weak<dyn Keep>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of a list that are still there.
pub(crate) fn present(known: &[Weak<dyn Keep>]) -> impl Iterator<Item = Arc<dyn Keep>> {
    known.iter().filter_map(Weak::upgrade)
}

impl std::fmt::Debug for Keepers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keepers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Told(AtomicU32);

    impl Keep for Told {
        fn tidy(&self, crowded: bool) {
            self.0.fetch_add(if crowded { 100 } else { 1 }, Ordering::Relaxed);
        }

        fn freeze(&self) -> Box<dyn Held + '_> {
            Box::new(())
        }
    }

    #[test]
    fn each_is_told_for_as_long_as_it_lives() {
        let keepers = Keepers::default();
        let (first, second) = (Arc::new(Told::default()), Arc::new(Told::default()));
        keepers.add(Arc::downgrade(&first) as Weak<dyn Keep>);
        keepers.add(Arc::downgrade(&second) as Weak<dyn Keep>);
        keepers.tidy(false);
        drop(first);
        keepers.tidy(true);
        assert_eq!(second.0.load(Ordering::Relaxed), 101);
        assert_eq!(keepers.freeze().len(), 2);
        keepers.add(Arc::downgrade(&second) as Weak<dyn Keep>);
        assert_eq!(keepers.freeze().len(), 2, "what is gone makes room");
    }
}
