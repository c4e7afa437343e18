//! A gauge is sent at every flush, whatever set it, until its handle is dropped, its context has to make room, or
//! nobody set it for as long as was asked for.

use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, Guard, TaskIdPool};

const PATIENCE: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);
/// A day of flushes, one a minute.
const DAY: usize = 24 * 60;

struct Fixture {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        Self::start(configure, |builder| builder.build().unwrap())
    }

    fn start(
        configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
        build: impl FnOnce(ClientBuilder) -> Guard,
    ) -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let builder = Client::builder()
            .capture(&capture)
            .clock(&clock)
            .task_id(TaskIdPool::DEFAULT.id(42).unwrap())
            .flush_interval(MINUTE)
            .collect_interval(MINUTE)
            .telemetry(false);
        Self { guard: build(configure(builder)), capture, clock }
    }

    fn client(&self) -> &Client {
        self.guard.client()
    }

    /// The names, values and tags of a flush in alphabetic order, without the task id: `level:1|g|#a:1`.
    fn flush(&self) -> Vec<String> {
        self.client().flush(PATIENCE).unwrap();
        self.lines()
    }

    /// A minute passes, and with it a flush.
    fn minute(&self) -> Vec<String> {
        self.clock.advance(MINUTE);
        self.lines()
    }

    fn lines(&self) -> Vec<String> {
        let bare = |line: String| {
            let (line, _) = line.split_once("task_id:0042").expect("the task id is the last tag");
            line.trim_end_matches([',', '#', '|']).to_owned()
        };
        let mut lines: Vec<_> = self.capture.take_lines().into_iter().map(bare).collect();
        lines.sort();
        lines
    }

    #[track_caller]
    fn assert_sent_all_day(&self, expected: &[&str]) {
        for minute in 0..DAY {
            assert_eq!(self.minute(), expected, "minute {minute}");
        }
    }

    /// Sets a gauge by name, with a tag that tells it from its like.
    fn set(&self, name: &str, of: &str) {
        self.client().gauge(name).tag("of", of).set(1.0);
    }
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_gauge_that_was_set_once_is_sent_while_its_handle_is_alive_and_once_after_that() {
    let fixture = Fixture::new();
    let limit = fixture.client().gauge("limit").register();
    limit.set(8.0);
    fixture.assert_sent_all_day(&["limit:8|g"]);
    let clone = limit.clone();
    drop(limit);
    assert_eq!(fixture.flush(), ["limit:8|g"], "a clone is a handle");
    clone.set(9.0);
    drop(clone);
    assert_eq!(fixture.flush(), ["limit:9|g"], "a value that was not reported yet");
    assert_eq!(fixture.flush(), nothing());
    assert_eq!(fixture.client().stats().contexts, 0);
}

#[test]
fn a_handle_that_is_dropped_at_once_is_a_handle_that_was_dropped() {
    let fixture = Fixture::new();
    fixture.client().gauge("limit").register().set(8.0);
    assert_eq!(fixture.flush(), ["limit:8|g"]);
    assert_eq!(fixture.flush(), nothing());
}

#[test]
fn a_gauge_that_was_set_once_by_name_is_sent_all_day() {
    let fixture = Fixture::new();
    fixture.client().gauge("config.workers").set(8.0);
    fixture.client().gauge("in_use").add(3.0);
    fixture.client().gauge("in_use").sub(1.0);
    fixture.assert_sent_all_day(&["config.workers:8|g", "in_use:2|g"]);
    fixture.client().gauge("in_use").sub(2.0);
    fixture.assert_sent_all_day(&["config.workers:8|g", "in_use:0|g"]);
}

#[test]
fn a_gauge_that_was_set_once_by_macro_is_sent_all_day() {
    let fixture = Fixture::start(|builder| builder, |builder| builder.install().unwrap());
    tasktag::gauge!("build_info", "version" => "42").set(1.0);
    fixture.assert_sent_all_day(&["build_info:1|g|#version:42"]);
}

