//! Bounded tags: values known at run time, a limit, and exact sums whatever comes.

#[path = "support/allocations.rs"]
mod allocations;
mod support;

use allocations::allocations;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Barrier;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{
    BoundedFamily, Client, ClientBuilder, Counter, Distribution, DropReason, FrequentFamily, Gauge, Guard,
    Occupancy, RegisterError, Set,
};

const PATIENCE: Duration = Duration::from_secs(60);
const HALF_LIFE: Duration = Duration::from_secs(60);
const MILLION: usize = 1_000_000;

fn client(capture: &Capture) -> ClientBuilder {
    Client::builder().capture(capture).clock(&ManualClock::new()).telemetry(false)
}

fn flushed(guard: &Guard, capture: &Capture) -> Result<Vec<ParsedMetric>, Box<dyn Error>> {
    guard.client().flush(PATIENCE)?;
    Ok(capture.take_metrics()?)
}

/// What a metric reports for each of its routes, lines of one route added up.
fn by_route(metrics: &[ParsedMetric], name: &str) -> BTreeMap<String, f64> {
    let mut routes = BTreeMap::new();
    for metric in metrics.iter().filter(|metric| metric.name == name) {
        let value = metric.value.number().unwrap_or_default();
        *routes.entry(metric.value_of("route")).or_default() += value;
    }
    routes
}

trait ValueOf {
    fn value_of(&self, key: &str) -> String;
}

impl ValueOf for ParsedMetric {
    fn value_of(&self, key: &str) -> String {
        let tag = self.tags.iter().find(|(tag, _)| tag == key);
        tag.map_or_else(|| format!("no {key}"), |(_, value)| value.clone())
    }
}

fn routes(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
    pairs.iter().map(|(route, n)| ((*route).to_owned(), *n)).collect()
}

fn requests(guard: &Guard, limit: usize) -> BoundedFamily<Counter> {
    guard.client().counter("requests").bounded("route", limit).register()
}

#[test]
fn who_comes_first_keeps_its_place_and_the_rest_is_other() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let requests = requests(&guard, 2);
    for route in ["/a", "/b", "/c", "/a", "/d", "/c", "/c"] {
        requests.at(route).increment(1);
    }
    let sums = routes(&[("/a", 2.0), ("/b", 1.0), ("other", 4.0)]);
    assert_eq!(by_route(&flushed(&guard, &capture)?, "requests"), sums);
    assert_eq!((requests.folded(), guard.client().stats().folded_values), (4, 4));

    // A value that is silent for long keeps its place as well.
    for _ in 0..200 {
        flushed(&guard, &capture)?;
    }
    for route in ["/c", "/b"] {
        requests.at(route).increment(1);
    }
    let sums = routes(&[("/b", 1.0), ("other", 1.0)]);
    assert_eq!(by_route(&flushed(&guard, &capture)?, "requests"), sums);
    Ok(())
}

#[test]
fn allowed_values_have_a_place_whatever_came_first() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let builder = guard.client().counter("requests").bounded("route", 3);
    let requests = builder.allow(&["/pay", "/login"]).allow(&["/pay"]).register();
    for route in ["/a", "/b", "/c", "/login", "/pay", "/pay"] {
        requests.at(route).increment(1);
    }
    let sums = routes(&[("/a", 1.0), ("/login", 1.0), ("/pay", 2.0), ("other", 2.0)]);
    assert_eq!(by_route(&flushed(&guard, &capture)?, "requests"), sums);

    let only = guard.client().counter("only").bounded("route", 1).allow(&["/x", "/y"]).register();
    for route in ["/a", "/x", "/y"] {
        only.at(route).increment(1);
    }
    let sums = routes(&[("/x", 1.0), ("/y", 1.0), ("other", 1.0)]);
    assert_eq!(by_route(&flushed(&guard, &capture)?, "only"), sums);
    Ok(())
}

#[test]
fn other_by_its_name_takes_no_place_and_is_not_folded() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let (first, frequent) = (requests(&guard, 1), ranked(&guard, 1, &["other"]));
    for route in ["other", "/a", "other", "/b"] {
        first.at(route).increment(1);
        frequent.at(route).increment(1);
    }
    let metrics = flushed(&guard, &capture)?;
    let sums = routes(&[("/a", 1.0), ("other", 3.0)]);
    assert_eq!(by_route(&metrics, "requests"), sums);
    assert_eq!(by_route(&metrics, "ranked"), sums);
    assert_eq!((first.folded(), frequent.folded()), (1, 1));
    Ok(())
}

