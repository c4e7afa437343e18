//! By one prefix and one set of tags one thing is watched at a time, so that no two overwrite each other's gauges.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::PATIENCE;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard, PoolStatus, QueueStatus, Watch};

struct Fixture {
    guard: Guard,
    capture: Capture,
}

impl Fixture {
    fn new() -> Self {
        let capture = Capture::new();
        let guard = support::builder().capture(&capture).clock(&ManualClock::new()).build().unwrap();
        Self { guard, capture }
    }

    fn client(&self) -> &Client {
        self.guard.client()
    }

    fn watch(&self, units: u64) -> Watch {
        self.client().watch_pool("primary", move || in_use(units))
    }

    /// The lines of a flush without peaks, sorted, without the task id.
    fn flush(&self) -> Vec<String> {
        self.client().flush(PATIENCE).unwrap();
        let bare = |line: String| line.strip_suffix(",task_id:0042").expect("it is the last tag").to_owned();
        let levels = self.capture.take_lines().into_iter().map(bare);
        let mut lines: Vec<_> = levels.filter(|line| !line.contains(".max:")).collect();
        lines.sort();
        lines
    }

    #[track_caller]
    fn assert_refused(&self, watches: u64) {
        let stats = self.client().stats();
        assert_eq!((stats.refused_watches, stats.refused_registrations), (watches, 0));
    }
}

fn in_use(units: u64) -> PoolStatus {
    PoolStatus::new().in_use(units)
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_second_watch_of_one_name_is_refused_counted_and_never_asked() {
    let fixture = Fixture::new();
    let _first = fixture.watch(1);
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let second = fixture.client().watch_pool("primary", move || {
        counted.fetch_add(1, Ordering::Relaxed);
        in_use(9)
    });
    fixture.assert_refused(1);
    assert_eq!(Arc::strong_count(&asked), 1, "the status is gone");
    assert_eq!(fixture.flush(), ["pool.in_use:1|g|#pool:primary"]);
    drop(second);
    assert_eq!(fixture.flush(), ["pool.in_use:1|g|#pool:primary"], "it did not watch, and so ends nothing");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    fixture.assert_refused(1);
}

#[test]
fn the_name_is_free_again_as_soon_as_the_first_watch_is_dropped() {
    let fixture = Fixture::new();
    let first = fixture.watch(1);
    assert_eq!(fixture.flush(), ["pool.in_use:1|g|#pool:primary"]);
    drop(first);
    let second = fixture.watch(2);
    let _third = fixture.watch(3);
    fixture.assert_refused(1);
    assert_eq!(fixture.flush(), ["pool.in_use:2|g|#pool:primary"]);
    drop(second);
    fixture.flush();
    assert_eq!(fixture.flush(), nothing());
}

#[test]
fn the_name_is_free_again_when_what_was_watched_is_gone_or_was_taken_out() {
    let fixture = Fixture::new();
    let alive = Arc::new(Mutex::new(true));
    let seen = Arc::clone(&alive);
    let gone = fixture.client().pool("primary").watch_while(move || seen.lock().unwrap().then(|| in_use(1)));
    fixture.flush();
    *alive.lock().unwrap() = false;
    fixture.flush();
    let panics = fixture.client().watch_pool("primary", || panic!("it always does"));
    (0..3).for_each(|_| drop(fixture.flush()));
    assert_eq!(fixture.client().stats().probes_removed, 1);
    let _last = fixture.watch(2);
    assert_eq!(fixture.flush(), ["pool.in_use:2|g|#pool:primary"]);
    fixture.assert_refused(0);
    drop((gone, panics));
    assert_eq!(fixture.flush(), ["pool.in_use:2|g|#pool:primary"]);
}

#[test]
fn a_detached_watch_keeps_its_name() {
    let fixture = Fixture::new();
    fixture.watch(1).detach();
    for _ in 0..3 {
        let _second = fixture.watch(2);
        assert_eq!(fixture.flush(), ["pool.in_use:1|g|#pool:primary"]);
    }
    fixture.assert_refused(3);
}

#[test]
fn a_name_is_a_prefix_and_tags_in_any_order_however_it_is_given() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let pool = || client.pool("primary").tag("zone", "eu").tag("shard", "1");
    let kept = [
        pool().watch(|| in_use(1)),
        client.pool("primary").tag("zone", "eu").watch(|| in_use(2)),
        pool().prefix("db").watch(|| in_use(3)),
        client.watch_queue("primary", QueueStatus::default),
        client.queue("primary").prefix("pool").watch(QueueStatus::default),
        client.pool("replica").tag("zone", "eu").tag("shard", "1").watch(|| in_use(4)),
    ];
    fixture.assert_refused(0);
    let refused = [
        client.pool("primary").tag("shard", "1").tag("zone", "eu").watch(|| in_use(9)),
        pool().tag("zone", "eu").watch(|| in_use(9)),
        pool().prefix("pool.").watch(|| in_use(9)),
        pool().prefix("db.").watch_while(|| Some(in_use(9))),
        client.queue("primary").watch(QueueStatus::default),
    ];
    fixture.assert_refused(5);
    let lines = fixture.flush();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains(":9|g")), "{lines:?}");
    drop((kept, refused));
}

