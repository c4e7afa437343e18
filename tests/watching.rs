//! Pools and queues that are watched report what they know, and nothing that they do not.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{
    Client, ClientBuilder, ConnectionBudget, DropReason, FlushError, Guard, PoolStatus, QueueDepth,
    QueueStatus, TaskId,
};

const PATIENCE: Duration = Duration::from_secs(60);
const COLLECT_INTERVAL: Duration = Duration::from_millis(250);

type Levels = BTreeMap<String, f64>;

/// A client that collects when its clock is moved, and flushes when it is told to.
fn quiet(capture: &Capture, clock: &ManualClock) -> ClientBuilder {
    let hour = Duration::from_secs(3600);
    Client::builder()
        .capture(capture)
        .clock(clock)
        .collect_interval(COLLECT_INTERVAL)
        .flush_interval(hour)
        .telemetry(false)
}

fn started() -> (Guard, Capture, ManualClock) {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    (quiet(&capture, &clock).build().unwrap(), capture, clock)
}

/// The gauges of a flush, by name and own tags: `pool.in_use#pool:primary`.
fn flushed(guard: &Guard, capture: &Capture) -> Levels {
    guard.client().flush(PATIENCE).unwrap();
    let mut levels = Levels::new();
    for metric in capture.take_metrics().unwrap() {
        assert_eq!(metric.code, "g");
        assert_eq!(metric.tag("task_id"), Some(TaskId::current().as_str()));
        let own = metric.tags.iter().filter(|(key, _)| key != "task_id");
        let tags: Vec<_> = own.map(|(key, value)| format!("{key}:{value}")).collect();
        let name = format!("{}#{}", metric.name, tags.join(","));
        assert_eq!(levels.insert(name, metric.value.number().unwrap()), None, "twice in a flush");
    }
    levels
}

fn levels<const N: usize>(expected: [(&str, f64); N]) -> Levels {
    expected.map(|(name, level)| (name.to_owned(), level)).into()
}

/// A status that a test changes while it is watched.
#[derive(Debug)]
struct Shown<S>(Arc<Mutex<S>>);

impl<S: Copy + Send + 'static> Shown<S> {
    fn new(status: S) -> Self {
        Self(Arc::new(Mutex::new(status)))
    }

    fn show(&self, status: S) {
        *self.0.lock().unwrap() = status;
    }

    fn probe(&self) -> impl FnMut() -> S + Send + 'static {
        let shown = Arc::clone(&self.0);
        move || *shown.lock().unwrap()
    }
}

fn in_use(units: u64) -> PoolStatus {
    PoolStatus::new().in_use(units)
}

fn depth(items: u64) -> QueueStatus {
    QueueStatus::new().depth(items)
}

#[test]
fn a_pool_that_knows_everything_reports_everything() {
    let (guard, capture, _) = started();
    let status =
        PoolStatus::new().max(10).open(8).opening(1).idle(3).in_use(4).held(2).waiting(2).closed(true);
    let _watch = guard.client().watch_pool("primary", move || status);
    let expected = levels([
        ("pool.max#pool:primary", 10.0),
        ("pool.open#pool:primary", 8.0),
        ("pool.open.max#pool:primary", 8.0),
        ("pool.opening#pool:primary", 1.0),
        ("pool.opening.max#pool:primary", 1.0),
        ("pool.idle#pool:primary", 3.0),
        ("pool.in_use#pool:primary", 4.0),
        ("pool.in_use.max#pool:primary", 4.0),
        ("pool.held_units#pool:primary", 2.0),
        ("pool.held_units.max#pool:primary", 2.0),
        ("pool.utilization#pool:primary", 0.4),
        ("pool.utilization.max#pool:primary", 0.4),
        ("pool.waiting#pool:primary", 2.0),
        ("pool.waiting.max#pool:primary", 2.0),
        ("pool.closed#pool:primary", 1.0),
    ]);
    assert_eq!(flushed(&guard, &capture), expected);
    assert_eq!(flushed(&guard, &capture), expected, "at every flush");
}

