//! A watch that hangs costs itself alone: the rest is sent, and whoever asks learns which watch it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, Guard, LossPhase, PoolStatus, QueueStatus};

const PATIENCE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_millis(1_250);

/// A database that hangs until it is told to answer.
#[derive(Clone, Default)]
struct Database(Arc<(Mutex<bool>, Condvar)>);

impl Database {
    fn hang(&self) {
        *self.0.0.lock().unwrap() = true;
    }

    fn answer(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }

    fn rows(&self) -> u64 {
        let hangs = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(hangs, |hangs| *hangs).unwrap());
        7
    }

    fn watch(&self, client: &Client, name: &str) {
        let database = self.clone();
        let status = move || QueueStatus::new().depth(database.rows());
        client.watch_queue(name, status).detach();
    }
}

/// What hangs is let go however a test ends: its thread would wait for ever.
impl Drop for Database {
    fn drop(&mut self) {
        self.answer();
    }
}

fn builder(capture: &Capture, clock: &ManualClock) -> ClientBuilder {
    Client::builder().capture(capture).clock(clock).telemetry(false).flush_interval(SECOND)
}

fn watch_healthy(client: &Client) {
    client.watch_pool("healthy", || PoolStatus::new().in_use(3)).detach();
}

/// Names and tags of a flush, the peaks left out.
fn flushed(guard: &Guard, capture: &Capture) -> Vec<String> {
    drop(capture.take_lines());
    guard.client().flush(PATIENCE).unwrap();
    let metrics = capture.take_metrics().unwrap().into_iter().filter(|metric| !metric.name.contains(".max"));
    let mut lines = Vec::new();
    for metric in metrics {
        let tags = metric.tags.iter().filter(|(key, _)| key != "task_id");
        lines.push(tags.fold(metric.name.clone(), |name, (key, value)| format!("{name} {key}:{value}")));
    }
    lines.sort();
    lines
}

#[test]
fn a_watch_that_hangs_loses_its_own_gauges_and_nothing_else() {
    let (capture, clock, database) = (Capture::new(), ManualClock::new(), Database::default());
    let guard = builder(&capture, &clock).build().unwrap();
    let client = guard.client();
    database.watch(client, "jobs");
    watch_healthy(client);
    let served = client.counter("http.served").register();
    served.increment(1);
    let all = ["http.served", "pool.in_use pool:healthy", "queue.depth queue:jobs"];
    assert_eq!(flushed(&guard, &capture), all);

    database.hang();
    clock.advance(SECOND);
    served.increment(1);
    // It is late once the clock says so, and its level is no longer true.
    clock.advance(LATE);
    served.increment(1);
    assert_eq!(flushed(&guard, &capture), ["http.served", "pool.in_use pool:healthy"]);
    let stats = client.stats();
    assert_eq!((stats.probes_late, stats.late_probes.as_slice()), (1, &["queue:jobs".to_owned()][..]));
    assert_eq!((stats.probe_panics, stats.dropped_total().values), (0, 0));

    database.answer();
    while !client.stats().late_probes.is_empty() {
        std::thread::yield_now();
    }
    served.increment(1);
    assert_eq!(flushed(&guard, &capture), all, "it answers, and is heard");
    assert_eq!(client.stats().probes_late, 1);
}

#[test]
fn whoever_is_told_of_losses_is_told_which_watch_hangs() {
    let (capture, clock, database) = (Capture::new(), ManualClock::new(), Database::default());
    let (told, notices) = mpsc::channel();
    let guard = builder(&capture, &clock).on_loss(move |notice| told.send(notice.clone()).unwrap());
    let guard = guard.build().unwrap();
    database.watch(guard.client(), "jobs");
    guard.client().flush(PATIENCE).unwrap();
    database.hang();
    clock.advance(SECOND);
    clock.advance(LATE);
    let notice = notices.recv_timeout(PATIENCE).unwrap();
    assert_eq!((notice.phase, notice.probe.as_deref()), (LossPhase::ProbeLate, Some("queue:jobs")));
    assert_eq!(
        notice.to_string(),
        "the watch of queue:jobs has not answered for 1 s: its gauges are absent until it does"
    );
}

