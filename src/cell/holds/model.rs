//! Checks the entries in every order of the threads that use them.

use super::*;
use loom::sync::Arc;
use loom::thread;

const START: u64 = 100;
const NOW: u64 = 1_000;

/// Holds and ends for each of the times.
fn hold_at(holds: &Holds, times: [u64; 2]) {
    for time in times {
        let start = Start::at(time);
        let entry = holds.begin(start);
        holds.end(entry, start.generation());
    }
}

#[test]
fn holds_that_come_and_go_leave_nothing_behind() {
    crate::process::sync::model(|| {
        let holds = Arc::new(Holds::new());
        let callers = [[200, 300], [400, 500]].map(|times| {
            let holds = Arc::clone(&holds);
            thread::spawn(move || hold_at(&holds, times))
        });
        let oldest = holds.oldest(NOW);
        assert!(oldest.is_none_or(|age| (500..=800).contains(&age)), "{oldest:?}");
        assert!(holds.untracked() <= 1, "the first of both finds an entry");
        for caller in callers {
            caller.join().unwrap();
        }
        assert_eq!((holds.oldest(NOW), holds.untracked()), (None, 0));
    });
}

#[test]
fn a_hold_that_lasts_is_the_oldest_however_many_compete_for_what_is_left() {
    crate::process::sync::model(|| {
        let holds = Arc::new(Holds::new());
        let kept = Start::at(START);
        let entry = holds.begin(kept);
        // One entry is left for both of them.
        let callers = [[200, 300], [400, 500]].map(|times| {
            let holds = Arc::clone(&holds);
            thread::spawn(move || hold_at(&holds, times))
        });
        assert_eq!(holds.oldest(NOW), Some(NOW - START));
        for caller in callers {
            caller.join().unwrap();
        }
        assert_eq!((holds.oldest(NOW), holds.untracked()), (Some(NOW - START), 0));
        holds.end(entry, kept.generation());
        assert_eq!((holds.oldest(NOW), holds.untracked()), (None, 0));
    });
}

#[test]
fn a_hold_of_another_process_ends_nothing_of_this_one() {
    crate::process::sync::model(|| {
        let holds = Arc::new(Holds::new());
        let there = Start::of(fork::generation().wrapping_add(1), START);
        let inherited = [holds.begin(there), holds.begin(there)];
        let caller = thread::spawn({
            let holds = Arc::clone(&holds);
            move || inherited.map(|entry| holds.end(entry, there.generation()))
        });
        let own = Start::at(200);
        let entry = holds.begin(own);
        // It is only counted if each entry was cleared just when it was to be taken.
        let known = if entry == Entry(None) { (None, 1) } else { (Some(800), 0) };
        assert_eq!((holds.oldest(NOW), holds.untracked()), known);
        caller.join().unwrap();
        assert_eq!((holds.oldest(NOW), holds.untracked()), known);
        holds.end(entry, own.generation());
        assert_eq!((holds.oldest(NOW), holds.untracked()), (None, 0));
    });
}
