//! Celery.

use crate::program::{Program, named_by, script};
use crate::support::wait_until;
use crate::watched::{Span, Watched};
use std::process::Command;
use std::time::Duration;
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;

fn python(watched: &Watched, arguments: &[&str]) -> Option<Program> {
    let mut command = Command::new(named_by("TASKTAG_TEST_QUEUES_CELERY_PYTHON")?);
    command.arg(script("celery_jobs.py")).args(arguments);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONWARNINGS", "ignore").env("BROKER", watched.url());
    Some(Program::start(command))
}

fn start() -> Option<(Watched, Program)> {
    let watched = Watched::new(RedisQueue::celery("celery"))?;
    let jobs = python(&watched, &[])?;
    Some((watched, jobs))
}

/// How many are ready and scheduled. Retries are among the scheduled, and running ones are nowhere.
fn levels([depth, scheduled]: [u64; 2]) -> QueueStatus {
    QueueStatus::new().depth(depth).scheduled(scheduled)
}

#[test]
fn each_step_of_a_task_of_celery_is_in_its_number() {
    let Some((watched, mut jobs)) = start() else { return };
    watched.expect(levels([0, 0]));
    assert_eq!(watched.status().oldest_age, Some(Duration::ZERO));
    jobs.say("stamp");
    let first = Span::of(|| jobs.say("enqueue retry"));
    jobs.say("enqueue hang");
    let last = Span::of(|| jobs.say("priority 9"));
    jobs.say("delay 600");
    watched.expect(levels([3, 1]));
    watched.expect_oldest(first);

    let worker = python(&watched, &["work"]).unwrap();
    // The one with the lowest priority waits for the one that hangs.
    watched.expect(levels([1, 2]));
    watched.expect_oldest(last);
    jobs.say("enqueue nothing");
    watched.expect(levels([2, 2]));
    worker.crash();
    // What it had taken is put back after an hour.
    watched.expect(levels([2, 2]));
    watched.expect_oldest(last);
}

#[test]
fn celery_without_the_header_has_no_age() {
    let Some((watched, mut jobs)) = start() else { return };
    jobs.say("enqueue nothing");
    watched.expect(levels([1, 0]));
    assert_eq!(watched.status().oldest_age, None);
}

#[test]
fn celery_llen_no_worker_up() {
    let Some((watched, mut jobs)) = start() else { return };
    jobs.say("stamp");
    jobs.say("delay 540");
    assert_eq!(watched.call::<u64>(&["LLEN", "celery"]), 1);
    watched.expect(levels([0, 1]));
    let first = Span::of(|| jobs.say("enqueue nothing"));
    jobs.say("enqueue nothing");
    watched.expect(levels([2, 1]));
    watched.expect_oldest(first);
    // Of a long list only the oldest are looked at, so that a task with an eta behind them counts as ready.
    for _ in 0..25 {
        jobs.say("enqueue nothing");
    }
    watched.expect(QueueStatus::new().depth(27));
    watched.expect_oldest(first);
}

#[test]
fn celery_llen_workers_up() {
    let Some((watched, mut jobs)) = start() else { return };
    jobs.say("stamp");
    jobs.say("enqueue hang");
    let _worker = python(&watched, &["work"]).unwrap();
    watched.expect(levels([0, 0]));
    wait_until(|| watched.call::<u64>(&["LLEN", "celery"]) == 0);
    let first = Span::of(|| jobs.say("enqueue nothing"));
    for _ in 0..3 {
        jobs.say("enqueue nothing");
    }
    wait_until(|| watched.call::<u64>(&["LLEN", "celery"]) == 0);
    watched.expect(levels([4, 0]));
    watched.expect_oldest(first);
}
