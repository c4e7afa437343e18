//! Lanes are words that only one thread writes, so that counting needs no locked instruction and shares no cache line.

mod thread_end;

use crate::process::fork::AtFork;
use crate::process::sync::{AtomicU64, Ordering};
use std::cell::Cell;
use std::sync::atomic::AtomicUsize;
use std::thread;

/// The lane of all threads without a lane of their own.
pub(super) const SHARED: usize = 0;
const UNCLAIMED: usize = usize::MAX;

/// The limits of the number of owned lanes. There is one per thread, for more threads than run at once. Each has a bit
/// in `TAKEN`.
const MIN_OWNED: usize = 8;
const MAX_OWNED: usize = 63;

// Bit n stands for lane n + 1.
#[cfg(not(tasktag_loom))]
static TAKEN: AtomicU64 = AtomicU64::new(0);
#[cfg(tasktag_loom)]
loom::lazy_static! { static ref TAKEN: AtomicU64 = AtomicU64::new(0); }

thread_local! {
    // These have no destructors, so reading one costs a single load.
    static LANE: Cell<usize> = const { Cell::new(UNCLAIMED) };
    // The bit of the thread's own lane in `TAKEN`.
    static CLAIMED: Cell<u64> = const { Cell::new(0) };
}

/// Lanes belong to the process.
pub(crate) static AT_FORK: AtFork = AtFork { prepare, forget_parents: forget_others, ..AtFork::NONE };

/// Makes everything that a claim must not allocate.
fn prepare() {
    count();
    thread_end::prepare();
}

/// Returns the number of lanes: the shared one, and two for each processor.
pub(super) fn count() -> usize {
    // It is 0 until the number is known. No thread waits for another one that asks the system, because a forked child
    // would not have that thread.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let known = COUNT.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let seen = 1 + (2 * processors).clamp(MIN_OWNED, MAX_OWNED);
    // The number of the first thread is used, whatever another thread saw.
    COUNT.compare_exchange(0, seen, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|first| first, |_| seen)
}

/// Returns the calling thread's lane. It is [`SHARED`], or a lane that no other thread writes for as long as this one
/// lives.
#[inline]
pub(super) fn current() -> usize {
    let lane = LANE.get();
    if lane == UNCLAIMED { claim() } else { lane }
}

/// Returns the calling thread's lane, or a number beyond all lanes if [`current`] was not called before.
#[inline]
pub(super) fn known_or_beyond() -> usize {
    LANE.get()
}

/// Returns the calling thread's lane if [`current`] was called before.
#[inline]
pub(super) fn known() -> Option<usize> {
    Some(LANE.get()).filter(|lane| *lane != UNCLAIMED)
}

/// Returns the calling thread's index among the owned lanes. It is beyond all of them if the thread has none, or has
/// not called [`current`] yet.
#[inline]
pub(super) fn own() -> usize {
    LANE.get().wrapping_sub(SHARED + 1)
}

/// Claims a lane on a thread's first use.
#[cold]
fn claim() -> usize {
    // Counting makes no other check, so a forked child comes here with its first count. Until the child has everything
    // that it needs, its threads share a lane and come here again.
    if crate::process::fork::check() || crate::process::fork::is_growing() {
        return SHARED;
    }
    // A signal handler that interrupts this uses the shared lane.
    LANE.set(SHARED);
    if CLAIMED.get() == 0 && thread_end::watch() {
        CLAIMED.set(bit_of(take_lane(&TAKEN, count() - 1)));
    }
    let lane = lane_of(CLAIMED.get());
    LANE.set(lane);
    lane
}

/// Runs when the thread ends. What it still counts goes to the shared lane.
fn end() {
    LANE.set(SHARED);
    let_go(&TAKEN, lane_of(CLAIMED.replace(0)));
}

/// Runs in a forked child while it has only one thread. It releases the lanes of the parent's other threads, and makes
/// this thread call [`claim`] again.
fn forget_others() {
    TAKEN.store(CLAIMED.get(), Ordering::Relaxed);
    LANE.set(UNCLAIMED);
}

fn take_lane(taken: &AtomicU64, owned: usize) -> usize {
    let free = |bits: u64| {
        let lane = bits.trailing_ones() as usize;
        (lane < owned).then_some(bits | (1 << lane))
    };
    // Acquire pairs with the Release in `let_go`: the new owner continues from the last words of the old one.
    match taken.fetch_update(Ordering::Acquire, Ordering::Relaxed, free) {
        Ok(before) => before.trailing_ones() as usize + 1,
        Err(_) => SHARED,
    }
}

fn let_go(taken: &AtomicU64, lane: usize) {
    if lane != SHARED {
        taken.fetch_and(!bit_of(lane), Ordering::Release);
    }
}

/// Returns the lane of a bit in `TAKEN`.
fn lane_of(bit: u64) -> usize {
    if bit == 0 { SHARED } else { bit.trailing_zeros() as usize + 1 }
}

/// Returns a lane's bit in `TAKEN`. The shared one has none.
fn bit_of(lane: usize) -> u64 {
    lane.checked_sub(1).map_or(0, |bit| 1 << bit)
}

#[cfg(all(test, tasktag_loom))]
mod model {
    use super::*;
    use loom::sync::Arc;

    #[test]
    fn a_lane_goes_on_where_its_last_owner_left_it() {
        crate::process::sync::model(|| {
            let (taken, words) = (Arc::new(AtomicU64::new(0)), Arc::new([0, 0].map(AtomicU64::new)));
            let callers = [(); 2].map(|()| {
                let (taken, words) = (Arc::clone(&taken), Arc::clone(&words));
                loom::thread::spawn(move || {
                    let lane = take_lane(&taken, 1);
                    if lane == SHARED {
                        words[lane].fetch_add(1, Ordering::Relaxed);
                    } else {
                        words[lane].store(words[lane].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    }
                    let_go(&taken, lane);
                })
            });
            for caller in callers {
                caller.join().unwrap();
            }
            let sum: u64 = words.iter().map(|word| word.load(Ordering::Relaxed)).sum();
            assert_eq!(sum, 2);
        });
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_taken_once_and_again_when_they_are_let_go() {
        let taken = AtomicU64::new(0);
        assert_eq!([1, 2, 3, SHARED], [(); 4].map(|()| take_lane(&taken, 3)));
        let_go(&taken, 2);
        let_go(&taken, SHARED);
        assert_eq!([2, SHARED], [(); 2].map(|()| take_lane(&taken, 3)));
    }

    #[test]
    fn all_63_lanes_can_be_taken() {
        let taken = AtomicU64::new(0);
        let lanes: Vec<_> = (0..64).map(|_| take_lane(&taken, MAX_OWNED)).collect();
        assert_eq!(lanes, (1..=63).chain([SHARED]).collect::<Vec<_>>());
    }

    #[test]
    fn a_thread_keeps_its_lane_and_shares_it_with_no_live_thread() {
        let mine = current();
        assert_eq!((mine, Some(mine)), (current(), known()));
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(known(), None);
                assert!(current() != mine || mine == SHARED);
            });
        });
    }
}