#[test]
fn a_queue_that_knows_everything_reports_everything() {
    let (guard, capture, _) = started();
    let oldest_age = Some(Duration::from_millis(1_500));
    let status = QueueStatus::new().depth(25).capacity(100).oldest_age(oldest_age);
    let status = status.running(4).longest_running(oldest_age).scheduled(8).retrying(2).dead(1);
    let _watch = guard.client().watch_queue("mail", move || status);
    let expected = levels([
        ("queue.running#queue:mail", 4.0),
        ("queue.running.max#queue:mail", 4.0),
        ("queue.longest_running_seconds#queue:mail", 1.5),
        ("queue.longest_running_seconds.max#queue:mail", 1.5),
        ("queue.scheduled#queue:mail", 8.0),
        ("queue.scheduled.max#queue:mail", 8.0),
        ("queue.retrying#queue:mail", 2.0),
        ("queue.retrying.max#queue:mail", 2.0),
        ("queue.dead#queue:mail", 1.0),
        ("queue.dead.max#queue:mail", 1.0),
        ("queue.depth#queue:mail", 25.0),
        ("queue.depth.max#queue:mail", 25.0),
        ("queue.capacity#queue:mail", 100.0),
        ("queue.utilization#queue:mail", 0.25),
        ("queue.utilization.max#queue:mail", 0.25),
        ("queue.oldest_age_seconds#queue:mail", 1.5),
        ("queue.oldest_age_seconds.max#queue:mail", 1.5),
    ]);
    assert_eq!(flushed(&guard, &capture), expected);
}

#[test]
fn what_is_not_known_is_absent_and_not_0() {
    let (guard, capture, _) = started();
    let client = guard.client();
    let idle_alone = PoolStatus::new().idle(3);
    let watches = (
        client.watch_pool("nothing", PoolStatus::default),
        client.watch_pool("idle alone", move || idle_alone),
        client.watch_pool("no max", || in_use(0)),
        client.watch_queue("nothing", QueueStatus::default),
        client.watch_queue("no capacity", || depth(0)),
        client.watch_queue("no room", || depth(0).capacity(0)),
    );
    let expected = levels([
        ("pool.idle#pool:idle_alone", 3.0),
        ("pool.in_use#pool:no_max", 0.0),
        ("pool.in_use.max#pool:no_max", 0.0),
        ("queue.depth#queue:no_capacity", 0.0),
        ("queue.depth.max#queue:no_capacity", 0.0),
        ("queue.depth#queue:no_room", 0.0),
        ("queue.depth.max#queue:no_room", 0.0),
        ("queue.capacity#queue:no_room", 0.0),
    ]);
    assert_eq!(flushed(&guard, &capture), expected);
    drop(watches);
}

#[test]
fn a_pool_that_was_made_smaller_or_is_open_says_so_and_is_no_fuller_than_full() {
    let (guard, capture, _) = started();
    let shown = Shown::new(in_use(2).max(1));
    let _watch = guard.client().watch_pool("p", shown.probe());
    let found = flushed(&guard, &capture);
    assert_eq!(
        (found.get("pool.in_use#pool:p"), found.get("pool.utilization#pool:p")),
        (Some(&2.0), Some(&1.0))
    );
    assert_eq!(found.get("pool.closed#pool:p"), None, "it was not said");
    shown.show(in_use(2).max(1).closed(false));
    assert_eq!(flushed(&guard, &capture).get("pool.closed#pool:p"), Some(&0.0));
    shown.show(in_use(0).max(0).closed(true));
    let found = flushed(&guard, &capture);
    assert_eq!((found.get("pool.closed#pool:p"), found.get("pool.utilization#pool:p")), (Some(&1.0), None));
}

