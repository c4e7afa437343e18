//! What a forked child gets of its own it gets without waiting for itself, and in the end even where the system refuses
//! it at first.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std can't fork, and an allocator is unsafe")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use support::fork::{assert_done, fork};
use support::{PATIENCE, assert_conserved, builder, lines_of, wait_until};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Counter, Distribution, DropReason, FlushError, Gauge};

/// What the allocator counts with.
static HANDLES: OnceLock<(Counter, Distribution, Gauge)> = OnceLock::new();
/// Whether it does.
static COUNTS: AtomicBool = AtomicBool::new(false);

struct Counting;

fn count() {
    if let Some((allocations, sizes, level)) = HANDLES.get().filter(|_| COUNTS.load(Ordering::Relaxed)) {
        allocations.increment(1);
        sizes.record(1.0);
        level.set(1.0);
    }
}

// SAFETY: It hands everything on to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: The caller's promise is this call's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: As above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time: all have the allocator's handles.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_child_whose_allocator_counts_waits_for_nothing() {
    let _alone = alone();
    let capture = Capture::new();
    let guard = builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let handles = (
        client.counter("allocations").register(),
        client.distribution("sizes").register(),
        client.gauge("level").register(),
    );
    assert!(HANDLES.set(handles).is_ok());
    COUNTS.store(true, Ordering::Relaxed);
    // Its first use is an allocation.
    assert_done(fork(|| {
        drop(std::hint::black_box(String::from("the child's first allocation")));
        client.flush(PATIENCE).is_ok()
    }));
    // A child's child that was born while the child had used nothing: the hooks of the fork allocate.
    assert_done(fork(|| {
        COUNTS.store(false, Ordering::Relaxed);
        let forked = fork(|| {
            COUNTS.store(true, Ordering::Relaxed);
            drop(std::hint::black_box(vec![1_u8; 100]));
            client.flush(PATIENCE).is_ok()
        });
        COUNTS.store(true, Ordering::Relaxed);
        forked.success()
    }));
    assert_done(fork(|| fork(|| client.flush(PATIENCE).is_ok()).success()));
    COUNTS.store(false, Ordering::Relaxed);
    guard.shutdown(PATIENCE).unwrap();
}

#[test]
fn a_timer_that_runs_at_a_fork_is_the_parents_alone() {
    let _alone = alone();
    let capture = Capture::new();
    let guard = builder().capture(&capture).build().unwrap();
    let took = guard.client().timing("took").register();
    let (timer, owned, stopped) = (took.start(), took.start_owned(), took.start());
    assert_done(fork(|| {
        let (timer, owned, stopped) = (&timer, &owned, &stopped);
        // SAFETY: The child's copies, which its parent does not see; none is used again.
        unsafe {
            drop(std::ptr::read(timer));
            drop(std::ptr::read(owned));
            std::ptr::read(stopped).stop();
        }
        let own = took.start();
        drop(own);
        guard.client().flush(PATIENCE).unwrap();
        let lines = capture.take_lines();
        lines.len() == 1 && lines[0].starts_with("took:")
    }));
    drop((timer, owned, stopped));
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(guard.client().stats().accepted.values, 3);
}

/// Has the system refuse every further thread, or not.
fn refuse_threads(refuse: bool) {
    let limit = libc::rlimit { rlim_cur: if refuse { 1 } else { 4096 }, rlim_max: 4096 };
    // SAFETY: The limit outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) }, 0);
}

/// Becomes a user who has limits, in a forked child. `false` where that is not to be had.
fn become_limited() -> bool {
    // SAFETY: Two system calls.
    unsafe { libc::setgid(2077) == 0 && libc::setuid(2077) == 0 }
}

#[test]
fn a_child_that_was_refused_a_thread_asks_again_and_has_lost_nothing() {
    let _alone = alone();
    let capture = Capture::new();
    let guard = builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let (jobs, level, busy) = (
        client.counter("jobs").register(),
        client.gauge("level").register(),
        client.occupancy("busy", 2).register(),
    );
    jobs.increment(100);
    assert_done(fork(|| {
        if !become_limited() {
            println!("skipped: only root can become another user");
            return true;
        }
        refuse_threads(true);
        jobs.increment(1);
        let held = busy.acquire();
        assert_eq!(client.flush(PATIENCE), Err(FlushError::Stopped));
        client.event("at the limit", "");
        assert_eq!(client.stats().dropped_total().values, 0);
        refuse_threads(false);
        // From one second on, at the next use, whatever that is.
        let has_thread = || std::fs::read_dir("/proc/self/task").unwrap().count() > 1;
        wait_until(|| {
            jobs.increment(1);
            std::thread::sleep(Duration::from_millis(10));
            has_thread()
        });
        level.set(7.0);
        client.flush(PATIENCE).unwrap();
        drop(held);
        let lines = capture.take_lines();
        let count = |name: &str| {
            lines.iter().find_map(|line| line.strip_prefix(name)?.split('|').next()?.parse().ok())
        };
        let (counted, stats) = (count("jobs:").unwrap_or(0), client.stats());
        assert_conserved(&stats);
        counted > 1 && counted < 100_000 && lines.iter().any(|line| line.contains("at the limit"))
    }));
    assert_eq!(lines_of(&capture.take_packets()), [""; 0]);
}

