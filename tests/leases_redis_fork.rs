//! A forked child has a lease of its own in Redis, and its parent's stays its parent's.
//!
//! As `leases_redis.rs`, in a process of its own: a forked child has all clients of its parent, those of other tests
//! too.

#![cfg(all(target_os = "linux", feature = "redis"))]

#[path = "leases_redis/server.rs"]
mod server;
mod support;

use server::{LONG, Redis, client};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use support::fork::holds_in_child;
use support::{PATIENCE, wait_until};
use tasktag::testing::Capture;
use tasktag::{Client, TaskId, TaskIdPool, TaskIdSourceKind};

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_forked_child_has_a_lease_of_its_own_and_leaves_its_parents_alone() {
    let _alone = alone();
    let Some(redis) = Redis::start() else { return };
    let capture = Capture::new();
    let mut guard = Some(client(&redis, &capture, 1000, LONG));
    let client = guard.as_ref().unwrap().client().clone();
    let mut own = Some(redis.claim(1000, LONG));
    let before = client.task_id().number();
    let held = redis.held();
    assert_eq!(held.len(), 2);
    assert!(holds_in_child(|| {
        client.counter("jobs").increment(1);
        wait_until(|| client.task_id().source() == TaskIdSourceKind::Leased);
        let number = client.task_id().number();
        client.flush(PATIENCE).unwrap();
        let is_own = number != before && redis.held().len() == 3;
        let lines = capture.take_lines();
        let is_tagged = lines.iter().any(|line| *line == format!("jobs:1|c|#{}", client.task_id().tag()));
        // What is the parent's is dropped here, too.
        drop((own.take(), guard.take()));
        wait_until(|| redis.held().len() == 2);
        is_own && is_tagged
    }));
    assert_eq!(redis.held(), held);
    assert_eq!((client.task_id().number(), client.task_id().source()), (before, TaskIdSourceKind::Leased));
}

#[test]
fn the_first_use_of_a_metric_in_a_forked_child_does_not_wait_for_the_server() {
    let _alone = alone();
    let Some(redis) = Redis::start() else { return };
    let guard = client(&redis, &Capture::new(), 1000, LONG);
    let client = guard.client().clone();
    redis.signal("STOP");
    assert!(holds_in_child(|| {
        let start = Instant::now();
        client.counter("jobs").increment(1);
        // Who waits for the server does so for 3 s.
        start.elapsed() < Duration::from_secs(2) && client.task_id().source() == TaskIdSourceKind::Shared
    }));
    redis.signal("CONT");
}

/// In a process of its own, since a process has one id.
#[test]
fn the_end_of_the_process_wide_client_gives_its_lease_back() {
    let _alone = alone();
    let Some(redis) = Redis::start() else { return };
    let source = redis.source(LONG);
    assert!(holds_in_child(|| {
        let guard =
            Client::builder().capture(&Capture::new()).task_id_from(source.clone()).install().unwrap();
        let other = Client::builder().capture(&Capture::new()).build().unwrap();
        let id = TaskId::current();
        let same = guard.client().task_id() == id && other.client().task_id() == id;
        drop(guard);
        let is_kept = redis.held() == [id.number()] && TaskId::current().source() == TaskIdSourceKind::Leased;
        drop(other);
        wait_until(|| redis.held().is_empty());
        same && is_kept && TaskId::current().source() == TaskIdSourceKind::Shared
    }));
    assert!(holds_in_child(|| {
        let id = TaskId::decide(&source, TaskIdPool::DEFAULT).unwrap();
        drop(Client::builder().capture(&Capture::new()).build().unwrap());
        redis.held() == [id.number()] && TaskId::current().source() == TaskIdSourceKind::Leased
    }));
}
