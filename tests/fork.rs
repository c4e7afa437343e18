//! A forked child has its own task id, worker, channel and books, and reports nothing of its parent's.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std can't fork")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::PATIENCE;
use support::fork::{assert_done, beside_threads, fork};
use tasktag::__macros::{Called, Site};
use tasktag::testing::{Capture, ManualClock, Parsed, ParsedMetric, parse};
use tasktag::{
    Client, ClientBuilder, Counter, DropReason, FlushError, Guard, TaskId, TaskIdPool, TaskIdSource,
    TaskIdSourceKind,
};

const CHILDREN: u64 = 20;

/// An agent at a real socket, read after everybody has sent.
struct Agent(UdpSocket);

impl Agent {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Self(socket)
    }

    fn builder(&self) -> ClientBuilder {
        let never = Duration::from_secs(3600);
        Client::builder()
            .clock(&ManualClock::new())
            .agent(format!("udp://{}", self.0.local_addr().unwrap()))
            .telemetry(false)
            .origin_detection(false)
            .flush_interval(never)
            .collect_interval(never)
            .shutdown_timeout(PATIENCE)
            // So large that no two processes draw the same by chance.
            .task_id_pool(TaskIdPool::new(TaskIdPool::MAX_SIZE).unwrap())
    }

    fn client(&self) -> Guard {
        self.builder().build().unwrap()
    }

    fn read(&self) -> Vec<Parsed> {
        let mut buffer = vec![0; 65_536];
        let mut read = Vec::new();
        while let Ok(len) = self.0.recv(&mut buffer) {
            read.extend(parse(&buffer[..len]).unwrap());
        }
        read
    }

    fn metrics(&self) -> Vec<ParsedMetric> {
        let metric = |parsed| if let Parsed::Metric(metric) = parsed { Some(metric) } else { None };
        self.read().into_iter().filter_map(metric).collect()
    }
}

/// Sets a flag when it is dropped: a test that fails still has to end its threads.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn number(metric: &ParsedMetric) -> f64 {
    metric.value.number().unwrap()
}

fn tasks() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/task").unwrap();
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path().join("comm")).unwrap()).collect()
}

/// What a child of [`each_child_reports_its_own_under_its_own_id`] does with what it was born with.
fn work(guard: &Guard, handles: &Handles, child: u64) -> bool {
    let client = guard.client();
    handles.jobs.increment(100 + child);
    handles.level.set(child as f64);
    handles.wait.record_many(child as f64, child + 1);
    client.counter("by.name").tag("child", &child.to_string()).increment(1);
    client.event("born", &child.to_string());
    let flushed = client.flush(PATIENCE).is_ok();
    let stats = client.stats();
    flushed
        && client.task_id() == TaskId::current()
        && stats.accepted == stats.sent
        && stats.sent.values == 6 + child
}

struct Handles {
    jobs: tasktag::Counter,
    level: tasktag::Gauge,
    wait: tasktag::Distribution,
}

#[test]
fn a_gauge_that_a_child_sets_once_by_name_lasts() {
    let agent = Agent::new();
    let guard = agent.client();
    let set = |level: f64| guard.client().gauge("level").tag("queue", "mail").set(level);
    // From the second call on, the thread remembers the context.
    set(1.0);
    set(1.0);
    guard.client().flush(PATIENCE).unwrap();
    assert_done(fork(|| {
        set(2.0);
        (0..3).all(|_| guard.client().flush(PATIENCE).is_ok())
    }));
    let levels: Vec<f64> = agent.metrics().iter().map(number).collect();
    assert_eq!(levels, [1.0, 2.0, 2.0, 2.0]);
}

