//! No call site ever waits: not for the agent, not for the channel, and not for a worker that hangs.

#![cfg(unix)]

mod support;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::{
    PATIENCE, TempDir, assert_conserved, assert_conserved_when_idle, flush_unasked, lines_of, unix_address,
    wait_until,
};
use tasktag::testing::Capture;
use tasktag::{
    Client, Counter, Distribution, DropReason, Event, FlushError, Gauge, Guard, Occupancy, PoolStatus,
    QueueDepth, ServiceCheck, Set, Status, Watch,
};

const OPERATIONS: u64 = 100_000;
const SHORT: Duration = Duration::from_millis(20);

/// A handle of every kind.
#[derive(Clone)]
struct Handles {
    gauge: Gauge,
    peak: Gauge,
    counter: Counter,
    timing: Distribution,
    set: Set,
    occupancy: Occupancy,
}

impl Handles {
    fn new(client: &Client) -> Self {
        Self {
            gauge: client.gauge("handle.gauge").register(),
            peak: client.gauge("handle.peak").peak().register(),
            counter: client.counter("handle.counter").tag("queue", "mail").register(),
            timing: client.timing("handle.timing").register(),
            set: client.set("handle.set").register(),
            occupancy: client.occupancy("handle.occupancy", 4).register(),
        }
    }

    /// Every verb of every handle.
    fn operate(&self, round: u64) {
        let value = round as f64;
        self.gauge.set(value);
        self.gauge.add(1.0);
        self.gauge.sub(f64::NAN);
        self.peak.set(-value);
        self.counter.increment(1);
        self.timing.record(value);
        // Too many buckets for a table: some of it goes to the channel.
        self.timing.record_many(value.powi(9), 3);
        self.timing.record_duration(Duration::from_micros(round));
        drop(self.timing.start());
        self.set.insert("member");
        drop(self.occupancy.acquire());
        drop(self.occupancy.acquire_owned());
        self.occupancy.set_capacity(5);
    }
}

/// Every verb of a client.
fn operate_by_name(client: &Client, round: u64, name: &str) {
    let value = round as f64;
    client.gauge("name.gauge").tag("queue", name).set(value);
    client.gauge("name.gauge").add(1.0);
    client.counter("name.counter").tag("queue", "mail").increment(1);
    client.timing("name.timing").record(value);
    client.set("name.set").insert(name);
    // Another kind, no name, and a context of its own until there are too many.
    client.gauge("name.counter").set(value);
    client.counter("").increment(1);
    client.counter("name.many").tag("number", name).increment(1);
    client.event("title", name);
    client.send_event(Event::new("title", "text").tag("number", name));
    client.service_check("db", Status::Ok);
    client.send_service_check(ServiceCheck::new("db", Status::Critical).message("gone"));
    drop(client.clone());
}

/// What is done now and then.
fn set_up(client: &Client, number: u64) {
    let name = number.to_string();
    drop(client.counter("registered").tag("number", &name).register());
    drop(Handles::new(client));
    drop(client.watch_pool(&name, PoolStatus::default));
    let depth = QueueDepth::default();
    drop(client.queue(&name).prefix("mine").tag("number", &name).watch(move || depth.status()));
    let _ = client.stats();
}

/// Everything, so many times. Not one call waits for the worker, so it ends.
fn operate(client: &Client, handles: &Handles) {
    for round in 0..OPERATIONS {
        handles.operate(round);
        operate_by_name(client, round, &round.to_string());
        if round % 1000 == 0 {
            set_up(client, round);
        }
    }
}

/// Operates on a thread, and fails when that does not end.
#[track_caller]
fn assert_operates(client: &Client, handles: &Handles) {
    let (done, is_done) = bounded(1);
    let (client, handles) = (client.clone(), handles.clone());
    let operating = thread::spawn(move || {
        operate(&client, &handles);
        done.send(()).unwrap();
    });
    is_done.recv_timeout(PATIENCE).expect("a call site waits for something, or panicked");
    operating.join().unwrap();
}

/// Holds the worker at a packet until it is let go.
fn hold(client: &Client, capture: &Capture) {
    capture.set_stuck(true);
    client.counter("held").increment(1);
    assert_eq!(client.flush(SHORT), Err(FlushError::TimedOut(SHORT)));
}

#[test]
fn nothing_waits_for_a_worker_that_hangs_or_for_a_full_channel() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).channel_capacity(100).build().unwrap();
    let client = guard.client();
    let handles = Handles::new(client);
    hold(client, &capture);
    assert_operates(client, &handles);
    assert_eq!(client.flush(SHORT), Err(FlushError::TimedOut(SHORT)), "it hangs still");
    let before = client.stats();
    assert_eq!(before.sent.lines, 0);
    assert!(before.dropped(DropReason::ChannelFull).values > OPERATIONS);
    capture.set_stuck(false);
    client.flush(PATIENCE).unwrap();
    let lines = capture.take_lines();
    for counter in ["handle.counter", "name.counter"] {
        assert!(lines.contains(&format!("{counter}:{OPERATIONS}|c|#queue:mail,task_id:0042")), "{counter}");
    }
    assert_conserved(&client.stats());
}

#[test]
fn nothing_waits_for_a_worker_that_hangs_while_another_thread_waits_for_its_flush() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).channel_capacity(1).build().unwrap();
    let client = guard.client();
    let handles = Handles::new(client);
    hold(client, &capture);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.flush(PATIENCE));
        assert_operates(client, &handles);
        assert!(!waiting.is_finished());
        capture.set_stuck(false);
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
    assert_conserved(&client.stats());
}

