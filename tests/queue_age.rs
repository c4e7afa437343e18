//! A queue inside the program knows how old its oldest item is, how long each item waits, and what runs.

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use support::{PATIENCE, wait_until};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard, Outcome, QueueDepth, QueueStatus, Queued, WorkQueue};

const SECOND: Duration = Duration::from_secs(1);
/// How many items cross a queue in the crowd's test. `TASKTAG_QUEUE_ITEMS` sets another number.
const ITEMS: u64 = if cfg!(debug_assertions) { 200_000 } else { 10_000_000 };

/// A client that collects and flushes when it is told to, and its queue `mail`.
struct Service {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
    mail: WorkQueue,
}

/// The values of a flush by name and tags other than the task id's: the numbers, and how often each was seen.
type Values = BTreeMap<String, Vec<(f64, u64)>>;

impl Service {
    fn new() -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let guard = support::builder().capture(&capture).clock(&clock).build().unwrap();
        let mail = guard.client().work_queue("mail").register();
        Self { guard, capture, clock, mail }
    }

    fn client(&self) -> &Client {
        self.guard.client()
    }

    fn flush(&self) -> Values {
        self.client().flush(PATIENCE).unwrap();
        let mut values = Values::new();
        for metric in self.capture.take_metrics().unwrap() {
            let own = metric.tags.iter().filter(|(key, _)| key != "task_id");
            let tags: Vec<_> = own.map(|(key, value)| format!("{key}:{value}")).collect();
            let name = format!("{}#{}", metric.name, tags.join(","));
            values.entry(name).or_default().push((metric.value.number().unwrap(), metric.count()));
        }
        values
    }
}

/// The one value that a flush has of a metric of the queue `mail`.
#[track_caller]
fn one(values: &Values, name: &str) -> f64 {
    match values.get(&format!("queue.{name}#queue:mail")).map(Vec::as_slice) {
        Some(&[(value, 1)]) => value,
        found => panic!("{name}: {found:?} in {values:#?}"),
    }
}

fn durations(values: &Values, outcome: &str) -> Vec<(f64, u64)> {
    let key = format!("queue.duration#outcome:{outcome},queue:mail");
    values.get(&key).cloned().unwrap_or_default()
}

fn waiting(items: u64, oldest_age: Duration) -> QueueStatus {
    QueueStatus::new().depth(items).oldest_age(oldest_age).running(0).longest_running(Duration::ZERO)
}

#[test]
fn the_oldest_item_ages_by_the_clients_clock_and_the_next_one_takes_its_place() {
    let service = Service::new();
    assert_eq!(service.mail.status(), waiting(0, Duration::ZERO));
    let first = service.mail.enter();
    service.clock.advance(SECOND);
    let second = service.mail.enter();
    service.clock.advance(2 * SECOND);
    assert_eq!(service.mail.status(), waiting(2, 3 * SECOND));
    assert_eq!((first.waited(), second.waited()), (3 * SECOND, 2 * SECOND));
    let values = service.flush();
    assert_eq!([one(&values, "depth"), one(&values, "oldest_age_seconds")], [2.0, 3.0]);
    assert_eq!(one(&values, "oldest_age_seconds.max"), 3.0);

    let job = first.start();
    assert_eq!(service.mail.status(), waiting(1, 2 * SECOND).running(1));
    service.clock.advance(5 * SECOND);
    assert_eq!(job.elapsed(), 5 * SECOND);
    assert_eq!(service.mail.status(), waiting(1, 7 * SECOND).running(1).longest_running(5 * SECOND));
    let values = service.flush();
    assert_eq!([one(&values, "running"), one(&values, "longest_running_seconds")], [1.0, 5.0]);
    assert_eq!(one(&values, "wait"), 3000.0, "milliseconds");

    job.end(Outcome::Ok);
    drop(second);
    assert_eq!(service.mail.status(), waiting(0, Duration::ZERO));
    let values = service.flush();
    assert_eq!(durations(&values, "ok"), [(5000.0, 1)]);
    assert_eq!([one(&values, "depth"), one(&values, "oldest_age_seconds")], [0.0, 0.0]);
    assert_eq!([one(&values, "running"), one(&values, "longest_running_seconds")], [0.0, 0.0]);
}