#[test]
fn what_becomes_unknown_is_sent_no_more_until_it_is_known_again() {
    let (guard, capture, clock) = started();
    let shown = Shown::new(in_use(3).waiting(7));
    let _watch = guard.client().watch_pool("p", shown.probe());
    assert_eq!(flushed(&guard, &capture).get("pool.waiting#pool:p"), Some(&7.0));
    shown.show(in_use(3));
    for _ in 0..2 {
        let remaining = levels([("pool.in_use#pool:p", 3.0), ("pool.in_use.max#pool:p", 3.0)]);
        assert_eq!(flushed(&guard, &capture), remaining);
        clock.advance(COLLECT_INTERVAL);
    }
    shown.show(in_use(3).waiting(1));
    let again = flushed(&guard, &capture);
    assert_eq!(again.get("pool.waiting#pool:p"), Some(&1.0));
    assert_eq!(again.get("pool.waiting.max#pool:p"), Some(&1.0), "the peak is no older than the gap");
}

#[test]
fn in_use_is_what_is_open_less_what_is_idle() {
    let (guard, capture, _) = started();
    let client = guard.client();
    let pool = |open, idle| PoolStatus::new().open(open).idle(idle);
    let watches = (
        client.watch_pool("usual", move || pool(5, 2)),
        client.watch_pool("more idle than open", move || pool(2, 5)),
    );
    let found = flushed(&guard, &capture);
    assert_eq!(found.get("pool.in_use#pool:usual"), Some(&3.0));
    assert_eq!(found.get("pool.in_use#pool:more_idle_than_open"), Some(&0.0));
    drop(watches);
}

#[test]
fn the_peak_is_the_highest_of_all_collections_since_the_last_flush() {
    let (guard, capture, clock) = started();
    let shown = Shown::new(in_use(1).max(10));
    let _watch = guard.client().watch_pool("p", shown.probe());
    flushed(&guard, &capture);
    for units in [2, 9, 4] {
        shown.show(in_use(units).max(10));
        clock.advance(COLLECT_INTERVAL);
    }
    let found = flushed(&guard, &capture);
    let peaks = [
        ("pool.max#pool:p", 10.0),
        ("pool.in_use#pool:p", 4.0),
        ("pool.in_use.max#pool:p", 9.0),
        ("pool.utilization#pool:p", 0.4),
        ("pool.utilization.max#pool:p", 0.9),
    ];
    assert_eq!(found, levels(peaks));
    let found = flushed(&guard, &capture);
    assert_eq!(found.get("pool.in_use.max#pool:p"), Some(&4.0), "a peak is of its own interval");
}

#[test]
fn a_probe_is_asked_once_a_collection() {
    let (guard, _, clock) = started();
    let asked = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&asked);
    let _watch = guard.client().watch_queue("q", move || depth(counting.fetch_add(1, Ordering::Relaxed)));
    for expected in 1..=8 {
        clock.advance(COLLECT_INTERVAL);
        assert_eq!(asked.load(Ordering::Relaxed), expected);
    }
    clock.advance(COLLECT_INTERVAL / 2);
    assert_eq!(asked.load(Ordering::Relaxed), 8);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 9, "a flush collects too");
}

#[test]
fn prefix_and_tags_can_be_set() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).prefix("shop").build().unwrap();
    let client = guard.client();
    let watches = (
        client.pool("primary").prefix("db.connections").tag("role", "writer").watch(|| in_use(1)),
        client.queue("mail").prefix("jobs.").tag("b", "2").tag("a", "1").watch(|| depth(2)),
        client.queue("bare").prefix("").watch(|| depth(3)),
    );
    let expected = levels([
        ("shop.db.connections.in_use#pool:primary,role:writer", 1.0),
        ("shop.db.connections.in_use.max#pool:primary,role:writer", 1.0),
        ("shop.jobs.depth#a:1,b:2,queue:mail", 2.0),
        ("shop.jobs.depth.max#a:1,b:2,queue:mail", 2.0),
        ("shop.depth#queue:bare", 3.0),
        ("shop.depth.max#queue:bare", 3.0),
    ]);
    assert_eq!(flushed(&guard, &capture), expected);
    drop(watches);
}