#[cfg(feature = "metrics")]
#[test]
fn a_gauge_that_was_set_once_through_the_facade_is_sent_all_day() {
    use metrics::{gauge, with_local_recorder};
    use tasktag::integrations::metrics::Recorder;

    let fixture = Fixture::new();
    let recorder = Recorder::new(fixture.client());
    with_local_recorder(&recorder, || {
        gauge!("build_info", "version" => "42").set(1.0);
        let held = gauge!("held");
        held.set(2.0);
        gauge!("moved").increment(2.0);
        gauge!("moved").decrement(2.0);
        fixture.assert_sent_all_day(&["build_info:1|g|#version:42", "held:2|g", "moved:0|g"]);
        // The facade gives a handle at every call: that one is dropped says nothing.
        drop(held);
        fixture.assert_sent_all_day(&["build_info:1|g|#version:42", "held:2|g", "moved:0|g"]);
        gauge!("held").increment(1.0);
        assert!(fixture.flush().contains(&"held:3|g".to_owned()));
    });
}

#[cfg(feature = "cadence")]
#[test]
fn a_gauge_that_was_set_once_through_cadence_is_sent_all_day() {
    use cadence::StatsdClient;
    use cadence::prelude::*;
    use tasktag::integrations::cadence::CadenceSink;

    let fixture = Fixture::new();
    let statsd = StatsdClient::from_sink("", CadenceSink::new(fixture.client()));
    statsd.gauge_with_tags("build_info", 1_u64).with_tag("version", "42").send();
    fixture.assert_sent_all_day(&["build_info:1|g|#version:42"]);
}

#[test]
fn counters_and_distributions_by_name_are_forgotten_after_150_flushes_as_they_send_nothing() {
    let fixture = Fixture::new();
    fixture.client().counter("jobs").increment(1);
    fixture.client().timing("query").record(2.0);
    fixture.client().gauge("level").set(1.0);
    assert_eq!(fixture.flush(), ["jobs:1|c", "level:1|g", "query:2|ms"]);
    for _ in 0..149 {
        fixture.flush();
    }
    assert_eq!(fixture.client().stats().contexts, 3);
    assert_eq!(fixture.flush(), ["level:1|g"]);
    assert_eq!(fixture.client().stats().contexts, 1);
}

#[test]
fn the_last_handle_takes_a_gauge_along_that_was_set_by_name_before_and_not_one_set_since() {
    let fixture = Fixture::new();
    let set = |value| fixture.client().gauge("level").set(value);
    let handle = fixture.client().gauge("level").register();
    set(5.0);
    assert_eq!([fixture.flush(), fixture.flush()], [["level:5|g"]; 2]);
    drop(handle);
    assert_eq!(fixture.flush(), nothing());

    let handle = fixture.client().gauge("level").register();
    handle.set(6.0);
    assert_eq!(fixture.flush(), ["level:6|g"]);
    drop(handle);
    set(7.0);
    fixture.assert_sent_all_day(&["level:7|g"]);
    // One that no flush saw alive, too.
    drop(fixture.client().gauge("level").register());
    assert_eq!(fixture.flush(), nothing());
}

#[test]
fn a_value_with_a_time_of_its_own_is_no_handle_that_was_dropped() {
    let fixture = Fixture::new();
    fixture.client().gauge("level").set(5.0);
    fixture.flush();
    let at = std::time::UNIX_EPOCH + Duration::from_secs(1_658_997_712);
    fixture.client().gauge("level").set_at(7.0, at);
    assert_eq!(fixture.flush().len(), 2);
    fixture.assert_sent_all_day(&["level:5|g"]);
}

