//! Nobody sleeps through what comes, in whatever order things happen. A thread that is never woken stops the model.

use super::*;
use loom::sync::Arc;
use loom::thread;

const LONG: Duration = Duration::from_secs(3600);

/// A bell, and what its listener looks at.
struct Place {
    bell: Bell,
    things: AtomicBool,
}

impl Place {
    fn new() -> Arc<Self> {
        let place = Self { bell: Bell::new(), things: AtomicBool::new(false) };
        place.bell.listen();
        Arc::new(place)
    }

    fn put(&self) {
        self.things.store(true, Ordering::Relaxed);
        self.bell.rouse();
    }

    /// Sleeps once, if there is nothing, and returns whether something was found afterwards.
    fn find(&self) -> bool {
        if self.bell.rest(|| !self.things.load(Ordering::Relaxed)) {
            self.bell.sleep(LONG);
        }
        self.bell.answer();
        self.things.load(Ordering::Relaxed)
    }
}

#[test]
fn who_rests_is_woken_by_what_comes() {
    crate::process::sync::model(|| {
        let place = Place::new();
        let caller = {
            let place = Arc::clone(&place);
            thread::spawn(move || place.put())
        };
        assert!(place.find());
        caller.join().unwrap();
    });
}

#[test]
fn who_rests_is_woken_by_the_first_of_two() {
    crate::process::sync::model(|| {
        let place = Place::new();
        let callers = [(); 2].map(|()| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.put())
        });
        assert!(place.find());
        for caller in callers {
            caller.join().unwrap();
        }
    });
}

/// The second ring may come while the first one is answered.
#[test]
fn whoever_rings_is_answered() {
    crate::process::sync::model(|| {
        let bell = Arc::new(Bell::new());
        bell.listen();
        let things = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let callers = things.clone().map(|thing| {
            let bell = Arc::clone(&bell);
            thread::spawn(move || {
                thing.store(true, Ordering::Relaxed);
                bell.ring();
            })
        });
        loop {
            bell.answer();
            if things.iter().all(|thing| thing.load(Ordering::Relaxed)) {
                break;
            }
            bell.sleep(LONG);
        }
        for caller in callers {
            caller.join().unwrap();
        }
    });
}
