//! A gauge whose level is not known is absent: nothing is sent for it, and nothing is lost.

use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, UNIX_EPOCH};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, DropReason, Guard, Stats, TaskIdPool};

const PATIENCE: Duration = Duration::from_secs(60);
const NO_LEVELS: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

struct Fixture {
    guard: Guard,
    capture: Capture,
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "the test of the facade alone moves it"))]
    clock: ManualClock,
    notices: Receiver<String>,
}

impl Fixture {
    fn new() -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let (tell, notices) = mpsc::channel();
        let builder: ClientBuilder = Client::builder()
            .capture(&capture)
            .clock(&clock)
            .task_id(TaskIdPool::DEFAULT.id(42).unwrap())
            .on_loss(move |notice| drop(tell.send(notice.to_string())))
            .telemetry(false);
        Self { guard: builder.build().unwrap(), capture, clock, notices }
    }

    fn client(&self) -> &Client {
        self.guard.client()
    }

    fn stats(&self) -> Stats {
        self.client().stats()
    }

    /// The names and values of a flush in alphabetic order: `level:1|g`.
    fn flush(&self) -> Vec<String> {
        self.client().flush(PATIENCE).unwrap();
        let bare = |line: String| line.split_once("|#").expect("the task id is a tag").0.to_owned();
        let mut lines: Vec<_> = self.capture.take_lines().into_iter().map(bare).collect();
        lines.sort();
        lines
    }

    /// Nothing was lost, and nobody was told so.
    #[track_caller]
    fn assert_lossless(&self) {
        let stats = self.stats();
        assert_eq!(stats.dropped_total().values, 0, "{stats}");
        assert_eq!(stats.accepted, stats.sent);
        assert_eq!(self.notices.try_iter().next(), None);
    }
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_gauge_that_is_set_to_no_level_is_absent_until_it_is_set_again_whatever_sets_it() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let (set_to, moved_to) = (client.gauge("level").register(), client.gauge("level").register());
    let ways: [&dyn Fn(f64); 7] = [
        &|level| set_to.set(level),
        &|level| moved_to.add(level),
        &|level| moved_to.sub(level),
        &|level| client.gauge("level").set(level),
        &|level| client.gauge("level").add(level),
        &|level| client.gauge("level").sub(level),
        &|_| {
            moved_to.set(f64::MAX);
            moved_to.add(f64::MAX);
        },
    ];
    let mut absences = 0;
    for (way, make_absent) in ways.iter().enumerate() {
        for no_level in NO_LEVELS {
            set_to.set(1.0);
            assert_eq!(fixture.flush(), ["level:1|g"], "way {way}");
            make_absent(no_level);
            absences += 1;
            assert_eq!(fixture.flush(), nothing(), "way {way}");
            // It stays so, and that is not counted again.
            set_to.set(no_level);
            moved_to.add(no_level);
            client.gauge("level").set(no_level);
            assert_eq!(fixture.flush(), nothing(), "way {way}");
            assert_eq!(fixture.stats().unset_gauges, absences, "way {way}");
        }
    }
    fixture.assert_lossless();
}

#[test]
fn a_gauge_that_was_never_set_becomes_absent_once_and_one_that_was_unset_is_absent_already() {
    let fixture = Fixture::new();
    let gauge = fixture.client().gauge("level").register();
    (0..3).for_each(|_| gauge.set(f64::NAN));
    assert_eq!(fixture.stats().unset_gauges, 1);
    gauge.set(1.0);
    gauge.unset();
    gauge.set(f64::NAN);
    assert_eq!(fixture.stats().unset_gauges, 1, "the program unset it");
    assert_eq!(fixture.flush(), nothing());
    // From there it is moved as if it had never been set.
    gauge.add(2.5);
    assert_eq!(fixture.flush(), ["level:2.5|g"]);
}

#[test]
fn an_absent_gauge_has_no_peak_and_the_next_one_is_of_what_was_set_since() {
    let fixture = Fixture::new();
    let gauge = fixture.client().gauge("level").peak().register();
    gauge.set(7.0);
    gauge.set(2.0);
    assert_eq!(fixture.flush(), ["level.max:7|g", "level:2|g"]);
    gauge.set(9.0);
    gauge.set(f64::NAN);
    assert_eq!(fixture.flush(), nothing(), "nor that of the interval in which it became absent");
    gauge.set(1.0);
    assert_eq!(fixture.flush(), ["level.max:1|g", "level:1|g"]);
    // One that was absent in between and has a level again reports the highest of the interval.
    gauge.set(5.0);
    gauge.set(f64::NAN);
    gauge.set(3.0);
    assert_eq!(fixture.flush(), ["level.max:5|g", "level:3|g"]);
}