#[test]
fn the_least_recently_set_gauges_make_room_and_as_many_as_are_needed() {
    let fixture = Fixture::with(|builder| builder.context_limit(4));
    let held = fixture.client().gauge("held").register();
    held.set(1.0);
    fixture.set("b", "1");
    fixture.flush();
    fixture.set("c", "1");
    fixture.set("a", "1");
    fixture.flush();
    fixture.set("b", "1");
    fixture.flush();
    // The oldest is a handle's, and stays. Of the others, a and c were set before b: c is known for longer.
    fixture.set("new", "1");
    fixture.set("new", "1");
    let overflow = ["new.folded:2|c|#tasktag_overflow:true", "new:1|g|#tasktag_overflow:true"];
    let left = ["a:1|g|#of:1", "b:1|g|#of:1", "held:1|g"];
    assert_eq!(fixture.flush(), [&left[..], &overflow].concat());
    fixture.set("new", "1");
    assert_eq!(fixture.flush(), [&left[..], &["new:1|g|#of:1", overflow[1]]].concat());
    assert_eq!(fixture.client().stats().contexts, 4, "nothing but one had to leave");
}

#[test]
fn what_left_is_back_when_it_is_set_again() {
    let fixture = Fixture::with(|builder| builder.context_limit(1));
    let lines = |name: &str| [format!("{name}:1|g|#of:1")];
    for (name, next) in [("a", "b"), ("b", "a"), ("a", "b")] {
        fixture.set(name, "1");
        let sent = fixture.flush();
        assert!(sent.contains(&lines(name)[0]), "{sent:?}");
        fixture.flush();
        fixture.set(next, "1");
        fixture.flush();
    }
}

#[test]
fn no_gauge_leaves_that_was_set_since_the_flush_before_the_last() {
    let fixture = Fixture::with(|builder| builder.context_limit(3));
    for _ in 0..10 {
        for name in ["a", "b", "c", "d"] {
            fixture.set(name, "1");
        }
        let sent = fixture.flush();
        for name in ["a", "b", "c"] {
            assert!(sent.contains(&format!("{name}:1|g|#of:1")), "{sent:?}");
        }
    }
}

#[test]
fn counters_that_nobody_called_for_two_flushes_make_room_before_any_gauge() {
    let fixture = Fixture::with(|builder| builder.context_limit(3));
    fixture.set("a", "1");
    fixture.flush();
    fixture.client().counter("jobs").increment(1);
    fixture.client().counter("errors").increment(1);
    fixture.flush();
    fixture.flush();
    fixture.set("b", "1");
    fixture.set("c", "1");
    fixture.flush();
    fixture.set("b", "1");
    fixture.set("c", "1");
    let sent = fixture.flush();
    for name in ["a", "b", "c"] {
        assert!(sent.contains(&format!("{name}:1|g|#of:1")), "{sent:?}");
    }
}

#[test]
fn a_metric_that_reaches_its_own_limit_makes_room_in_its_own_contexts_alone() {
    let fixture = Fixture::with(|builder| builder.metric_context_limit(2));
    fixture.set("other", "1");
    fixture.client().counter("jobs").increment(1);
    fixture.flush();
    for of in ["1", "2"] {
        fixture.set("users", of);
        fixture.flush();
    }
    fixture.set("users", "3");
    fixture.flush();
    fixture.set("users", "3");
    let sent = fixture.flush();
    let overflow = "users:1|g|#tasktag_overflow:true";
    assert_eq!(sent, ["other:1|g|#of:1", "users:1|g|#of:2", "users:1|g|#of:3", overflow]);
    assert_eq!(fixture.client().stats().contexts, 4, "the counter was idle for longer, and stays too");
}

#[test]
fn a_tag_without_bound_takes_no_gauge_of_another_metric() {
    let fixture = Fixture::with(|builder| builder.context_limit(1000).metric_context_limit(20));
    fixture.client().gauge("build_info").set(1.0);
    for round in 0..50 {
        for user in 0..40 {
            fixture.set("users", &format!("{round}-{user}"));
        }
        assert!(fixture.flush().contains(&"build_info:1|g".to_owned()), "round {round}");
    }
}

#[test]
fn what_is_folded_is_known_for_150_flushes_after_it_was_set() {
    let fixture = Fixture::with(|builder| builder.context_limit(1));
    let held = fixture.client().gauge("held").register();
    held.set(1.0);
    fixture.client().gauge("level").set(2.0);
    fixture.flush();
    for _ in 0..149 {
        assert_eq!(fixture.flush(), ["held:1|g", "level:2|g|#tasktag_overflow:true"]);
    }
    assert_eq!(fixture.flush(), ["held:1|g"]);
}