#[test]
fn each_child_reports_its_own_under_its_own_id() {
    let agent = Agent::new();
    let guard = agent.client();
    let client = guard.client();
    let handles = Handles {
        jobs: client.counter("jobs").register(),
        level: client.gauge("level").peak().register(),
        wait: client.distribution("wait").register(),
    };
    handles.jobs.increment(5);
    handles.level.set(1000.0);
    handles.wait.record(1000.0);
    client.event("parent", "");
    for child in 0..CHILDREN {
        assert_done(fork(|| {
            if child % 2 == 0 {
                work(&guard, &handles, child)
            } else {
                // As a daemon does: the grandchild works.
                assert_done(fork(|| work(&guard, &handles, child)));
                true
            }
        }));
    }
    client.flush(PATIENCE).unwrap();

    let mut jobs = BTreeMap::new();
    let mut by_id: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut events = Vec::new();
    let mut values = 0;
    for parsed in agent.read() {
        match parsed {
            Parsed::Event(event) => events.push((event.title, event.text)),
            Parsed::Metric(metric) => {
                let id = metric.tag("task_id").unwrap().to_owned();
                let of_id = by_id.entry(id.clone()).or_default();
                match metric.name.as_str() {
                    "jobs" => {
                        let n: u64 = number(&metric).to_string().parse().unwrap();
                        assert_eq!(jobs.insert(id, n), None, "twice");
                    }
                    "wait" => values += metric.count(),
                    "level" | "level.max" => {
                        of_id.insert(format!("level {}", number(&metric)));
                    }
                    _ => {
                        of_id.insert(metric.tag("child").unwrap().to_owned());
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let own = client.task_id().as_str().to_owned();
    assert_eq!(jobs.remove(&own), Some(5));
    assert_eq!(by_id.remove(&own), Some(BTreeSet::from(["level 1000".to_owned()])));
    let mut counts: Vec<_> = jobs.values().copied().collect();
    counts.sort_unstable();
    assert_eq!(counts, (100..100 + CHILDREN).collect::<Vec<_>>(), "each child under an id of its own");
    for (id, seen) in by_id {
        let child = (jobs[&id] - 100).to_string();
        assert_eq!(seen, BTreeSet::from([format!("level {child}"), child]));
    }
    assert_eq!(values, 1 + (1..=CHILDREN).sum::<u64>());
    assert_eq!(events.len() as u64, 1 + CHILDREN);
    assert_eq!(BTreeSet::from_iter(&events).len(), events.len());
}

#[test]
fn a_child_that_uses_no_metric_sends_nothing_and_starts_no_thread() {
    let agent = Agent::new();
    // In the parent it is never dropped: that would send what the parent counted.
    let guard = ManuallyDrop::new(agent.client());
    let jobs = guard.client().counter("jobs").register();
    jobs.increment(3);
    assert_done(fork(|| {
        let alone = tasks().len() == 1;
        // Its parent's guard, which it was born with: there is nothing to wait for.
        let stopped = ManuallyDrop::into_inner(guard).shutdown(PATIENCE) == Err(FlushError::Stopped);
        alone && stopped && tasks().len() == 1
    }));
    assert_eq!(agent.metrics(), []);
}

#[test]
fn the_end_of_a_childs_guard_sends_what_the_child_did() {
    let agent = Agent::new();
    let guard = ManuallyDrop::new(agent.client());
    let jobs = guard.client().counter("jobs").register();
    jobs.increment(3);
    assert_done(fork(|| {
        jobs.increment(4);
        ManuallyDrop::into_inner(guard).shutdown(PATIENCE).is_ok()
    }));
    assert_eq!(agent.metrics().iter().map(number).collect::<Vec<_>>(), [4.0]);
}

#[test]
fn a_child_that_asks_for_it_has_its_worker_before_it_uses_a_metric() {
    let agent = Agent::new();
    let guard = agent.client();
    let id = TaskId::current();
    assert_done(fork(|| {
        tasktag::after_fork();
        let other_id = TaskId::current() != id && TaskId::current() == guard.client().task_id();
        tasktag::after_fork();
        // A thread gives itself its name.
        support::wait_until(|| tasks().contains(&"tasktag\n".to_owned()));
        other_id
    }));
    tasktag::after_fork();
    assert_eq!((TaskId::current(), guard.client().task_id()), (id, id), "in the parent it does nothing");
}

#[test]
fn a_child_whose_other_threads_count_first_loses_no_count() {
    const EACH: u64 = 300_000;
    let agent = Agent::new();
    let guard = agent.client();
    let jobs = guard.client().counter("jobs").register();
    // The thread that forks has counted before, and counts in the child only after others did.
    jobs.increment(1);
    assert_done(fork(|| {
        let (waiting, count) = (AtomicUsize::new(0), || (0..EACH).for_each(|_| jobs.increment(1)));
        let others = || {
            jobs.increment(0);
            waiting.fetch_add(1, Ordering::SeqCst);
            support::wait_until(|| waiting.load(Ordering::SeqCst) == 7);
            count();
        };
        beside_threads(6, others, || {
            support::wait_until(|| waiting.load(Ordering::SeqCst) == 6);
            waiting.fetch_add(1, Ordering::SeqCst);
            count();
        });
        guard.client().flush(PATIENCE).is_ok()
    }));
    guard.client().flush(PATIENCE).unwrap();
    let mut counts: Vec<_> = agent.metrics().iter().map(number).collect();
    counts.sort_by(f64::total_cmp);
    assert_eq!(counts, [1.0, 7.0 * EACH as f64]);
}

#[test]
fn a_child_uses_the_capture_that_its_parents_worker_was_filling() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).max_packet_size(64).build().unwrap();
    let client = guard.client();
    let levels: Vec<_> = (0..500).map(|number| client.gauge(&format!("level.{number}")).register()).collect();
    for level in &levels {
        level.set(1.0);
    }
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = StopAtEnd(&ended);
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                client.flush(PATIENCE).unwrap();
                drop(capture.take_packets());
            }
        });
        for _ in 0..300 {
            assert_done(fork(|| {
                drop(capture.take_packets());
                client.counter("jobs").increment(1);
                client.flush(PATIENCE).unwrap();
                capture.take_lines() == ["jobs:1|c|#task_id:0042"]
            }));
        }
    });
}

