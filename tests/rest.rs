//! A worker with nothing to do rests until the flush, and whatever waits for it meanwhile wakes it at once.

#![cfg(target_os = "linux")]

mod support;

use std::error::Error;
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fs, thread};
use support::fork::{assert_done, fork};
use support::{PATIENCE, wait_until};
use tasktag::testing::Capture;
use tasktag::{Client, DropReason, Guard, QueueStatus, Status};

const CHANNEL: usize = 64;
const COLLECT_INTERVAL: Duration = Duration::from_millis(1);
/// It would have collected a hundred times.
const LONG: Duration = COLLECT_INTERVAL.saturating_mul(100);

static ONE_WORKER: Mutex<()> = Mutex::new(());

/// A client whose time passes, and whose next flush is far away. Its worker is the only one of the process.
struct Idle {
    guard: Guard,
    _alone: MutexGuard<'static, ()>,
}

impl Idle {
    fn new() -> Result<Self, Box<dyn Error>> {
        let alone = ONE_WORKER.lock().unwrap_or_else(PoisonError::into_inner);
        let builder = Client::builder().capture(&Capture::new()).telemetry(false).origin_detection(false);
        let builder = builder.task_id(support::task_id()).channel_capacity(CHANNEL);
        let builder = builder.collect_interval(COLLECT_INTERVAL).flush_interval(Duration::from_secs(3600));
        Ok(Self { guard: builder.shutdown_timeout(PATIENCE).build()?, _alone: alone })
    }

    fn client(&self) -> &Client {
        self.guard.client()
    }
}

/// Waits until the worker has slept for a long time, and returns how often it ever fell asleep.
fn rested() -> u64 {
    let mut last = None;
    wait_until(|| {
        thread::sleep(LONG);
        let before = std::mem::replace(&mut last, naps());
        before.is_some() && before == last
    });
    last.unwrap_or_default()
}

/// How often the worker gave its processor up to wait, while it sleeps. A thread that has just started has no name yet.
fn naps() -> Option<u64> {
    let is_worker = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "tasktag")
    };
    let worker = fs::read_dir("/proc/self/task").ok()?.flatten().find(is_worker)?;
    let status = fs::read_to_string(worker.path().join("status")).ok()?;
    // One that was woken may have to wait for a processor.
    status.lines().find(|line| line.starts_with("State:\tS"))?;
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

#[test]
fn calls_that_fit_into_a_cell_do_not_disturb_its_rest() -> Result<(), Box<dyn Error>> {
    let idle = Idle::new()?;
    let (level, jobs) = (idle.client().gauge("level").register(), idle.client().counter("jobs").register());
    let run = idle.client().timing("run").register();
    let call = || {
        level.set(1.0);
        jobs.increment(1);
        run.record(12.5);
    };
    call();
    let naps = rested();
    (0..1000).for_each(|_| call());
    assert_eq!(rested(), naps);
    idle.client().flush(PATIENCE)?;
    assert!(rested() > naps, "a flush is done at once, and then it rests again");
    Ok(())
}

#[test]
fn what_crosses_the_channel_is_collected_at_once() -> Result<(), Box<dyn Error>> {
    let idle = Idle::new()?;
    let client = idle.client();
    let (level, jobs) = (client.gauge("level").register(), client.counter("jobs").register());
    let (run, users) = (client.timing("run").register(), client.set("users").register());
    let now = SystemTime::now();
    let calls: [&dyn Fn(); 6] = [
        &|| client.event("title", "text"),
        &|| client.service_check("db", Status::Ok),
        &|| users.insert("a"),
        &|| level.set_at(1.0, now),
        &|| jobs.increment_at(1, now),
        // More than a table counts at once.
        &|| run.record_many(1.0, 1 << 44),
    ];
    for call in calls {
        rested();
        call();
        rested();
        // There is room for as many as ever.
        for _ in 0..CHANNEL {
            users.insert("b");
        }
        assert_eq!(client.stats().dropped(DropReason::ChannelFull).values, 0);
    }
    Ok(())
}

#[test]
fn tables_that_are_taken_are_replaced_at_once() -> Result<(), Box<dyn Error>> {
    let idle = Idle::new()?;
    let timings = [1, 2, 3].map(|n| idle.client().timing(&format!("run.{n}")).register());
    // There is only one table of the largest size in stock, and each of them needs one.
    for timing in timings {
        let naps = rested();
        for step in 0..4000 {
            timing.record((f64::from(step) / 128.0).exp2());
        }
        assert!(rested() > naps);
    }
    idle.client().flush(PATIENCE)?;
    let stats = idle.client().stats();
    assert_eq!((stats.sent.values, stats.dropped_total().values), (3 * 4000, 0));
    Ok(())
}

#[test]
fn a_watch_that_begins_while_it_rests_is_looked_after() -> Result<(), Box<dyn Error>> {
    let idle = Idle::new()?;
    let (go, wait) = channel::<()>();
    rested();
    let watch = idle.client().watch_queue("mail", move || {
        // Nothing comes: it hangs until the test ends.
        let _ = wait.recv();
        QueueStatus::new()
    });
    wait_until(|| idle.client().stats().late_probes == ["queue:mail"]);
    drop((go, watch));
    wait_until(|| idle.client().stats().late_probes.is_empty());
    rested();
    Ok(())
}

#[test]
fn it_polls_what_the_client_watches_itself_as_often_as_ever() -> Result<(), Box<dyn Error>> {
    let idle = Idle::new()?;
    let naps = rested();
    let requests = idle.client().counter("requests").bounded("route", 5);
    let requests = requests.most_frequent(Duration::from_secs(60)).register();
    let far = naps.saturating_add(100);
    wait_until(|| self::naps().is_some_and(|naps| naps > far));
    drop(requests);
    rested();
    Ok(())
}

#[test]
fn a_forked_child_rests_on_its_own() -> Result<(), Box<dyn Error>> {
    let idle = Idle::new()?;
    let users = idle.client().set("users").register();
    let finds_room_after_a_rest = || {
        users.insert("a");
        rested();
        users.insert("b");
        rested();
        (0..CHANNEL).for_each(|_| users.insert("c"));
        rested();
        idle.client().stats().dropped(DropReason::ChannelFull).values == 0
    };
    rested();
    assert_done(fork(|| finds_room_after_a_rest() && finds_room_after_a_rest()));
    assert!(finds_room_after_a_rest());
    Ok(())
}

#[test]
fn a_shutdown_wakes_it() -> Result<(), Box<dyn Error>> {
    let idle = Idle::new()?;
    idle.client().counter("jobs").increment(1);
    rested();
    let Idle { guard, _alone } = idle;
    let client = guard.client().clone();
    guard.shutdown(PATIENCE)?;
    assert_eq!(client.stats().sent.values, 1);
    Ok(())
}