#[test]
fn dropping_the_watch_ends_the_sending() {
    let (guard, capture, _) = started();
    let client = guard.client();
    let (kept, dropped) =
        (client.watch_pool("kept", || in_use(1)), client.watch_pool("dropped", || in_use(2)));
    assert_eq!(flushed(&guard, &capture).len(), 4);
    drop(dropped);
    let remaining = levels([("pool.in_use#pool:kept", 1.0), ("pool.in_use.max#pool:kept", 1.0)]);
    assert_eq!(flushed(&guard, &capture), remaining);
    assert_eq!(client.stats().contexts, 1, "what nobody watches has made room");
    drop(kept);
    assert_eq!(flushed(&guard, &capture), Levels::new());
}

#[test]
fn what_a_probe_holds_is_let_go_after_its_watch_and_at_the_end() {
    let (guard, _, clock) = started();
    let held = Arc::new(());
    let probe = |held: &Arc<()>| {
        let held = Arc::clone(held);
        move || depth(Arc::strong_count(&held) as u64)
    };
    let dropped = guard.client().watch_queue("dropped", probe(&held));
    let kept = guard.client().watch_queue("kept", probe(&held));
    clock.advance(COLLECT_INTERVAL);
    drop(dropped);
    clock.advance(COLLECT_INTERVAL);
    assert_eq!(Arc::strong_count(&held), 2);
    guard.shutdown(PATIENCE).unwrap();
    assert_eq!(Arc::strong_count(&held), 1);
    drop(kept);
}

#[test]
fn what_is_gone_is_watched_no_more_and_leaves_nothing_behind() {
    let (guard, capture, clock) = started();
    let pool = Arc::new(AtomicU64::new(3));
    let (watched, asked) = (Arc::downgrade(&pool), Arc::new(AtomicU64::new(0)));
    let counting = Arc::downgrade(&asked);
    let probe = move || {
        counting.upgrade()?.fetch_add(1, Ordering::Relaxed);
        watched.upgrade().map(|pool| in_use(pool.load(Ordering::Relaxed)))
    };
    guard.client().pool("p").watch_while(probe).detach();
    assert_eq!(
        flushed(&guard, &capture),
        levels([("pool.in_use#pool:p", 3.0), ("pool.in_use.max#pool:p", 3.0)])
    );
    pool.store(7, Ordering::Relaxed);
    clock.advance(COLLECT_INTERVAL);
    drop(pool);
    let last = levels([("pool.in_use#pool:p", 7.0), ("pool.in_use.max#pool:p", 7.0)]);
    assert_eq!(flushed(&guard, &capture), last, "what was collected before is sent");
    assert_eq!(flushed(&guard, &capture), Levels::new());
    assert_eq!(guard.client().stats().contexts, 0);
    assert_eq!(asked.load(Ordering::Relaxed), 3, "it is not asked again");
    assert_eq!(Arc::weak_count(&asked), 0, "what it held is let go");
    assert_eq!((guard.client().stats().probe_panics, guard.client().stats().probes_removed), (0, 0));
}

#[test]
fn a_crossbeam_channel_can_be_watched() {
    let (guard, capture, _) = started();
    let (sender, receiver) = crossbeam_channel::bounded(8);
    let watched = receiver.clone();
    let _watch = guard.client().watch_queue("exports", move || {
        let capacity = watched.capacity().map(|capacity| capacity as u64);
        QueueStatus::new().depth(watched.len() as u64).capacity(capacity)
    });
    sender.send("a").unwrap();
    sender.send("b").unwrap();
    let found = flushed(&guard, &capture);
    assert_eq!(found.get("queue.depth#queue:exports"), Some(&2.0));
    assert_eq!(found.get("queue.capacity#queue:exports"), Some(&8.0));
    assert_eq!(found.get("queue.utilization#queue:exports"), Some(&0.25));
    assert_eq!(receiver.recv(), Ok("a"));
    assert_eq!(flushed(&guard, &capture).get("queue.depth#queue:exports"), Some(&1.0));
}

