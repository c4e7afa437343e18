//! Nobody sleeps through what comes, in whatever order things happen. A thread that is never woken stops the model.

use super::*;
use loom::sync::Arc;
use loom::thread;

const LONG: Duration = Duration::from_secs(3600);

/// A bell, and what its listener looks at.
struct Place<const N: usize> {
    bell: Bell,
    things: [AtomicBool; N],
}

impl<const N: usize> Place<N> {
    fn new() -> Arc<Self> {
        Arc::new(Self { bell: Bell::default(), things: std::array::from_fn(|_| AtomicBool::new(false)) })
    }

    /// Each caller puts one thing, and then tells.
    fn put(place: &Arc<Self>, tell: impl Fn(&Bell) + Copy + Send + 'static) {
        let callers = std::array::from_fn::<_, N, _>(|caller| {
            let place = Arc::clone(place);
            thread::spawn(move || {
                place.things[caller].store(true, Ordering::Relaxed);
                tell(&place.bell);
            })
        });
        for caller in callers {
            caller.join().unwrap();
        }
    }

    fn count(&self) -> usize {
        self.things.iter().filter(|thing| thing.load(Ordering::Relaxed)).count()
    }
}

/// The listener rests until there is something, while callers put things. It never looks unless it is woken.
fn who_rests_is_woken<const N: usize>() {
    crate::process::sync::model(|| {
        let place = Place::<N>::new();
        let listener = {
            let place = Arc::clone(&place);
            thread::spawn(move || {
                place.bell.listen();
                while place.count() == 0 {
                    if place.bell.rest(|| place.count() == 0) {
                        place.bell.sleep(LONG);
                    }
                    place.bell.answer();
                }
            })
        };
        Place::put(&place, Bell::rouse);
        listener.join().unwrap();
    });
}

#[test]
fn who_rests_is_woken_by_what_comes() {
    who_rests_is_woken::<1>();
}

#[test]
fn who_rests_is_woken_by_the_first_of_two() {
    who_rests_is_woken::<2>();
}

/// The second ring may come while the first one is answered, and the first one before there is a listener.
#[test]
fn all_that_was_put_before_a_ring_is_found() {
    crate::process::sync::model(|| {
        let place = Place::<2>::new();
        let listener = {
            let place = Arc::clone(&place);
            thread::spawn(move || {
                place.bell.listen();
                while place.count() < 2 {
                    place.bell.sleep(LONG);
                    place.bell.answer();
                }
            })
        };
        Place::put(&place, Bell::ring);
        listener.join().unwrap();
    });
}