#[test]
fn every_kind_of_handle_can_be_bounded() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let client = guard.client();
    let gauge: BoundedFamily<Gauge> = client.gauge("gauge").tag("zone", "eu").bounded("route", 1).register();
    let timing: BoundedFamily<Distribution> = client.timing("timing").bounded("route", 1).register();
    let set: BoundedFamily<Set> = client.set("set").bounded("route", 1).register();
    let busy: BoundedFamily<Occupancy> = client.occupancy("busy", 4).bounded("route", 1).register();
    for (n, route) in [(1.0, "/a"), (2.0, "/b"), (3.0, "/c")] {
        gauge.at(route).set(n);
        timing.at(route).record(n);
        set.at(route).insert("user-7");
    }
    let _units = ["/a", "/b", "/c"].map(|route| busy.at(route).acquire());
    let metrics = flushed(&guard, &capture)?;
    assert_eq!(by_route(&metrics, "gauge"), routes(&[("/a", 1.0), ("other", 3.0)]));
    assert_eq!(by_route(&metrics, "timing"), routes(&[("/a", 1.0), ("other", 5.0)]));
    assert_eq!(by_route(&metrics, "busy.in_use"), routes(&[("/a", 1.0), ("other", 2.0)]));
    assert_eq!(metrics.iter().filter(|metric| metric.name == "set").count(), 2);
    assert!(
        metrics.iter().filter(|metric| metric.name == "gauge").all(|gauge| gauge.value_of("zone") == "eu")
    );
    Ok(())
}

#[test]
fn an_occupancys_time_runs_from_its_first_call() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = Client::builder().capture(&capture).clock(&clock).telemetry(false).build()?;
    let busy = guard.client().occupancy("busy", 2).bounded("route", 1).register();
    clock.advance(Duration::from_secs(1));
    let _unit = busy.at("/a").acquire();
    clock.advance(Duration::from_millis(500));
    let metrics = flushed(&guard, &capture)?;
    assert_eq!(by_route(&metrics, "busy.utilization")["/a"], 0.5);
    Ok(())
}

#[test]
fn long_values_are_one_value_as_far_as_a_line_tells_them_apart() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let (first, frequent) = (requests(&guard, 1), ranked(&guard, 1, &[]));
    let long = "é".repeat(100);
    for end in ["", "x", "yy"] {
        first.at(&format!("{long}{end}")).increment(1);
        frequent.at(&format!("{long}{end}")).increment(1);
    }
    let metrics = flushed(&guard, &capture)?;
    assert_eq!(by_route(&metrics, "requests"), routes(&[(&long, 3.0)]));
    assert_eq!(by_route(&metrics, "ranked"), routes(&[(&long, 3.0)]));
    Ok(())
}

#[test]
fn a_million_values_are_summed_exactly_in_flat_memory() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let requests = requests(&guard, 50);
    let mut value = String::with_capacity(32);
    let mut call = |n: usize| {
        use std::fmt::Write;
        value.clear();
        // Into a buffer that is large enough: nothing is allocated for it.
        let _ = write!(value, "/item/{n}");
        requests.at(&value).increment(1);
    };
    (0..50).for_each(&mut call);
    assert_eq!(allocations(|| (50..MILLION).for_each(&mut call)), 0, "nothing is kept of what is folded");
    assert_eq!(allocations(|| (0..50).for_each(&mut call)), 0, "nor is anything allocated for what is known");

    let stats = guard.client().stats();
    assert_eq!((stats.contexts, stats.folded_values), (51, 999_950));
    assert_eq!(requests.folded(), 999_950);
    let sums = by_route(&flushed(&guard, &capture)?, "requests");
    assert_eq!(sums.len(), 51);
    assert_eq!((sums["/item/0"], sums["/item/49"], sums["other"]), (2.0, 2.0, 999_950.0));
    assert_eq!(sums.values().sum::<f64>(), 1_000_050.0);
    Ok(())
}