#[test]
fn a_std_channel_is_watched_by_its_tickets() {
    let (guard, capture, _) = started();
    let queue_depth = QueueDepth::default();
    let watched = queue_depth.clone();
    let _watch = guard.client().watch_queue("jobs", move || watched.status());
    let (sender, receiver) = mpsc::channel();
    let now = || flushed(&guard, &capture).get("queue.depth#queue:jobs").copied();
    assert_eq!(now(), Some(0.0));
    for job in ["a", "b", "c"] {
        sender.send((queue_depth.enter(), job)).unwrap();
    }
    assert_eq!(now(), Some(3.0));
    let (ticket, job) = receiver.recv().unwrap();
    assert_eq!((now(), job), (Some(3.0), "a"), "it leaves with its ticket");
    drop(ticket);
    assert_eq!(now(), Some(2.0));
    drop(receiver);
    assert_eq!(now(), Some(0.0), "what is lost with its channel has left too");
}

#[test]
fn a_locked_queue_tells_the_age_of_its_head() {
    let (guard, capture, _) = started();
    let start = Instant::now();
    let queue: Arc<Mutex<VecDeque<(Instant, &str)>>> = Arc::default();
    let watched = Arc::clone(&queue);
    // A clock of the test's own: what is put in ages by a second with every item that follows.
    let put = |second: u64, job| queue.lock().unwrap().push_back((start + Duration::from_secs(second), job));
    let _watch = guard.client().watch_queue("mail", move || {
        let queue = watched.lock().unwrap();
        let newest = queue.back().map_or(start, |(at, _)| *at);
        let oldest_age = Some(queue.front().map_or(Duration::ZERO, |(at, _)| newest.duration_since(*at)));
        QueueStatus::new().depth(queue.len() as u64).oldest_age(oldest_age)
    });
    let now = || {
        let found = flushed(&guard, &capture);
        [found["queue.depth#queue:mail"], found["queue.oldest_age_seconds#queue:mail"]]
    };
    assert_eq!(now(), [0.0, 0.0]);
    put(1, "a");
    put(2, "b");
    put(5, "c");
    assert_eq!(now(), [3.0, 4.0]);
    queue.lock().unwrap().pop_front();
    assert_eq!(now(), [2.0, 3.0]);
}

/// A probe that panics while it is told to, and how often it was asked.
fn moody(panics: &Arc<Mutex<bool>>, asked: &Arc<AtomicU64>) -> impl FnMut() -> PoolStatus + Send + 'static {
    let (panics, asked) = (Arc::clone(panics), Arc::clone(asked));
    move || {
        asked.fetch_add(1, Ordering::Relaxed);
        let panics = *panics.lock().unwrap();
        assert!(!panics, "on purpose");
        in_use(5)
    }
}

#[test]
fn a_probe_that_panics_three_times_in_a_row_is_asked_no_more() {
    let (guard, capture, clock) = started();
    let (panics, asked) = (Arc::new(Mutex::new(true)), Arc::default());
    let client = guard.client();
    let watches = (
        client.watch_pool("before", || in_use(1)),
        client.watch_pool("moody", moody(&panics, &asked)),
        client.watch_pool("after", || in_use(2)),
    );
    for turn in 1..=6 {
        clock.advance(COLLECT_INTERVAL);
        assert_eq!(asked.load(Ordering::Relaxed), turn.min(3));
    }
    let stats = client.stats();
    assert_eq!((stats.probe_panics, stats.probes_removed, stats.worker_restarts), (3, 1, 0));
    let found = flushed(&guard, &capture);
    assert_eq!(found.get("pool.in_use#pool:before"), Some(&1.0));
    assert_eq!(found.get("pool.in_use#pool:after"), Some(&2.0));
    assert_eq!(found.len(), 4, "nothing of the one that panicked: {found:?}");
    drop(watches);
}