#[test]
fn of_many_threads_one_gets_the_name() {
    let fixture = Fixture::new();
    let watches = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for units in 0..8 {
            let (fixture, watches) = (&fixture, &watches);
            scope.spawn(move || watches.lock().unwrap().push(fixture.watch(units)));
        }
    });
    fixture.assert_refused(7);
    assert_eq!(fixture.flush().len(), 1);
}

#[test]
fn clients_have_names_of_their_own_and_after_the_end_none_is_refused() {
    let (one, other) = (Fixture::new(), Fixture::new());
    let _watches = (one.watch(1), other.watch(2));
    assert_eq!(one.flush(), ["pool.in_use:1|g|#pool:primary"]);
    assert_eq!(other.flush(), ["pool.in_use:2|g|#pool:primary"]);
    let client = one.client().clone();
    one.guard.shutdown(Duration::from_secs(60)).unwrap();
    let _late = client.watch_pool("primary", || in_use(3));
    assert_eq!(client.stats().refused_watches, 0, "nothing is watched any more");
    other.assert_refused(0);
}

#[test]
fn telemetry_says_how_many_were_refused() {
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).clock(&ManualClock::new()).build().unwrap();
    let client = guard.client();
    let watches = [1, 2, 3].map(|units| client.watch_pool("primary", move || in_use(units)));
    guard.shutdown(PATIENCE).unwrap();
    let lines = capture.take_lines();
    let is_told = |line: &String| line.starts_with("datadog.dogstatsd.client.watches_refused:2|c|");
    assert!(lines.iter().any(is_told), "{lines:?}");
    drop(watches);
}

#[cfg(target_os = "linux")]
#[test]
fn a_forked_child_has_all_names_for_itself() {
    let fixture = Fixture::new();
    let _parents = fixture.watch(1);
    support::fork::assert_done(support::fork::fork(|| {
        let _own = fixture.watch(2);
        let _second = fixture.watch(3);
        let stats = fixture.client().stats();
        stats.refused_watches == 1 && fixture.client().flush(PATIENCE).is_ok() && {
            let lines = fixture.capture.take_lines();
            lines.iter().any(|line| line.starts_with("pool.in_use:2|g"))
        }
    }));
    fixture.assert_refused(0);
    assert_eq!(fixture.flush(), ["pool.in_use:1|g|#pool:primary"]);
}

#[cfg(feature = "tokio")]
#[test]
fn runtimes_channels_and_semaphores_go_by_such_names_too() {
    use tasktag::integrations::tokio::WatchTokio;
    use tokio::sync::{Semaphore, mpsc};

    let fixture = Fixture::new();
    let client = fixture.client();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (sender, _receiver) = mpsc::channel::<u64>(10);
    let (other, _other_receiver) = mpsc::channel::<u64>(20);
    let semaphore = Arc::new(Semaphore::new(3));
    let _watches = [
        client.watch_runtime("main", runtime.handle()),
        client.watch_channel("mail", &sender),
        client.watch_semaphore("uploads", &semaphore, 3),
    ];
    fixture.assert_refused(0);
    let _refused = [
        client.watch_runtime("main", runtime.handle()),
        client.watch_channel("mail", &other),
        client.watch_queue("mail", QueueStatus::default),
        client.watch_semaphore("uploads", &semaphore, 7),
    ];
    fixture.assert_refused(4);
    let lines = fixture.flush();
    assert!(lines.contains(&"queue.capacity:10|g|#queue:mail".to_owned()), "{lines:?}");
    assert!(lines.contains(&"pool.in_use:0|g|#pool:uploads".to_owned()), "{lines:?}");
    drop((sender, semaphore));
    fixture.flush();
    let _next = client.watch_channel("mail", &other);
    assert!(fixture.flush().contains(&"queue.capacity:20|g|#queue:mail".to_owned()), "its channel is gone");
    fixture.assert_refused(4);
}
