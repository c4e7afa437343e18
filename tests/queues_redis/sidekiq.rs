//! Sidekiq, of which version 6 writes its jobs here. Those of 7, 8 and rusty-sidekiq are written as these do;
//! rusty-sidekiq writes its own in `tests/drivers`.

use crate::program::{Program, named_by, script};
use crate::watched::{Span, Watched};
use std::process::Command;
use std::time::Duration;
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;

fn ruby(watched: &Watched) -> Option<Command> {
    let mut ruby = Command::new(named_by("TASKTAG_TEST_QUEUES_RUBY")?);
    ruby.arg(script("sidekiq_jobs.rb")).env("SIDEKIQ_SERVER", watched.url());
    Some(ruby)
}

fn start() -> Option<(Watched, Program)> {
    let watched = Watched::new(RedisQueue::sidekiq("default"))?;
    let jobs = Program::start(ruby(&watched)?);
    Some((watched, jobs))
}

/// How many are ready, running, scheduled, retrying and dead.
fn levels([depth, running, scheduled, retrying, dead]: [u64; 5]) -> QueueStatus {
    QueueStatus::new().depth(depth).running(running).scheduled(scheduled).retrying(retrying).dead(dead)
}

#[test]
fn each_step_of_a_job_of_sidekiq_is_in_its_number() {
    let Some((watched, mut jobs)) = start() else { return };
    watched.expect(levels([0, 0, 0, 0, 0]));
    let first = Span::of(|| jobs.say("push FailsForGood"));
    jobs.say("push Fails");
    jobs.say("delay Nothing 600");
    watched.expect(levels([2, 0, 1, 0, 0]));
    watched.expect_oldest(first);

    jobs.say("push Hangs");
    let mut work = ruby(&watched).unwrap();
    work.arg("work");
    let worker = Program::start(work);
    // A process says every 5 s how many it runs.
    watched.expect(levels([0, 1, 1, 1, 1]));
    let waiting = Span::of(|| jobs.say("push Nothing"));
    watched.expect(levels([1, 1, 1, 1, 1]));
    watched.expect_oldest(waiting);
    worker.crash();
    // What it said is forgotten after a minute.
    watched.expect(levels([1, 1, 1, 1, 1]));
    let processes: Vec<String> = watched.call(&["SMEMBERS", "processes"]);
    let () = watched.call(&["DEL", &processes[0]]);
    watched.expect(levels([1, 0, 1, 1, 1]));
}

#[test]
fn a_due_job_of_sidekiq_waits_in_its_own_queue() {
    let Some((watched, mut jobs)) = start() else { return };
    jobs.say("other Nothing 0.2");
    let due = Span::of(|| jobs.say("delay Nothing 0.3")).later(Duration::from_millis(300));
    watched.expect(levels([1, 0, 0, 0, 0]));
    watched.expect_oldest(due);
}

#[test]
fn sidekiq_lindex_0() {
    let Some((watched, mut jobs)) = start() else { return };
    let oldest = Span::of(|| jobs.say("push Nothing"));
    Span::of(|| jobs.say("push Nothing"));
    watched.expect_oldest(oldest);
}

/// Writes a job as a version of Sidekiq does, and checks its age.
#[track_caller]
fn assert_aged(job: impl Fn(u64) -> String) {
    let Some(watched) = Watched::new(RedisQueue::sidekiq("default")) else { return };
    let pushed = Span::of(|| {
        let () = watched.call(&["LPUSH", "queue:default", &job(watched.now_micros())]);
    });
    watched.expect(levels([1, 0, 0, 0, 0]));
    watched.expect_oldest(pushed);
}

#[test]
fn sidekiq_8_job_read_as_seconds_or_rusty_sidekiq_s_by_ruby() {
    assert_aged(|micros| {
        let ms = micros / 1000;
        format!(
            r#"{{"retry":true,"queue":"default","class":"Mail","args":[{{"enqueued_at":1}}],"jid":"8f","created_at":{ms},"enqueued_at":{ms}}}"#
        )
    });
    assert_aged(|micros| {
        let ms = (micros / 1000) as f64;
        format!(
            r#"{{"queue":"default","args":[],"retry":true,"class":"Mail","jid":"8f","created_at":{ms:?},"enqueued_at":{ms:?},"failed_at":null,"retried_at":null}}"#
        )
    });
}

#[test]
fn sidekiq_7_job_read_as_ms() {
    assert_aged(|micros| {
        let now = micros as f64 / 1e6;
        format!(
            r#"{{"retry":true,"queue":"default","class":"Mail","args":[],"jid":"8f","created_at":{now},"enqueued_at":{now}}}"#
        )
    });
    // Until it is pushed a job has no other time.
    assert_aged(|micros| {
        let now = micros as f64 / 1e6;
        format!(r#"{{"queue":"default","class":"Mail","args":[],"created_at":{now},"enqueued_at":null}}"#)
    });
}
