//! Using a handle, a macro or a known name allocates nothing on the caller's thread.

#[path = "support/allocations.rs"]
mod allocations;

use allocations::allocations;
use std::error::Error;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{
    Client, ClientBuilder, Counter, Distribution, DropReason, Gauge, Guard, HttpMethod, Occupancy, Outcome,
    Protocol, Set, StatusClass, Target,
};

const LONG_MEMBER: &str = "a member that is longer than what a record holds in place, and so is hashed";
const PATIENCE: Duration = Duration::from_secs(60);
const TAGS: [(&str, &str); 8] = [
    ("a", "1"),
    ("b", "2"),
    ("c", "3"),
    ("d", "4"),
    ("e", "5"),
    ("f", "6"),
    ("g", "7"),
    ("h", "a longer value than the others have"),
];

/// Asserts of each named action that neither its first nor its later turns allocate.
fn assert_free(actions: &[(&str, &dyn Fn())]) {
    for (name, act) in actions {
        for turn in 0..3 {
            assert_eq!(allocations(act), 0, "{name}, turn {turn}");
        }
    }
}

/// A client whose worker does nothing until it is told to.
fn quiet() -> ClientBuilder {
    Client::builder().capture(&Capture::new()).clock(&ManualClock::new())
}

fn assert_gauge_is_free(gauge: &Gauge) {
    assert_free(&[
        ("set", &|| gauge.set(0.5)),
        ("set to NaN", &|| gauge.set(f64::NAN)),
        ("add", &|| gauge.add(2.0)),
        ("add infinity", &|| gauge.add(f64::INFINITY)),
        ("sub", &|| gauge.sub(1.0)),
        ("unset", &|| gauge.unset()),
        ("set again", &|| gauge.set(-3.0)),
        ("clone and drop", &|| drop(gauge.clone())),
    ]);
}

fn assert_counter_is_free(counter: &Counter) {
    assert_free(&[
        ("increment", &|| counter.increment(1)),
        ("increment by nothing", &|| counter.increment(0)),
        ("clone and drop", &|| drop(counter.clone())),
    ]);
}

fn assert_distribution_is_free(distribution: &Distribution) {
    assert_free(&[
        ("record", &|| distribution.record(12.5)),
        ("record a negative value", &|| distribution.record(-1e300)),
        ("record NaN", &|| distribution.record(f64::NAN)),
        ("record infinity", &|| distribution.record(f64::INFINITY)),
        ("record many", &|| distribution.record_many(3.0, 1_000_000)),
        ("record more than a bucket counts", &|| distribution.record_many(3.0, 1 << 45)),
        ("record NaN many times", &|| distribution.record_many(f64::NAN, 7)),
        ("record none", &|| distribution.record_many(3.0, 0)),
        ("record a duration", &|| distribution.record_duration(Duration::from_micros(250))),
        ("time", &|| drop(distribution.start())),
        ("discard a timer", &|| distribution.start().discard()),
        ("clone and drop", &|| drop(distribution.clone())),
    ]);
}

fn assert_set_is_free(set: &Set) {
    assert_free(&[
        ("insert", &|| set.insert("user-7")),
        ("insert a long member", &|| set.insert(LONG_MEMBER)),
        ("insert the empty member", &|| set.insert("")),
        ("clone and drop", &|| drop(set.clone())),
    ]);
}

fn assert_occupancy_is_free(occupancy: &Occupancy) {
    assert_free(&[
        ("acquire and release", &|| drop(occupancy.acquire())),
        ("acquire and release what can be moved", &|| drop(occupancy.acquire_owned())),
        ("acquire several", &|| drop([occupancy.acquire(), occupancy.acquire(), occupancy.acquire()])),
        ("acquire more than have an age", &|| drop([(); 200].map(|()| occupancy.acquire()))),
        ("set the capacity", &|| occupancy.set_capacity(4)),
        ("clone and drop", &|| drop(occupancy.clone())),
    ]);
}

struct Handles {
    gauge: Gauge,
    peak: Gauge,
    counter: Counter,
    distribution: Distribution,
    histogram: Distribution,
    timing: Distribution,
    set: Set,
    occupancy: Occupancy,
    with_oldest: Occupancy,
}