#[test]
fn a_child_that_ends_without_ever_having_had_a_thread_counts_what_it_loses() {
    let _alone = alone();
    let capture = Capture::new();
    let guard = builder().capture(&capture).build().unwrap();
    let client = guard.client().clone();
    let jobs = client.counter("jobs").register();
    assert_done(fork(move || {
        if !become_limited() {
            return true;
        }
        refuse_threads(true);
        jobs.increment(3);
        let ended = guard.shutdown(PATIENCE);
        jobs.increment(4);
        let stats = client.stats();
        assert_conserved(&stats);
        ended == Err(FlushError::Stopped) && stats.dropped(DropReason::AfterShutdown).values > 0
    }));
}

#[test]
fn a_restored_process_has_an_id_a_worker_and_statistics_of_its_own() {
    let _alone = alone();
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let pool = tasktag::TaskIdPool::new(1_000_000).unwrap();
    let client_builder = tasktag::Client::builder().capture(&capture).clock(&clock).telemetry(false);
    let guard = client_builder.task_id_pool(pool).build().unwrap();
    let client = guard.client();
    let (jobs, busy, took) = (
        client.counter("jobs").register(),
        client.occupancy("busy", 2).register(),
        client.timing("took").register(),
    );
    let watched = client.watch_queue("mail", || tasktag::QueueStatus::new().depth(5));
    clock.advance(Duration::from_secs(10));
    assert!(!capture.take_lines().is_empty());
    jobs.increment(100);
    let (unit, timer) = (busy.acquire(), took.start());
    let before = client.task_id();
    let sent = client.stats().sent.values;
    assert!(sent > 0);

    tasktag::after_restore();

    let id = client.task_id();
    assert_ne!((id, tasktag::TaskId::current()), (before, before));
    assert_eq!((client.stats().accepted.values, client.stats().sent.values), (0, 0));
    drop((unit, timer));
    jobs.increment(2);
    clock.advance(Duration::from_secs(10));
    let lines = capture.take_lines();
    assert!(lines.contains(&format!("jobs:2|c|#{}", id.tag())), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("queue.depth:5|g")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("took") || line.contains(before.tag())), "{lines:?}");
    assert_conserved(&client.stats());
    drop(watched);

    // Again, and from another thread than the first use's.
    std::thread::scope(|scope| scope.spawn(tasktag::after_restore).join().unwrap());
    assert_ne!(client.task_id(), id);
    jobs.increment(1);
    guard.shutdown(PATIENCE).unwrap();
    assert_eq!(capture.take_lines().iter().filter(|line| line.starts_with("jobs:1|c")).count(), 1);
}

#[test]
fn a_client_that_could_not_be_built_leaves_nothing_behind() {
    let _alone = alone();
    let directory = std::env::temp_dir().join(format!("tasktag-unbuilt-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    assert_done(fork(|| {
        let leased = || tasktag::Client::builder().task_id_from(tasktag::TaskIdSource::leased(&directory));
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        for refused in [
            leased().agent("nonsense"),
            leased().agent("udp://agent.invalid:8125").also(tasktag::Agent::at("nonsense")),
            leased().max_packet_size(1),
            leased().flush_interval(Duration::ZERO),
            leased().prefix("p".repeat(1000)),
            leased().tag("task_id", "7"),
            leased().agent("udp://agent.invalid:8125").task_id_from(tasktag::TaskIdSource::fixed(0)),
        ] {
            assert!(refused.install().is_err());
        }
        // The system shows a thread for a moment after it was waited for.
        wait_until(|| threads() == before);
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "no lease");
        // No id is decided.
        tasktag::Client::builder().task_id_from(tasktag::TaskIdSource::fixed(7)).install().is_ok()
    }));
    std::fs::remove_dir_all(&directory).unwrap();
}