#[test]
fn a_child_reports_nothing_that_its_parent_was_recording_or_taking() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let sizes: Vec<_> = (0..50).map(|number| client.timing(&format!("size.{number}")).register()).collect();
    let record = || {
        for size in &sizes {
            size.record(1.0);
        }
    };
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = StopAtEnd(&ended);
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                record();
                client.flush(PATIENCE).unwrap();
                drop(capture.take_packets());
            }
        });
        for _ in 0..300 {
            assert_done(fork(|| {
                drop(capture.take_packets());
                record();
                client.flush(PATIENCE).unwrap();
                let lines = capture.take_lines();
                lines.len() == sizes.len() && lines.iter().all(|line| line.ends_with(":1|ms|#task_id:0042"))
            }));
        }
    });
}

#[test]
fn a_child_never_waits_for_what_a_thread_of_its_parent_had_begun() {
    let agent = Agent::new();
    let guard = agent.builder().context_limit(100_000).install().unwrap();
    let client = guard.client();
    let family = client.counter("requests").bounded("route", 60_000).register();
    let sites = (0..60_000).map(|_| Site::<Counter>::counter("site", &[]));
    let sites: &'static [Site<Counter>] = sites.collect::<Vec<_>>().leak();
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..60_000 {
                family.at(&n.to_string()).increment(1);
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
        scope.spawn(|| {
            for site in sites {
                Called(site).increment(1);
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
        while done.load(Ordering::Relaxed) < 2 {
            assert_done(fork(|| {
                family.at("a child's").increment(1);
                for site in sites {
                    Called(site).increment(1);
                }
                true
            }));
        }
    });
}

/// Takes one write, and is at the second for ever.
struct Stuck(usize, &'static AtomicUsize);

impl std::io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0 += 1;
        if self.0 == 1 {
            return Ok(bytes.len());
        }
        loop {
            thread::park();
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_child_that_was_born_while_its_parent_wrote_counts_what_it_can_not_write() {
    static WRITES: AtomicUsize = AtomicUsize::new(0);
    let agent = Agent::new();
    let guard = ManuallyDrop::new(agent.builder().writer(Stuck(0, &WRITES)).build().unwrap());
    let client = guard.client().clone();
    for n in 1..=2 {
        client.counter("jobs").increment(1);
        // Without a caller who waits for the writer.
        support::flush_unasked(&client);
        support::wait_until(|| WRITES.load(Ordering::SeqCst) == n);
    }
    assert_done(fork(|| {
        for _ in 0..3 {
            client.counter("jobs").increment(1);
            support::flush_unasked(&client);
        }
        // It has nothing to lose.
        let stopped = ManuallyDrop::into_inner(guard).shutdown(PATIENCE).is_ok();
        let stats = client.stats();
        stopped && stats.accepted.values == 3 && stats.dropped(DropReason::Transport).values == 3
    }));
}

/// Forks while it is asked for its state.
#[test]
fn a_probe_may_fork_and_its_child_may_use_metrics() {
    let agent = Agent::new();
    let guard = agent.client();
    let client = guard.client();
    let done = std::sync::Arc::new(AtomicUsize::new(0));
    let (in_probe, also_done) = (client.clone(), std::sync::Arc::clone(&done));
    let _watch = client.watch_pool("db", move || {
        assert_done(fork(|| {
            in_probe.counter("child").increment(1);
            in_probe.flush(PATIENCE).is_ok() && in_probe.stats().sent.values == 1
        }));
        also_done.fetch_add(1, Ordering::SeqCst);
        tasktag::PoolStatus::default()
    });
    client.flush(PATIENCE).unwrap();
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[test]
fn a_child_that_forks_before_it_used_a_metric_and_lets_its_guard_go_hands_nothing_on() {
    let agent = Agent::new();
    let guard = ManuallyDrop::new(agent.client());
    let jobs = guard.client().counter("jobs").register();
    jobs.increment(3);
    let id = guard.client().task_id();
    assert_done(fork(|| {
        // Its child is born of a newborn.
        assert_done(fork(|| {
            jobs.increment(4);
            guard.client().task_id() != id && guard.client().flush(PATIENCE).is_ok()
        }));
        drop(ManuallyDrop::into_inner(guard));
        // Its worker begins with the next use, and what it does is its own.
        jobs.increment(5);
        jobs.increment(0);
        true
    }));
    assert_eq!(agent.metrics().iter().map(number).collect::<Vec<_>>(), [4.0]);
}

#[test]
fn a_child_that_gets_no_lease_shares_its_stand_in_with_no_child_of_its_own() {
    let agent = Agent::new();
    let directory = std::env::temp_dir().join(format!("tasktag-fork-stand-in-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let builder = agent.builder().task_id_from(TaskIdSource::leased(&directory));
    let guard = builder.build().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let client = guard.client();
    assert_done(fork(|| {
        let id = client.task_id();
        // Of 1000 ids one may be drawn again, by chance.
        for _ in 0..3 {
            assert_done(fork(|| {
                let _ = std::fs::write(format!("{}.{}", directory.display(), client.task_id()), "");
                true
            }));
        }
        let own = std::path::PathBuf::from(format!("{}.{id}", directory.display()));
        let others = std::fs::read_dir(directory.parent().unwrap()).unwrap().flatten();
        let drawn: Vec<_> = others
            .map(|entry| entry.path())
            .filter(|path| path.display().to_string().starts_with(&format!("{}.", directory.display())))
            .collect();
        for path in &drawn {
            std::fs::remove_file(path).unwrap();
        }
        drawn.iter().any(|path| *path != own)
    }));
}

#[test]
fn a_child_that_went_to_another_directory_leases_where_its_parent_does() {
    let agent = Agent::new();
    let directory = std::env::temp_dir().join(format!("tasktag-fork-elsewhere-{}", std::process::id()));
    let up = std::env::current_dir().unwrap().components().count() - 1;
    // So deep that the way up from here ends in it, too.
    let elsewhere = directory.join("d/".repeat(up + 1));
    std::fs::create_dir_all(&elsewhere).unwrap();
    let relative = PathBuf::from("../".repeat(up)).join(directory.strip_prefix("/").unwrap());
    let builder = agent.builder().task_id_pool(TaskIdPool::DEFAULT);
    let guard = builder.task_id_from(TaskIdSource::leased(relative)).build().unwrap();
    let id = guard.client().task_id();
    let child = fork(|| {
        std::env::set_current_dir(&elsewhere).unwrap();
        let own = guard.client().task_id();
        own != id && own.source() == TaskIdSourceKind::Leased
    });
    assert_done(child);
    // The lease may be writing there, and what is left behind does not make a test fail that passed.
    let _ = std::fs::remove_dir_all(&directory);
}

#[test]
fn many_threads_may_start_programs_at_once() {
    let agent = Agent::new();
    let guard = agent.client();
    let client = guard.client();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..20 {
                    client.counter("started").tag("n", &n.to_string()).increment(1);
                    let mut command = std::process::Command::new("true");
                    // SAFETY: It does nothing. With it std forks, and can't do without.
                    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, || Ok(())) };
                    assert!(command.status().unwrap().success());
                }
            });
        }
    });
    client.flush(PATIENCE).unwrap();
    assert_eq!(agent.metrics().iter().map(number).sum::<f64>(), 160.0);
}

