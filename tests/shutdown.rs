//! The end is bounded, loses nothing that can be sent, and is told to whoever asks.

#![cfg(unix)]

mod support;

use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use support::{Agent, PATIENCE, assert_conserved, lines_of, wait_until};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, DropReason, FlushError, PoolStatus, Status, Watch};

/// Short, and long enough for whatever does not hang.
const SHORT: Duration = Duration::from_millis(50);

/// Something that a probe owns: gone when the worker is.
#[derive(Debug, Default)]
struct Witness(Arc<()>);

impl Witness {
    fn watch(&self, client: &Client) -> Watch {
        let owned = Arc::clone(&self.0);
        client.watch_pool("primary", move || {
            let _ = &owned;
            PoolStatus::new().in_use(3)
        })
    }

    fn worker_is_gone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// A probe that hangs until it is let go, and tells when it begins to.
struct Hanging {
    entered: Receiver<()>,
    release: Option<Sender<()>>,
    _watch: Watch,
}

impl Hanging {
    fn watch(client: &Client) -> Self {
        let (enter, entered) = bounded(1);
        let (release, released) = bounded::<()>(0);
        let watch = client.watch_pool("hanging", move || {
            let _ = enter.try_send(());
            // Ends when the other side is gone, and then every time.
            let _ = released.recv();
            PoolStatus::default()
        });
        Self { entered, release: Some(release), _watch: watch }
    }

    fn wait(&self) {
        self.entered.recv_timeout(PATIENCE).unwrap();
    }

    fn let_go(&mut self) {
        self.release = None;
    }
}

#[test]
fn dropping_the_guard_sends_the_last_values_and_ends_the_worker() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).build().unwrap();
    let (client, witness) = (guard.client().clone(), Witness::default());
    let (level, jobs) = (client.gauge("level").register(), client.counter("jobs").register());
    let _watch = witness.watch(&client);
    client.flush(PATIENCE).unwrap();
    assert!(!witness.worker_is_gone());
    agent.lines(2);
    level.set(2.0);
    jobs.increment(1);
    client.timing("run").record(1.5);
    client.set("users").insert("a");
    client.event("title", "text");
    client.service_check("db", Status::Ok);
    drop(guard);
    assert!(witness.worker_is_gone());
    let mut lines = agent.lines(8);
    lines.sort();
    assert_eq!(
        lines,
        [
            "_e{5,4}:title|text|#task_id:0042",
            "_sc|db|0|#task_id:0042",
            "jobs:1|c|#task_id:0042",
            "level:2|g|#task_id:0042",
            "pool.in_use.max:3|g|#pool:primary,task_id:0042",
            "pool.in_use:3|g|#pool:primary,task_id:0042",
            "run:1.5|ms|#task_id:0042",
            "users:a|s|#task_id:0042",
        ]
    );
    assert_conserved(&client.stats());
    assert_eq!(client.stats().dropped_total().values, 0);
}

#[test]
fn a_client_that_never_flushed_sends_all_of_it_at_the_shutdown() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).build().unwrap();
    let _watch = Witness::default().watch(guard.client());
    guard.client().counter("jobs").increment(1);
    assert_eq!(guard.shutdown(PATIENCE), Ok(()));
    let mut lines = agent.lines(3);
    lines.sort();
    let pool = "|g|#pool:primary,task_id:0042";
    assert_eq!(
        lines,
        ["jobs:1|c|#task_id:0042", &format!("pool.in_use.max:3{pool}"), &format!("pool.in_use:3{pool}")]
    );
}

#[test]
fn a_shutdown_may_come_from_any_thread() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    guard.client().counter("jobs").increment(1);
    let ended = thread::spawn(move || guard.shutdown(PATIENCE)).join().unwrap();
    assert_eq!((ended, capture.take_lines().len()), (Ok(()), 1));
}

#[test]
fn dropping_clones_of_the_client_stops_nothing() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).build().unwrap();
    let client = guard.client().clone();
    let jobs = client.counter("jobs").register();
    for _ in 0..10 {
        drop(client.clone());
    }
    thread::spawn({
        let client = client.clone();
        move || drop(client)
    })
    .join()
    .unwrap();
    drop(client);
    jobs.increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(agent.lines(1), ["jobs:1|c|#task_id:0042"]);
}

