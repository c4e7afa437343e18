//! Tokio's runtimes, channels and semaphores are watched as they are, also when they stand still or are gone.
#![cfg(all(feature = "tokio", target_os = "linux"))]
#![allow(unsafe_code, reason = "std knows no thread's time on a processor, and can't fork")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::thread;
use std::time::{Duration, Instant};
use support::{PATIENCE, wait_until};
use tasktag::integrations::tokio::{RuntimeBuilder, WatchTokio, channel_status, semaphore_status};
use tasktag::testing::{Capture, ManualClock, Value};
use tasktag::{Client, Guard, Outcome, QueueDepth, Watch};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, mpsc};

/// Ratios are over at least 100 ms.
const SPAN: Duration = Duration::from_millis(110);
const COLLECT_INTERVAL: Duration = Duration::from_millis(250);
const RUNTIME_METRICS: [&str; 6] =
    ["workers", "busy_ratio", "busiest_worker_ratio", "global_queue_depth", "alive_tasks", "parks"];

/// A client that collects when its clock is moved, and flushes when it is told to.
struct Service {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
}

type Values = BTreeMap<String, f64>;

impl Service {
    fn new() -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let guard = support::builder()
            .capture(&capture)
            .clock(&clock)
            .collect_interval(COLLECT_INTERVAL)
            .build()
            .unwrap();
        Self { guard, capture, clock }
    }

    fn client(&self) -> &Client {
        self.guard.client()
    }

    fn collect(&self) {
        self.clock.advance(COLLECT_INTERVAL);
    }

    /// What a flush sends, by name; tags are as `own` has them.
    fn flush_tagged(&self, own: &[(&str, &str)]) -> Values {
        self.client().flush(PATIENCE).unwrap();
        let mut values = Values::new();
        for metric in self.capture.take_metrics().unwrap() {
            let tags: Vec<_> = metric.tags.iter().filter(|(key, _)| key != "task_id").cloned().collect();
            let own: Vec<_> = own.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
            assert_eq!(tags, own, "{}", metric.name);
            let Value::Number(number) = metric.value else { panic!("{metric:?}") };
            assert_eq!(metric.code, if metric.name.ends_with("parks") { "c" } else { "g" });
            assert_eq!(values.insert(metric.name, number), None, "twice in a flush");
        }
        values
    }

    /// The same of the one runtime, `main`.
    fn flush(&self) -> Values {
        self.flush_tagged(&[("runtime", "main")])
    }

    /// A flush that knows a ratio: of the time since the last one.
    fn flush_after(&self, span: Duration) -> Values {
        thread::sleep(span);
        self.flush()
    }
}

/// Without timers and sockets.
fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).build().unwrap()
}

/// A current-thread runtime, driven by a thread until it is let go.
struct Driven {
    handle: Handle,
    ends: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Driven {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().build().unwrap();
        let handle = runtime.handle().clone();
        let (ends, end) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || {
            let _ = runtime.block_on(end);
        });
        Self { handle, ends: Some(ends), thread: Some(thread) }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        drop(self.ends.take());
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Keeps a worker in one poll for as long as it lives.
struct Stall(std_mpsc::Sender<()>);

impl Stall {
    fn new(runtime: &Handle) -> Self {
        let (release, released) = std_mpsc::channel();
        let (tell, told) = std_mpsc::channel();
        drop(runtime.spawn(async move {
            tell.send(()).unwrap();
            let _ = released.recv();
        }));
        told.recv().unwrap();
        Self(release)
    }

