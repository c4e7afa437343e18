//! Who holds a pool's connections, for how long, who waits and who leaks is what really happened.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{Client, ClientBuilder, Guard, Holder, Holders};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);
/// Two values of one bucket are closer than this.
const BUCKET: f64 = 1.0 / 128.0;

tasktag::tags! {
    enum Job: "job" { Checkout, Reports }
}

/// A client that flushes when it is told to.
fn quiet(capture: &Capture, clock: &ManualClock) -> ClientBuilder {
    let hour = Duration::from_secs(3600);
    Client::builder().capture(capture).clock(clock).flush_interval(hour).telemetry(false)
}

fn started() -> (Guard, Capture, ManualClock) {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    (quiet(&capture, &clock).build().unwrap(), capture, clock)
}

fn flushed(guard: &Guard, capture: &Capture) -> Vec<ParsedMetric> {
    guard.client().flush(PATIENCE).unwrap();
    capture.take_metrics().unwrap()
}

/// The lines with this holder, by name. A timing with several values would be there with the last of them only.
fn of_holder(metrics: &[ParsedMetric], holder: &str) -> BTreeMap<String, f64> {
    let own = metrics.iter().filter(|metric| metric.tag("holder") == Some(holder));
    own.map(|metric| (metric.name.clone(), metric.value.number().unwrap())).collect()
}

fn levels<const N: usize>(expected: [(&str, f64); N]) -> BTreeMap<String, f64> {
    expected.map(|(name, level)| (name.to_owned(), level)).into()
}

/// The sum of a gauge over all holders.
fn sum(metrics: &[ParsedMetric], name: &str) -> f64 {
    let of_name = metrics.iter().filter(|metric| metric.name == name);
    of_name.map(|metric| metric.value.number().unwrap()).sum()
}

fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_wait_and_a_hold_are_reported_under_the_names_that_are_documented() {
    let (guard, capture, clock) = started();
    let holders = Holders::builder(guard.client(), "primary").capacity(4).register(10);
    let checkout = holders.of("checkout");
    let (wait, further) = (checkout.wait(), checkout.wait());
    clock.advance(seconds(2));
    let held = wait.acquired("a connection");
    clock.advance(seconds(6));
    let metrics = flushed(&guard, &capture);
    let lines: Vec<_> = metrics.iter().filter(|metric| metric.tag("holder") == Some("checkout")).collect();
    assert!(lines.iter().all(|metric| metric.tag("pool") == Some("primary")));
    let expected = levels([
        ("pool.held.in_use", 1.0),
        ("pool.held.in_use.max", 1.0),
        ("pool.held.utilization", 6.0 / (8.0 * 4.0)),
        ("pool.waiting", 1.0),
        ("pool.waiting.max", 2.0),
        ("pool.wait", 2000.0),
        ("pool.oldest_hold_seconds", 6.0),
    ]);
    assert_eq!(of_holder(&metrics, "checkout"), expected);
    assert!(lines.iter().any(|metric| metric.name == "pool.wait" && metric.code == "ms"));

    clock.advance(seconds(4));
    drop((held, further));
    let expected = levels([
        ("pool.held.in_use", 0.0),
        ("pool.held.in_use.max", 1.0),
        ("pool.held.utilization", 0.25),
        ("pool.waiting", 0.0),
        ("pool.waiting.max", 1.0),
        ("pool.hold", 10_000.0),
        ("pool.oldest_hold_seconds", 0.0),
    ]);
    assert_eq!(of_holder(&flushed(&guard, &capture), "checkout"), expected);
}

#[test]
fn another_prefix_and_further_tags_are_those_of_every_metric() {
    let (guard, capture, _) = started();
    let holders =
        Holders::builder(guard.client(), "exports").prefix("permit.").tag("zone", "eu").register(10);
    let _held = holders.of("nightly").hold(());
    let metrics = flushed(&guard, &capture);
    assert!(metrics.iter().all(|metric| metric.name.starts_with("permit.")
        && metric.tag("zone") == Some("eu")
        && metric.tag("pool") == Some("exports")));
    assert_eq!(of_holder(&metrics, "nightly")["permit.held.in_use"], 1.0);
}