#[test]
fn a_flush_after_the_shutdown_says_so() {
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let client = guard.client().clone();
    assert_eq!(client.flush(PATIENCE), Ok(()));
    guard.shutdown(PATIENCE).unwrap();
    for _ in 0..2 {
        assert_eq!(client.flush(PATIENCE), Err(FlushError::Stopped));
    }
}

#[test]
fn handles_outlive_the_worker_and_report_nothing() {
    let agent = Agent::udp();
    let clock = ManualClock::new();
    let guard = support::builder().clock(&clock).agent(agent.address()).build().unwrap();
    let client = guard.client().clone();
    let (level, busy) = (client.gauge("level").register(), client.occupancy("busy", 1).register());
    let held = busy.acquire();
    clock.advance(Duration::from_secs(1));
    drop(guard);
    agent.lines(3);
    level.set(1.0);
    drop(held);
    client.counter("jobs").increment(1);
    let watch = client.watch_pool("late", PoolStatus::default);
    drop(watch);
    assert_eq!(agent.drain(), [""; 0]);
    assert_conserved(&client.stats());
    assert_eq!(client.stats().dropped(DropReason::AfterShutdown).values, 2);
}

#[test]
fn a_full_channel_does_not_lose_the_stop() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).channel_capacity(1).build().unwrap();
    let (client, witness) = (guard.client().clone(), Witness::default());
    let _watch = witness.watch(&client);
    for _ in 0..100 {
        client.event("title", "text");
    }
    client.counter("jobs").increment(1);
    assert_eq!(guard.shutdown(PATIENCE), Ok(()));
    assert!(witness.worker_is_gone());
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!(stats.dropped(DropReason::ChannelFull).values, 99);
    assert!(agent.lines(4).contains(&"jobs:1|c|#task_id:0042".to_owned()));
}

#[test]
fn callers_that_keep_the_channel_full_can_not_hold_the_shutdown() {
    let guard = support::builder().capture(&Capture::new()).channel_capacity(10).build().unwrap();
    let client = guard.client().clone();
    let users = client.set("users").register();
    thread::scope(|scope| {
        scope.spawn(|| {
            while client.flush(Duration::ZERO) != Err(FlushError::Stopped) {
                users.insert("a");
            }
        });
        wait_until(|| client.stats().accepted.values > 100);
        assert_eq!(guard.shutdown(PATIENCE), Ok(()));
    });
    assert_conserved(&client.stats());
}

// What hangs.

#[test]
fn a_shutdown_ends_in_time_though_the_worker_hangs() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let (client, witness) = (guard.client().clone(), Witness::default());
    let _watch = witness.watch(&client);
    capture.set_stuck(true);
    client.counter("jobs").increment(1);
    assert_eq!(client.flush(SHORT), Err(FlushError::TimedOut(SHORT)));
    let start = Instant::now();
    assert_eq!(guard.shutdown(SHORT), Err(FlushError::TimedOut(SHORT)));
    assert!(start.elapsed() >= SHORT / 2 && start.elapsed() < PATIENCE);
    assert!(!witness.worker_is_gone());
    assert_eq!(client.flush(SHORT), Err(FlushError::Stopped), "no use in waiting for it");
    // The worker was left to itself, and ends when it can: with the last values.
    capture.set_stuck(false);
    wait_until(|| witness.worker_is_gone());
    assert!(capture.take_lines().contains(&"jobs:1|c|#task_id:0042".to_owned()));
    wait_until(|| client.stats().sent == client.stats().accepted);
}

#[test]
fn dropping_the_guard_takes_no_longer_than_was_set() {
    let guard = support::builder().capture(&Capture::new()).shutdown_timeout(SHORT).build().unwrap();
    let (client, witness) = (guard.client().clone(), Witness::default());
    let _watch = witness.watch(&client);
    let mut hanging = Hanging::watch(&client);
    drop(guard);
    hanging.wait();
    assert!(!witness.worker_is_gone(), "it hangs still");
    hanging.let_go();
    wait_until(|| witness.worker_is_gone());
}