#[test]
fn a_million_values_of_many_threads_are_summed_exactly() -> Result<(), Box<dyn Error>> {
    const THREADS: usize = 4;
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let (first, frequent) = (requests(&guard, 50), ranked(&guard, 50, &[]));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (first, frequent) = (first.clone(), frequent.clone());
            scope.spawn(move || {
                for n in (thread..MILLION).step_by(THREADS) {
                    // Every other call is of a value that all threads share.
                    let route = if n % 2 == 0 { format!("/{n}") } else { format!("/{}", n % 7) };
                    first.at(&route).increment(1);
                    frequent.at(&route).increment(1);
                }
            });
        }
    });
    let metrics = flushed(&guard, &capture)?;
    for (name, folded) in [("requests", first.folded()), ("ranked", frequent.folded())] {
        let sums = by_route(&metrics, name);
        assert_eq!(sums.values().sum::<f64>(), MILLION as f64, "{name}");
        assert_eq!(sums["other"], folded as f64, "{name}");
        assert_eq!(sums.len(), 51, "{name}");
    }
    assert_eq!(guard.client().stats().folded_values, first.folded() + frequent.folded());
    Ok(())
}

#[test]
fn threads_that_race_for_the_places_take_no_more_than_there_are() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    for round in 0..50 {
        let zone = round.to_string();
        let requests = guard.client().counter("raced").tag("zone", &zone).bounded("route", 10).register();
        let together = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..20 {
                        let route = n.to_string();
                        together.wait();
                        requests.at(&route).increment(1);
                    }
                });
            }
        });
        let metrics = flushed(&guard, &capture)?;
        let sums = by_route(&metrics, "raced");
        assert_eq!((sums.len(), sums.values().sum::<f64>()), (11, 80.0));
        assert_eq!(metrics.len(), 11, "one context a value");
    }
    Ok(())
}

#[test]
fn where_the_client_has_no_room_values_are_folded_until_it_has() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).context_limit(4).build()?;
    let last = ["one", "two"].map(|name| guard.client().gauge(name).register());
    let requests = requests(&guard, 50);
    for route in ["/a", "/b", "/c", "/a", "/b"] {
        requests.at(route).increment(1);
    }
    let sums = routes(&[("/a", 2.0), ("other", 3.0)]);
    assert_eq!(by_route(&flushed(&guard, &capture)?, "requests"), sums);
    assert_eq!((requests.folded(), guard.client().stats().refused_registrations), (3, 1), "tried once");

    drop(last);
    flushed(&guard, &capture)?;
    for _ in 0..2_000 {
        requests.at("/b").increment(1);
    }
    let sums = by_route(&flushed(&guard, &capture)?, "requests");
    assert_eq!(sums.values().sum::<f64>(), 2_000.0);
    assert!(sums["/b"] > 900.0, "it is tried again: {sums:?}");
    let folded = requests.folded();
    requests.at("/c").increment(1);
    assert_eq!(requests.folded(), folded, "and now that there is room, at once");
    Ok(())
}

#[test]
fn a_family_that_the_client_has_no_room_for_is_refused() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).context_limit(2).build()?;
    let bounded = || guard.client().counter("requests").bounded("route", 50).allow(&["/a", "/b"]);
    let limit = RegisterError::ContextLimit { name: "requests".to_owned(), limit: 2 };
    assert_eq!(bounded().try_register().err(), Some(limit));
    flushed(&guard, &capture)?;
    assert_eq!(guard.client().stats().contexts, 0, "nothing is kept of it");
    // `other` and one of the two.
    let requests = bounded().register();
    for route in ["/a", "/b", "/c"] {
        requests.at(route).increment(1);
    }
    // The one of `/b` is folded, where it has no route.
    let sums = routes(&[("/a", 1.0), ("other", 1.0), ("no route", 1.0)]);
    assert_eq!(by_route(&flushed(&guard, &capture)?, "requests"), sums);
    Ok(())
}

#[test]
fn limits_beyond_all_reason_are_taken_back() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).context_limit(20_000).build()?;
    let (first, frequent) = (requests(&guard, usize::MAX), ranked(&guard, usize::MAX, &[]));
    for n in 0..10_005 {
        first.at(&n.to_string()).increment(1);
        let _ = frequent.at(&n.to_string());
    }
    assert_eq!((first.folded(), frequent.folded()), (5, 5));
    let none = guard.client().counter("none").bounded("route", 0).register();
    none.at("/a").increment(1);
    assert_eq!(none.folded(), 1);
    Ok(())
}

