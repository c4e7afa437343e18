//! A forked child's objectives are its own: they begin anew, count what happens in the child, and wait for nobody.

#![cfg(target_os = "linux")]

mod support;

use std::time::Duration;
use support::fork::{assert_done, fork};
use support::{PATIENCE, TempDir};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Outcome, Target};

#[test]
fn a_childs_objectives_begin_anew_and_leave_the_parents_alone() {
    let (capture, clock, folder) = (Capture::new(), ManualClock::new(), TempDir::new());
    let builder = support::builder().capture(&capture).clock(&clock).collect_interval(Duration::from_secs(1));
    let guard = builder.build().unwrap();
    let client = guard.client();
    let path = folder.path().join("checkout.slo");
    let objective =
        client.objective("checkout", Target::success(), 0.9).history_file(&path).register().unwrap();
    let told = client.time_objective("mail", 0.9).register().unwrap();
    let pass = |seconds: u64| (0..seconds).for_each(|_| clock.advance(Duration::from_secs(1)));
    let value = |name: &str, tag: (&str, &str)| {
        client.flush(PATIENCE).unwrap();
        let metrics = capture.take_metrics().unwrap();
        let found = metrics.iter().find(|metric| metric.name == name && metric.tag(tag.0) == Some(tag.1));
        found.and_then(|metric| metric.value.number())
    };
    let burn_rate = || value("slo.burn_rate", ("window", "1h"));
    pass(1);
    (0..10).for_each(|event| objective.record_outcome(event > 0));
    told.see(false);
    pass(65);
    assert_eq!(burn_rate(), Some(1.0));
    let kept = std::fs::read(&path).unwrap();
    let timer = objective.start();

    assert_done(fork(|| {
        timer.end(Outcome::Ok);
        objective.record_outcome(true);
        (0..4).for_each(|_| objective.record_outcome(false));
        told.see(true);
        pass(2);
        let total = value("slo.total", ("objective", "checkout"));
        pass(65);
        let own = burn_rate();
        total == Some(5.0)
            && own == Some(8.0)
            && told.slices().bad == 0
            && std::fs::read(&path).unwrap() == kept
    }));

    pass(10);
    assert_eq!(burn_rate(), Some(20.0 / 11.0), "one more is bad: the parent dropped its timer");
    guard.shutdown(PATIENCE).unwrap();
}
