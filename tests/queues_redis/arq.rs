//! arq.

use crate::program::Program;
use crate::watched::{Span, Watched};
use std::time::Duration;
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;

fn start() -> Option<(Watched, Program)> {
    let watched = Watched::new(RedisQueue::arq("arq:queue"))?;
    let jobs = Program::python("arq_jobs.py", &[&watched.url()])?;
    Some((watched, jobs))
}

fn worker(watched: &Watched) -> Program {
    Program::python("arq_jobs.py", &[&watched.url(), "work"]).unwrap()
}

/// How many are ready, running and scheduled. Retries are among the scheduled, and what failed for good is gone.
fn levels([depth, running, scheduled]: [u64; 3]) -> QueueStatus {
    QueueStatus::new().depth(depth).running(running).scheduled(scheduled)
}

#[test]
fn each_step_of_a_job_of_arq_is_in_its_number() {
    let Some((watched, mut jobs)) = start() else { return };
    watched.expect(levels([0, 0, 0]));
    let first = Span::of(|| jobs.say("enqueue fail"));
    jobs.say("enqueue retry");
    jobs.say("delay 600");
    watched.expect(levels([2, 0, 1]));
    watched.expect_oldest(first);

    let first = worker(&watched);
    watched.expect(levels([0, 0, 2]));
    jobs.say("enqueue hang");
    watched.expect(levels([0, 1, 2]));
    first.crash();
    // Its mark stays for as long as the job may take.
    watched.expect(levels([0, 1, 2]));
    let waiting = Span::of(|| jobs.say("enqueue nothing"));
    watched.expect(levels([1, 1, 2]));
    watched.expect_oldest(waiting);
}

#[test]
fn arq_zcard_zrange_0_0() {
    let Some((watched, mut jobs)) = start() else { return };
    jobs.say("enqueue hang");
    jobs.say("delay 600");
    let worker = worker(&watched);
    watched.expect(levels([0, 1, 1]));
    assert_eq!(watched.status().oldest_age, Some(Duration::ZERO), "the job that runs does not wait");
    worker.crash();
    let waiting = Span::of(|| jobs.say("enqueue nothing"));
    assert_eq!(watched.call::<u64>(&["ZCARD", "arq:queue"]), 3, "running and future ones are counted");
    watched.expect(levels([1, 1, 1]));
    watched.expect_oldest(waiting);
}

#[test]
fn arq_a_job_that_was_deferred_to_the_past_waits_since_it_was_enqueued() {
    let Some((watched, mut jobs)) = start() else { return };
    let enqueued = Span::of(|| jobs.say("backdate 3600"));
    watched.expect(levels([1, 0, 0]));
    watched.expect_oldest(enqueued);
}