#[test]
fn a_budget_of_connections_says_how_much_of_the_limit_a_full_fleet_needs() {
    let (guard, capture, clock) = started();
    let tasks = Arc::new(AtomicU64::new(12));
    let seen = Arc::clone(&tasks);
    let _watch = guard.client().watch_budget("orders", move || {
        let tasks = Some(seen.load(Ordering::Relaxed)).filter(|tasks| *tasks > 0);
        ConnectionBudget::new().tasks(tasks).pool(10).reserved(5).postgres(100, 3)
    });
    clock.advance(COLLECT_INTERVAL);
    let found = flushed(&guard, &capture);
    let gauge = |name: &str| found.get(&format!("db.connections.{name}#database:orders")).copied();
    assert_eq!(
        [gauge("needed"), gauge("limit"), gauge("budget_used")],
        [Some(125.0), Some(97.0), Some(125.0 / 97.0)]
    );
    assert_eq!(found.len(), 3);
    tasks.store(0, Ordering::Relaxed);
    clock.advance(COLLECT_INTERVAL);
    let found = flushed(&guard, &capture);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["db.connections.limit#database:orders"]);
}

#[test]
fn a_probe_that_panics_twice_and_recovers_stays() {
    let (guard, capture, clock) = started();
    let (panics, asked) = (Arc::new(Mutex::new(true)), Arc::default());
    let client = guard.client();
    let _watch = client.watch_pool("moody", moody(&panics, &asked));
    for _ in 0..4 {
        *panics.lock().unwrap() = true;
        clock.advance(COLLECT_INTERVAL);
        clock.advance(COLLECT_INTERVAL);
        *panics.lock().unwrap() = false;
        assert_eq!(flushed(&guard, &capture).get("pool.in_use#pool:moody"), Some(&5.0));
    }
    let stats = client.stats();
    assert_eq!((stats.probe_panics, stats.probes_removed, asked.load(Ordering::Relaxed)), (8, 0, 12));
}

#[test]
fn the_gauges_of_a_probe_that_was_taken_out_are_sent_no_more() {
    let (guard, capture, clock) = started();
    let (panics, asked) = (Arc::new(Mutex::new(false)), Arc::default());
    let _watch = guard.client().watch_pool("moody", moody(&panics, &asked));
    assert_eq!(flushed(&guard, &capture).len(), 2);
    *panics.lock().unwrap() = true;
    for _ in 0..3 {
        clock.advance(COLLECT_INTERVAL);
    }
    assert_eq!(flushed(&guard, &capture), Levels::new());
}

#[test]
fn a_watch_needs_room_for_its_contexts_like_anything_else() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).context_limit(1).build().unwrap();
    let _watch = guard.client().watch_pool("p", || in_use(1).waiting(1));
    clock.advance(COLLECT_INTERVAL);
    guard.client().flush(PATIENCE).unwrap();
    let lines = capture.take_lines();
    assert_eq!(lines.len(), 2 + 2 + 1, "one gauge with its peak, another folded, and how often");
    let stats = guard.client().stats();
    assert_eq!((stats.contexts, stats.folded_registrations), (1, 1));
    assert_eq!(stats.dropped(DropReason::ContextLimit).values, 0);
}