#[test]
fn the_holder_after_the_last_place_is_other_and_nothing_is_lost() {
    let (guard, capture, _) = started();
    let holders = guard.client().holders("primary", 10);
    let held: Vec<_> = (1..=10).map(|n| holders.of(&format!("job-{n}")).hold(n)).collect();
    assert_eq!(holders.folded(), 0);
    let (eleventh, twelfth) = (holders.of("job-11"), holders.of("job-12"));
    assert_eq!([eleventh.name(), twelfth.name(), holders.of("job-3").name()], ["other", "other", "job-3"]);
    assert_eq!((holders.folded(), guard.client().stats().folded_values), (2, 2));
    let further = (eleventh.hold(()), twelfth.hold(()));
    let metrics = flushed(&guard, &capture);
    assert_eq!(sum(&metrics, "pool.held.in_use"), 12.0);
    assert_eq!(of_holder(&metrics, "other")["pool.held.in_use"], 2.0);
    assert_eq!(of_holder(&metrics, "job-10")["pool.held.in_use"], 1.0);
    drop((held, further));
    assert_eq!(sum(&flushed(&guard, &capture), "pool.held.in_use"), 0.0);
}

#[test]
fn a_holder_for_whose_contexts_there_is_no_room_is_other() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    // Each holder has seven, and `other` is the first.
    let guard = quiet(&capture, &clock).context_limit(20).build().unwrap();
    let holders = guard.client().holders("primary", 10);
    let (first, second) = (holders.of("checkout"), holders.of("reports"));
    assert_eq!([first.name(), second.name()], ["checkout", "other"]);
    let _held = (first.hold(()), second.hold(()));
    assert_eq!(sum(&flushed(&guard, &capture), "pool.held.in_use"), 2.0);
}

#[test]
fn a_closed_tag_has_a_holder_for_each_value() {
    let (guard, capture, _) = started();
    let holders = Holders::builder(guard.client(), "primary").register_family::<Job>();
    let _held = (holders.at(Job::Reports).hold(()), holders.at(Job::Checkout).hold(()));
    let _further = holders.clone().at(Job::Reports).hold(());
    let metrics = flushed(&guard, &capture);
    assert_eq!(of_holder(&metrics, "reports")["pool.held.in_use"], 2.0);
    assert_eq!(of_holder(&metrics, "checkout")["pool.held.in_use"], 1.0);
    assert_eq!(guard.client().stats().folded_values, 0);
    let report = holders.report();
    let names: Vec<_> = report.holders.iter().map(|holder| holder.name.as_str()).collect();
    assert_eq!(names, ["reports", "checkout", "other"]);
}

#[test]
fn a_result_ends_a_wait_and_its_error_is_counted_as_what_it_is() {
    let (guard, capture, clock) = started();
    let checkout = guard.client().holders("primary", 10).of("checkout");
    let wait = checkout.wait();
    clock.advance(seconds(30));
    let timed_out: Result<_, &str> =
        wait.ended(Err::<(), _>("30 s are over"), |error| error.contains("over"));
    assert_eq!(timed_out.unwrap_err(), "30 s are over");
    let refused = checkout.wait().ended(Err::<(), _>("refused"), |error| error.contains("over"));
    assert_eq!(refused.unwrap_err(), "refused");
    let metrics = of_holder(&flushed(&guard, &capture), "checkout");
    assert_eq!((metrics["pool.timeouts"], metrics["pool.errors"]), (1.0, 1.0));
    assert_eq!((metrics["pool.waiting"], metrics["pool.held.in_use.max"]), (0.0, 0.0));
    assert_eq!(metrics["pool.wait"], 30_000.0, "who waited for nothing has waited");

    let held = checkout.wait().ended(Ok::<_, &str>(7), |_| panic!("there is no error")).unwrap();
    assert_eq!(*held, 7);
    checkout.wait().timed_out();
    checkout.wait().failed();
    let metrics = of_holder(&flushed(&guard, &capture), "checkout");
    assert_eq!((metrics["pool.timeouts"], metrics["pool.errors"]), (1.0, 1.0));
    assert_eq!((metrics["pool.waiting"], metrics["pool.held.in_use"]), (0.0, 1.0));
}

