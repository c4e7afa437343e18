//! Dramatiq.

use crate::program::Program;
use crate::watched::{Span, Watched};
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;

fn start() -> Option<(Watched, Program)> {
    let watched = Watched::new(RedisQueue::dramatiq("default"))?;
    let jobs = Program::python("dramatiq_jobs.py", &[&watched.url()])?;
    Some((watched, jobs))
}

/// How many wait, were taken by workers, are scheduled and dead. Retries are among the scheduled.
fn levels([depth, running, scheduled, dead]: [u64; 4]) -> QueueStatus {
    QueueStatus::new().depth(depth).running(running).scheduled(scheduled).dead(dead)
}

#[test]
fn each_step_of_a_message_of_dramatiq_is_in_its_number() {
    let Some((watched, mut jobs)) = start() else { return };
    watched.expect(levels([0, 0, 0, 0]));
    let first = Span::of(|| jobs.say("fail"));
    jobs.say("retry");
    jobs.say("delay 600");
    watched.expect(levels([2, 0, 1, 0]));
    watched.expect_oldest(first);

    jobs.say("start");
    watched.expect(levels([0, 0, 2, 1]));

    jobs.say("hang");
    watched.expect(levels([0, 1, 2, 1]));
    jobs.crash();
    // Its messages are put back by another worker, after a minute.
    watched.expect(levels([0, 1, 2, 1]));
}

#[test]
fn dramatiq_hlen_msgs_llen_dq() {
    let Some((watched, mut jobs)) = start() else { return };
    jobs.say("start");
    jobs.say("delay 600");
    jobs.say("hang");
    watched.expect(levels([0, 1, 1, 0]));
    // One runs, one was taken with it, and the others wait.
    for _ in 0..5 {
        jobs.say("enqueue");
    }
    let taken = || {
        watched.call::<u64>(&["HLEN", "dramatiq:default.msgs"])
            - watched.call::<u64>(&["LLEN", "dramatiq:default"])
    };
    crate::support::wait_until(|| taken() > 1);
    let taken = taken();
    assert!(taken < 6, "{taken} were taken");
    watched.expect(levels([6 - taken, taken, 1, 0]));
    assert_eq!(
        watched.call::<u64>(&["HLEN", "dramatiq:default.msgs"]),
        6,
        "running ones are counted as waiting"
    );
    crate::support::wait_until(|| watched.call::<u64>(&["LLEN", "dramatiq:default.DQ"]) == 0);
    watched.expect(levels([6 - taken, taken, 1, 0]));
}