    fn end(self) {
        drop(self.0);
    }
}

fn cpu_time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// Has the thread's processor at work for so long, however often it is taken away. How long that was by the wall.
fn spin(cpu: Duration) -> Duration {
    let (start, before) = (Instant::now(), cpu_time(libc::CLOCK_THREAD_CPUTIME_ID));
    while cpu_time(libc::CLOCK_THREAD_CPUTIME_ID) < before + cpu {
        std::hint::spin_loop();
    }
    start.elapsed()
}

/// A runtime whose workers' time on a processor can be read from outside.
struct Metered {
    runtime: Runtime,
    clocks: Arc<Mutex<Vec<libc::clockid_t>>>,
}

impl Metered {
    fn new(workers: usize) -> Self {
        let clocks = Arc::<Mutex<Vec<libc::clockid_t>>>::default();
        let started = Arc::clone(&clocks);
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_time()
            .on_thread_start(move || {
                let mut clock = 0;
                // SAFETY: `clock` outlives the call, and the thread is the one that calls.
                assert_eq!(unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) }, 0);
                started.lock().unwrap().push(clock);
            })
            .build()
            .unwrap();
        wait_until(|| clocks.lock().unwrap().len() == workers);
        let metered = Self { runtime, clocks };
        metered.wait_until_parked();
        metered
    }

    fn cpu_time(&self) -> Duration {
        self.clocks.lock().unwrap().iter().map(|clock| cpu_time(*clock)).sum()
    }

    /// Everything that was done is booked then.
    fn wait_until_parked(&self) {
        let metrics = self.runtime.metrics();
        let parked = |worker| metrics.worker_park_unpark_count(worker) % 2 == 1;
        wait_until(|| (0..metrics.num_workers()).all(parked));
    }
}

/// Of the workers of a runtime, between two flushes, in seconds times the number of workers.
#[derive(Debug)]
struct Load {
    /// What was reported is not less, and not more: the ratio is of a time between the two that the test knows.
    busy: (f64, f64),
    /// What the threads had of the processors.
    cpu: f64,
    /// What passed in the tasks' polls, as the tasks saw it.
    polled: f64,
    /// What there was.
    whole: f64,
}

const WORKERS: usize = 2;

/// Has as many tasks as workers do something, and compares. A task says how long its polls took.
fn load<F: Future<Output = Duration> + Send + 'static>(task: impl Fn() -> F) -> Load {
    let (service, metered) = (Service::new(), Metered::new(WORKERS));
    let _watch = service.client().watch_runtime("main", metered.runtime.handle());
    thread::sleep(SPAN);
    let outer = Instant::now();
    service.flush();
    metered.wait_until_parked();
    let (inner, cpu) = (Instant::now(), metered.cpu_time());
    let tasks: Vec<_> = (0..WORKERS).map(|_| metered.runtime.spawn(task())).collect();
    let polled = tasks.into_iter().map(|task| metered.runtime.block_on(task).unwrap()).sum::<Duration>();
    metered.wait_until_parked();
    let cpu = metered.cpu_time().saturating_sub(cpu);
    let inner = inner.elapsed() * u32::try_from(WORKERS).unwrap();
    let found = service.flush();
    let outer = outer.elapsed() * u32::try_from(WORKERS).unwrap();
    let ratio = found["runtime.busy_ratio"];
    assert!((0.0..=1.0).contains(&ratio), "{ratio}");
    assert!(found["runtime.busiest_worker_ratio"] >= ratio);
    assert!(found["runtime.busy_ratio.max"] >= ratio);
    let load = Load {
        busy: (ratio * inner.as_secs_f64(), ratio * outer.as_secs_f64()),
        cpu: cpu.as_secs_f64(),
        polled: polled.as_secs_f64(),
        whole: inner.as_secs_f64(),
    };
    // A millisecond for the digits that are sent and for the moment at which a poll looks at its clock.
    assert!(load.busy.1 >= load.polled - 0.001, "{load:?}");
    load
}

/// Room for what workers do around polls and for being taken off a busy machine's processors there, which is busy time
/// by the wall: a tenth of all there was. Dividing by no workers, or by too many, is off by half of it.
fn assert_near(load: &Load) {
    assert!(load.busy.0 <= load.polled + 0.1 * load.whole, "{load:?}");
}