#[test]
fn a_future_that_fails_is_counted_and_one_that_succeeds_is_held() {
    let (guard, capture, _) = started();
    let checkout = guard.client().holders("primary", 10).of("checkout");
    let is_timeout = |error: &&str| *error == "late";
    let runtime = Builder::new_current_thread().build().unwrap();
    for error in ["late", "refused", "refused"] {
        let failed = runtime.block_on(checkout.wait_for(ready(Err::<(), _>(error)), is_timeout));
        assert_eq!(failed.unwrap_err(), error);
    }
    let held = runtime.block_on(checkout.wait_for(ready(Ok::<_, &str>(7)), is_timeout)).unwrap();
    let metrics = of_holder(&flushed(&guard, &capture), "checkout");
    assert_eq!((metrics["pool.timeouts"], metrics["pool.errors"]), (1.0, 2.0));
    assert_eq!(metrics["pool.held.in_use"], 1.0);
    drop(held);
}

/// That of this holder no wait is going on, and that none was recorded.
#[track_caller]
fn assert_without_trace(guard: &Guard, capture: &Capture, holders: &Holders) {
    assert_eq!((holders.report().waiting(), holders.report().held()), (0, 0));
    let metrics = flushed(guard, capture);
    assert_eq!(sum(&metrics, "pool.waiting"), 0.0);
    assert_eq!(sum(&metrics, "pool.held.in_use.max"), 0.0);
    for name in ["pool.wait", "pool.hold", "pool.timeouts", "pool.errors"] {
        assert!(metrics.iter().all(|metric| metric.name != name), "{name}");
    }
}

#[test]
fn a_wait_that_is_dropped_leaves_no_trace() {
    let (guard, capture, clock) = started();
    let holders = guard.client().holders("primary", 10);
    let wait = holders.of("checkout").wait();
    assert_eq!(holders.report().waiting(), 1);
    clock.advance(seconds(1));
    drop(wait);
    let failed = || -> Result<u32, std::num::ParseIntError> {
        let held = holders.of("checkout").wait().acquired("x".parse::<u32>()?);
        Ok(*held)
    };
    assert!(failed().is_err());
    assert_without_trace(&guard, &capture, &holders);
}

#[test]
fn a_future_that_is_dropped_before_its_first_poll_never_waited() {
    let (guard, capture, clock) = started();
    let holders = guard.client().holders("primary", 10);
    let checkout = holders.of("checkout");
    let never = checkout.wait_for(pending::<Result<(), ()>>(), |()| false);
    clock.advance(seconds(1));
    assert_eq!(holders.report().waiting(), 0);
    drop(never);
    assert_eq!(sum(&flushed(&guard, &capture), "pool.waiting.max"), 0.0);
    assert_without_trace(&guard, &capture, &holders);
}

#[test]
fn a_future_that_is_dropped_while_it_waits_leaves_no_trace() {
    let (guard, capture, clock) = started();
    let holders = guard.client().holders("primary", 10);
    let checkout = holders.of("checkout");
    let mut waiting = Box::pin(checkout.wait_for(pending::<Result<(), ()>>(), |()| false));
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert_eq!(holders.report().waiting(), 1);
    clock.advance(seconds(1));
    drop(waiting);
    assert_without_trace(&guard, &capture, &holders);
}

#[test]
fn a_future_that_is_dropped_after_it_was_woken_leaves_no_trace_and_its_permit_to_others() {
    let (guard, capture, _) = started();
    let holders = guard.client().holders("primary", 10);
    let checkout = holders.of("checkout");
    let pool = Semaphore::new(1);
    let permit = pool.try_acquire().unwrap();
    let mut waiting = Box::pin(checkout.wait_for(pool.acquire(), |_| false));
    assert!(poll_once(waiting.as_mut()).is_pending());
    drop(permit);
    assert_eq!(pool.available_permits(), 0, "it is the waiter's, which does not know yet");
    assert_eq!(holders.report().waiting(), 1);
    drop(waiting);
    assert_eq!(pool.available_permits(), 1);
    assert_without_trace(&guard, &capture, &holders);
}