impl Handles {
    fn register(client: &Client) -> Self {
        Self {
            gauge: client.gauge("level").tag("a", "1").register(),
            peak: client.gauge("peaked").peak().register(),
            counter: client.counter("count").register(),
            distribution: client.distribution("distribution").register(),
            histogram: client.histogram("histogram").register(),
            timing: client.timing("timing").register(),
            set: client.set("members").register(),
            occupancy: client.occupancy("workers", 2).register(),
            with_oldest: client.occupancy("jobs", 2).oldest().register(),
        }
    }

    fn assert_free(&self) {
        [&self.gauge, &self.peak].into_iter().for_each(assert_gauge_is_free);
        assert_counter_is_free(&self.counter);
        [&self.distribution, &self.histogram, &self.timing].into_iter().for_each(assert_distribution_is_free);
        assert_set_is_free(&self.set);
        [&self.occupancy, &self.with_oldest].into_iter().for_each(assert_occupancy_is_free);
    }
}

#[test]
fn handles_do_not_allocate() -> Result<(), Box<dyn Error>> {
    let guard = quiet().build()?;
    Handles::register(guard.client()).assert_free();
    Ok(())
}

#[test]
fn families_of_closed_tags_do_not_allocate_not_even_at_first() -> Result<(), Box<dyn Error>> {
    let guard = quiet().build()?;
    let client = guard.client();
    let gauges = client.gauge("level").register_family::<Outcome>();
    let counters = client.counter("count").register_family::<(Outcome, StatusClass)>();
    let distributions = client.distribution("spread").register_family::<(Outcome, StatusClass, HttpMethod)>();
    let sets = client.set("members").register_family::<Outcome>();
    let occupancies = client.occupancy("workers", 2).register_family::<Outcome>();
    for &outcome in Outcome::ALL {
        assert_gauge_is_free(gauges.at(outcome));
        assert_counter_is_free(counters.at((outcome, StatusClass::Success)));
        assert_distribution_is_free(distributions.at((
            outcome,
            StatusClass::from(404),
            HttpMethod::from("PUT"),
        )));
        assert_set_is_free(sets.at(outcome));
        assert_occupancy_is_free(occupancies.at(outcome));
        assert_free(&[
            ("find a member", &|| counters.at((outcome, StatusClass::from(503))).increment(1)),
            ("clone and drop", &|| drop(counters.clone())),
        ]);
    }
    Ok(())
}

#[test]
fn objectives_do_not_allocate_not_even_at_first() -> Result<(), Box<dyn Error>> {
    let guard = quiet().build()?;
    let target = Target::within(Duration::from_millis(250));
    let objective = guard.client().objective("checkout", target, 0.999).register()?;
    let told = guard.client().time_objective("mail", 0.999).register()?;
    assert_free(&[
        ("record", &|| objective.record(Duration::from_millis(180))),
        ("record what took too long", &|| objective.record(Duration::MAX)),
        ("record an outcome", &|| objective.record_outcome(false)),
        ("time", &|| objective.start().end(Outcome::Ok)),
        ("drop a timer", &|| drop(objective.start())),
        ("see", &|| told.see(false)),
        ("read the slices", &|| assert_eq!(told.slices().share(), None)),
        ("clone and drop", &|| drop((objective.clone(), told.clone()))),
    ]);
    Ok(())
}

#[test]
fn handles_do_not_allocate_on_a_thread_that_uses_them_first() -> Result<(), Box<dyn Error>> {
    let guard = quiet().build()?;
    let handles = Handles::register(guard.client());
    std::thread::scope(|scope| scope.spawn(|| handles.assert_free()).join()).unwrap();
    Ok(())
}

#[test]
fn handles_do_not_allocate_while_a_worker_collects_and_flushes() -> Result<(), Box<dyn Error>> {
    let often = Duration::from_millis(1);
    let guard =
        Client::builder().capture(&Capture::new()).collect_interval(often).flush_interval(often).build()?;
    let handles = Handles::register(guard.client());
    while guard.client().stats().flushes < 20 {
        handles.assert_free();
    }
    Ok(())
}