#[test]
fn workers_that_spin_are_busy_for_at_least_what_they_had_of_the_processors() {
    let load = load(|| async { spin(Duration::from_millis(300)) });
    assert!(load.cpu >= 0.6, "{load:?}");
    assert!(load.busy.1 >= load.cpu * 0.95, "{load:?}");
    assert_near(&load);
}

#[test]
fn workers_that_work_half_of_the_time_are_busy_for_that_half() {
    let load = load(|| async {
        let mut polled = Duration::ZERO;
        for _ in 0..20 {
            polled += spin(Duration::from_millis(10));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        polled
    });
    assert!(load.cpu >= 0.4, "{load:?}");
    assert!(load.busy.1 >= load.cpu * 0.9, "{load:?}");
    assert_near(&load);
}

#[test]
fn tasks_that_await_leave_their_workers_idle() {
    let load = load(|| async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Duration::ZERO
    });
    assert_near(&load);
}

#[test]
fn busy_is_time_by_the_wall_so_that_a_blocking_task_is_seen() {
    let load = load(|| async {
        let start = Instant::now();
        thread::sleep(Duration::from_millis(300));
        start.elapsed()
    });
    assert!(load.cpu < 0.3 && load.busy.1 >= 0.6, "{load:?}");
    assert_near(&load);
}

#[test]
fn a_channel_of_queued_items_also_reports_the_oldest_and_what_runs() {
    let (service, depth) = (Service::new(), QueueDepth::default());
    let (sender, mut receiver) = mpsc::channel(10);
    let _watch = service.client().watch_queued_channel("orders", &sender, &depth);
    let entered = Instant::now();
    sender.try_send(depth.wrap(1)).unwrap();
    sender.try_send(depth.wrap(2)).unwrap();
    let values = service.flush_tagged(&[("queue", "orders")]);
    let age = values["queue.oldest_age_seconds"];
    assert!(age > 0.0 && age <= entered.elapsed().as_secs_f64() + 1e-6, "{age}");
    assert_eq!((values["queue.depth"], values["queue.utilization"]), (2.0, 0.2));
    let (_, job) = receiver.try_recv().unwrap().start();
    drop(receiver.try_recv().unwrap());
    let values = service.flush_tagged(&[("queue", "orders")]);
    assert_eq!((values["queue.depth"], values["queue.running"]), (0.0, 1.0));
    assert_eq!(values["queue.oldest_age_seconds"], 0.0);
    job.end(Outcome::Ok);
    drop(receiver);
    service.flush_tagged(&[("queue", "orders")]);
    assert!(service.flush_tagged(&[]).is_empty(), "it is closed");
}

#[test]
fn a_runtime_reports_itself_under_its_name() {
    let (service, runtime) = (Service::new(), runtime(3));
    let _watch = service.client().watch_runtime("main", runtime.handle());
    let (waiting, mut tasks) = (Arc::new(Semaphore::new(0)), Vec::new());
    for _ in 0..5 {
        let waiting = Arc::clone(&waiting);
        tasks.push(runtime.spawn(async move { drop(waiting.acquire().await) }));
    }
    service.collect();
    wait_until(|| runtime.metrics().global_queue_depth() == 0 && runtime.metrics().num_alive_tasks() == 5);
    let found = service.flush_after(SPAN);
    assert_eq!(found["runtime.workers"], 3.0);
    assert_eq!(found["runtime.alive_tasks"], 5.0);
    assert_eq!(found["runtime.global_queue_depth"], 0.0);
    let names: Vec<_> = RUNTIME_METRICS.iter().map(|name| format!("runtime.{name}")).collect();
    assert_eq!(names.iter().filter(|name| !found.contains_key(*name)).count(), 0, "{found:?}");
    assert!(!found.contains_key("runtime.workers.max") && !found.contains_key("runtime.parks.max"));
    for name in ["busy_ratio", "busiest_worker_ratio", "global_queue_depth", "alive_tasks"] {
        assert!(found[&format!("runtime.{name}.max")] >= found[&format!("runtime.{name}")], "{name}");
    }
    waiting.close();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    wait_until(|| runtime.metrics().num_alive_tasks() == 0);
    let found = service.flush();
    assert_eq!(found["runtime.alive_tasks"], 0.0);
    assert_eq!(found["runtime.alive_tasks.max"], 5.0, "the interval began with them");
}

