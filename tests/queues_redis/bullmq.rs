//! `BullMQ`.

use crate::program::{Program, named_by, script};
use crate::watched::{Span, Watched};
use std::process::Command;
use std::time::Duration;
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;

const VERSIONS: [&str; 2] = ["bullmq", "bullmq6"];

fn start(version: &str) -> Option<(Watched, Program)> {
    let watched = Watched::new(RedisQueue::bullmq("mail"))?;
    let packages = named_by("TASKTAG_TEST_QUEUES_NODE")?;
    let mut node = Command::new("node");
    node.arg(script("bullmq_jobs.js")).arg(version).arg(watched.url());
    node.env("NODE_PATH", packages.join("node_modules"));
    Some((watched, Program::start(node)))
}

/// How many are ready, running, scheduled and dead. Retries are among the scheduled.
fn levels([depth, running, scheduled, dead]: [u64; 4]) -> QueueStatus {
    QueueStatus::new().depth(depth).running(running).scheduled(scheduled).dead(dead)
}

#[test]
fn each_step_of_a_job_of_bullmq_is_in_its_number() {
    for version in VERSIONS {
        let Some((watched, mut jobs)) = start(version) else { return };
        watched.expect(levels([0, 0, 0, 0]));
        let first = Span::of(|| jobs.say("add fail"));
        jobs.say("retry");
        jobs.say("delay nothing 600000");
        watched.expect(levels([2, 0, 1, 0]));
        watched.expect_oldest(first);

        jobs.say("start");
        watched.expect(levels([0, 0, 2, 1]));
        jobs.say("add hang");
        watched.expect(levels([0, 1, 2, 1]));
        let waiting = Span::of(|| jobs.say("add nothing"));
        watched.expect(levels([1, 1, 2, 1]));
        watched.expect_oldest(waiting);
        jobs.crash();
        // Another worker puts a job back that has been locked for too long.
        watched.expect(levels([1, 1, 2, 1]));
    }
}

#[test]
fn bullmq_timestamp_of_the_tail() {
    let delay = Duration::from_millis(500);
    for version in VERSIONS {
        let Some((watched, mut jobs)) = start(version) else { return };
        jobs.say("delay hang 400");
        let due = Span::of(|| jobs.say("delay nothing 500")).later(delay);
        watched.expect(levels([2, 0, 0, 0]));
        // The worker takes one, and makes the other wait in the list, where its time is still that of its addition.
        jobs.say("start");
        watched.expect(levels([1, 1, 0, 0]));
        assert_eq!(watched.call::<u64>(&["LLEN", "bull:mail:wait"]), 1);
        watched.expect_oldest(due);
        jobs.say("lifo nothing");
        watched.expect(levels([2, 1, 0, 0]));
        watched.expect_oldest(due);
    }
}

#[test]
fn bullmq_zrange_prioritized_0_0() {
    for version in VERSIONS {
        let Some((watched, mut jobs)) = start(version) else { return };
        let starved = Span::of(|| jobs.say("priority 2000000"));
        for priority in ["1", "7", "1", "7"] {
            jobs.say(&format!("priority {priority}"));
        }
        watched.expect(levels([5, 0, 0, 0]));
        watched.expect_oldest(starved);
    }
}

#[test]
fn bullmq_getjobcounts_waiting() {
    for version in VERSIONS {
        let Some((watched, mut jobs)) = start(version) else { return };
        let due = Span::of(|| jobs.say("delay nothing 100")).later(Duration::from_millis(100));
        watched.expect(levels([1, 0, 0, 0]));
        jobs.say("priority 3");
        assert_eq!(watched.call::<u64>(&["LLEN", "bull:mail:wait"]), 0);
        watched.expect(levels([2, 0, 0, 0]));
        watched.expect_oldest(due);
    }
}

#[test]
fn bullmq_6_paused_waiting() {
    for version in VERSIONS {
        let Some((watched, mut jobs)) = start(version) else { return };
        let added = Span::of(|| jobs.say("add nothing"));
        jobs.say("priority 3");
        jobs.say("pause");
        // What pausing does to the list differs.
        let listed = u64::from(version == "bullmq6");
        assert_eq!(watched.call::<u64>(&["LLEN", "bull:mail:wait"]), listed, "{version}");
        watched.expect(levels([0, 0, 0, 0]));
        assert_eq!(watched.status().oldest_age, Some(Duration::ZERO));
        jobs.say("resume");
        watched.expect(levels([2, 0, 0, 0]));
        watched.expect_oldest(added);
    }
}

#[test]
fn a_job_of_bullmq_that_was_promoted_waits_since_it_was_added_at_most() {
    let Some((watched, mut jobs)) = start("bullmq") else { return };
    let added = Span::of(|| jobs.say("delay nothing 600000"));
    jobs.say("promote");
    watched.expect(levels([1, 0, 0, 0]));
    watched.expect_oldest(added);
}