#[test]
fn a_watch_after_the_end_is_no_error_and_holds_nothing() {
    let (guard, _, _) = started();
    let client = guard.client().clone();
    guard.shutdown(PATIENCE).unwrap();
    let held = Arc::new(());
    let holder = Arc::clone(&held);
    let _watch = client.watch_queue("late", move || depth(Arc::strong_count(&holder) as u64));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[cfg(target_os = "linux")]
mod threads {
    use super::{COLLECT_INTERVAL, PATIENCE, depth, flushed, in_use, quiet};
    use std::error::Error;
    use std::fs::{DirEntry, read_to_string};
    use std::process::Command;
    use std::time::Instant;
    use tasktag::testing::{Capture, ManualClock};

    const CHILD: &str = "WATCHING_CHILD";

    fn names() -> Vec<String> {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        // A thread may be gone between the listing and the reading.
        let name = |thread: std::io::Result<DirEntry>| read_to_string(thread.ok()?.path().join("comm")).ok();
        let mut names: Vec<_> = threads.filter_map(name).map(|name| name.trim().to_owned()).collect();
        names.sort();
        names
    }

    /// The part of the next test that runs in a process of its own, where no other test starts threads.
    #[test]
    fn child_compares_its_threads() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let before = names();
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let guard = quiet(&capture, &clock).build().unwrap();
        let client = guard.client();
        let pools: Vec<_> =
            (0..10).map(|pool| client.watch_pool(&pool.to_string(), move || in_use(pool))).collect();
        let queues: Vec<_> =
            (0..10).map(|queue| client.watch_queue(&queue.to_string(), move || depth(queue))).collect();
        clock.advance(COLLECT_INTERVAL);
        assert_eq!(flushed(&guard, &capture).len(), 40);
        let mut expected = before.clone();
        expected.extend(["tasktag", "tasktag-probes"].map(ToOwned::to_owned));
        expected.sort();
        assert_eq!(names(), expected);
        drop((pools, queues, guard));
        // A thread that was joined is still listed for a moment.
        let deadline = Instant::now() + PATIENCE;
        while names() != before && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(names(), before, "and none is left behind");
        println!("\ncompared");
    }

    #[test]
    fn ten_pools_and_ten_queues_are_watched_by_one_thread() -> Result<(), Box<dyn Error>> {
        let child = Command::new(std::env::current_exe()?)
            .args(["--exact", "threads::child_compares_its_threads", "--nocapture"])
            .env(CHILD, "1")
            .output()?;
        let output = String::from_utf8(child.stdout)?;
        let errors = String::from_utf8(child.stderr)?;
        assert!(child.status.success() && output.lines().any(|line| line == "compared"), "{output}{errors}");
        Ok(())
    }
}

#[test]
fn a_client_may_be_used_by_its_own_probe() -> Result<(), Box<dyn Error>> {
    let (guard, capture, _) = started();
    let client = guard.client().clone();
    let _watch = guard.client().watch_queue("q", move || {
        client.gauge("asked").set(1.0);
        depth(client.stats().contexts)
    });
    assert_eq!(flushed(&guard, &capture).get("asked#"), Some(&1.0));
    guard.shutdown(PATIENCE)?;
    Ok(())
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bomb, as meant");
    }
}

#[test]
fn probes_that_panic_when_they_are_dropped_hurt_nobody() {
    for ended_before in [false, true] {
        let (guard, capture, _) = started();
        let watch = |name| {
            let bomb = Bomb;
            guard.client().watch_pool(name, move || {
                let _held = &bomb;
                in_use(1)
            })
        };
        let watches = ["first", "second", "third", "fourth"].map(watch);
        guard.client().flush(PATIENCE).unwrap();
        guard.client().counter("jobs").increment(1);
        if ended_before {
            drop(watches);
        }
        let client = guard.client().clone();
        guard.shutdown(PATIENCE).unwrap();
        assert!(capture.take_lines().iter().any(|line| line.starts_with("jobs:1|c")));
        let stats = client.stats();
        assert_eq!((stats.worker_restarts, stats.dropped_total().values), (0, 0));
    }
}

#[test]
fn a_probe_that_asks_for_a_flush_holds_nobody() {
    let (guard, _capture, _) = started();
    let client = guard.client().clone();
    let (answers, answer) = mpsc::channel();
    let _watch = guard.client().watch_pool("primary", move || {
        let _ = answers.send(client.flush(Duration::MAX));
        in_use(1)
    });
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(answer.try_recv(), Ok(Err(FlushError::OnWorker)));
}