#[test]
fn two_runtimes_are_told_apart_and_prefix_and_tags_can_be_set() {
    let (service, runtimes) = (Service::new(), [runtime(1), runtime(2)]);
    let client = service.client();
    let watches = (
        client.watch_runtime("web", runtimes[0].handle()),
        client.runtime("imports").prefix("tokio.").tag("role", "importer").watch(runtimes[1].handle()),
    );
    client.flush(PATIENCE).unwrap();
    let workers: Vec<_> = service
        .capture
        .take_lines()
        .into_iter()
        .filter(|line| line.contains("workers"))
        .map(|line| line.replace(",task_id:0042", ""))
        .collect();
    assert_eq!(workers.len(), 2);
    for line in ["runtime.workers:1|g|#runtime:web", "tokio.workers:2|g|#role:importer,runtime:imports"] {
        assert!(workers.iter().any(|found| found == line), "{workers:?}");
    }
    drop(watches);
}

#[test]
fn parks_are_counted_from_the_watch_on_and_once() {
    let (service, runtime) = (Service::new(), runtime(1));
    let metrics = runtime.metrics();
    let park = |times| {
        for _ in 0..times {
            let parks = metrics.worker_park_count(0);
            runtime.block_on(runtime.spawn(async {})).unwrap();
            wait_until(|| metrics.worker_park_count(0) > parks);
        }
    };
    park(10);
    let watched_at = metrics.worker_park_count(0);
    let _watch = service.client().watch_runtime("main", runtime.handle());
    let mut reported = 0.0;
    for times in [20, 30] {
        park(times);
        let before = metrics.worker_park_count(0);
        let parks = service.flush()["runtime.parks"];
        assert!(parks >= f64::from(times), "{parks}");
        reported += parks;
        let (after, all) = ((metrics.worker_park_count(0) - watched_at) as f64, (before - watched_at) as f64);
        assert!((all..=after).contains(&reported), "{reported} of {all} to {after}");
    }
}

/// Of a task that was spawned after `asked`, and is not polled.
#[track_caller]
fn assert_delay_grows(service: &Service, asked: Instant) -> f64 {
    // A peak begins with what was told last, and the delay of the task before may have been longer than this one's is
    // by now.
    let mut last = service.flush()["runtime.scheduling_delay_seconds"];
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(20));
        let found = service.flush();
        let delay = found["runtime.scheduling_delay_seconds"];
        assert!(delay >= last + 0.02 && delay <= asked.elapsed().as_secs_f64(), "{delay} after {last}");
        assert_eq!(found["runtime.scheduling_delay_seconds.max"], delay);
        last = delay;
    }
    last
}

#[test]
fn a_runtime_that_stands_still_shows_as_a_delay_that_grows() {
    let (service, runtime) = (Service::new(), runtime(1));
    let _watch = service.client().watch_runtime("main", runtime.handle());
    service.flush();
    wait_until(|| runtime.metrics().num_alive_tasks() == 0);
    let (stall, stalled) = (Stall::new(runtime.handle()), Instant::now());
    // It tells the delay of before, and asks for another.
    service.flush();
    let tasks: Vec<_> = (0..3).map(|_| runtime.spawn(async {})).collect();
    let last = assert_delay_grows(&service, stalled);
    let found = service.flush_after(SPAN);
    assert_eq!(found["runtime.busy_ratio"], 1.0, "at once, and not when it is over");
    assert_eq!(found["runtime.global_queue_depth"], 3.0, "less the one that measures");
    assert_eq!(found["runtime.alive_tasks"], 4.0, "less the one that measures");
    assert_eq!(found.get("runtime.parks"), None);
    stall.end();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    wait_until(|| runtime.metrics().num_alive_tasks() == 0);
    let exact = service.flush()["runtime.scheduling_delay_seconds"];
    assert!(exact > last, "the whole of it, {exact}, once it is known");
    wait_until(|| service.flush()["runtime.scheduling_delay_seconds"] < last);
}

