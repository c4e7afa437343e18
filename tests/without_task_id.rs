//! What is sent without the task id has none on any of its lines, in any dialect, and all else is as ever.

mod support;

use std::time::Duration;
use support::PATIENCE;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, Dialect, PoolStatus, TaskIdOn, TaskIdPool, Weights};

tasktag::tags! {
    enum Queue: "queue" { Mail, Reports }
}

/// What `act` sends, a line behind the other.
fn sent(builder: ClientBuilder, act: impl FnOnce(&Client, &ManualClock)) -> String {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = builder.capture(&capture).clock(&clock).max_packet_size(65_507).build().unwrap();
    act(guard.client(), &clock);
    guard.client().flush(PATIENCE).unwrap();
    support::assert_conserved(&guard.client().stats());
    capture.take_lines().join("\n")
}

fn in_dialect(dialect: Dialect) -> ClientBuilder {
    support::builder().dialect(dialect)
}

/// One of each kind, all with the tag `q:a`.
fn use_every_kind(client: &Client, clock: &ManualClock) {
    let tag = ("q", "a");
    let level = client.gauge("level").tag(tag.0, tag.1).peak().without_task_id().register();
    level.set(3.0);
    level.set(2.0);
    client.counter("jobs").without_task_id().tag(tag.0, tag.1).increment(3);
    client.distribution("size").tag(tag.0, tag.1).without_task_id().record(12.5);
    client.histogram("wait").without_task_id().tags(&[tag]).record(0.25);
    client.timing("run").without_task_id().tags(&[tag]).register().record(1.5);
    client.set("users").without_task_id().tag(tag.0, tag.1).insert("ada");
    let pool = client.occupancy("pool", 2).without_task_id().tag(tag.0, tag.1).register();
    let unit = pool.acquire_owned();
    clock.advance(Duration::from_secs(1));
    // It is in use at the flush.
    std::mem::forget(unit);
}

#[test]
fn no_line_of_any_kind_has_it() {
    let dogstatsd = "level:2|g|#q:a\nlevel.max:3|g|#q:a\njobs:3|c|#q:a\nsize:12.5|d|#q:a\nwait:0.25|h|#q:a\n\
                     run:1.5|ms|#q:a\nusers:ada|s|#q:a\npool.in_use:1|g|#q:a\npool.in_use.max:1|g|#q:a\n\
                     pool.utilization:0.5|g|#q:a";
    let embedded = |tags: &str| {
        format!(
            "level{tags}:2|g\nlevel.max{tags}:3|g\njobs{tags}:3|c\nsize{tags}:12.5|ms\nwait{tags}:0.25|ms\n\
             run{tags}:1.5|ms\nusers{tags}:ada|s\npool.in_use{tags}:1|g\npool.in_use.max{tags}:1|g\n\
             pool.utilization{tags}:0.5|g"
        )
    };
    for (dialect, expected) in [
        (Dialect::DogStatsd, dogstatsd.to_owned()),
        (Dialect::TaggedStatsd, dogstatsd.replace("|d|", "|ms|").replace("|h|", "|ms|")),
        (Dialect::Graphite, embedded(";q=a")),
        (Dialect::Influx, embedded(",q=a")),
        (Dialect::Librato, embedded("#q=a")),
        (Dialect::SignalFx, embedded("[q=a]")),
        (Dialect::Statsd, embedded("")),
    ] {
        assert_eq!(sent(in_dialect(dialect), use_every_kind), expected, "{dialect:?}");
    }
    let in_names = in_dialect(Dialect::Statsd).task_id_in_names(true).prefix("shop");
    assert_eq!(
        sent(in_names, use_every_kind),
        embedded("").replace('\n', "\nshop.").replacen("", "shop.", 1)
    );
}

#[test]
fn a_line_without_any_tag_has_no_sign_of_one() {
    for dialect in [
        Dialect::DogStatsd,
        Dialect::TaggedStatsd,
        Dialect::Graphite,
        Dialect::Influx,
        Dialect::Librato,
        Dialect::SignalFx,
        Dialect::Statsd,
    ] {
        let text =
            sent(in_dialect(dialect), |client, _| client.counter("jobs").without_task_id().increment(1));
        assert_eq!(text, "jobs:1|c", "{dialect:?}");
    }
}

#[test]
fn global_tags_and_the_prefix_stay() {
    let builder = || support::builder().prefix("shop").tag("region", "eu");
    let act = |client: &Client, _: &ManualClock| client.counter("jobs").without_task_id().increment(1);
    assert_eq!(sent(builder(), act), "shop.jobs:1|c|#region:eu");
    let in_names = builder().dialect(Dialect::Statsd).task_id_in_names(true);
    assert_eq!(sent(in_names, act), "shop.jobs:1|c");
}