#[test]
fn a_task_id_that_was_set_is_the_childs_too() {
    let agent = Agent::new();
    let set = TaskIdPool::DEFAULT.id(7).unwrap();
    let guard = agent.builder().task_id(set).build().unwrap();
    assert_done(fork(|| guard.client().task_id() == set));
}

#[test]
fn units_that_were_in_use_before_the_fork_are_the_parents() {
    let agent = Agent::new();
    let guard = agent.client();
    let pool = guard.client().occupancy("pool", 4).register();
    let (before, moved) = (pool.acquire(), pool.acquire_owned());
    assert_done(fork(|| {
        let own = pool.acquire();
        drop((before, moved));
        let flushed = guard.client().flush(PATIENCE).is_ok();
        drop(own);
        flushed
    }));
    let found: Vec<_> =
        agent.metrics().into_iter().map(|metric| (metric.name.clone(), number(&metric))).collect();
    assert_eq!(found[..2], [("pool.in_use".to_owned(), 1.0), ("pool.in_use.max".to_owned(), 1.0)]);
}

#[test]
fn a_child_of_a_client_that_had_ended_books_what_it_reports_as_late() {
    let agent = Agent::new();
    let guard = agent.client();
    let client = guard.client().clone();
    let jobs = client.counter("jobs").register();
    guard.shutdown(PATIENCE).unwrap();
    assert_done(fork(|| {
        jobs.increment(1);
        client.event("late", "");
        client.flush(PATIENCE) == Err(FlushError::Stopped)
            && client.stats().dropped(DropReason::AfterShutdown).values == 2
    }));
    assert_eq!(agent.read(), []);
}