#[test]
fn a_task_that_keeps_one_of_two_workers_shows_as_the_busiest() {
    let (service, runtime) = (Service::new(), runtime(2));
    let _watch = service.client().watch_runtime("main", runtime.handle());
    let stall = Stall::new(runtime.handle());
    service.flush_after(SPAN);
    let found = service.flush_after(3 * SPAN);
    let (mean, busiest) = (found["runtime.busy_ratio"], found["runtime.busiest_worker_ratio"]);
    assert!(busiest == 1.0 && (0.5..1.0).contains(&mean), "{busiest} and {mean}");
    assert!(found["runtime.scheduling_delay_seconds"] >= 0.0, "the other one polls");
    stall.end();
}

#[test]
fn the_peak_keeps_a_stall_that_was_over_before_the_flush() {
    let (service, runtime) = (Service::new(), runtime(1));
    let _watch = service.client().watch_runtime("main", runtime.handle());
    service.flush();
    let stall = Stall::new(runtime.handle());
    service.collect();
    thread::sleep(Duration::from_millis(200));
    service.collect();
    stall.end();
    let polled = || runtime.metrics().num_alive_tasks() == 0;
    wait_until(polled);
    for _ in 0..10 {
        service.collect();
        wait_until(polled);
    }
    let found = service.flush();
    assert!(found["runtime.scheduling_delay_seconds.max"] >= 0.2, "{found:?}");
    assert!(found["runtime.scheduling_delay_seconds"] < found["runtime.scheduling_delay_seconds.max"]);
}

#[test]
fn one_task_at_most_is_outstanding_however_long_a_runtime_stands_still() {
    let (service, runtime) = (Service::new(), runtime(1));
    let _watch = service.client().watch_runtime("main", runtime.handle());
    let stall = Stall::new(runtime.handle());
    let before = runtime.metrics().num_alive_tasks();
    for _ in 0..1_000 {
        service.collect();
        assert!(runtime.metrics().num_alive_tasks() <= before + 1);
    }
    assert_eq!(runtime.metrics().num_alive_tasks(), before + 1);
    stall.end();
    wait_until(|| runtime.metrics().num_alive_tasks() == 0);
    for _ in 0..1_000 {
        service.collect();
    }
    wait_until(|| runtime.metrics().num_alive_tasks() == 0);
}

#[test]
fn a_current_thread_runtime_is_watched() {
    let (service, driven) = (Service::new(), Driven::new());
    let _watch = service.client().watch_runtime("main", &driven.handle);
    thread::sleep(SPAN);
    let outer = Instant::now();
    service.flush();
    let (spun, told) = std_mpsc::channel();
    let inner = Instant::now();
    drop(driven.handle.spawn(async move { spun.send(spin(Duration::from_millis(200))).unwrap() }));
    let polled = told.recv().unwrap().as_secs_f64();
    let metrics = driven.handle.metrics();
    wait_until(|| metrics.worker_park_unpark_count(0) % 2 == 1);
    let inner = inner.elapsed().as_secs_f64();
    let found = service.flush();
    let outer = outer.elapsed().as_secs_f64();
    assert_eq!(found["runtime.workers"], 1.0);
    let ratio = found["runtime.busy_ratio"];
    assert_eq!(ratio, found["runtime.busiest_worker_ratio"]);
    assert!(ratio * outer >= polled - 0.001, "{ratio} of {outer} for {polled}");
    assert!(ratio * inner <= polled + 0.1 * inner, "{ratio} of {inner} for {polled}");
    assert!(found.contains_key("runtime.scheduling_delay_seconds"));
}

