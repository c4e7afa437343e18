//! The report says how many time series a program makes, and which tag makes them.

mod support;

use tasktag::testing::Capture;
use tasktag::{Kind, TaskIdPool};

#[test]
fn metrics_come_with_their_contexts_series_and_widest_tag() {
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let client = guard.client();
    let gauge = client.gauge("level").tag("queue", "mail").peak().register();
    let occupancies = [
        client.occupancy("pool", 4).register(),
        client.occupancy("free", 0).register(),
        client.occupancy("jobs", 4).oldest().register(),
    ];
    for (route, status) in [("a", "2xx"), ("b", "2xx"), ("c", "5xx")] {
        client.distribution("request").tag("status", status).tag("route", route).record(1.0);
        client.counter("done").tag("route", route).increment(1);
    }
    client.timing("wait").record(1.0);

    let report = client.cardinality();
    let found: Vec<_> = report
        .metrics()
        .iter()
        .map(|metric| (metric.name(), metric.kind(), metric.contexts(), metric.series(), metric.widest_tag()))
        .collect();
    let expected = [
        ("request", Kind::Distribution, 3, 15, Some(("route", 3))),
        ("wait", Kind::Timing, 1, 5, None),
        ("jobs", Kind::Occupancy, 1, 4, None),
        ("done", Kind::Counter, 3, 3, Some(("route", 3))),
        ("pool", Kind::Occupancy, 1, 3, None),
        ("free", Kind::Occupancy, 1, 2, None),
        ("level", Kind::Gauge, 1, 2, Some(("queue", 1))),
    ];
    assert_eq!(found[0], expected[0]);
    assert_eq!(found[1], expected[1]);
    assert_eq!(found.len(), expected.len());
    assert!(expected.iter().all(|metric| found.contains(metric)), "{found:?}");
    assert_eq!(report.metrics()[0].tags().collect::<Vec<_>>(), [("route", 3), ("status", 2)]);
    assert_eq!((report.contexts(), report.series()), (11, 34));
    assert_eq!(client.stats().contexts, 11);
    drop((gauge, occupancies));
}

#[test]
fn a_fleet_makes_as_many_series_as_it_has_different_ids() {
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let client = guard.client();
    assert_eq!(client.cardinality().fleet_series(50, TaskIdPool::DEFAULT), 0.0);
    let _handles = [client.gauge("a").register(), client.gauge("b").register()];
    let report = client.cardinality();
    assert_eq!(report.fleet_series(0, TaskIdPool::DEFAULT), 0.0);
    assert!((report.fleet_series(1, TaskIdPool::DEFAULT) - 2.0).abs() < 1e-9);
    // 1000 * (1 - 0.999^500), twice.
    assert!((report.fleet_series(500, TaskIdPool::DEFAULT) - 787.3).abs() < 0.2);
    assert_eq!(report.fleet_series(7, TaskIdPool::new(1).unwrap()), 2.0);
}