#[test]
fn a_panic_ends_a_hold_and_a_wait() {
    let (guard, capture, _) = started();
    let holders = guard.client().holders("primary", 10);
    let checkout = holders.of("checkout");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _held = checkout.wait().acquired(());
        let _wait = checkout.wait();
        assert_eq!((holders.report().held(), holders.report().waiting()), (1, 1));
        panic!("in the middle");
    }));
    assert!(panicked.is_err());
    assert_eq!((holders.report().held(), holders.report().waiting()), (0, 0));
    let metrics = of_holder(&flushed(&guard, &capture), "checkout");
    assert_eq!((metrics["pool.held.in_use"], metrics["pool.waiting"]), (0.0, 0.0));
    assert!(metrics.contains_key("pool.hold"));
}

/// A connection that notes what is held when it is given back.
struct Noted<'a>(&'a Holders, &'a AtomicU64);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.1.store(self.0.report().held(), Ordering::Relaxed);
        assert!(thread::panicking() || self.1.load(Ordering::Relaxed) != 1, "it can't be given back");
    }
}

#[test]
fn a_hold_ends_before_its_connection_is_given_back_and_also_if_that_panics() {
    let (guard, _, _) = started();
    let (holders, noted) = (guard.client().holders("primary", 10), AtomicU64::new(99));
    let checkout = holders.of("checkout");
    drop(checkout.hold(Noted(&holders, &noted)));
    assert_eq!(noted.load(Ordering::Relaxed), 0);
    let other = checkout.hold(());
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(checkout.hold(Noted(&holders, &noted)))));
    assert!(panicked.is_err());
    assert_eq!((noted.load(Ordering::Relaxed), holders.report().held()), (1, 1));
    drop(other);
    assert_eq!(holders.report().held(), 0);
}

#[test]
fn what_is_taken_out_of_a_hold_is_no_longer_held() {
    let (guard, capture, clock) = started();
    let checkout = guard.client().holders("primary", 10).of("checkout");
    let mut held = checkout.hold(vec![1]);
    held.push(2);
    clock.advance(seconds(3));
    assert_eq!(held.into_inner(), [1, 2]);
    let metrics = of_holder(&flushed(&guard, &capture), "checkout");
    assert_eq!((metrics["pool.held.in_use"], metrics["pool.hold"]), (0.0, 3000.0));
    assert!(!metrics.contains_key("pool.wait"), "it was acquired without a wait");
}

#[test]
fn the_leak_is_the_oldest_hold_whatever_else_is_held() {
    let (guard, capture, clock) = started();
    let holders = guard.client().holders("primary", 10);
    let (leaky, busy) = (holders.of("reports"), holders.of("checkout"));
    std::mem::forget(leaky.hold(()));
    for second in 1..=300 {
        // Far more of them come and go than are remembered at once.
        let _held = (leaky.hold(()), busy.hold(()));
        clock.advance(seconds(1));
        let expected = Duration::from_secs(second);
        let report = holders.report();
        let oldest = |name: &str| report.holders.iter().find(|holder| holder.name == name).unwrap().oldest;
        assert_eq!((oldest("reports"), oldest("checkout")), (Some(expected), Some(seconds(1))));
    }
    let metrics = flushed(&guard, &capture);
    assert_eq!(of_holder(&metrics, "reports")["pool.oldest_hold_seconds"], 300.0);
    assert_eq!(of_holder(&metrics, "checkout")["pool.oldest_hold_seconds"], 0.0);
}

#[test]
fn the_oldest_hold_is_reported_as_long_as_there_is_a_holder_and_a_hold_as_long_as_it_lasts() {
    let (guard, capture, clock) = started();
    let checkout = guard.client().holders("primary", 10).of("checkout");
    let held = checkout.hold(());
    clock.advance(seconds(5));
    assert_eq!(of_holder(&flushed(&guard, &capture), "checkout")["pool.oldest_hold_seconds"], 5.0);
    drop(checkout);
    clock.advance(seconds(5));
    flushed(&guard, &capture);
    clock.advance(seconds(5));
    let metrics = of_holder(&flushed(&guard, &capture), "checkout");
    assert_eq!(metrics.get("pool.oldest_hold_seconds"), None, "an age that no longer grows would be wrong");
    assert_eq!(metrics["pool.held.in_use"], 1.0);
    drop(held);
    assert_eq!(of_holder(&flushed(&guard, &capture), "checkout")["pool.hold"], 15_000.0);
}