#[test]
fn detached_handles_do_not_allocate() -> Result<(), Box<dyn Error>> {
    let guard = quiet().context_limit(1).build()?;
    // As many overflow contexts, and no more.
    let kept =
        [guard.client().counter("the one context").register(), guard.client().counter("over").register()];
    let handles = Handles::register(guard.client());
    assert_eq!(guard.client().stats().refused_registrations, 9);
    handles.assert_free();
    drop(kept);
    Ok(())
}

#[test]
fn handles_do_not_allocate_when_the_channel_is_full_nor_after_the_end() -> Result<(), Box<dyn Error>> {
    let guard = quiet().channel_capacity(1).build()?;
    let client = guard.client().clone();
    let handles = Handles::register(&client);
    handles.assert_free();
    assert!(client.stats().dropped(DropReason::ChannelFull).values > 0);
    guard.shutdown(PATIENCE)?;
    handles.assert_free();
    assert!(client.stats().dropped(DropReason::AfterShutdown).values > 0);
    Ok(())
}

/// Values in more buckets than a distribution's tables hold.
fn far_apart() -> impl Iterator<Item = f64> {
    (1..=10_000_i32).map(|step| 10_f64.powf(f64::from(step) / 35.0 - 150.0))
}

#[test]
fn a_distribution_does_not_allocate_when_its_tables_grow_and_overflow() -> Result<(), Box<dyn Error>> {
    // A channel with room for all that overflows, and one that is full at once.
    for capacity in [8192, 1] {
        // An agent to which each value is a line of its own.
        let guard = quiet().channel_capacity(capacity).protocol(Protocol::V1_0).build()?;
        let distribution = guard.client().distribution("spread").register();
        assert_eq!(allocations(|| far_apart().for_each(|value| distribution.record(value))), 0);
        guard.client().flush(PATIENCE)?;
        let stats = guard.client().stats();
        assert_eq!(stats.accepted.values, 10_000);
        // The tables have 6,432 places: that many lines at most come from them, the rest crossed the channel.
        let crossed_or_dropped = stats.sent.lines.saturating_sub(6_432) + stats.dropped_total().values;
        assert!(crossed_or_dropped > 1_000, "{stats:?}");
        assert_eq!(stats.dropped(DropReason::ChannelFull).values > 0, capacity == 1);
    }
    Ok(())
}

/// Calls every verb that there is by name, under a name of its own.
fn call_by_name(client: &Client, tags: &[(&str, &str)], verb: &str) {
    macro_rules! tagged {
        ($builder:expr) => {
            tags.iter().fold($builder, |builder, (key, value)| builder.tag(key, value))
        };
    }
    match verb {
        "gauge set" => tagged!(client.gauge(verb)).set(1.0),
        "gauge set to NaN" => tagged!(client.gauge(verb)).set(f64::NAN),
        "gauge add" => tagged!(client.gauge(verb)).add(1.0),
        "gauge sub" => tagged!(client.gauge(verb)).sub(1.0),
        "gauge with peak" => tagged!(client.gauge(verb)).peak().set(1.0),
        "counter increment" => tagged!(client.counter(verb)).increment(1),
        "distribution record" => tagged!(client.distribution(verb)).record(1.0),
        "histogram record" => tagged!(client.histogram(verb)).record(-1.0),
        "timing record" => tagged!(client.timing(verb)).record(f64::NAN),
        "timing record duration" => tagged!(client.timing(verb)).record_duration(Duration::from_millis(3)),
        "set insert" => tagged!(client.set(verb)).insert("user-7"),
        "set insert long" => tagged!(client.set(verb)).insert(LONG_MEMBER),
        unknown => panic!("no verb {unknown}"),
    }
}

const VERBS: [&str; 12] = [
    "gauge set",
    "gauge set to NaN",
    "gauge add",
    "gauge sub",
    "gauge with peak",
    "counter increment",
    "distribution record",
    "histogram record",
    "timing record",
    "timing record duration",
    "set insert",
    "set insert long",
];