#[test]
fn the_fold_is_in_the_clients_telemetry() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = Client::builder().capture(&capture).clock(&clock).build()?;
    let requests = requests(&guard, 1);
    for route in ["/a", "/b", "/c", "/d"] {
        requests.at(route).increment(1);
    }
    clock.advance(Duration::from_secs(10));
    let metrics = flushed(&guard, &capture)?;
    let folded: Vec<_> =
        metrics.iter().filter(|m| m.name == "datadog.dogstatsd.client.values_folded").collect();
    assert_eq!(folded.iter().map(|m| m.value.number()).collect::<Vec<_>>(), [Some(3.0)]);
    Ok(())
}

fn ranked(guard: &Guard, limit: usize, allowed: &[&str]) -> FrequentFamily<Counter> {
    let bounded = guard.client().counter("ranked").bounded("route", limit).allow(allowed);
    bounded.most_frequent(HALF_LIFE).register()
}

/// A client on a clock by hand, whose ranks are dealt when the clock says so.
struct Ranked {
    capture: Capture,
    clock: ManualClock,
    guard: Guard,
    requests: FrequentFamily<Counter>,
}

impl Ranked {
    fn new(limit: usize, allowed: &[&str]) -> Result<Self, Box<dyn Error>> {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let guard = Client::builder().capture(&capture).clock(&clock).telemetry(false).build()?;
        let requests = ranked(&guard, limit, allowed);
        Ok(Self { capture, clock, guard, requests })
    }

    fn call(&self, calls: &[(&str, usize)]) {
        for &(route, times) in calls {
            (0..times).for_each(|_| self.requests.at(route).increment(1));
        }
    }

    /// Lets a half-life pass, and says what was counted since the last time.
    fn deal(&self) -> Result<BTreeMap<String, f64>, Box<dyn Error>> {
        self.clock.advance(HALF_LIFE);
        Ok(by_route(&flushed(&self.guard, &self.capture)?, "ranked"))
    }
}

#[test]
fn the_most_frequent_take_the_places_of_those_that_came_first() -> Result<(), Box<dyn Error>> {
    let ranked = Ranked::new(2, &[])?;
    ranked.call(&[("/once", 1), ("/often", 10), ("/more", 30), ("/rare", 2)]);
    assert_eq!(ranked.deal()?, routes(&[("/often", 10.0), ("/once", 1.0), ("other", 32.0)]));
    ranked.call(&[("/once", 1), ("/often", 10), ("/more", 30), ("/rare", 2)]);
    assert_eq!(ranked.deal()?, routes(&[("/often", 10.0), ("/more", 30.0), ("other", 3.0)]));
    assert_eq!(ranked.requests.folded(), 35);
    Ok(())
}

#[test]
fn a_place_changes_hands_only_for_twice_as_many_calls() -> Result<(), Box<dyn Error>> {
    let ranked = Ranked::new(1, &[])?;
    ranked.call(&[("/a", 10), ("/b", 20)]);
    ranked.deal()?;
    ranked.call(&[("/a", 10), ("/b", 20)]);
    assert_eq!(ranked.deal()?, routes(&[("/a", 10.0), ("other", 20.0)]));
    // Halved counts: 10 of before are 5 now, and 20 are 10. With these it is 14 against 30.
    ranked.call(&[("/a", 7), ("/b", 15)]);
    ranked.deal()?;
    ranked.call(&[("/a", 1), ("/b", 1)]);
    assert_eq!(ranked.deal()?, routes(&[("/b", 1.0), ("other", 1.0)]));
    Ok(())
}

#[test]
fn a_quarter_of_the_places_changes_hands_at_a_time() -> Result<(), Box<dyn Error>> {
    let ranked = Ranked::new(8, &[])?;
    let olds: Vec<String> = (0..8).map(|n| format!("/old/{n}")).collect();
    let news: Vec<String> = (0..8).map(|n| format!("/new/{n}")).collect();
    for turn in 0..6 {
        let calls =
            olds.iter().map(|old| (old.as_str(), 8)).chain(news.iter().map(|new| (new.as_str(), 100)));
        ranked.call(&calls.collect::<Vec<_>>());
        let sums = ranked.deal()?;
        let changed = sums.keys().filter(|route| route.starts_with("/new")).count();
        assert_eq!(sums.values().sum::<f64>(), 864.0);
        assert!(sums.len() <= 9 && changed <= 2 * turn, "turn {turn}: {sums:?}");
        assert!(turn < 5 || changed >= 5, "but they do change: {sums:?}");
    }
    Ok(())
}