#[test]
fn holds_beyond_what_is_remembered_are_said_to_be_of_unknown_age() {
    let (guard, _, clock) = started();
    let holders = guard.client().holders("primary", 10);
    let crowd = holders.of("crowd");
    let mut held: Vec<_> = (0..128).map(|n| crowd.hold(n)).collect();
    assert_eq!(holders.report().holders[0].untracked, 0);
    held.extend((0..2).map(|n| crowd.hold(n)));
    clock.advance(seconds(5));
    assert_eq!(holders.report().holders[0].untracked, 2);
    let line = "primary: 130 held, 0 waiting; crowd: 130 held, oldest at least 5.0 s";
    assert_eq!(holders.report().to_string(), line);
    held.truncate(128);
    assert_eq!(holders.report().holders[0].untracked, 0);
    assert_eq!(holders.report().holders[0].oldest, Some(seconds(5)));
}

#[test]
fn a_report_fits_one_line_of_a_log_and_has_the_largest_holder_first() {
    let (guard, _, clock) = started();
    let holders = guard.client().holders("primary", 10);
    assert_eq!(holders.report().to_string(), "primary: 0 held, 0 waiting");
    let [mail, checkout, idle] = ["mail", "check\nout", "idle"].map(|name| holders.of(name));
    drop(idle.hold(()));
    let _held = (mail.hold(()), mail.hold(()), checkout.hold(()));
    clock.advance(Duration::from_millis(312_040));
    let _waiting = (checkout.wait(), checkout.wait(), holders.of("reports").wait());
    let line = "primary: 3 held, 3 waiting; mail: 2 held, oldest 312.0 s; \
                check out: 1 held, oldest 312.0 s, 2 waiting; reports: 1 waiting";
    assert_eq!(holders.report().to_string(), line);
    let report = holders.report();
    assert_eq!((report.name.as_str(), report.held(), report.waiting()), ("primary", 3, 3));
    assert_eq!(report.holders.len(), 5, "those that do nothing now are there, and so is `other`");
}

#[test]
fn a_second_set_of_holders_adds_to_the_same_metrics_and_its_oldest_holds_are_refused() {
    let (guard, capture, clock) = started();
    let client = guard.client();
    let (first, second) = (client.holders("primary", 10), client.holders("primary", 10));
    let another = Holders::builder(client, "primary").prefix("permit").register(10);
    assert_eq!(client.stats().refused_watches, 1);
    let _held =
        (first.of("checkout").hold(()), second.of("checkout").hold(()), another.of("checkout").hold(()));
    clock.advance(seconds(1));
    let metrics = of_holder(&flushed(&guard, &capture), "checkout");
    assert_eq!((metrics["pool.held.in_use"], metrics["permit.held.in_use"]), (2.0, 1.0));
    assert_eq!((metrics["pool.oldest_hold_seconds"], metrics["permit.oldest_hold_seconds"]), (1.0, 1.0));
    drop((first, second));
    let _third = client.holders("primary", 10);
    assert_eq!(client.stats().refused_watches, 1, "the name is free again");
}

#[test]
fn holders_of_a_disabled_client_report_nothing_and_still_tell_who_holds_what() {
    let holders = Client::disabled().holders("primary", 10);
    let held = holders.of("checkout").wait().acquired(3);
    assert_eq!(*held, 3);
    assert_eq!((holders.report().held(), holders.report().waiting()), (1, 0));
    drop(held);
    assert_eq!((holders.report().held(), Client::disabled().stats().accepted.values), (0, 0));
    assert_eq!(Holders::default().of("checkout").name(), "other");
    drop(Holder::default().wait().acquired(()));
}

const TASKS: usize = 64;
const PERMITS: usize = 20;
/// The last of them never gives back what it holds.
const HOLDERS: [&str; 6] = ["checkout", "mail", "reports", "search", "import", "leaky"];
const LEAKED: usize = 2;
const LEAKY: usize = HOLDERS.len() - 1;

