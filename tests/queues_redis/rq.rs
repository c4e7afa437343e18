//! RQ.

use crate::program::Program;
use crate::watched::{Span, Watched};
use std::time::Duration;
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;

fn start() -> Option<(Watched, Program)> {
    let watched = Watched::new(RedisQueue::rq("default"))?;
    let jobs = Program::python("rq_jobs.py", &[&watched.url()])?;
    Some((watched, jobs))
}

/// How many are ready, running, scheduled and dead. Retries are among the scheduled.
fn levels([depth, running, scheduled, dead]: [u64; 4]) -> QueueStatus {
    QueueStatus::new().depth(depth).running(running).scheduled(scheduled).dead(dead)
}

#[test]
fn each_step_of_a_job_of_rq_is_in_its_number() {
    let Some((watched, mut jobs)) = start() else { return };
    watched.expect(levels([0, 0, 0, 0]));
    assert_eq!(watched.status().oldest_age, Some(Duration::ZERO));

    let first = Span::of(|| jobs.say("enqueue"));
    jobs.say("enqueue");
    jobs.say("delay 600");
    watched.expect(levels([2, 0, 1, 0]));
    watched.expect_oldest(first);

    // A pause is in no number.
    jobs.say("suspend");
    watched.expect(levels([2, 0, 1, 0]));
    watched.expect_oldest(first);
    jobs.say("resume");

    jobs.say("fail");
    jobs.say("retry");
    jobs.say("burst");
    watched.expect(levels([0, 0, 2, 1]));

    jobs.say("hang");
    let waiting = Span::of(|| jobs.say("enqueue"));
    let worker = Program::python("rq_jobs.py", &[&watched.url(), "work"]).unwrap();
    watched.expect(levels([1, 1, 2, 1]));
    watched.expect_oldest(waiting);
    worker.crash();
    // The job is not given up before its worker has said nothing for some time.
    watched.expect(levels([1, 1, 2, 1]));
}

#[test]
fn a_due_job_of_rq_waits_wherever_it_is() {
    let Some((watched, mut jobs)) = start() else { return };
    jobs.say("delay 600");
    watched.expect(levels([0, 0, 1, 0]));
    // RQ has times in whole seconds.
    let delayed = Span::of(|| {
        let now = watched.now().floor().to_string();
        let () = watched.call(&["EVAL", SET_SCORES, "1", "rq:scheduled:default", &now]);
    });
    let delayed = delayed.cut_to(Duration::from_secs(1));
    watched.expect(levels([1, 0, 0, 0]));
    watched.expect_oldest(delayed);
    let moved = Span::of(|| jobs.say("schedule"));
    watched.expect(levels([1, 0, 0, 0]));
    watched.expect_oldest(moved);
}

#[test]
fn rq_a_job_at_the_front_is_not_the_oldest() {
    let Some((watched, mut jobs)) = start() else { return };
    let first = Span::of(|| jobs.say("enqueue"));
    jobs.say("front");
    watched.expect(levels([2, 0, 0, 0]));
    watched.expect_oldest(first);
}

#[test]
fn rq_score_of_rq_wip_rq_failed_as_a_time() {
    let Some((watched, mut jobs)) = start() else { return };
    jobs.say("fail");
    jobs.say("burst");
    jobs.say("hang");
    let _worker = Program::python("rq_jobs.py", &[&watched.url(), "work"]).unwrap();
    watched.expect(levels([0, 1, 0, 1]));
    assert_eq!(watched.status().oldest_age, Some(Duration::ZERO));
    let score = |key| watched.call::<Vec<f64>>(&["EVAL", SCORES, "1", key])[0] - watched.now();
    assert!(score("rq:wip:default") > 60.0 && score("rq:failed:default") > 300.0 * 86_400.0);
    // What is no longer valid is neither running nor kept, whether or not somebody has removed it.
    let past = (watched.now() - 1.0).to_string();
    for key in ["rq:wip:default", "rq:failed:default"] {
        let () = watched.call(&["EVAL", SET_SCORES, "1", key, &past]);
    }
    watched.expect(levels([0, 0, 0, 0]));
}

const SCORES: &str = "return {redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]}";
const SET_SCORES: &str = "for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZADD', KEYS[1], ARGV[1], member) end";