#[test]
fn items_that_leave_out_of_order_leave_the_oldest_of_the_rest() {
    let service = Service::new();
    let mut tickets = VecDeque::new();
    for _ in 0..10 {
        tickets.push_back(service.mail.enter());
        service.clock.advance(SECOND);
    }
    let age = || service.mail.status().oldest_age.unwrap().as_secs();
    drop(tickets.pop_back());
    drop(tickets.remove(4));
    assert_eq!(age(), 10, "neither was the oldest");
    drop(tickets.remove(1));
    drop(tickets.pop_front());
    assert_eq!((age(), service.mail.status().depth), (8, Some(6)));
}

#[test]
fn an_item_that_is_stuck_is_the_oldest_while_a_million_pass_it() {
    let service = Service::new();
    let stuck = service.mail.wrap("stuck");
    let mut line = VecDeque::new();
    for n in 0..1_000_000_u32 {
        line.push_back(service.mail.wrap(n));
        if line.len() > 500 {
            line.pop_front().unwrap().start().1.end(Outcome::Ok);
        }
        if n % 100_000 == 0 {
            service.clock.advance(SECOND);
        }
    }
    assert_eq!(service.mail.status(), waiting(501, 10 * SECOND));
    assert_eq!(stuck.into_inner(), "stuck");
    assert_eq!(service.mail.status(), waiting(500, Duration::ZERO));
}

#[test]
fn what_leaves_without_a_job_is_counted_as_abandoned_and_has_no_wait() {
    let service = Service::new();
    let tickets = [(); 3].map(|()| service.mail.enter());
    let (sender, receiver) = mpsc::sync_channel(1);
    sender.send(service.mail.wrap(1)).unwrap();
    // A full channel returns the item.
    drop(sender.try_send(service.mail.wrap(2)).unwrap_err());
    drop((tickets, receiver));
    let values = service.flush();
    assert_eq!(one(&values, "abandoned"), 5.0);
    assert!(!values.contains_key("queue.wait#queue:mail"), "{values:#?}");
    assert_eq!(service.mail.status(), waiting(0, Duration::ZERO));
}

#[test]
fn a_job_ends_with_the_outcome_that_it_is_given_or_else_as_cancelled() {
    let service = Service::new();
    let job = || service.mail.enter().start();
    job().end(&"12".parse::<u32>());
    job().end(&"twelve".parse::<u32>());
    job().end(Outcome::Cancelled);
    drop(job());
    let values = service.flush();
    let seen = |outcome| durations(&values, outcome).iter().map(|(_, seen)| seen).sum::<u64>();
    assert_eq!([seen("ok"), seen("error"), seen("cancelled")], [1, 1, 2]);
}

#[test]
fn a_job_that_panics_ends_with_an_error() {
    let service = Service::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _job = service.mail.enter().start();
        service.clock.advance(SECOND);
        panic!("a job, as meant");
    }));
    assert!(panicked.is_err());
    assert_eq!(service.mail.status(), waiting(0, Duration::ZERO));
    let values = service.flush();
    assert_eq!(durations(&values, "error"), [(1000.0, 1)]);
    assert_eq!(durations(&values, "cancelled"), []);
}

/// Sends three items of different ages, and looks at the queue on their way.
fn assert_measured(service: &Service, send: impl Fn(Queued<u32>), receive: impl Fn() -> Queued<u32>) {
    for item in 0..3 {
        send(service.mail.wrap(item));
        service.clock.advance(SECOND);
    }
    assert_eq!(service.mail.status(), waiting(3, 3 * SECOND));
    for item in 0..3_u32 {
        let queued = receive();
        assert_eq!((*queued, queued.waited()), (item, (3 - item) * SECOND));
        let (received, job) = queued.start();
        assert_eq!(received, item);
        assert_eq!(service.mail.status().running, Some(1));
        job.end(Outcome::Ok);
    }
    assert_eq!(service.mail.status(), waiting(0, Duration::ZERO));
    let values = service.flush();
    let mut waits = values["queue.wait#queue:mail"].clone();
    waits.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(waits, [(1000.0, 1), (2000.0, 1), (3000.0, 1)]);
}