#[test]
fn a_current_thread_runtime_that_stands_still_shows_its_delay_and_no_ratio() {
    let (service, driven) = (Service::new(), Driven::new());
    let _watch = service.client().watch_runtime("main", &driven.handle);
    service.flush_after(SPAN);
    let (stall, stalled) = (Stall::new(&driven.handle), Instant::now());
    service.flush_after(SPAN);
    assert_delay_grows(&service, stalled);
    service.flush_after(SPAN);
    let found = service.flush();
    assert_eq!(found.get("runtime.busy_ratio"), None, "it may be one that nobody drives");
    stall.end();
    wait_until(|| driven.handle.metrics().worker_park_unpark_count(0) % 2 == 1);
    let found = service.flush();
    assert!(found["runtime.busy_ratio"] > 0.5, "of all the time that it was not known: {found:?}");
}

#[test]
fn a_runtime_that_nobody_drives_shows_a_delay_and_is_not_filled_with_tasks() {
    let (service, runtime) = (Service::new(), Builder::new_current_thread().build().unwrap());
    let _watch = service.client().watch_runtime("main", runtime.handle());
    let asked = Instant::now();
    service.flush();
    assert_delay_grows(&service, asked);
    (0..100).for_each(|_| service.collect());
    assert_eq!(runtime.metrics().num_alive_tasks(), 1);
    let found = service.flush();
    assert_eq!((found["runtime.alive_tasks"], found["runtime.global_queue_depth"]), (0.0, 0.0));
    runtime.block_on(runtime.spawn(async {})).unwrap();
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    let delay = service.flush()["runtime.scheduling_delay_seconds"];
    assert!(delay >= 0.1, "{delay}");
}

/// Something that a runtime's settings hold for as long as anyone has a handle to it.
fn held(builder: &mut Builder) -> Arc<()> {
    let held = Arc::new(());
    let holds = Arc::clone(&held);
    builder.on_thread_start(move || {
        let _ = &holds;
    });
    held
}

#[track_caller]
fn assert_forgotten(service: &Service, held: &Arc<()>) {
    wait_until(|| {
        service.collect();
        Arc::strong_count(held) == 1
    });
    // What was collected before was sent with the first flush, if it was not sent before.
    service.flush();
    assert_eq!(service.flush(), Values::new());
    let stats = service.client().stats();
    assert_eq!((stats.contexts, stats.probe_panics, stats.probes_removed), (0, 0, 0));
}

#[test]
fn a_runtime_that_was_shut_down_is_let_go_and_reported_no_more() {
    let ends: [fn(Runtime); 3] = [drop, Runtime::shutdown_background, |runtime| {
        runtime.shutdown_timeout(Duration::from_millis(1));
    }];
    for multi_thread in [true, false] {
        for end in ends {
            let mut builder =
                if multi_thread { Builder::new_multi_thread() } else { Builder::new_current_thread() };
            let held = held(&mut builder);
            let runtime = builder.worker_threads(2).enable_all().build().unwrap();
            drop(builder);
            let service = Service::new();
            let watch = service.client().watch_runtime("main", runtime.handle());
            assert_eq!(service.flush().get("runtime.workers"), Some(&if multi_thread { 2.0 } else { 1.0 }));
            end(runtime);
            assert_forgotten(&service, &held);
            drop(watch);
        }
    }
}

#[test]
fn a_runtime_may_be_gone_before_it_is_watched_or_first_asked() {
    let mut builder = Builder::new_multi_thread();
    let held = held(&mut builder);
    let gone = builder.worker_threads(1).build().unwrap();
    drop(builder);
    let handle = gone.handle().clone();
    drop(gone);
    let service = Service::new();
    service.client().watch_runtime("main", &handle).detach();
    drop(handle);
    wait_until(|| {
        service.collect();
        Arc::strong_count(&held) == 1
    });
    assert_eq!(service.flush(), Values::new());
}

