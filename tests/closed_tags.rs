//! Closed tags: values known at compile time, families without a lookup.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{
    Client, ClientBuilder, ClosedTag, Counter, Distribution, DropReason, Family, Gauge, Guard, HttpMethod,
    Kind, Occupancy, Outcome, RegisterError, Set, StatusClass,
};

const PATIENCE: Duration = Duration::from_secs(60);

tasktag::tags! {
    /// Where a job waits.
    enum Queue: "queue" {
        Mail,
        WithinOneMinute = "within_1_minute",
        Reports,
    }

    enum Region: "region" {
        EuWest,
        UsEast,
    }
}

tasktag::tags! {
    struct Cached(bool);
}

fn client(capture: &Capture) -> ClientBuilder {
    Client::builder().capture(capture).clock(&ManualClock::new()).telemetry(false)
}

fn flushed(guard: &Guard, capture: &Capture) -> Result<Vec<ParsedMetric>, Box<dyn Error>> {
    guard.client().flush(PATIENCE)?;
    Ok(capture.take_metrics()?)
}

/// What a metric reports under its tags, the task id left out.
fn numbers(metrics: &[ParsedMetric], name: &str) -> BTreeMap<String, f64> {
    let of_name = metrics.iter().filter(|metric| metric.name == name);
    let tags = |metric: &ParsedMetric| {
        let own = metric.tags.iter().filter(|(key, _)| key != "task_id");
        own.map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(",")
    };
    of_name.filter_map(|metric| Some((tags(metric), metric.value.number()?))).collect()
}

fn expected(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
    pairs.iter().map(|(tags, n)| ((*tags).to_owned(), *n)).collect()
}

tasktag::tags! {
    enum Room: "room" { A, B, C, D, E, F, G, H, I, J }
}

#[test]
fn each_member_of_a_family_of_hundreds_is_its_own() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).build()?;
    let family = guard.client().counter("requests").register_family::<(HttpMethod, StatusClass, Room)>();
    let all = || {
        let pairs =
            HttpMethod::ALL.iter().flat_map(|method| StatusClass::ALL.iter().map(move |c| (*method, *c)));
        pairs.flat_map(|(method, class)| Room::ALL.iter().map(move |room| (method, class, *room)))
    };
    for (n, tags) in (1..).zip(all()) {
        family.at(tags).increment(n);
    }
    guard.client().flush(Duration::from_secs(60))?;
    let metrics = capture.take_metrics()?;
    assert_eq!(metrics.len(), HttpMethod::ALL.len() * StatusClass::ALL.len() * Room::ALL.len());
    for (n, (method, class, room)) in (1_u32..).zip(all()) {
        let is = |metric: &&ParsedMetric| {
            [("method", method.value()), ("status_class", class.value()), ("room", room.value())]
                .iter()
                .all(|(key, value)| metric.tag(key) == Some(value))
        };
        let found: Vec<_> = metrics.iter().filter(is).map(|metric| metric.value.number()).collect();
        assert_eq!(found, [Some(f64::from(n))]);
    }
    Ok(())
}

#[test]
fn each_combination_of_one_two_and_three_tags_is_a_context_of_its_own() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let client = guard.client();
    let one = client.counter("one").register_family::<Queue>();
    let single = client.counter("single").register_family::<(Queue,)>();
    let two = client.counter("two").register_family::<(Queue, Outcome)>();
    let three = client.counter("three").register_family::<(Queue, Outcome, Region)>();
    let mut n = 0;
    let mut all = BTreeMap::new();
    for &queue in Queue::ALL {
        one.at(queue).increment(1);
        single.at((queue,)).increment(2);
        for &outcome in Outcome::ALL {
            two.at((queue, outcome)).increment(3);
            for &region in Region::ALL {
                n += 1;
                three.at((queue, outcome, region)).increment(n);
                let (outcome, queue, region) = (outcome.value(), queue.value(), region.value());
                all.insert(format!("outcome:{outcome},queue:{queue},region:{region}"), n as f64);
            }
        }
    }
    assert_eq!(guard.client().stats().contexts, 3 + 3 + 9 + 18);
    let metrics = flushed(&guard, &capture)?;
    let queues = ["queue:mail", "queue:within_1_minute", "queue:reports"];
    assert_eq!(numbers(&metrics, "one"), expected(&queues.map(|queue| (queue, 1.0))));
    assert_eq!(numbers(&metrics, "single"), expected(&queues.map(|queue| (queue, 2.0))));
    assert_eq!(numbers(&metrics, "two").len(), 9);
    assert!(numbers(&metrics, "two").values().all(|n| *n == 3.0));
    assert_eq!(numbers(&metrics, "three"), all);
    Ok(())
}

