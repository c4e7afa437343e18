//! A forked child has no load that its parent measured, and waits for none of its parent's threads.
#![cfg(target_os = "linux")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::PATIENCE;
use support::fork::holds_in_child;
use tasktag::{Admission, Gate, GateState, Guard, Load};

fn gate(guard: &Guard) -> Gate {
    let gate = guard.client().gate("orders").smoothing(Duration::ZERO);
    gate.class("nightly", Admission::below(0.8).passing(0.0)).register().unwrap()
}

#[test]
fn a_childs_load_is_unknown_until_it_measures_one_and_its_parents_stays() {
    let guard = support::builder().build().unwrap();
    let gate = gate(&guard);
    gate.set_load(Load::of(5.0));
    assert!(!gate.admits("nightly"));
    assert!(holds_in_child(|| {
        // The first use of a metric starts the child, and the flush has its worker look.
        let _ = gate.admits("nightly");
        guard.client().flush(PATIENCE).unwrap();
        assert_eq!((gate.class("nightly").state(), gate.load()), (GateState::Unknown, None));
        assert!(gate.admits("nightly"));
        gate.set_load(Load::of(5.0));
        !gate.admits("nightly")
    }));
    assert_eq!((gate.class("nightly").state(), gate.load()), (GateState::Shedding, Some(5.0)));
}

#[test]
fn a_child_that_is_forked_while_others_wait_and_measure_waits_for_none_of_them() {
    let guard = support::builder().build().unwrap();
    let gate = gate(&guard);
    gate.set_load(Load::of(5.0));
    let is_over = AtomicBool::new(false);
    let goes_on = || !is_over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while goes_on() {
                    let _ = gate.wait_or_later("nightly", Duration::from_micros(50));
                }
            });
        }
        scope.spawn(|| {
            while goes_on() {
                gate.set_load(Load::of(5.0));
                let _ = gate.status();
            }
        });
        for _ in 0..20 {
            assert!(holds_in_child(|| {
                gate.set_load(Load::of(5.0));
                let sheds = gate.wait_or_later("nightly", Duration::from_millis(1)).is_err();
                gate.set_load(Load::of(0.1));
                sheds && gate.status().load() == Some(0.1) && gate.wait_or_later("nightly", PATIENCE).is_ok()
            }));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
