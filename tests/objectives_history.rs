//! What a process knew of an objective outlives it in a file, and no content of that file does harm.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{PATIENCE, TempDir};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Guard, Objective, Target};

const SECOND: Duration = Duration::from_secs(1);

/// A process of a service, with the clock of the machine.
struct Process {
    guard: Guard,
    capture: Capture,
    objective: Objective,
}

impl Process {
    fn start(clock: &ManualClock, path: &Path) -> Self {
        let capture = Capture::new();
        let builder = support::builder().capture(&capture).clock(clock).collect_interval(SECOND);
        let guard = builder.build().unwrap();
        let builder = guard.client().objective("checkout", Target::success(), 0.9).history_file(path);
        let objective = builder.register().unwrap();
        Self { guard, capture, objective }
    }

    fn record(&self, good: usize, bad: usize) {
        (0..good).for_each(|_| self.objective.record_outcome(true));
        (0..bad).for_each(|_| self.objective.record_outcome(false));
    }

    /// Values that a flush sends by a name with a closed tag.
    fn sent(&self, name: &str, key: &str, value: &str) -> Option<f64> {
        self.guard.client().flush(PATIENCE).unwrap();
        let metrics = self.capture.take_metrics().unwrap();
        let found = metrics.iter().find(|metric| metric.name == name && metric.tag(key) == Some(value));
        found.and_then(|metric| metric.value.number())
    }

    fn burn_rate(&self) -> Option<f64> {
        self.sent("slo.burn_rate", "window", "1h")
    }

    fn end(self) {
        self.guard.shutdown(PATIENCE).unwrap();
    }
}

struct Machine {
    folder: TempDir,
    clock: ManualClock,
}

impl Machine {
    fn new() -> Self {
        Self { folder: TempDir::new(), clock: ManualClock::new() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("checkout.slo")
    }

    fn start(&self) -> Process {
        Process::start(&self.clock, &self.path())
    }

    fn pass(&self, seconds: u64) {
        (0..seconds).for_each(|_| self.clock.advance(SECOND));
    }
}

#[test]
fn a_restarted_process_knows_what_was_before() {
    let machine = Machine::new();
    let first = machine.start();
    machine.pass(1);
    first.record(6, 4);
    machine.pass(20);
    assert_eq!(first.burn_rate(), Some(4.0));
    first.end();
    machine.pass(500);
    let second = machine.start();
    machine.pass(1);
    second.record(10, 0);
    machine.pass(20);
    assert_eq!(second.burn_rate(), Some(2.0));
    assert_eq!(second.sent("slo.burn_rate", "window", "5m"), Some(0.0), "that was longer ago");
    assert_eq!(second.sent("slo.file_errors", "reason", "read"), None);
}

#[test]
fn a_process_that_is_killed_loses_at_most_a_minute() {
    let machine = Machine::new();
    let first = machine.start();
    machine.pass(1);
    first.record(6, 4);
    machine.pass(70);
    first.record(0, 1000);
    machine.pass(30);
    assert_eq!(first.burn_rate().map(f64::round), Some(10.0));
    let kept = fs::read(machine.path()).unwrap();
    first.end();
    // What was there when it was killed.
    fs::write(machine.path(), kept).unwrap();
    let second = machine.start();
    machine.pass(20);
    assert_eq!(second.burn_rate(), Some(4.0));
}

#[test]
fn a_file_that_holds_something_else_is_counted_and_replaced() {
    let contents = [
        &b""[..],
        b"\xff\xfe\0",
        b"end\n",
        b"tasktag-objective 1 events slice 10 s period 30 d\nslice 1 2\nend\n",
    ];
    for content in contents {
        let machine = Machine::new();
        fs::write(machine.path(), content).unwrap();
        let first = machine.start();
        assert_eq!(first.sent("slo.file_errors", "reason", "contents"), Some(1.0), "{content:?}");
        first.record(6, 4);
        machine.pass(20);
        assert_eq!(first.burn_rate(), Some(4.0), "its history begins anew");
        first.end();
        let second = machine.start();
        machine.pass(20);
        assert_eq!(second.sent("slo.file_errors", "reason", "contents"), None);
        assert_eq!(second.burn_rate(), Some(4.0));
    }
}

#[test]
fn a_file_of_other_settings_is_something_else() {
    let machine = Machine::new();
    let first = machine.start();
    machine.pass(20);
    let builder = first.guard.client().objective("weekly", Target::success(), 0.9).period_days(7);
    let weekly = builder.history_file(machine.path()).register().unwrap();
    assert_eq!(first.sent("slo.file_errors", "reason", "contents"), Some(1.0));
    drop(weekly);
}

#[test]
fn what_can_not_be_read_or_written_is_counted() {
    let machine = Machine::new();
    fs::create_dir(machine.path()).unwrap();
    let process = machine.start();
    assert_eq!(process.sent("slo.file_errors", "reason", "read"), Some(1.0));
    machine.pass(70);
    // At the first slice, and a minute later.
    assert_eq!(process.sent("slo.file_errors", "reason", "write"), Some(2.0));
}

#[test]
fn a_pipe_is_not_waited_for() {
    let machine = Machine::new();
    let made = std::process::Command::new("mkfifo").arg(machine.path()).status().unwrap();
    assert!(made.success());
    let process = machine.start();
    assert_eq!(process.sent("slo.file_errors", "reason", "read"), Some(1.0));
}