#[test]
fn places_that_were_given_up_go_a_quarter_at_a_time_and_those_nobody_had_at_once()
-> Result<(), Box<dyn Error>> {
    let ranked = Ranked::new(8, &[])?;
    let kept = |calls: &[(&str, usize)]| -> Result<usize, Box<dyn Error>> {
        ranked.call(calls);
        Ok(ranked.deal()?.keys().filter(|route| *route != "other").count())
    };
    assert_eq!(kept(&[("/a", 1), ("/b", 1)])?, 2);
    assert_eq!(kept(&["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i"].map(|route| (route, 1)))?, 8);
    // All fall silent: their counts are 0 after this.
    ranked.deal()?;
    assert_eq!(kept(&["/1", "/2", "/3", "/4", "/5"].map(|route| (route, 1)))?, 2);
    // Two of the candidates got a place since, and the two from before still have theirs.
    assert_eq!(kept(&["/1", "/2", "/3", "/4", "/5"].map(|route| (route, 1)))?, 4);
    Ok(())
}

#[test]
fn values_that_fell_silent_give_up_their_places() -> Result<(), Box<dyn Error>> {
    let ranked = Ranked::new(2, &[])?;
    ranked.call(&[("/a", 3), ("/b", 100)]);
    // 3, 1, 0
    for _ in 0..3 {
        ranked.deal()?;
    }
    ranked.call(&[("/c", 1), ("/a", 1), ("/b", 1)]);
    assert_eq!(ranked.deal()?, routes(&[("/b", 1.0), ("/c", 1.0), ("other", 1.0)]));
    Ok(())
}

#[test]
fn allowed_values_keep_their_places_however_rare_they_are() -> Result<(), Box<dyn Error>> {
    let ranked = Ranked::new(2, &["/pay"])?;
    for _ in 0..5 {
        ranked.call(&[("/pay", 1), ("/a", 100), ("/b", 1000)]);
        ranked.deal()?;
    }
    ranked.call(&[("/pay", 1), ("/a", 1), ("/b", 1)]);
    assert_eq!(ranked.deal()?, routes(&[("/pay", 1.0), ("/b", 1.0), ("other", 1.0)]));
    Ok(())
}

#[test]
fn a_million_values_that_come_once_drive_out_nobody() -> Result<(), Box<dyn Error>> {
    let ranked = Ranked::new(20, &[])?;
    let regulars: Vec<String> = (0..20).map(|n| format!("/regular/{n}")).collect();
    let mut sum = 0.0;
    let mut folded_before = 0;
    for round in 0..10 {
        for n in 0..MILLION / 10 {
            ranked.requests.at(&format!("/noise/{round}/{n}")).increment(1);
            if n % 20 == 0 {
                ranked.requests.at(&regulars[n / 20 % 20]).increment(1);
            }
        }
        let sums = ranked.deal()?;
        sum += sums.values().sum::<f64>();
        assert!(sums.len() <= 21);
        let folded = ranked.requests.folded();
        assert_eq!(sums["other"], (folded - folded_before) as f64);
        folded_before = folded;
        let kept = regulars.iter().filter(|regular| sums.contains_key(*regular)).count();
        assert!(round < 9 || kept == 20, "all regulars have a place in the end: {kept}");
        assert!(ranked.guard.client().stats().contexts < 100);
    }
    assert_eq!(sum, 1_050_000.0);
    Ok(())
}

#[test]
fn ranking_allocates_nothing_at_the_call_for_what_is_known_or_folded() -> Result<(), Box<dyn Error>> {
    let ranked = Ranked::new(2, &["/pay"])?;
    let call = || {
        for route in ["/pay", "/a", "/b", "/c", "/d"] {
            ranked.requests.at(route).increment(1);
        }
    };
    call();
    // The thread's table is made.
    call();
    for _ in 0..3 {
        assert_eq!(allocations(|| (0..100).for_each(|_| call())), 0);
    }
    Ok(())
}

