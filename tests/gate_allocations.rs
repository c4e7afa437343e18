//! A gate's decision allocates nothing, in whatever state it is.

#[path = "support/allocations.rs"]
mod allocations;

use allocations::allocations;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Admission, Client, Gate, Load};

#[test]
fn a_decision_allocates_nothing() {
    let builder = Client::builder().capture(&Capture::new()).clock(&ManualClock::new());
    let guard = builder.build().unwrap();
    let gate = guard.client().gate("orders").class("nightly", Admission::below(0.8).when_unknown(0.5));
    let gate = gate.register().unwrap();
    for (gate, load) in [
        (&gate, Load::of(0.1)),
        (&gate, Load::of(5.0)),
        (&gate, Load::unknown()),
        (&Gate::default(), Load::of(5.0)),
    ] {
        gate.set_load(load);
        let nightly = gate.class("nightly");
        for turn in 0..3 {
            let state = nightly.state();
            assert_eq!(
                allocations(|| (0..100).for_each(|_| {
                    let _ = nightly.admits();
                })),
                0,
                "{state:?}, turn {turn}"
            );
            assert_eq!(
                allocations(|| {
                    let _ = gate.admits("nightly");
                }),
                0,
                "{state:?} by name, turn {turn}"
            );
            assert_eq!(
                allocations(|| {
                    let _ = gate.admits("nobody");
                }),
                0,
                "{state:?}, other, turn {turn}"
            );
            let no_time = Duration::ZERO;
            assert_eq!(
                allocations(|| {
                    let _ = nightly.wait_or_later(no_time);
                }),
                0,
                "{state:?}, wait, turn {turn}"
            );
        }
    }
}