#[test]
fn with_it_and_without_it_are_two_contexts() {
    let text = sent(support::builder(), |client, _| {
        let with = client.counter("jobs").tag("q", "a").register();
        let without = client.counter("jobs").tag("q", "a").without_task_id().register();
        with.increment(1);
        without.increment(20);
        // What a thread remembers of one is not the other's.
        for _ in 0..5 {
            client.counter("jobs").tag("q", "a").increment(1);
            client.counter("jobs").tag("q", "a").without_task_id().increment(20);
            client.counter("jobs").without_task_id().tags(&[("q", "a")]).increment(20);
        }
        assert_eq!(client.stats().contexts, 2);
        assert!(client.gauge("jobs").without_task_id().try_register().is_err(), "a name has one kind");
    });
    assert_eq!(text, "jobs:6|c|#q:a,task_id:0042\njobs:220|c|#q:a");
}

#[test]
fn members_of_families_and_bounded_tags_have_none() {
    let text = sent(support::builder(), |client, _| {
        let family = client.counter("done").without_task_id().register_family::<Queue>();
        family.at(Queue::Mail).increment(1);
        let bounded = client.counter("hits").without_task_id().bounded("route", 2).allow(&["/a"]).register();
        // One that is allowed, one that is new, and two that are folded.
        for route in ["/a", "/b", "/c", "/d"] {
            bounded.at(route).increment(1);
        }
        let half_life = Duration::from_secs(60);
        let ranked =
            client.counter("asked").without_task_id().bounded("route", 1).most_frequent(half_life).register();
        for route in ["/a", "/a", "/b"] {
            ranked.at(route).increment(1);
            // A call that adds a tag is spelled out.
            ranked.at(route).tag("more", "1").increment(1);
        }
    });
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let expected = [
        "asked:1|c|#more:1,route:other",
        "asked:1|c|#route:other",
        "asked:2|c|#more:1,route:/a",
        "asked:2|c|#route:/a",
        "done:1|c|#queue:mail",
        "hits:1|c|#route:/a",
        "hits:1|c|#route:/b",
        "hits:2|c|#route:other",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_call_of_a_member_may_leave_it_out() {
    let text = sent(support::builder(), |client, _| {
        let half_life = Duration::from_secs(60);
        let hits = client.counter("hits").bounded("route", 2).most_frequent(half_life).register();
        hits.at("/a").increment(1);
        hits.at("/a").without_task_id().increment(2);
    });
    assert_eq!(text, "hits:1|c|#route:/a,task_id:0042\nhits:2|c|#route:/a");
}

#[test]
fn what_is_folded_for_want_of_room_has_none_either() {
    let text = sent(support::builder().metric_context_limit(1), |client, _| {
        for queue in ["a", "b", "c"] {
            client.counter("jobs").tag("q", queue).without_task_id().increment(1);
        }
        client.counter("jobs").tag("q", "d").increment(1);
    });
    assert_eq!(
        text,
        "jobs:1|c|#q:a\njobs.folded:2|c|#tasktag_overflow:true\njobs:2|c|#tasktag_overflow:true\n\
         jobs.folded:1|c|#tasktag_overflow:true,task_id:0042\njobs:1|c|#tasktag_overflow:true,task_id:0042"
    );
}

/// One of each kind, which leaves the rest to the setting.
fn use_every_kind_as_set(client: &Client, _: &ManualClock) {
    let level = client.gauge("level").peak().register();
    level.set(2.0);
    client.counter("jobs").increment(3);
    client.distribution("size").record(12.5);
    client.histogram("wait").record(0.25);
    client.timing("run").record(1.5);
    client.set("users").insert("ada");
    let _pool = client.occupancy("pool", 0).register();
    client.gauge("mine").without_task_id().set(1.0);
}

#[test]
fn levels_alone_carry_it_if_that_is_set() {
    let text = sent(support::builder().task_id_on(TaskIdOn::Levels), use_every_kind_as_set);
    assert_eq!(
        text,
        "level:2|g|#task_id:0042\nlevel.max:2|g|#task_id:0042\njobs:3|c\nsize:12.5|d\nwait:0.25|h\nrun:1.5|ms\n\
         users:ada|s\npool.in_use:0|g|#task_id:0042\npool.in_use.max:0|g|#task_id:0042\nmine:1|g"
    );
    let in_names = in_dialect(Dialect::Statsd).task_id_in_names(true).task_id_on(TaskIdOn::Levels);
    assert_eq!(
        sent(in_names, use_every_kind_as_set),
        "task_0042.level:2|g\ntask_0042.level.max:2|g\njobs:3|c\nsize:12.5|ms\nwait:0.25|ms\nrun:1.5|ms\n\
         users:ada|s\ntask_0042.pool.in_use:0|g\ntask_0042.pool.in_use.max:0|g\nmine:1|g"
    );
    let all = sent(support::builder().task_id_on(TaskIdOn::AllKinds), use_every_kind_as_set);
    assert_eq!(all, sent(support::builder(), use_every_kind_as_set));
}

#[test]
fn of_a_summary_the_gauges_are_levels_and_the_count_is_not() {
    let builder = || in_dialect(Dialect::Influx).weights(Weights::Summaries);
    let act = |client: &Client, _: &ManualClock| client.timing("run").record(2.0);
    let gauges = |id: &str| {
        ["min", "max", "avg", "p50", "p95", "p99"].map(|name| format!("\nrun.{name}{id}:2|g")).concat()
    };
    let levels = sent(builder().task_id_on(TaskIdOn::Levels), act);
    assert_eq!(levels, format!("run.count:1|c{}", gauges(",task_id=0042")));
    let without = sent(builder(), |client, _| client.timing("run").without_task_id().record(2.0));
    assert_eq!(without, format!("run.count:1|c{}", gauges("")));
}

#[test]
fn watched_pools_are_levels_and_what_overflows_follows_its_kind() {
    let builder = support::builder().task_id_on(TaskIdOn::Levels).metric_context_limit(1);
    let text = sent(builder, |client, _| {
        client.watch_pool("db", || PoolStatus::new().in_use(1)).detach();
        for queue in ["a", "b"] {
            client.gauge("level").tag("q", queue).set(1.0);
        }
    });
    assert!(text.contains("pool.in_use:1|g|#pool:db,task_id:0042"), "{text}");
    assert!(text.contains("level:1|g|#tasktag_overflow:true,task_id:0042"), "{text}");
    assert!(text.contains("level.folded:1|c|#tasktag_overflow:true\n"), "{text}");
}

#[test]
fn a_fleet_multiplies_only_what_carries_it() {
    let pool = TaskIdPool::new(10).unwrap();
    let report = |builder: ClientBuilder| {
        let capture = Capture::new();
        let guard = builder.capture(&capture).build().unwrap();
        let client = guard.client();
        let _gauge = client.gauge("level").peak().register();
        let _counters =
            [client.counter("jobs").register(), client.counter("jobs").without_task_id().register()];
        client.timing("run").record(1.0);
        client.cardinality()
    };
    let numbers = |builder| {
        let report = report(builder);
        let each = |name| report.metrics().iter().find(|metric| metric.name() == name).unwrap().clone();
        // As many tasks that each id of the pool is surely taken.
        let fleet = report.fleet_series(100_000, pool).round();
        let of_each = ["level", "jobs", "run"].map(|name| each(name).series_of_each_task());
        assert_eq!(report.fleet_series(0, pool), 0.0);
        (report.series(), of_each, fleet)
    };
    assert_eq!(numbers(support::builder()), (9, [2, 1, 5], 81.0));
    // The two counters write one line then.
    assert_eq!(numbers(support::builder().task_id_on(TaskIdOn::Levels)), (8, [2, 0, 0], 26.0));
    let summaries = || support::builder().weights(Weights::Summaries);
    assert_eq!(numbers(summaries()), (11, [2, 1, 7], 101.0));
    assert_eq!(numbers(summaries().task_id_on(TaskIdOn::Levels)), (10, [2, 0, 6], 82.0));
}

#[test]
fn what_the_client_says_of_itself_carries_it_always() {
    let builder = || support::builder().telemetry(true).task_id_on(TaskIdOn::Levels);
    let capture = Capture::new();
    let guard = builder().capture(&capture).build().unwrap();
    guard.client().counter("jobs").increment(1);
    guard.client().event("title", "text");
    guard.client().service_check("check", tasktag::Status::Ok);
    guard.shutdown(PATIENCE).unwrap();
    let lines = capture.take_lines();
    let (without, with): (Vec<_>, Vec<_>) = lines.iter().partition(|line| !line.contains("task_id:0042"));
    assert_eq!(without, ["jobs:1|c"]);
    assert!(with.len() > 3, "{lines:?}");
}