#[test]
fn a_runtime_that_hangs_in_its_shutdown_is_waited_for_and_then_let_go() {
    let mut builder = Builder::new_multi_thread();
    let held = held(&mut builder);
    let runtime = builder.worker_threads(1).build().unwrap();
    drop(builder);
    let service = Service::new();
    service.client().watch_runtime("main", runtime.handle()).detach();
    service.flush();
    let (stall, asked) = (Stall::new(runtime.handle()), Instant::now());
    service.flush();
    runtime.shutdown_background();
    assert_delay_grows(&service, asked);
    stall.end();
    assert_forgotten(&service, &held);
}

#[test]
fn the_client_may_be_gone_before_its_task_was_polled() {
    let runtime = runtime(1);
    let stall = Stall::new(runtime.handle());
    let service = Service::new();
    let watch = service.client().watch_runtime("main", runtime.handle());
    service.flush();
    service.guard.shutdown(PATIENCE).unwrap();
    stall.end();
    wait_until(|| runtime.metrics().num_alive_tasks() == 0);
    drop(watch);
}

#[test]
fn a_runtime_is_watched_from_within_itself() {
    let service = Service::new();
    let runtime = runtime(1);
    let client = service.client().clone();
    let watched = runtime.spawn(async move { client.watch_runtime("main", &Handle::current()) });
    let watch: Watch = runtime.block_on(watched).unwrap();
    wait_until(|| service.flush().contains_key("runtime.scheduling_delay_seconds"));
    drop(watch);
}

