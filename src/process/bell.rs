//! A bell that wakes a thread, without a lock.

use super::sync::thread::{self, Thread};
use super::sync::{AtomicBool, Ordering, fence};
use std::sync::OnceLock;
use std::time::Duration;

/// Wakes a thread that sleeps between its periodic tasks, and that listens to no other bell.
///
/// None of this takes a lock on Linux, macOS and Windows. No ring is missed: a thread that is rung for while it is
/// about to sleep stays awake. The thread may also park elsewhere, and so use up a wake-up. Before it sleeps it
/// therefore looks at what it was told, as [`wake`](Self::wake) demands, and `sleep` looks whether it was rung for.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    // Empty until the thread has started.
    listener: OnceLock<Thread>,
    // Whether it was rung since the last answer.
    rung: AtomicBool,
    // Whether the listener sleeps until something comes.
    rests: AtomicBool,
}

impl Bell {
    /// Makes the calling thread the one that is woken.
    pub(crate) fn listen(&self) {
        let _ = self.listener.set(thread::current());
    }

    /// Returns whether the calling thread is the one that is woken.
    pub(crate) fn is_listener(&self) -> bool {
        self.listener.get().is_some_and(|listener| listener.id() == thread::current().id())
    }

    /// Wakes the listener, unless it was woken by this since it last answered.
    #[cold]
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // Either the listener is known here, or it sees that the bell was rung before it sleeps.
            fence(Ordering::SeqCst);
            self.wake();
        }
    }

    /// Rings if the listener rests. It is called after something was put where the listener looks.
    #[inline]
    pub(crate) fn rouse(&self) {
        // Either it is seen here that the listener rests, or the listener sees what was put there before it does.
        fence(Ordering::SeqCst);
        if self.rests.load(Ordering::Relaxed) {
            self.ring();
        }
    }

    /// Wakes the listener, who looks at what it was told elsewhere.
    pub(crate) fn wake(&self) {
        if let Some(listener) = self.listener.get() {
            listener.unpark();
        }
    }

    /// Called by the listener, who wants to rest: to be rung for as soon as something comes, until its next answer. It
    /// returns `false` if something has come already.
    pub(crate) fn rest(&self, has_nothing: impl FnOnce() -> bool) -> bool {
        self.rests.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let rests = has_nothing();
        if !rests {
            self.rests.store(false, Ordering::Relaxed);
        }
        rests
    }

    /// Called by the listener. Sleeps until it is woken, for at most `at_most`. It may also return for no reason.
    pub(crate) fn sleep(&self, at_most: Duration) {
        fence(Ordering::SeqCst);
        if !self.rung.load(Ordering::Relaxed) {
            thread::park_timeout(at_most);
        }
    }

    /// Called by the listener. Returns whether it was rung for since it last answered, and ends its rest.
    pub(crate) fn answer(&self) -> bool {
        // Who still sees that it rests, rings once more.
        self.rests.store(false, Ordering::Relaxed);
        self.rung.swap(false, Ordering::AcqRel)
    }
}

#[cfg(all(test, tasktag_loom))]
mod model;

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn it_is_rung_once_until_it_is_answered() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        bell.sleep(HOUR);
        assert_eq!([bell.answer(), bell.answer()], [true, false]);
        bell.sleep(Duration::ZERO);
        assert!(!bell.answer());
    }

    #[test]
    fn only_who_rests_is_roused() {
        let bell = Bell::default();
        bell.rouse();
        assert!(!bell.answer());
        assert!(!bell.rest(|| false), "something is there already");
        bell.rouse();
        assert!(!bell.answer());
        assert!(bell.rest(|| true));
        bell.rouse();
        assert!(bell.answer());
        bell.rouse();
        assert!(!bell.answer(), "its rest has ended");
    }

    #[test]
    fn a_listener_that_rests_is_woken_by_what_comes() {
        let (bell, thing) = (Bell::default(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let (bell, thing) = (&bell, &thing);
            let listener = scope.spawn(move || {
                bell.listen();
                tell.send(()).unwrap();
                while !thing.load(Ordering::Relaxed) {
                    if bell.rest(|| !thing.load(Ordering::Relaxed)) {
                        bell.sleep(HOUR);
                    }
                    bell.answer();
                }
                bell.is_listener()
            });
            told.recv().unwrap();
            thing.store(true, Ordering::Relaxed);
            bell.rouse();
            assert!(listener.join().unwrap() && !bell.is_listener());
        });
    }
}
