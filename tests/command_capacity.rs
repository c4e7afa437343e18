//! `tasktag capacity` says what the library's report does, and its status whether the promise is kept.

#![cfg(all(feature = "cli", unix))]

#[path = "command/run.rs"]
mod run;
mod support;

use run::run;
use std::time::Duration;
use tasktag::capacity::CapacityReport;

const QUEUE: [&str; 7] = ["capacity", "--rate", "3", "--job", "3", "--promise", "60"];

#[test]
fn the_report_is_that_of_the_library_for_people_and_for_programs() {
    let (job, promise) = (Duration::from_secs(3), Duration::from_secs(60));
    let report = CapacityReport::new(3.0, job, 12, promise).unwrap().waiting_share(0.8).unwrap();
    let arguments = [&QUEUE[..], &["--workers", "12", "--waiting-share", "0.8"]].concat();
    let ended = run(&arguments, &[]);
    assert_eq!((ended.status, ended.out), (Some(0), format!("{report:#}\n")));
    let found = run(&[&arguments[..], &["--json"]].concat(), &[]).objects().remove(0);
    assert_eq!(
        (&found["workers_needed"], &found["is_kept"]),
        (&report.workers_needed().into(), &true.into())
    );
}

#[test]
fn a_promise_that_is_not_kept_or_can_t_be_computed_is_a_status() {
    let ended = run(&[&QUEUE[..], &["--workers", "8"]].concat(), &[]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.out.starts_with("8 workers can't keep up") && ended.err.is_empty(), "{ended:#?}");
    for wrong in [["--workers", "0"], ["--workers", "x"]] {
        let ended = run(&[&QUEUE[..], &wrong].concat(), &[]);
        assert!(ended.status == Some(2) && !ended.err.is_empty(), "{ended:#?}");
    }
    let ended = run(&["capacity", "--rate", "1", "--job", "-1", "--promise", "1", "--workers", "1"], &[]);
    assert_eq!(ended.status, Some(2), "{ended:#?}");
}