#[test]
fn four_hanging_watches_leave_the_others_asked_and_a_fifth_makes_them_absent() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = builder(&capture, &clock).build().unwrap();
    let databases: Vec<_> = (0..5).map(|_| Database::default()).collect();
    for (place, database) in databases.iter().enumerate() {
        database.watch(guard.client(), &place.to_string());
    }
    watch_healthy(guard.client());
    assert_eq!(flushed(&guard, &capture).len(), 6);
    for (place, database) in databases.iter().enumerate() {
        database.hang();
        clock.advance(SECOND);
        clock.advance(LATE);
        let healthy = flushed(&guard, &capture).iter().filter(|line| line.starts_with("pool")).count();
        assert_eq!(healthy, usize::from(place < 4), "{} hang", place + 1);
        assert_eq!(guard.client().stats().late_probes.len(), place + 1);
    }
    databases.iter().for_each(Database::answer);
    while !guard.client().stats().late_probes.is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(flushed(&guard, &capture).len(), 6);
    assert_eq!(guard.client().stats().probes_late, 5);
}

#[test]
fn a_shutdown_sends_everything_while_a_watch_hangs() {
    for has_hung_for_long in [false, true] {
        let (capture, clock, database) = (Capture::new(), ManualClock::new(), Database::default());
        let guard = builder(&capture, &clock).build().unwrap();
        let client = guard.client().clone();
        database.watch(&client, "jobs");
        client.flush(PATIENCE).unwrap();
        database.hang();
        if has_hung_for_long {
            clock.advance(SECOND);
            clock.advance(LATE);
        }
        client.counter("rows").increment(30);
        drop(capture.take_lines());
        guard.shutdown(PATIENCE).unwrap();
        assert!(capture.take_lines().iter().any(|line| line.starts_with("rows:30|c")));
        let stats = client.stats();
        assert_eq!((stats.accepted, stats.dropped_total().values), (stats.sent, 0));
    }
}

#[test]
fn a_guard_is_dropped_within_its_timeout_while_a_watch_hangs() {
    let (capture, clock, database) = (Capture::new(), ManualClock::new(), Database::default());
    let guard = builder(&capture, &clock).shutdown_timeout(Duration::from_millis(50)).build().unwrap();
    database.watch(guard.client(), "jobs");
    guard.client().flush(PATIENCE).unwrap();
    database.hang();
    guard.client().counter("rows").increment(1);
    let start = Instant::now();
    drop(guard);
    // Nothing but the test ends what hangs.
    assert!(start.elapsed() < PATIENCE / 2);
}

/// Says that it was dropped.
struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn what_comes_back_after_the_shutdown_is_let_go() {
    let (capture, clock, database) = (Capture::new(), ManualClock::new(), Database::default());
    let guard = builder(&capture, &clock).build().unwrap();
    let gone = Arc::<AtomicBool>::default();
    let (held, asked) = (Held(Arc::clone(&gone)), database.clone());
    let status = move || {
        let _held = &held;
        QueueStatus::new().depth(asked.rows())
    };
    guard.client().watch_queue("jobs", status).detach();
    guard.client().flush(PATIENCE).unwrap();
    database.hang();
    clock.advance(SECOND);
    clock.advance(LATE);
    guard.shutdown(PATIENCE).unwrap();
    assert!(!gone.load(Ordering::SeqCst), "it is in use");
    database.answer();
    while !gone.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
}

#[test]
fn a_closure_of_on_loss_that_hangs_holds_nobody_and_is_named() {
    let (capture, clock, database) = (Capture::new(), ManualClock::new(), Database::default());
    let asked = database.clone();
    let guard = builder(&capture, &clock).on_loss(move |_| assert_eq!(asked.rows(), 7)).build().unwrap();
    let client = guard.client();
    watch_healthy(client);
    client.flush(PATIENCE).unwrap();
    database.hang();
    capture.set_away(true);
    client.counter("rows").increment(1);
    clock.advance(SECOND);
    capture.set_away(false);
    clock.advance(LATE);
    clock.advance(SECOND);
    assert_eq!(client.stats().late_probes, ["on_loss"]);
    client.counter("rows").increment(1);
    assert_eq!(flushed(&guard, &capture), ["pool.in_use pool:healthy", "rows"]);
}

#[test]
fn a_thread_local_of_a_probe_does_not_hold_the_shutdown() {
    struct Slow(Database);
    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.rows();
        }
    }
    thread_local!(static SLOW: std::cell::RefCell<Option<Slow>> = const { std::cell::RefCell::new(None) });
    let (capture, clock, database) = (Capture::new(), ManualClock::new(), Database::default());
    let guard = builder(&capture, &clock).build().unwrap();
    let asked = database.clone();
    let status = move || {
        SLOW.with(|slow| slow.borrow_mut().get_or_insert_with(|| Slow(asked.clone())).0.rows());
        PoolStatus::default()
    };
    guard.client().watch_pool("primary", status).detach();
    guard.client().flush(PATIENCE).unwrap();
    database.hang();
    let start = Instant::now();
    guard.shutdown(PATIENCE).unwrap();
    assert!(start.elapsed() < PATIENCE / 2);
}