#[test]
fn a_ticket_travels_with_its_item_through_any_channel() -> Result<(), Box<dyn Error>> {
    let service = Service::new();
    let (sender, receiver) = mpsc::channel();
    assert_measured(&service, |queued| sender.send(queued).unwrap(), || receiver.recv().unwrap());

    let (sender, receiver) = crossbeam_channel::bounded(3);
    assert_measured(&service, |queued| sender.send(queued).unwrap(), || receiver.recv().unwrap());

    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (sender, receiver) = tokio::sync::mpsc::channel(3);
    let receiver = Mutex::new(receiver);
    assert_measured(
        &service,
        |queued| runtime.block_on(sender.send(queued)).unwrap(),
        || runtime.block_on(receiver.lock().unwrap().recv()).unwrap(),
    );

    let (sender, receiver) = async_channel::bounded(3);
    assert_measured(
        &service,
        |queued| runtime.block_on(sender.send(queued)).unwrap(),
        || runtime.block_on(receiver.recv()).unwrap(),
    );

    let (sender, receiver) = flume::bounded(3);
    assert_measured(&service, |queued| sender.send(queued).unwrap(), || receiver.recv().unwrap());

    let line = Mutex::new(VecDeque::new());
    assert_measured(
        &service,
        |queued| line.lock().unwrap().push_back(queued),
        || line.lock().unwrap().pop_front().unwrap(),
    );
    Ok(())
}

#[test]
fn the_capacity_and_the_names_are_those_that_were_set() {
    let service = Service::new();
    let builder = service.client().work_queue("exports").prefix("jobs.").tag("shop", "north").capacity(8);
    let exports = builder.register();
    let _tickets = (exports.enter(), exports.enter());
    assert_eq!(exports.status().capacity, Some(8));
    exports.enter().start().end(Outcome::Ok);
    let values = service.flush();
    for (name, expected) in [("jobs.depth", 2.0), ("jobs.capacity", 8.0), ("jobs.utilization", 0.25)] {
        assert_eq!(values[&format!("{name}#queue:exports,shop:north")], [(expected, 1)], "{name}");
    }
    for name in ["jobs.wait#queue:exports,shop:north", "jobs.duration#outcome:ok,queue:exports,shop:north"] {
        assert_eq!(values[name], [(0.0, 1)], "{name}");
    }
}

#[test]
fn clones_are_one_queue_that_is_reported_while_one_of_them_lives() {
    let service = Service::new();
    let clone = service.mail.clone();
    let _ticket = clone.enter();
    assert_eq!(service.mail.status().depth, Some(1));
    let Service { guard, capture, clock, mail } = service;
    drop(mail);
    let service = Service { guard, capture, clock, mail: clone };
    assert_eq!(one(&service.flush(), "depth"), 1.0);
    let Service { guard, capture, clock, mail } = service;
    drop(mail);
    let service = Service { guard, capture, clock, mail: WorkQueue::default() };
    service.flush();
    assert!(service.flush().is_empty(), "also while a ticket is left");
}

#[test]
fn a_second_queue_of_a_name_has_no_gauges_and_is_counted() {
    let service = Service::new();
    let second = service.client().work_queue("mail").register();
    let _tickets = (second.enter(), second.enter());
    second.enter().start().end(Outcome::Ok);
    assert_eq!(service.client().stats().refused_watches, 1);
    let values = service.flush();
    assert_eq!([one(&values, "depth"), one(&values, "wait")], [0.0, 0.0]);
    assert_eq!(second.status().depth, Some(2));
}

#[test]
fn a_disabled_queue_measures_nothing() {
    let client = Client::disabled();
    for queue in [client.work_queue("mail").capacity(5).register(), WorkQueue::default()] {
        let (ticket, queued) = (queue.enter(), queue.wrap(7));
        assert_eq!(queue.status(), QueueStatus::new());
        assert_eq!((ticket.waited(), queued.waited()), (Duration::ZERO, Duration::ZERO));
        let (item, job) = queued.start();
        assert_eq!((item, job.elapsed()), (7, Duration::ZERO));
        job.end(Outcome::Ok);
        drop(ticket);
        assert_eq!(queue.status(), QueueStatus::new());
    }
}

#[test]
fn a_queue_goes_on_after_the_end_of_its_client() {
    let service = Service::new();
    let ticket = service.mail.enter();
    let Service { guard, mail, clock, .. } = service;
    guard.shutdown(PATIENCE).unwrap();
    clock.advance(SECOND);
    assert_eq!(mail.status(), waiting(1, SECOND));
    ticket.start().end(Outcome::Ok);
    assert_eq!(mail.status(), waiting(0, Duration::ZERO));
}