#[test]
fn callers_and_a_worker_that_deals_all_the_time_lose_nothing() -> Result<(), Box<dyn Error>> {
    let ranked = Ranked::new(5, &[])?;
    let mut sum = 0.0;
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let callers: Vec<_> = (0..3)
            .map(|caller| {
                let requests = ranked.requests.clone();
                scope.spawn(move || {
                    for n in 0..60_000_usize {
                        // What is frequent changes as it goes.
                        let route = format!("/{}", (n / 6_000) * 4 + (n + caller) % 6);
                        requests.at(&route).increment(1);
                    }
                })
            })
            .collect();
        while !callers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            sum += ranked.deal()?.values().sum::<f64>();
        }
        Ok(())
    })?;
    sum += ranked.deal()?.values().sum::<f64>();
    assert_eq!(sum, 180_000.0);
    Ok(())
}

#[test]
fn a_ranked_call_can_have_tags_of_its_own_and_become_a_handle() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let own =
        [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5"), ("f", "6"), ("g", "7"), ("h", "8")];
    let metric = guard.client().counter("ranked").tags(&own[..6]);
    let requests = metric.bounded("route", 1).most_frequent(HALF_LIFE).register();
    for _ in 0..2 {
        requests.at("/a").tag("zone", "eu").increment(1);
        requests.at("/a").tags(&[("zone", "us")]).increment(10);
        requests.at("/b").increment(100);
    }
    let handle = requests.at("/a").register();
    handle.increment(1000);
    requests.at("/a").increment(1000);
    let _ = requests.at("/a").bounded("shard", 1).register().at("7");
    let metrics = flushed(&guard, &capture)?;
    let mut found: Vec<_> = metrics
        .iter()
        .map(|metric| {
            assert!(own[..6].iter().all(|(key, value)| metric.value_of(key) == *value));
            (metric.tag("route"), metric.tag("zone"), metric.value.number())
        })
        .collect();
    found.sort_by_key(|(route, zone, _)| (*route, *zone));
    let expected = [
        (Some("/a"), None, Some(2000.0)),
        (Some("/a"), Some("eu"), Some(2.0)),
        (Some("/a"), Some("us"), Some(20.0)),
        (Some("other"), None, Some(200.0)),
    ];
    assert_eq!(found, expected);
    assert_eq!(guard.client().stats().refused_tags, 0);
    // Of nine tags one is left out, and that is said once.
    let metric = guard.client().counter("tags").tags(&own);
    let tags = metric.bounded("route", 1).most_frequent(HALF_LIFE).register();
    (0..3).for_each(|_| tags.at("/a").increment(1));
    assert_eq!(guard.client().stats().refused_tags, 1);
    Ok(())
}

#[test]
fn a_ranked_gauge_is_sent_for_150_flushes_after_it_was_set_and_that_of_other_from_then_on()
-> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let gauge = guard.client().gauge("ranked").bounded("route", 1).most_frequent(HALF_LIFE).register();
    gauge.at("/a").set(1.0);
    assert_eq!(by_route(&flushed(&guard, &capture)?, "ranked"), routes(&[("/a", 1.0)]));
    gauge.at("/b").set(2.0);
    for flush in 1..200 {
        let expected: &[_] = if flush < 150 { &[("/a", 1.0), ("other", 2.0)] } else { &[("other", 2.0)] };
        assert_eq!(by_route(&flushed(&guard, &capture)?, "ranked"), routes(expected), "flush {flush}");
    }
    drop(gauge);
    flushed(&guard, &capture)?;
    assert_eq!(flushed(&guard, &capture)?, [], "the family is gone");
    Ok(())
}

#[test]
fn what_is_folded_while_there_is_no_room_for_other_is_in_the_overflow_context() -> Result<(), Box<dyn Error>>
{
    let capture = Capture::new();
    let guard = client(&capture).context_limit(1).build()?;
    let last = guard.client().gauge("last").register();
    let requests = ranked(&guard, 0, &[]);
    (0..10).for_each(|_| requests.at("/a").increment(1));
    let metrics = flushed(&guard, &capture)?;
    let ranked = metrics.iter().filter(|metric| metric.name == "ranked");
    let found: Vec<_> =
        ranked.map(|metric| (metric.tag("tasktag_overflow"), metric.value.number())).collect();
    assert_eq!(found, [(Some("true"), Some(10.0))]);
    assert_eq!((requests.folded(), guard.client().stats().folded_values), (10, 10), "once each");

    drop(last);
    flushed(&guard, &capture)?;
    (0..3_000).for_each(|_| requests.at("/a").increment(1));
    assert_eq!(by_route(&flushed(&guard, &capture)?, "ranked"), routes(&[("other", 3_000.0)]));
    Ok(())
}