#[test]
fn a_value_with_a_time_of_its_own_is_refused_and_leaves_the_level_as_it_is() {
    let fixture = Fixture::new();
    let gauge = fixture.client().gauge("level").register();
    gauge.set(1.0);
    for no_level in NO_LEVELS {
        gauge.set_at(no_level, UNIX_EPOCH + Duration::from_secs(1_658_997_712));
    }
    assert_eq!(fixture.flush(), ["level:1|g"]);
    let stats = fixture.stats();
    assert_eq!((stats.dropped(DropReason::Invalid).values, stats.unset_gauges), (3, 0));
}

#[test]
fn an_absent_gauge_that_was_called_by_name_is_forgotten_like_what_sends_nothing() {
    let fixture = Fixture::new();
    fixture.client().gauge("level").set(f64::NAN);
    for _ in 0..149 {
        fixture.flush();
    }
    assert_eq!(fixture.stats().contexts, 1);
    fixture.flush();
    fixture.flush();
    assert_eq!(fixture.stats().contexts, 0);
}

#[test]
fn telemetry_says_how_often_gauges_became_absent() {
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).clock(&ManualClock::new()).build().unwrap();
    for level in [1.0, f64::NAN, f64::NAN, 1.0, f64::NAN] {
        guard.client().gauge("level").set(level);
    }
    guard.shutdown(PATIENCE).unwrap();
    let lines = capture.take_lines();
    let is_told = |line: &String| line.starts_with("datadog.dogstatsd.client.gauges_unset:2|c|");
    assert!(lines.iter().any(is_told), "{lines:?}");
}

#[test]
fn a_macros_gauge_is_absent_too() {
    let capture = Capture::new();
    let guard =
        Client::builder().capture(&capture).clock(&ManualClock::new()).telemetry(false).install().unwrap();
    let set = |level| tasktag::gauge!("ratio").set(level);
    set(0.5);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(capture.take_lines().len(), 1);
    set(f64::NAN);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(capture.take_lines(), nothing());
}

#[cfg(feature = "metrics")]
#[test]
fn a_gauge_of_the_facade_is_absent_too_and_moved_from_0_after_that() {
    use metrics::{gauge, with_local_recorder};
    use tasktag::integrations::metrics::Recorder;

    let fixture = Fixture::new();
    with_local_recorder(&Recorder::new(fixture.client()), || {
        let held = gauge!("held");
        for no_level in NO_LEVELS {
            held.set(0.5);
            gauge!("called").increment(2.0);
            assert_eq!(fixture.flush(), ["called:2|g", "held:0.5|g"]);
            held.set(no_level);
            gauge!("called").increment(no_level);
            assert_eq!(fixture.flush(), nothing());
        }
    });
    fixture.assert_lossless();
    assert_eq!(fixture.stats().unset_gauges, 6);
}

#[cfg(feature = "cadence")]
#[test]
fn a_line_of_cadence_makes_a_gauge_absent_too() {
    use cadence::StatsdClient;
    use cadence::prelude::*;
    use tasktag::integrations::cadence::CadenceSink;

    let fixture = Fixture::new();
    let statsd = StatsdClient::from_sink("", CadenceSink::new(fixture.client()));
    for no_level in NO_LEVELS {
        statsd.gauge("ratio", 0.5).unwrap();
        assert_eq!(fixture.flush(), ["ratio:0.5|g"]);
        statsd.gauge("ratio", no_level).unwrap();
        assert_eq!(fixture.flush(), nothing());
    }
    fixture.assert_lossless();
}

/// The ratios of tokio-metrics are 0 divided by 0 for each interval in which no task was polled.
#[cfg(feature = "metrics")]
#[tokio::test]
async fn the_ratios_of_idle_tasks_are_absent_and_a_healthy_program_is_not_told_of_losses() {
    use metrics::{Key, with_local_recorder};
    use tasktag::integrations::metrics::Recorder;
    use tokio_metrics::{TaskMetricsReporterBuilder, TaskMonitor};

    let fixture = Fixture::new();
    let recorder = Recorder::new(fixture.client());
    let monitor = TaskMonitor::new();
    let builder = TaskMetricsReporterBuilder::new(Key::from_static_name);
    let mut reporter = with_local_recorder(&recorder, || builder.build_with_monitor(monitor.clone()));
    let ratios = || {
        let lines = fixture.flush();
        lines.into_iter().filter(|line| line.contains("slow_poll_ratio")).collect::<Vec<_>>()
    };
    for round in 1..=5 {
        monitor.instrument(async {}).await;
        reporter.run_once();
        assert_eq!(ratios().len(), 1, "round {round}");
        for _ in 0..3 {
            reporter.run_once();
            assert_eq!(ratios(), nothing(), "round {round}");
            fixture.clock.advance(Duration::from_secs(2));
        }
    }
    assert!(fixture.stats().unset_gauges >= 5);
    fixture.assert_lossless();
}