/// A probe that hangs until the sender is dropped.
fn hang(client: &Client) -> (Sender<()>, Watch) {
    let (enter, entered) = bounded(1);
    let (release, released) = bounded::<()>(0);
    let watch = client.watch_pool("hanging", move || {
        let _ = enter.try_send(());
        let _ = released.recv();
        PoolStatus::default()
    });
    // Half of the time is for the probe, and the rest for a worker that may have to wait for a processor.
    wait_until(|| client.flush(Duration::from_secs(1)).is_ok());
    entered.recv_timeout(PATIENCE).unwrap();
    (release, watch)
}

#[test]
fn nothing_waits_for_a_probe_that_hangs() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let handles = Handles::new(client);
    let (release, _watch) = hang(client);
    assert_operates(client, &handles);
    client.flush(PATIENCE).unwrap();
    let lines = capture.take_lines();
    assert!(lines.contains(&format!("handle.counter:{OPERATIONS}|c|#queue:mail,task_id:0042")));
    drop(release);
    assert_conserved(&client.stats());
}

/// An agent that is there and does not read. The queue of its socket is full.
struct Stalled {
    socket: UnixDatagram,
    guard: Guard,
    _directory: TempDir,
}

impl Stalled {
    fn new() -> Self {
        let directory = TempDir::new();
        let path = directory.join("agent");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let filler = UnixDatagram::unbound().unwrap();
        filler.set_nonblocking(true).unwrap();
        while filler.send_to(b"filler:1|c\n", &path).is_ok() {}
        // Nobody waits for what is left at the end.
        let builder = support::builder().agent(unix_address(&path)).shutdown_timeout(SHORT);
        let guard = builder.max_packet_size(64).channel_capacity(100).build().unwrap();
        Self { socket, guard, _directory: directory }
    }

    /// Reads what is there.
    fn read(&self) -> Vec<String> {
        let mut packets = Vec::new();
        let mut buffer = [0; 64];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            packets.push(buffer[..len].to_vec());
        }
        lines_of(&packets)
    }
}

#[test]
fn nothing_waits_for_an_agent_that_does_not_read() {
    let stalled = Stalled::new();
    let client = stalled.guard.client();
    let handles = Handles::new(client);
    handles.counter.increment(1);
    flush_unasked(client);
    assert_eq!(client.stats().sent.packets, 0, "the queue is full");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // The worker is in one flush or the next, and so waits for the socket nearly all the time.
        let flushing = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = client.flush(SHORT);
            }
        });
        assert_operates(client, &handles);
        done.store(true, Ordering::Relaxed);
        flushing.join().unwrap();
    });
    // One of the flushes that nobody waited for may be under way.
    let stats = assert_conserved_when_idle(client);
    assert_eq!(stats.sent.packets, 0);
}

#[test]
fn an_agent_that_does_not_read_costs_a_flush_one_wait_and_not_one_a_packet() {
    let stalled = Stalled::new();
    let client = stalled.guard.client();
    let counters: Vec<Counter> = (0..1500)
        .map(|number| client.counter(&format!("a.name.of.some.length.{number}")).register())
        .collect();
    for flush in 1..=5 {
        for counter in &counters {
            counter.increment(1);
        }
        // 1500 packets. A wait for each would be minutes.
        flush_unasked(client);
        let stats = client.stats();
        assert_conserved(&stats);
        assert_eq!(stats.dropped(DropReason::Transport).packets, flush * 1500);
        assert_eq!(stats.dropped_total(), stats.accepted);
    }
}

#[test]
fn an_agent_that_reads_again_gets_the_next_flush() {
    let stalled = Stalled::new();
    let client = stalled.guard.client();
    for round in 1..=3 {
        client.counter("jobs").increment(1);
        flush_unasked(client);
        assert_eq!(client.stats().dropped(DropReason::Transport).packets, round);
        // Room for one more.
        assert!(!stalled.read().is_empty());
        client.counter("jobs").increment(10);
        client.flush(PATIENCE).unwrap();
        assert_eq!(stalled.read(), ["jobs:10|c|#task_id:0042"]);
        let filler = UnixDatagram::unbound().unwrap();
        filler.set_nonblocking(true).unwrap();
        filler.connect_addr(&stalled.socket.local_addr().unwrap()).unwrap();
        while filler.send(b"filler:1|c\n").is_ok() {}
    }
}

#[test]
fn an_agent_that_is_only_slow_gets_more_than_its_queue_holds() {
    let stalled = &Stalled::new();
    let client = stalled.guard.client();
    let flush = || {
        // Several times what the queue holds, and few enough to be read in time where each takes five.
        for number in 0..40 {
            client.counter(&format!("a.name.of.some.length.{number}")).increment(1);
        }
        let before = client.stats();
        flush_unasked(client);
        let after = client.stats();
        (after.sent.packets - before.sent.packets, after.dropped_total() == before.dropped_total())
    };
    assert_eq!(flush(), (0, false));
    let (stop, stopped) = bounded::<()>(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            // Far slower than a worker that does not wait for it.
            while stopped.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
                let _ = stalled.socket.recv(&mut [0; 64]);
            }
        });
        // The stall of the flush before is forgotten: the worker waits for room again. A machine that is too busy to
        // read in time gets another try.
        wait_until(|| flush() == (40, true));
        drop(stop);
    });
}

#[test]
fn a_shutdown_waits_for_an_agent_that_does_not_read_until_its_timeout_and_no_longer() {
    let stalled = Stalled::new();
    let client = stalled.guard.client().clone();
    for number in 0..1500 {
        client.counter(&format!("a.name.of.some.length.{number}")).increment(1);
    }
    let timeout = Duration::from_millis(500);
    assert_eq!(stalled.guard.shutdown(timeout), Err(FlushError::TimedOut(timeout)));
    wait_until(|| client.stats().dropped_total().values == 1500);
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!((stats.sent.values, stats.dropped(DropReason::Transport).values), (0, 1500));
}