#[test]
fn a_timeout_of_0_stops_without_waiting() {
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let (client, witness) = (guard.client().clone(), Witness::default());
    let _watch = witness.watch(&client);
    let mut hanging = Hanging::watch(&client);
    assert_eq!(guard.shutdown(Duration::ZERO), Err(FlushError::TimedOut(Duration::ZERO)));
    hanging.let_go();
    wait_until(|| witness.worker_is_gone());
}

#[test]
fn a_flush_that_waits_is_answered_when_the_shutdown_overtakes_it() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client().clone();
    client.counter("jobs").increment(1);
    capture.set_stuck(true);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.flush(PATIENCE));
        // What the flush took from the cells is on its way.
        wait_until(|| client.stats().accepted.values > 0);
        assert_eq!(guard.shutdown(SHORT), Err(FlushError::TimedOut(SHORT)));
        capture.set_stuck(false);
        let answer = waiting.join().unwrap();
        assert!(matches!(answer, Ok(()) | Err(FlushError::Stopped)), "{answer:?}");
    });
}

/// Something in a thread-local of the worker that takes its time when that ends.
struct Lingering(Receiver<()>);

impl Drop for Lingering {
    fn drop(&mut self) {
        // Ends when the other side is gone.
        let _ = self.0.recv();
    }
}

thread_local! {
    static LEFT_BEHIND: std::cell::RefCell<Option<Lingering>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn what_a_probe_leaves_in_a_thread_local_holds_no_shutdown() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let (let_go, held) = bounded::<()>(0);
    let mut lingering = Some(Lingering(held));
    let _watch = guard.client().watch_pool("primary", move || {
        if let Some(lingering) = lingering.take() {
            LEFT_BEHIND.set(Some(lingering));
        }
        PoolStatus::default()
    });
    guard.client().counter("jobs").increment(1);
    let start = Instant::now();
    assert_eq!(guard.shutdown(PATIENCE), Ok(()), "everything was sent");
    assert!(start.elapsed() < PATIENCE / 2);
    assert_eq!(capture.take_lines(), ["jobs:1|c|#task_id:0042"]);
    drop(let_go);
}

#[test]
fn the_workers_thread_is_at_its_end_when_the_shutdown_is_over() {
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let (kept, is_gone) = bounded::<()>(0);
    let mut kept = Some(kept);
    let _watch = guard.client().watch_pool("primary", move || {
        if let Some(kept) = kept.take() {
            WITNESS.set(Some(kept));
        }
        PoolStatus::default()
    });
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(guard.shutdown(PATIENCE), Ok(()));
    assert!(is_gone.recv_timeout(PATIENCE).is_err());
}

thread_local! {
    static WITNESS: std::cell::RefCell<Option<Sender<()>>> = const { std::cell::RefCell::new(None) };
}

// Guards in odd places.

#[test]
fn a_guard_that_is_dropped_in_its_own_probe_ends_the_worker() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).build().unwrap();
    let (client, witness) = (guard.client().clone(), Witness::default());
    let _watch = witness.watch(&client);
    let mut guard = Some(guard);
    let _owner = client.watch_pool("owner", move || {
        drop(guard.take());
        PoolStatus::default()
    });
    client.counter("jobs").increment(1);
    let answer = client.flush(PATIENCE);
    assert!(matches!(answer, Ok(()) | Err(FlushError::Stopped)), "{answer:?}");
    wait_until(|| witness.worker_is_gone());
    assert_eq!(client.flush(PATIENCE), Err(FlushError::Stopped));
    assert!(agent.lines(3).contains(&"jobs:1|c|#task_id:0042".to_owned()));
    assert_conserved(&client.stats());
}

