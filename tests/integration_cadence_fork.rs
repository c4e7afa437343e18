//! A forked child's cadence client works, and sends nothing of its parent's.
#![cfg(all(feature = "cadence", target_os = "linux"))]

mod support;

use cadence::prelude::*;
use cadence::{MetricSink, StatsdClient};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::fork::{assert_done, fork};
use support::{Agent, PATIENCE, wait_until};
use tasktag::integrations::cadence::{CadenceSink, TransportSink};
use tasktag::testing::ManualClock;
use tasktag::{Client, ClientBuilder, TaskIdPool};

/// Runs `act` in a forked child.
#[track_caller]
fn in_a_child(act: impl FnOnce()) {
    assert_done(fork(|| {
        act();
        true
    }));
}

fn builder(agent: &Agent) -> ClientBuilder {
    let never = Duration::from_secs(3600);
    let builder = Client::builder()
        .clock(&ManualClock::new())
        .agent(agent.address())
        .telemetry(false)
        .origin_detection(false);
    // So large that no two processes draw the same by chance.
    let pool = TaskIdPool::new(TaskIdPool::MAX_SIZE).unwrap();
    builder.flush_interval(never).collect_interval(never).shutdown_timeout(PATIENCE).task_id_pool(pool)
}

#[test]
fn fork_gives_the_child_a_worker_and_a_task_id_of_its_own() {
    let agent = Agent::udp();
    let guard = builder(&agent).build().unwrap();
    let sink = CadenceSink::new(guard.client()).flush_timeout(PATIENCE);
    let statsd = StatsdClient::from_sink("", sink.clone());
    statsd.count("jobs", 5).unwrap();
    statsd.gauge("level", 5_u64).unwrap();
    statsd.set("users", 5).unwrap();
    in_a_child(|| {
        for _ in 0..100 {
            statsd.count("jobs", 1).unwrap();
        }
        statsd.set("users", 7).unwrap();
        statsd.flush().unwrap();
        let stats = guard.client().stats();
        assert_eq!((stats.sent.values, stats.accepted == stats.sent), (2, true), "{stats}");
        assert_eq!(sink.stats().packets_sent, 1);
    });
    let tagged = |text: &str, id: &str| format!("{text}|#task_id:{id}");
    let mut lines = agent.lines(2);
    lines.sort();
    let child = lines[0].rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(lines, [tagged("jobs:100|c", &child), tagged("users:7|s", &child)]);
    statsd.flush().unwrap();
    let mut lines = agent.lines(3);
    lines.sort();
    let own = guard.client().task_id();
    assert_eq!(
        lines,
        [
            tagged("jobs:5|c", own.as_str()),
            tagged("level:5|g", own.as_str()),
            tagged("users:5|s", own.as_str())
        ]
    );
    assert_ne!(child, own.as_str());
}

#[test]
fn fork_gives_the_child_a_transport_and_a_timer_of_its_own() {
    let agent = Agent::udp();
    let sink = TransportSink::to(&agent.address()).unwrap();
    let timed =
        TransportSink::builder(&agent.address()).flush_interval(Duration::from_millis(5)).build().unwrap();
    let idle = sink.clone();
    sink.emit("of:1|c|#the:parent").unwrap();
    in_a_child(|| {
        drop(idle);
        timed.emit("of:1|c|#the:timer").unwrap();
        sink.emit("of:1|c|#the:child").unwrap();
        wait_until(|| timed.stats().packets_sent > 0);
        in_a_child(|| {
            sink.emit("of:1|c|#the:grandchild").unwrap();
            drop(sink);
        });
    });
    // Each process dropped its sink, and sent what was its own.
    let mut lines = agent.lines(4);
    lines.sort();
    let expected = ["child", "grandchild", "parent", "timer"].map(|whose| format!("of:1|c|#the:{whose}"));
    assert_eq!(lines, expected);
}

#[test]
fn a_child_forked_while_others_send_is_not_held_up() {
    let agent = Agent::udp();
    let sink = TransportSink::builder(&agent.address())
        .max_packet_size(64)
        .flush_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                sink.emit("parent:1|c").unwrap();
            }
        });
        for _ in 0..50 {
            in_a_child(|| {
                sink.emit("child:1|c").unwrap();
                sink.flush().unwrap();
            });
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(sink);
    let lines = agent.drain();
    assert!(lines.iter().all(|line| line == "parent:1|c" || line == "child:1|c"));
}