#[test]
fn a_channel_is_a_queue() {
    let service = Service::new();
    let (sender, mut receiver) = mpsc::channel(4);
    let _watch = service.client().watch_channel("mail", &sender);
    let now = || service.flush_tagged(&[("queue", "mail")]);
    let expected = |depth: f64, peak: f64| {
        Values::from(
            [
                ("queue.capacity", 4.0),
                ("queue.depth", depth),
                ("queue.depth.max", peak),
                ("queue.utilization", depth / 4.0),
                ("queue.utilization.max", peak / 4.0),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    };
    assert_eq!(now(), expected(0.0, 0.0));
    (0..3).for_each(|job| sender.try_send(job).unwrap());
    assert_eq!(now(), expected(3.0, 3.0));
    let place = sender.try_reserve().unwrap();
    service.collect();
    drop(place);
    receiver.try_recv().unwrap();
    assert_eq!(now(), expected(2.0, 4.0), "a place that is reserved is taken");
}

#[test]
fn a_channel_ends_with_its_senders_as_if_nobody_watched() {
    let service = Service::new();
    let (sender, mut receiver) = mpsc::channel::<u32>(4);
    service.client().watch_channel("mail", &sender).detach();
    let now = || service.flush_tagged(&[("queue", "mail")]);
    assert!(now().contains_key("queue.depth"));
    drop(sender);
    wait_until(|| receiver.try_recv() == Err(mpsc::error::TryRecvError::Disconnected));
    assert_eq!(now(), Values::new());
    assert_eq!(service.client().stats().contexts, 0);
}

#[test]
fn a_channel_that_its_receiver_closed_or_dropped_is_reported_no_more() {
    for drops in [true, false] {
        let service = Service::new();
        let (sender, mut receiver) = mpsc::channel(4);
        let held = Arc::new(());
        sender.try_send(Arc::clone(&held)).unwrap();
        service.client().watch_channel("mail", &sender).detach();
        let now = || service.flush_tagged(&[("queue", "mail")]);
        assert_eq!(now()["queue.depth"], 1.0);
        receiver.close();
        let kept = (!drops).then_some(receiver);
        assert_eq!(now(), Values::new());
        assert_eq!(service.client().stats().contexts, 0);
        drop(kept);
        assert_eq!(Arc::strong_count(&held), 1, "no item is kept");
    }
}

#[test]
fn a_semaphore_is_a_pool_of_permits() {
    let service = Service::new();
    let semaphore = Arc::new(Semaphore::new(10));
    service.client().watch_semaphore("uploads", &semaphore, 10).detach();
    let now = || service.flush_tagged(&[("pool", "uploads")]);
    let held = semaphore.try_acquire_many(4).unwrap();
    let expected = [
        ("pool.in_use", 4.0),
        ("pool.in_use.max", 4.0),
        ("pool.max", 10.0),
        ("pool.utilization", 0.4),
        ("pool.utilization.max", 0.4),
    ];
    assert_eq!(now(), expected.map(|(name, value)| (name.to_owned(), value)).into());
    drop(held);
    assert_eq!(now()["pool.in_use"], 0.0);
    semaphore.add_permits(5);
    assert_eq!(now()["pool.in_use"], 0.0, "more than it was made with");
}

#[test]
fn a_semaphore_that_is_closed_or_dropped_is_reported_no_more() {
    for closes in [true, false] {
        let service = Service::new();
        let semaphore = Arc::new(Semaphore::new(1));
        let alive = Arc::downgrade(&semaphore);
        service.client().watch_semaphore("uploads", &semaphore, 1).detach();
        let now = || service.flush_tagged(&[("pool", "uploads")]);
        assert_eq!(now()["pool.max"], 1.0);
        let kept = if closes {
            semaphore.close();
            Some(semaphore)
        } else {
            drop(semaphore);
            None
        };
        assert_eq!(alive.strong_count(), usize::from(closes));
        assert_eq!(now(), Values::new());
        assert_eq!(service.client().stats().contexts, 0);
        drop(kept);
    }
}

#[test]
fn channels_and_semaphores_take_prefix_and_tags_as_queues_and_pools_do() {
    let service = Service::new();
    let (sender, _receiver) = mpsc::channel::<()>(1);
    let semaphore = Arc::new(Semaphore::new(1));
    let client = service.client();
    let watches = (
        client.queue("mail").prefix("jobs").tag("role", "web").watch_while(channel_status(&sender)),
        client.pool("up").prefix("io").watch_while(semaphore_status(&semaphore, 1)),
    );
    client.flush(PATIENCE).unwrap();
    let lines = service.capture.take_lines();
    for line in ["jobs.capacity:1|g|#queue:mail,role:web,task_id:0042", "io.max:1|g|#pool:up,task_id:0042"] {
        assert!(lines.iter().any(|found| found == line), "{lines:?}");
    }
    drop(watches);
}

#[test]
fn a_forked_child_neither_reports_nor_asks_its_parents_runtime() {
    let (service, runtime) = (Service::new(), runtime(2));
    let _watch = service.client().watch_runtime("main", runtime.handle());
    service.flush();
    wait_until(|| runtime.metrics().num_alive_tasks() == 0);
    // SAFETY: The child uses what its one thread may use in a program of this C library: memory and new threads.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: A child that hangs is ended by the alarm, and the test fails.
        unsafe { libc::alarm(60) };
        let alone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            service.client().counter("child").increment(1);
            service.client().flush(PATIENCE).unwrap();
            let lines = service.capture.take_lines();
            lines.iter().all(|line| line.starts_with("child:1|c")) && runtime.metrics().num_alive_tasks() == 0
        }));
        // SAFETY: It does not return.
        unsafe { libc::_exit(i32::from(!alone.unwrap_or(false))) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child's exit");
    assert!(service.flush().contains_key("runtime.workers"), "the parent's goes on");
}

#[test]
fn a_builder_and_what_is_watched_go_between_threads() {
    fn moves<T: Send + Sync + std::fmt::Debug + Clone>() {}
    moves::<RuntimeBuilder<'static>>();
    let asked = Arc::new(AtomicU64::new(0));
    let (sender, _receiver) = mpsc::channel::<std::cell::Cell<u8>>(1);
    let mut status = channel_status(&sender);
    thread::scope(|scope| {
        scope.spawn(|| {
            asked.fetch_add(status().unwrap().capacity.unwrap(), Ordering::Relaxed);
        });
    });
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