#[test]
fn a_guard_that_is_dropped_in_another_clients_probe_ends_its_own_worker() {
    let (capture, other) = (Capture::new(), Capture::new());
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client().clone();
    client.counter("jobs").increment(1);
    let asking = support::builder().capture(&other).build().unwrap();
    let mut guard = Some(guard);
    let _watch = asking.client().watch_pool("owner", move || {
        drop(guard.take());
        PoolStatus::default()
    });
    asking.client().flush(PATIENCE).unwrap();
    assert_eq!(client.flush(PATIENCE), Err(FlushError::Stopped));
    assert_eq!(capture.take_lines(), ["jobs:1|c|#task_id:0042"]);
}

// What panics.

#[test]
fn a_transport_that_panics_in_the_last_flush_does_not_hold_the_shutdown() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let (client, witness) = (guard.client().clone(), Witness::default());
    let _watch = witness.watch(&client);
    let level = client.gauge("level").register();
    level.set(1.0);
    capture.panic_once();
    assert_eq!(guard.shutdown(PATIENCE), Ok(()));
    assert!(witness.worker_is_gone());
    assert!(capture.take_lines().contains(&"level:1|g|#task_id:0042".to_owned()), "it is tried again");
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!(stats.worker_restarts, 1);
    assert!(stats.dropped(DropReason::WorkerPanic).values > 0);
}

#[test]
fn a_transport_that_always_panics_does_not_hold_the_shutdown() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let (client, witness) = (guard.client().clone(), Witness::default());
    let _watch = witness.watch(&client);
    capture.set_panicking(true);
    client.counter("jobs").increment(1);
    assert_eq!(guard.shutdown(PATIENCE), Ok(()));
    assert!(witness.worker_is_gone());
    assert_eq!(capture.take_lines(), [""; 0]);
    assert!(client.stats().worker_restarts > 1, "{:?}", client.stats());
    assert_conserved(&client.stats());
}

#[test]
fn what_is_left_when_every_packet_kills_the_worker_is_counted() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).max_packet_size(64).build().unwrap();
    let client = guard.client().clone();
    capture.set_panicking(true);
    for number in 0..50 {
        client.counter(&format!("jobs.{number}")).increment(1);
        client.event(&number.to_string(), "text");
    }
    client.timing("run").register().record_many(1.0, 7);
    assert_eq!(guard.shutdown(PATIENCE), Ok(()));
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!((stats.accepted.values, stats.accepted), (107, stats.dropped_total()), "{stats:#?}");
    assert_eq!(capture.take_lines(), [""; 0]);
}

#[test]
fn what_left_before_the_worker_began_to_die_is_counted_as_sent() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).max_packet_size(64).build().unwrap();
    let client = guard.client().clone();
    for number in 0..1500 {
        client.counter(&format!("jobs.{number}")).increment(1);
    }
    let mut packets = Vec::new();
    thread::scope(|scope| {
        let ending = scope.spawn(|| guard.shutdown(PATIENCE));
        // Somewhere in the last flush the transport begins to panic, and goes on with that.
        wait_until(|| {
            packets.append(&mut capture.take_packets());
            !packets.is_empty()
        });
        while !ending.is_finished() {
            capture.panic_once();
        }
        assert_eq!(ending.join().unwrap(), Ok(()));
    });
    packets.append(&mut capture.take_packets());
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!(stats.accepted.values, 1500);
    assert_eq!(stats.sent.packets, packets.len() as u64);
    assert_eq!(stats.sent.values, lines_of(&packets).len() as u64);
}

#[test]
fn a_probe_that_panics_while_it_is_dropped_does_not_hold_the_shutdown() {
    struct Bomb(Client);

    impl Drop for Bomb {
        fn drop(&mut self) {
            // Only on the client's thread: the test's own threads are to pass.
            assert_ne!(thread::current().name(), Some("tasktag-probes"), "a probe that panics, as asked for");
        }
    }

    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client().clone();
    let bomb = Bomb(client.clone());
    let _watch = client.watch_pool("bomb", move || {
        let _ = &bomb.0;
        PoolStatus::default()
    });
    client.counter("jobs").increment(1);
    assert_eq!(guard.shutdown(PATIENCE), Ok(()));
    assert_eq!(capture.take_lines(), ["jobs:1|c|#task_id:0042"]);
    assert_conserved(&client.stats());
}