#[test]
fn whatever_other_threads_do_at_the_fork_the_child_is_whole() {
    let agent = Agent::new();
    let guard = agent.client();
    let client = guard.client();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _done = StopAtEnd(&done);
        for thread in 0..3 {
            let done = &done;
            scope.spawn(move || {
                for n in 0_u64.. {
                    let name = format!("busy.{thread}.{}", n % 200);
                    client.counter(&name).increment(1);
                    client.gauge("level").tag("thread", &name).set(1.0);
                    client.set("members").insert(&name);
                    client.timing("wait").record(n as f64);
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        for child in 0..60 {
            assert_done(fork(|| {
                client.counter("child").increment(child + 1);
                client.set("members").insert("mine");
                client.event("child", "");
                let flushed = client.flush(PATIENCE).is_ok();
                let stats = client.stats();
                flushed && stats.accepted.values == 3 && stats.sent.values == 3
            }));
        }
    });
    client.flush(PATIENCE).unwrap();
    support::assert_conserved(&client.stats());
}

#[test]
fn what_one_thread_of_a_child_registers_while_another_starts_it_over_is_counted_once() {
    const REGISTERED: usize = 500;
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).build().unwrap();
    for _ in 0..CHILDREN {
        assert_done(fork(|| {
            let handles = Mutex::new(Vec::new());
            let register = |n| guard.client().counter(&format!("jobs.{n}")).register();
            let registering = || *handles.lock().unwrap() = (0..REGISTERED).map(register).collect();
            beside_threads(1, registering, tasktag::after_fork);
            let handles: Vec<Counter> = handles.into_inner().unwrap();
            for handle in &handles {
                handle.increment(1);
            }
            guard.client().flush(PATIENCE).unwrap();
            let sent = capture.take_metrics().unwrap();
            sent.len() == REGISTERED && sent.iter().all(|metric| metric.value.number() == Some(1.0))
        }));
    }
}
