//! Checks the slices in every order of the threads that use them.

use super::*;
use loom::sync::Arc;
use loom::thread;

const MS: u64 = 1_000_000;

#[test]
fn items_of_one_slice_come_and_go_and_none_is_lost() {
    crate::process::sync::model(|| {
        let slices = Arc::new(Slices::default());
        let callers = [(); 2].map(|()| {
            let slices = Arc::clone(&slices);
            thread::spawn(move || {
                let slice = slices.enter(100 * MS, 0).unwrap();
                slices.leave(slice, 0);
            })
        });
        let mut counted = Group::default();
        slices.count(&mut counted, 200 * MS, 0);
        assert!(counted.items <= 2, "{counted:?}");
        assert!(counted.since.is_none_or(|since| (90 * MS..=100 * MS).contains(&since)), "{counted:?}");
        for caller in callers {
            caller.join().unwrap();
        }
        let mut counted = Group::default();
        slices.count(&mut counted, 200 * MS, 0);
        assert_eq!(counted, Group::default());
    });
}

#[test]
fn an_item_that_stays_is_counted_while_its_slice_is_taken_by_another() {
    crate::process::sync::model(|| {
        let slices = Arc::new(Slices::default());
        let kept = slices.enter(100 * MS, 0).unwrap();
        let caller = thread::spawn({
            let slices = Arc::clone(&slices);
            move || {
                for at in [100 * MS, 200 * MS] {
                    let slice = slices.enter(at, 0).unwrap();
                    slices.leave(slice, 0);
                }
            }
        });
        let mut counted = Group::default();
        slices.count(&mut counted, 300 * MS, 0);
        let since = counted.since.unwrap();
        assert!((1..=2).contains(&counted.items) && since <= 100 * MS && since > 90 * MS, "{counted:?}");
        caller.join().unwrap();
        slices.leave(kept, 0);
        let mut counted = Group::default();
        slices.count(&mut counted, 300 * MS, 0);
        assert_eq!(counted, Group::default());
    });
}