#[test]
fn a_depth_without_a_client_knows_ages_and_what_runs_once_something_did() {
    let depth = QueueDepth::default();
    let before = Instant::now();
    let (ticket, queued) = (depth.enter(), depth.wrap("a job"));
    let after = Instant::now();
    let lower = after.elapsed();
    let status = depth.status();
    let upper = before.elapsed() + Duration::from_nanos(64);
    assert_eq!((status.depth, status.running), (Some(2), None));
    assert!((lower..=upper).contains(&status.oldest_age.unwrap()), "{status:?}");
    let (_, job) = queued.start();
    assert_eq!((depth.status().depth, depth.clone().status().running), (Some(1), Some(1)));
    drop((ticket, job));
    let empty = QueueStatus::new().depth(0).oldest_age(Duration::ZERO);
    assert_eq!(depth.status(), empty.running(0).longest_running(Duration::ZERO));
}

/// Between which two times something happened.
#[derive(Clone, Copy)]
struct Bounds(SystemTime, SystemTime);

/// The least and the greatest sum of all waits, in nanoseconds.
#[derive(Default)]
struct Waits {
    least: AtomicU64,
    greatest: AtomicU64,
}

impl Waits {
    fn add(&self, entered: Bounds, left: Bounds) {
        let nanos = |from: SystemTime, to: SystemTime| {
            u64::try_from(to.duration_since(from).unwrap_or_default().as_nanos()).unwrap()
        };
        self.least.fetch_add(nanos(entered.1, left.0), Ordering::Relaxed);
        self.greatest.fetch_add(nanos(entered.0, left.1), Ordering::Relaxed);
    }
}

#[test]
fn in_a_crowd_every_wait_is_counted_and_depth_and_age_are_exact_at_rest() {
    let items = env::var("TASKTAG_QUEUE_ITEMS").ok().and_then(|items| items.parse().ok()).unwrap_or(ITEMS);
    let (service, waits, done) = (Service::new(), Waits::default(), AtomicBool::new(false));
    let (sender, receiver) = crossbeam_channel::bounded::<Queued<Bounds>>(1000);
    thread::scope(|scope| {
        let ticking = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                service.clock.advance(Duration::from_micros(100));
            }
        });
        for producer in 0..8 {
            let (sender, service) = (sender.clone(), &service);
            scope.spawn(move || {
                for _ in (producer..items).step_by(8) {
                    let before = service.clock.time_of_day();
                    let mut queued = service.mail.wrap(Bounds(before, before));
                    queued.1 = service.clock.time_of_day();
                    sender.send(queued).unwrap();
                }
            });
        }
        drop(sender);
        let consumers = [(); 8].map(|()| {
            let (receiver, service, waits) = (receiver.clone(), &service, &waits);
            scope.spawn(move || {
                for queued in receiver {
                    let before = service.clock.time_of_day();
                    let (entered, job) = queued.start();
                    waits.add(entered, Bounds(before, service.clock.time_of_day()));
                    job.end(Outcome::Ok);
                }
            })
        });
        // What moves on while it is looked at may be counted twice, and more of that where the look is interrupted.
        wait_until(|| {
            let seen = service.mail.status();
            seen.depth.unwrap() <= 1000 + 16 + 8 && seen.running.unwrap() <= 16
        });
        let ended = consumers.map(|consumer| consumer.join().is_ok());
        done.store(true, Ordering::Relaxed);
        ticking.join().unwrap();
        assert_eq!(ended, [true; 8]);
    });
    assert_eq!(service.mail.status(), waiting(0, Duration::ZERO));
    let left: Vec<_> = (0..1000)
        .map(|_| {
            service.clock.advance(Duration::from_millis(1));
            service.mail.enter()
        })
        .collect();
    service.clock.advance(SECOND);
    let (status, age) = (service.mail.status(), SECOND + Duration::from_millis(999));
    let told = status.oldest_age.unwrap();
    assert_eq!(status, waiting(1000, told));
    assert!(age <= told && told < age + Duration::from_nanos(64), "{told:?}");
    drop(left);

    let values = service.flush();
    let recorded = &values["queue.wait#queue:mail"];
    assert_eq!(recorded.iter().map(|(_, seen)| seen).sum::<u64>(), items);
    assert_eq!(durations(&values, "ok").iter().map(|(_, seen)| seen).sum::<u64>(), items);
    let sum: f64 = recorded.iter().map(|&(value, seen)| value * seen as f64).sum();
    let [least, greatest] = [waits.least, waits.greatest].map(|sum| sum.into_inner() as f64 / 1e6);
    let bucket = 1.0 / 128.0;
    assert!(least * (1.0 - bucket) <= sum && sum <= greatest * (1.0 + bucket), "{least} {sum} {greatest}");
}