/// What the tasks of one holder noted, by the clock that the client has.
#[derive(Debug, Default)]
struct Diary {
    began: u64,
    waits: Vec<f64>,
    holds: Vec<f64>,
}

/// What a task has to do its work.
#[derive(Clone)]
struct Desk {
    holder: Holder,
    pool: Arc<Semaphore>,
    clock: ManualClock,
    release: Arc<Notify>,
    diary: Arc<Mutex<Diary>>,
}

impl Desk {
    /// Waits, holds until it is told to go on, and gives back, for ever.
    async fn work(self) {
        let now = || self.clock.time_of_day();
        let millis = |since| now().duration_since(since).unwrap().as_secs_f64() * 1e3;
        loop {
            let mut acquire = pin!(self.pool.acquire());
            let mut since = None;
            let acquiring = poll_fn(|context| {
                since.get_or_insert_with(|| {
                    self.diary.lock().unwrap().began += 1;
                    now()
                });
                acquire.as_mut().poll(context)
            });
            let held = self.holder.wait_for(acquiring, |_| false).await.unwrap();
            let acquired = now();
            self.diary.lock().unwrap().waits.push(millis(since.unwrap()));
            self.release.notified().await;
            self.diary.lock().unwrap().holds.push(millis(acquired));
            drop(held);
        }
    }
}

/// Tasks that share a pool. All of them are still while the clock is moved.
struct Load {
    runtime: Runtime,
    holders: Holders,
    pool: Arc<Semaphore>,
    desks: Vec<Desk>,
    tasks: Vec<JoinHandle<()>>,
    released: u64,
}

impl Load {
    fn start(client: &Client, clock: &ManualClock) -> Self {
        let capacity = u32::try_from(PERMITS).unwrap();
        let holders = Holders::builder(client, "primary").capacity(capacity).register(HOLDERS.len());
        let pool = Arc::new(Semaphore::new(PERMITS));
        let desk = |name| Desk {
            holder: holders.of(name),
            pool: Arc::clone(&pool),
            clock: clock.clone(),
            release: Arc::default(),
            diary: Arc::default(),
        };
        let desks: Vec<_> = HOLDERS.map(desk).into();
        let runtime = Builder::new_multi_thread().worker_threads(4).build().unwrap();
        let mut load = Self { runtime, holders, pool, desks, tasks: Vec::new(), released: 0 };
        (0..LEAKED).for_each(|_| load.spawn(LEAKY));
        load.wait_until(|load| load.acquired() == LEAKED as u64);
        (0..TASKS - LEAKED).for_each(|n| load.spawn(n % LEAKY));
        load.wait_until(Self::is_still);
        load
    }

    fn spawn(&mut self, desk: usize) {
        self.tasks.push(self.runtime.spawn(self.desks[desk].clone().work()));
    }

    fn noted(&self, of: impl Fn(&Diary) -> u64) -> u64 {
        self.desks.iter().map(|desk| of(&desk.diary.lock().unwrap())).sum()
    }

    fn acquired(&self) -> u64 {
        self.noted(|diary| diary.waits.len() as u64)
    }

    /// Whether everyone who was let go waits or holds again.
    fn is_still(&self) -> bool {
        let report = self.holders.report();
        self.acquired() == PERMITS as u64 + self.released
            && self.noted(|diary| diary.began) == TASKS as u64 + self.released
            && (report.held(), report.waiting()) == (PERMITS as u64, (TASKS - PERMITS) as u64)
    }

    fn wait_until(&self, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "it never came: {}", self.holders.report());
            thread::yield_now();
        }
    }

    /// Lets all tasks of a holder give back what they hold.
    fn release(&mut self, holder: usize) {
        // A task may have acquired and not listen yet.
        let held = self.held(holder);
        for _ in 0..held {
            self.desks[holder].release.notify_one();
            self.released += 1;
            self.wait_until(Self::is_still);
        }
    }

    fn held(&self, holder: usize) -> u64 {
        let report = self.holders.report();
        report.holders.iter().find(|found| found.name == HOLDERS[holder]).unwrap().held
    }

    fn end(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            assert!(self.runtime.block_on(task).unwrap_err().is_cancelled());
        }
    }
}