#[test]
fn every_kind_of_handle_has_families() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let client = guard.client();
    let gauge: Family<Gauge, Queue> = client.gauge("gauge").peak().register_family();
    let counter: Family<Counter, Cached> = client.counter("counter").register_family();
    let distribution: Family<Distribution, StatusClass> =
        client.distribution("distribution").register_family();
    let timing: Family<Distribution, HttpMethod> = client.timing("timing").register_family();
    let set: Family<Set, Outcome> = client.set("set").register_family();
    let occupancy: Family<Occupancy, Region> = client.occupancy("busy", 4).register_family();
    gauge.at(Queue::Mail).set(7.0);
    gauge.at(Queue::Mail).set(5.0);
    counter.at(Cached(true)).increment(3);
    distribution.at(StatusClass::from(404)).record(2.5);
    timing.at(HttpMethod::from("GET")).record_duration(Duration::from_millis(8));
    set.at(Outcome::Error).insert("user-7");
    let _unit = occupancy.at(Region::UsEast).acquire();

    let metrics = flushed(&guard, &capture)?;
    assert_eq!(numbers(&metrics, "gauge"), expected(&[("queue:mail", 5.0)]));
    assert_eq!(numbers(&metrics, "gauge.max"), expected(&[("queue:mail", 7.0)]));
    assert_eq!(numbers(&metrics, "counter"), expected(&[("cached:true", 3.0)]));
    assert_eq!(numbers(&metrics, "distribution"), expected(&[("status_class:4xx", 2.5)]));
    assert_eq!(numbers(&metrics, "timing"), expected(&[("method:get", 8.0)]));
    let codes =
        |name: &str| metrics.iter().filter(|m| m.name == name).map(|m| m.code.clone()).collect::<Vec<_>>();
    assert_eq!((codes("timing"), codes("set")), (vec!["ms".to_owned()], vec!["s".to_owned()]));
    let busy = expected(&[("region:eu_west", 0.0), ("region:us_east", 1.0)]);
    assert_eq!(numbers(&metrics, "busy.in_use"), busy);
    Ok(())
}

#[test]
fn members_that_were_never_used_send_nothing() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let client = guard.client();
    let _gauges = client.gauge("level").peak().register_family::<(Queue, Outcome)>();
    let _counters = client.counter("count").register_family::<(Queue, Outcome)>();
    let _timings = client.timing("took").register_family::<(Queue, Outcome)>();
    let _sets = client.set("seen").register_family::<(Queue, Outcome)>();
    assert_eq!(flushed(&guard, &capture)?, []);
    assert_eq!(guard.client().stats().contexts, 4 * 9);
    Ok(())
}

#[test]
fn a_family_keeps_the_tags_that_its_builder_had() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let eight: Vec<String> = (0..8).map(|key| format!("k{key}")).collect();
    let builder = eight.iter().fold(guard.client().counter("jobs"), |builder, key| builder.tag(key, "1"));
    let more = [("pool", "primary"), ("zone", "a")];
    builder.tags(&more).register_family::<Queue>().at(Queue::Mail).increment(1);
    let metrics = flushed(&guard, &capture)?;
    let keys: Vec<_> = metrics[0].tags.iter().map(|(key, _)| key.as_str()).collect();
    let all = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "pool", "queue", "task_id", "zone"];
    assert_eq!(keys.iter().copied().collect::<std::collections::BTreeSet<_>>(), all.into());
    assert_eq!(guard.client().stats().refused_tags, 0);
    Ok(())
}

#[test]
fn a_member_is_the_same_context_as_a_handle_and_a_call_by_name() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let client = guard.client();
    let family = client.counter("jobs").register_family::<(Queue, Outcome)>();
    family.at((Queue::WithinOneMinute, Outcome::Error)).increment(1);
    family.clone().at((Queue::WithinOneMinute, Outcome::Error)).increment(10);
    let tags = [("outcome", "error"), ("queue", "within_1_minute")];
    client.counter("jobs").tags(&tags).register().increment(100);
    client.counter("jobs").tags(&tags).increment(1000);
    let sum = expected(&[("outcome:error,queue:within_1_minute", 1111.0)]);
    assert_eq!(numbers(&flushed(&guard, &capture)?, "jobs"), sum);
    assert_eq!(client.stats().contexts, 9);
    Ok(())
}

#[test]
fn what_was_counted_before_a_family_was_dropped_is_sent_and_then_it_is_forgotten()
-> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let family = guard.client().counter("jobs").register_family::<Queue>();
    family.at(Queue::Reports).increment(5);
    drop(family);
    assert_eq!(numbers(&flushed(&guard, &capture)?, "jobs"), expected(&[("queue:reports", 5.0)]));
    assert_eq!(guard.client().stats().contexts, 0);
    Ok(())
}