#[test]
fn a_gauge_that_nobody_sets_for_the_time_asked_for_ends() {
    let fixture = Fixture::with(|builder| builder.idle_gauges(10 * MINUTE));
    let held = fixture.client().gauge("held").register();
    held.set(1.0);
    for round in 0..3 {
        fixture.client().gauge("level").set(2.0);
        for minute in 0..10 {
            assert_eq!(fixture.minute(), ["held:1|g", "level:2|g"], "minute {minute} of round {round}");
        }
        assert_eq!(fixture.minute(), ["held:1|g"], "round {round}");
        assert_eq!(fixture.client().stats().contexts, 1);
    }
    // Now and then is often enough, and through a handle counts too.
    for _ in 0..20 {
        fixture.client().gauge("level").set(2.0);
        for _ in 0..9 {
            assert_eq!(fixture.minute(), ["held:1|g", "level:2|g"]);
        }
    }
}

#[cfg(feature = "metrics")]
#[test]
fn a_gauge_of_the_facade_ends_after_the_time_asked_for_and_goes_on_from_where_it_was() {
    use metrics::{gauge, with_local_recorder};
    use tasktag::integrations::metrics::Recorder;

    let fixture = Fixture::with(|builder| builder.idle_gauges(10 * MINUTE));
    let recorder = Recorder::new(fixture.client());
    with_local_recorder(&recorder, || {
        let held = gauge!("held");
        held.set(1.0);
        gauge!("workers").set(5.0);
        for minute in 0..10 {
            assert_eq!(fixture.minute(), ["held:1|g", "workers:5|g"], "minute {minute}");
        }
        assert_eq!(fixture.minute(), ["held:1|g"]);
        gauge!("workers").decrement(1.0);
        assert_eq!(fixture.minute(), ["held:1|g", "workers:4|g"]);
    });
}

#[cfg(feature = "metrics")]
#[test]
fn gauges_of_the_facade_and_by_name_make_room_in_one_order() {
    use metrics::{gauge, with_local_recorder};
    use tasktag::integrations::metrics::Recorder;

    let fixture = Fixture::with(|builder| builder.context_limit(4));
    let recorder = Recorder::new(fixture.client());
    let by_facade =
        |of: &'static str| with_local_recorder(&recorder, || gauge!("facade", "of" => of).increment(5.0));
    let held = with_local_recorder(&recorder, || gauge!("held"));
    held.set(1.0);
    by_facade("1");
    fixture.flush();
    fixture.set("named", "1");
    fixture.flush();
    by_facade("2");
    fixture.flush();
    let knock = |of: &str| {
        let before: Vec<_> = fixture.flush().into_iter().filter(|line| !line.contains("overflow")).collect();
        fixture.set("new", of);
        let after: Vec<_> = fixture.flush().into_iter().filter(|line| !line.contains("overflow")).collect();
        before.into_iter().filter(|line| !after.contains(line)).collect::<Vec<_>>()
    };
    assert_eq!(knock("1"), ["facade:5|g|#of:1"]);
    fixture.set("new", "1");
    assert_eq!(knock("2"), ["named:1|g|#of:1"]);
    fixture.set("new", "2");
    assert_eq!(knock("3"), ["facade:5|g|#of:2"]);
    // What was added there is not lost with the room.
    by_facade("1");
    let sent = fixture.flush();
    assert!(sent.contains(&"facade:10|g|#of:1".to_owned()), "{sent:?}");
    assert!(sent.contains(&"held:1|g".to_owned()), "{sent:?}");
}

#[test]
fn a_time_that_is_too_short_is_an_error_that_names_the_setting() {
    for time in [Duration::ZERO, Duration::from_micros(999)] {
        let error = Client::builder().idle_gauges(time).build().unwrap_err().to_string();
        assert!(error.contains("idle_gauges") && error.contains(&format!("{time:?}")), "{error}");
    }
    assert!(Client::builder().capture(&Capture::new()).idle_gauges(Duration::MAX).build().is_ok());
}