/// Takes out of the metrics the values of a timing, each as often as it was seen.
fn values(metrics: &[ParsedMetric], name: &str, holder: &str) -> Vec<f64> {
    let of_name = metrics.iter().filter(|metric| metric.name == name && metric.tag("holder") == Some(holder));
    let times = |metric: &ParsedMetric| usize::try_from(metric.count()).unwrap();
    of_name.flat_map(|metric| vec![metric.value.number().unwrap(); times(metric)]).collect()
}

#[track_caller]
fn assert_within_a_bucket(mut reported: Vec<f64>, mut noted: Vec<f64>, what: &str) {
    reported.sort_by(f64::total_cmp);
    noted.sort_by(f64::total_cmp);
    assert_eq!(reported.len(), noted.len(), "{what}");
    for (reported, noted) in reported.iter().zip(&noted) {
        assert!((reported - noted).abs() <= noted * BUCKET, "{what}: {reported} for {noted}");
    }
}

#[test]
fn what_64_tasks_of_6_holders_do_is_what_is_reported() {
    let (guard, capture, clock) = started();
    let mut load = Load::start(guard.client(), &clock);
    let (mut metrics, mut elapsed) = (Vec::new(), 0);
    for round in 0..40 {
        let took = 100 + 37 * (round % 7);
        elapsed += took;
        clock.advance(Duration::from_millis(took));
        let flush = flushed(&guard, &capture);
        let in_use = PERMITS - load.pool.available_permits();
        assert_eq!(sum(&flush, "pool.held.in_use"), in_use as f64);
        assert_eq!(sum(&flush, "pool.waiting"), (TASKS - PERMITS) as f64);
        let share = sum(&flush, "pool.held.utilization");
        assert!((share - 1.0).abs() < 1e-9, "all are held all the time: {share}");
        for holder in HOLDERS {
            let oldest = Duration::from_millis(elapsed).as_secs_f64();
            let age = of_holder(&flush, holder)["pool.oldest_hold_seconds"];
            assert!(if holder == "leaky" { age == oldest } else { age <= oldest }, "{holder}: {age}");
        }
        metrics.extend(flush);
        load.release(usize::try_from(round).unwrap() % LEAKY);
    }
    metrics.extend(flushed(&guard, &capture));
    load.end();
    assert_eq!(load.pool.available_permits(), PERMITS);
    let rest = flushed(&guard, &capture);
    assert_eq!((sum(&rest, "pool.held.in_use"), sum(&rest, "pool.waiting")), (0.0, 0.0));
    // Some got what others gave back as they were cancelled.
    metrics.extend(rest.into_iter().filter(|metric| metric.name == "pool.wait"));
    for (holder, desk) in HOLDERS.iter().zip(&load.desks) {
        let diary = std::mem::take(&mut *desk.diary.lock().unwrap());
        assert!(*holder == "leaky" || diary.holds.len() > 10, "{holder}: {diary:?}");
        assert_within_a_bucket(values(&metrics, "pool.wait", holder), diary.waits, holder);
        assert_within_a_bucket(values(&metrics, "pool.hold", holder), diary.holds, holder);
    }
}

#[test]
fn under_load_nobody_ever_holds_more_than_there_is() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build().unwrap();
    let holders = guard.client().holders("primary", 10);
    let pool = Arc::new(Semaphore::new(3));
    let runtime = Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (holder, pool) = (holders.of("checkout"), Arc::clone(&pool));
            runtime.spawn(async move {
                for _ in 0..200 {
                    let held = holder.wait_for(pool.acquire(), |_| false).await.unwrap();
                    tokio::task::yield_now().await;
                    drop(held);
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    let metrics = flushed(&guard, &capture);
    let lines = of_holder(&metrics, "checkout");
    assert_eq!((lines["pool.held.in_use"], lines["pool.waiting"]), (0.0, 0.0));
    assert!((1.0..=3.0).contains(&lines["pool.held.in_use.max"]), "{}", lines["pool.held.in_use.max"]);
    for name in ["pool.wait", "pool.hold"] {
        assert_eq!(values(&metrics, name, "checkout").len(), TASKS * 200, "{name}");
    }
}