#[test]
fn a_family_is_refused_as_a_whole_or_member_by_member() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).context_limit(4).build()?;
    let client = guard.client();
    let refused = client.counter("jobs").try_register_family::<(Queue, Outcome)>().err();
    assert_eq!(refused, Some(RegisterError::ContextLimit { name: "jobs".to_owned(), limit: 4 }));
    assert_eq!(client.stats().refused_registrations, 1);
    flushed(&guard, &capture)?;
    assert_eq!(client.stats().contexts, 0, "none is kept");

    let family = client.counter("jobs").register_family::<(Queue, Outcome)>();
    let stats = client.stats();
    assert_eq!((stats.refused_registrations, stats.folded_registrations), (1, 5));
    for &queue in Queue::ALL {
        for &outcome in Outcome::ALL {
            family.at((queue, outcome)).increment(1);
        }
    }
    let jobs = numbers(&flushed(&guard, &capture)?, "jobs");
    assert_eq!(jobs.len(), 4 + 1);

    assert_eq!(client.stats().dropped(DropReason::ContextLimit).values, 0);
    Ok(())
}

#[test]
fn a_family_of_another_kind_is_refused() -> Result<(), Box<dyn Error>> {
    let guard = client(&Capture::new()).build()?;
    let _kept = guard.client().counter("jobs").register_family::<Queue>();
    let mismatch = guard.client().gauge("jobs").try_register_family::<Queue>().err();
    let (registered, wanted) = (Kind::Counter, Kind::Gauge);
    assert_eq!(mismatch, Some(RegisterError::KindMismatch { name: "jobs".to_owned(), registered, wanted }));
    Ok(())
}

#[test]
fn threads_that_share_a_family_lose_nothing() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let family = guard.client().counter("jobs").register_family::<(Queue, Outcome)>();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let family = family.clone();
            scope.spawn(move || {
                for turn in 0..30_000 {
                    let queue = Queue::ALL[(turn + thread) % Queue::ALL.len()];
                    family.at((queue, Outcome::Ok)).increment(1);
                }
            });
        }
    });
    let sums = numbers(&flushed(&guard, &capture)?, "jobs");
    let each =
        ["mail", "within_1_minute", "reports"].map(|queue| (format!("outcome:ok,queue:{queue}"), 40_000.0));
    assert_eq!(sums, BTreeMap::from(each));
    Ok(())
}

/// An implementation by hand, with a bug: places past its values.
#[derive(Clone, Copy)]
struct Shard(usize);

impl ClosedTag for Shard {
    const KEY: &'static str = "shard";
    const VALUES: &'static [&'static str] = &["a", "b"];

    fn index(self) -> usize {
        self.0
    }
}

#[test]
fn a_tag_implemented_wrongly_counts_under_its_last_value_and_nobody_elses() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let family = guard.client().counter("queries").register_family::<(Shard, Outcome)>();
    for shard in [0, 1, 2, 3, 1_000, usize::MAX] {
        family.at((Shard(shard), Outcome::Ok)).increment(1);
    }
    let sums = expected(&[("outcome:ok,shard:a", 1.0), ("outcome:ok,shard:b", 5.0)]);
    assert_eq!(numbers(&flushed(&guard, &capture)?, "queries"), sums);
    Ok(())
}

#[test]
fn the_tags_that_come_along_know_their_values() {
    let classes =
        [100, 204, 302, 499, 500, 599, 99, 600, 0, u16::MAX].map(|status| StatusClass::from(status).value());
    assert_eq!(classes, ["1xx", "2xx", "3xx", "4xx", "5xx", "5xx", "other", "other", "other", "other"]);
    for &method in HttpMethod::ALL {
        let name = method.value().to_uppercase();
        assert_eq!(HttpMethod::from(name.as_str()), if name == "OTHER" { HttpMethod::Other } else { method });
        assert_eq!(HttpMethod::from(method.value()), HttpMethod::Other, "methods are case-sensitive");
    }
    assert_eq!(Outcome::from(&Ok::<(), ()>(())).value(), "ok");
    assert_eq!(Outcome::from(&Err::<(), ()>(())).value(), "error");
    assert_eq!((StatusClass::KEY, HttpMethod::KEY, Outcome::KEY), ("status_class", "method", "outcome"));
}

#[test]
fn families_go_wherever_handles_go() {
    const fn any<T: std::fmt::Debug + Clone + Send + Sync + std::panic::UnwindSafe + Unpin + 'static>() {}
    any::<Family<Counter, Queue>>();
    any::<Family<Gauge, (Queue, Outcome)>>();
    any::<Family<Distribution, (Queue, Outcome, Region)>>();
}
