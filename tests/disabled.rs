//! A client that is switched off does nothing, and costs hardly more than that.

#[path = "support/allocations.rs"]
mod allocations;

use allocations::allocations;
use std::error::Error;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use tasktag::testing::Capture;
use tasktag::{
    Agent, BoundedFamily, Client, ConfigError, Counter, Distribution, Event, Family, FrequentFamily, Gauge,
    Occupancy, Outcome, PoolStatus, ServiceCheck, Set, Stats, Status,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Handles of a service, as a test of it makes them.
#[derive(Clone, Debug, Default)]
struct Handles {
    level: Gauge,
    done: Counter,
    took: Distribution,
    users: Set,
    busy: Occupancy,
    by_outcome: Family<Counter, Outcome>,
    by_route: BoundedFamily<Distribution>,
    by_host: FrequentFamily<Gauge>,
}

impl Handles {
    fn of(client: &Client) -> Self {
        Self {
            level: client.gauge("level").peak().register(),
            done: client.counter("done").register(),
            took: client.timing("took").register(),
            users: client.set("users").register(),
            busy: client.occupancy("busy", 10).register(),
            by_outcome: client.counter("by_outcome").register_family(),
            by_route: client.timing("by_route").bounded("route", 5).allow(&["/pay"]).register(),
            by_host: client.gauge("by_host").bounded("host", 5).most_frequent(PATIENCE).register(),
        }
    }

    fn use_all(&self) {
        self.level.set(1.0);
        self.level.set(f64::NAN);
        self.level.add(2.0);
        self.level.unset();
        self.level.set_at(1.0, SystemTime::now());
        self.done.increment(1);
        self.done.increment_at(3, SystemTime::now());
        self.took.record(12.5);
        self.took.record_many(f64::INFINITY, 7);
        self.took.record_duration(Duration::from_millis(3));
        drop(self.took.start());
        drop(self.took.start_owned());
        self.users.insert("a");
        drop(self.busy.acquire());
        drop(self.busy.acquire_owned());
        self.busy.set_capacity(3);
        self.by_outcome.at(Outcome::Error).increment(1);
        self.by_route.at("/pay").record(1.0);
        self.by_route.at("/cart").record(1.0);
        self.by_host.at("a").set(1.0);
    }
}

fn call_by_name(client: &Client) {
    client.gauge("level").tag("a", "b").set(1.0);
    client.gauge("level").add(1.0);
    client.counter("done").tag("a", "b").increment(1);
    client.timing("took").tags(&[("a", "b"), ("c", "d")]).record(f64::NAN);
    client.distribution("took").record_many(1.0, 3);
    client.set("users").insert("somebody");
}

fn uses(client: &Client) {
    call_by_name(client);
    Handles::of(client).use_all();
    client.event("title", "text");
    client.send_event(Event::new("title", "text"));
    client.service_check("check", Status::Ok);
    client.send_service_check(ServiceCheck::new("check", Status::Critical));
}

#[test]
fn everything_works_and_nothing_is_counted() -> Result<(), Box<dyn Error>> {
    let client = Client::disabled();
    uses(&client);
    assert!(client.is_disabled() && client.clone().is_disabled());
    client.flush(Duration::ZERO)?;
    assert_eq!(client.stats(), Stats::default());
    assert_eq!((client.stats_of(0), client.stats_of(1)), (Some(Stats::default()), None));
    assert_eq!(client.cardinality().series(), 0);
    assert_eq!((client.task_id().as_str(), client.task_id().number()), ("0000", 0));
    assert!(client.gauge("done").try_register().is_ok() && client.gauge("").try_register().is_ok());
    Ok(())
}

#[test]
fn a_timer_tells_the_time_all_the_same() {
    let started = std::time::Instant::now();
    let timer = Distribution::default().start_owned();
    while started.elapsed() < Duration::from_micros(50) {}
    assert!(timer.stop() >= Duration::from_micros(1));
}

#[test]
fn what_is_to_be_watched_is_never_asked_and_let_go() {
    let (asked, client) = (Arc::new(AtomicU32::new(0)), Client::disabled());
    let held = Arc::clone(&asked);
    let _watch = client.watch_pool("primary", move || {
        held.fetch_add(1, Ordering::Relaxed);
        PoolStatus::default()
    });
    let _again = client.watch_pool("primary", PoolStatus::default);
    assert_eq!((Arc::strong_count(&asked), asked.load(Ordering::Relaxed)), (1, 0));
    assert_eq!(client.stats().refused_watches, 0);
}

#[test]
fn using_handles_or_names_allocates_nothing() {
    let client = Client::disabled();
    let handles = [Handles::default(), Handles::of(&client)];
    for handles in &handles {
        // A family finds its places.
        handles.use_all();
        let events = allocations(|| handles.use_all());
        assert_eq!(events, 0);
    }
    assert_eq!(allocations(|| call_by_name(&client)), 0);
    assert_eq!(allocations(|| client.event("title", "text")), 0);
    assert_eq!(allocations(|| client.service_check("check", Status::Ok)), 0);
    let mut counters = Vec::with_capacity(1000);
    assert_eq!(allocations(|| counters.extend((0..1000).map(|_| client.counter("done").register()))), 0);
}

#[test]
fn an_agent_beside_the_main_one_may_be_nowhere() -> Result<(), Box<dyn Error>> {
    let agent = UdpSocket::bind("127.0.0.1:0")?;
    let main = format!("udp://{}", agent.local_addr()?);
    let id = tasktag::TaskIdPool::DEFAULT.id(7).ok_or("in the pool")?;
    let builder = Client::builder().agent(main).task_id(id).also(Agent::at("null:")).telemetry(false);
    let guard = builder.build()?;
    guard.client().counter("done").increment(2);
    guard.client().flush(PATIENCE)?;
    let other = guard.client().stats_of(1).ok_or("there are two")?;
    assert_eq!((other.sent.values, other.dropped_total().values), (1, 0));
    Ok(())
}

#[test]
fn the_settings_are_checked_all_the_same() {
    let refused = Client::builder().disabled(true).channel_capacity(0).build();
    assert!(matches!(refused, Err(ConfigError::Setting { setting: "channel_capacity", .. })));
}

#[test]
fn a_writer_or_a_capture_takes_precedence_over_nowhere() {
    let capture = Capture::new();
    let captured = Client::builder().agent("null:").capture(&capture).build().unwrap();
    let written = Client::builder().agent("null:").writer(std::io::sink()).build().unwrap();
    assert!(!captured.client().is_disabled() && !written.client().is_disabled());
}
