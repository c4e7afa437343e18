//! Wake-ups of a client that has nothing to do.

use super::child::numbers;
use super::score::Score;
use crate::memory::client;
use crate::receiver::blackhole;
use std::time::Duration;
use std::{fs, thread};

/// A flush of the client, as by default.
const FLUSH: Duration = Duration::from_secs(2);
const FLUSHES: u32 = 6;
/// The worker's name.
const THREAD: &str = "tasktag";

/// Of the worker, while gauges, counters and timings are registered and nothing is called.
pub fn wake_ups() -> Vec<Score> {
    let what = "wake-ups of an idle client without watches, a flush";
    // One more may fall into the time.
    let at_most = 1.0 + 1.0 / f64::from(FLUSHES);
    vec![Score::new(what, numbers(&["--idle"]).first().copied(), "", at_most)]
}

/// The process that is watched: prints how often its worker woke up a flush.
pub fn child() {
    let (_socket, agent) = blackhole();
    let guard = client(&agent);
    let client = guard.client();
    let (gauge, counter) = (client.gauge("level").register(), client.counter("done").register());
    let timing = client.timing("took").register();
    gauge.set(1.0);
    counter.increment(1);
    timing.record(12.5);
    // All that there is was sent, and so was a flush with nothing new in it.
    thread::sleep(2 * FLUSH);
    let before = worker_waits();
    thread::sleep(FLUSHES * FLUSH);
    println!("{}", (worker_waits() - before) / f64::from(FLUSHES));
    drop((gauge, counter, timing));
}

/// How often the worker gave its processor up to wait.
fn worker_waits() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let is_worker = |path: &std::path::Path| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == THREAD)
    };
    let worker = tasks.map(|task| task.path()).find(|path| is_worker(path)).expect("a worker");
    let status = fs::read_to_string(worker.join("status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).expect("a count")
}