#[test]
fn what_is_folded_under_a_name_of_another_kind_is_dropped_as_invalid() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let gauge = guard.client().gauge("ranked").register();
    gauge.set(7.0);
    let requests = ranked(&guard, 0, &[]);
    (0..3_000).for_each(|_| requests.at("/a").increment(1));
    let stats = guard.client().stats();
    assert_eq!((stats.dropped(DropReason::Invalid).values, stats.refused_registrations), (3_000, 0));
    assert_eq!((requests.folded(), stats.folded_values), (3_000, 3_000));
    // Once the name is free again it is the family's.
    drop(gauge);
    flushed(&guard, &capture)?;
    (0..3_000).for_each(|_| requests.at("/a").increment(1));
    assert_eq!(by_route(&flushed(&guard, &capture)?, "ranked"), routes(&[("other", 3_000.0)]));
    Ok(())
}

#[test]
fn every_kind_with_calls_by_name_can_be_ranked() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = client(&capture).build()?;
    let client = guard.client();
    let gauge = client.gauge("gauge").peak().bounded("route", 1).most_frequent(HALF_LIFE).register();
    let timing =
        client.timing("timing").bounded("route", 1).most_frequent(HALF_LIFE).allow(&["/a"]).register();
    let set = client.set("set").tag("zone", "eu").bounded("route", 1).most_frequent(HALF_LIFE).register();
    for (n, route) in [(1.0, "/a"), (2.0, "/b")] {
        gauge.at(route).set(n);
        timing.at(route).record(n);
        set.at(route).insert("user-7");
    }
    let metrics = flushed(&guard, &capture)?;
    assert_eq!(by_route(&metrics, "gauge"), routes(&[("/a", 1.0), ("other", 2.0)]));
    assert_eq!(by_route(&metrics, "gauge.max"), routes(&[("/a", 1.0), ("other", 2.0)]));
    assert_eq!(by_route(&metrics, "timing"), routes(&[("/a", 1.0), ("other", 2.0)]));
    let sets: Vec<_> = metrics.iter().filter(|m| m.name == "set").map(|m| m.value_of("zone")).collect();
    assert_eq!(sets, ["eu", "eu"]);
    Ok(())
}

#[test]
fn bounded_tags_go_wherever_handles_go() {
    const fn any<T: std::fmt::Debug + Clone + Send + Sync + std::panic::UnwindSafe + Unpin + 'static>() {}
    any::<BoundedFamily<Counter>>();
    any::<FrequentFamily<Distribution>>();
}

/// A family under the name of another kind, whose tags that one has too.
#[test]
fn a_most_frequent_family_under_the_name_of_another_kind_is_refused_value_by_value() {
    const CALLS: u64 = 100;
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let _level = client.gauge("level").tag("route", "/a").register();
    let _wait = client.timing("wait").tag("route", "/a").register();
    let _users = client.set("users").tag("route", "/a").register();
    let minute = Duration::from_secs(60);
    let counter = client.counter("level").bounded("route", 10).most_frequent(minute).register();
    let distribution = client.distribution("wait").bounded("route", 10).most_frequent(minute).register();
    let histogram = client.histogram("wait").bounded("route", 10).most_frequent(minute).register();
    let gauge = client.gauge("users").bounded("route", 10).most_frequent(minute).register();
    for call in 1..=CALLS {
        counter.at("/a").increment(1);
        distribution.at("/a").record(7.0);
        histogram.at("/a").record(7.0);
        gauge.at("/a").set(7.0);
        // A call by name of the right kind in between changes nothing for the family.
        client.timing("wait").tag("route", "/a").record(9.0);
        assert_eq!(client.stats().dropped(DropReason::Invalid).values, 4 * call);
    }
    client.flush(support::PATIENCE).unwrap();
    assert_eq!(capture.take_lines(), ["wait:9|ms|@0.01|#route:/a,task_id:0042"]);
    support::assert_conserved(&client.stats());
}