#[test]
fn a_known_name_with_up_to_eight_tags_does_not_allocate() -> Result<(), Box<dyn Error>> {
    let guard = quiet().build()?;
    let client = guard.client();
    // The thread's table is there.
    (0..2).for_each(|_| client.counter("first").increment(1));
    for verb in VERBS {
        for len in 0..=TAGS.len() {
            let tags = &TAGS[..len];
            // The first call also shows that the counter counts.
            assert!(allocations(|| call_by_name(client, tags, verb)) > 0, "{verb} with {len} new tags");
            assert_free(&[(verb, &|| call_by_name(client, tags, verb))]);
        }
        let mut turned = TAGS;
        turned.reverse();
        assert_free(&[(verb, &|| call_by_name(client, &turned, verb))]);
    }
    Ok(())
}

#[test]
fn a_known_name_with_a_condition_or_a_closed_tag_does_not_allocate() -> Result<(), Box<dyn Error>> {
    let guard = quiet().build()?;
    let client = guard.client();
    // The thread's table is there.
    (0..2).for_each(|_| client.counter("first").increment(1));
    let call = || {
        let jobs = client.counter("jobs").tag("retried", true);
        jobs.tag("outcome", Outcome::Ok).increment(1);
    };
    assert!(allocations(call) > 0, "the first call makes a context");
    assert_free(&[("increment", &call)]);
    Ok(())
}

#[test]
fn a_known_name_with_a_slice_of_tags_does_not_allocate() -> Result<(), Box<dyn Error>> {
    let guard = quiet().build()?;
    let client = guard.client();
    let keys: Vec<String> = (0..20).map(|key| format!("key{key}")).collect();
    let tags: Vec<_> = keys.iter().map(|key| (key.as_str(), "value")).collect();
    let calls: [(&str, &dyn Fn()); 2] = [
        ("gauge", &|| client.gauge("level").tags(&tags).set(1.0)),
        ("counter", &|| client.counter("count").tag("a", "1").tags(&tags).increment(1)),
    ];
    for (name, call) in calls {
        assert!(allocations(call) > 0, "{name} with new tags");
    }
    assert_free(&calls);
    Ok(())
}

#[test]
fn a_known_name_does_not_allocate_on_a_thread_that_has_not_called_it() -> Result<(), Box<dyn Error>> {
    let guard = quiet().build()?;
    let client = guard.client();
    for verb in VERBS {
        call_by_name(client, &TAGS, verb);
    }
    std::thread::scope(|scope| {
        let calls = || VERBS.into_iter().for_each(|verb| call_by_name(client, &TAGS, verb));
        scope
            .spawn(move || {
                // The first call by name makes the table in which the thread remembers the next ones.
                client.counter("first").increment(1);
                client.counter("first").increment(1);
                assert_free(&[("every verb", &calls)]);
            })
            .join()
    })
    .unwrap();
    Ok(())
}

#[test]
fn many_known_names_in_turn_do_not_allocate() -> Result<(), Box<dyn Error>> {
    let guard = quiet().build()?;
    let client = guard.client();
    let queues: Vec<String> = (0..1_000).map(|queue| queue.to_string()).collect();
    let calls = || queues.iter().for_each(|queue| client.counter("jobs").tag("queue", queue).increment(1));
    calls();
    // The thread's table is made.
    calls();
    assert_free(&[("a thousand queues", &calls)]);
    Ok(())
}

fn gauge_site() {
    tasktag::gauge!("macro.level", "a" => "1").set(1.0);
}

fn counter_site() {
    tasktag::counter!("macro.count").increment(1);
}

fn distribution_site() {
    tasktag::distribution!("macro.spread", "a" => "1", "b" => "2").record(1.0);
}

fn timer_site() {
    drop(tasktag::distribution!("macro.time").start());
}

/// The only test here that installs a client, which a process does once.
#[test]
fn macros_do_not_allocate_before_a_client_is_installed_nor_after_their_first_use()
-> Result<(), Box<dyn Error>> {
    let sites: [(&str, &dyn Fn()); 4] = [
        ("gauge", &gauge_site),
        ("counter", &counter_site),
        ("distribution", &distribution_site),
        ("timer", &timer_site),
    ];
    assert_free(&sites);
    let guard: Guard = quiet().install()?;
    for (name, site) in sites {
        assert!(allocations(site) > 0, "{name} registers now");
    }
    assert_free(&sites);
    assert_eq!(guard.client().stats().contexts, 4);
    Ok(())
}
