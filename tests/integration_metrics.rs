//! The `metrics` facade in front of our client: its macros, its traps, its limits.

#![cfg(feature = "metrics")]

mod support;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder as _, SharedString, Unit,
    counter, describe_histogram, gauge, histogram, with_local_recorder,
};
use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use support::{Agent, PATIENCE, assert_conserved, builder, task_id};
use tasktag::integrations::metrics::{HistogramKind, InstallError, Recorder, TaskIdLayer};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, DropReason, Guard, TaskId};

/// As often as the core lets a name go uncalled.
const IDLE_FLUSHES: u32 = 150;

const TAG: &str = "task_id:0042";

static METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

/// A client, its recorder and the agent in memory.
struct Setup {
    guard: Guard,
    recorder: Recorder,
    capture: Capture,
}

fn setup() -> Setup {
    setup_with(|builder| builder)
}

fn setup_with(configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Setup {
    let capture = Capture::new();
    let guard = configure(builder().capture(&capture)).build().unwrap();
    let recorder = Recorder::new(guard.client());
    Setup { guard, recorder, capture }
}

impl Setup {
    fn with<T>(&self, act: impl FnOnce() -> T) -> T {
        with_local_recorder(&self.recorder, act)
    }

    /// The lines of a flush, sorted, without the task id.
    fn flush(&self) -> Vec<String> {
        self.guard.client().flush(PATIENCE).unwrap();
        let mut lines = self.capture.take_lines();
        lines.sort_unstable();
        for line in &mut lines {
            let bare =
                line.strip_suffix(TAG).unwrap_or_else(|| panic!("{line} has its task id last, and once"));
            assert!(!bare.contains(TAG), "{line}");
            *line = bare.trim_end_matches(['#', '|', ',']).to_owned();
        }
        lines
    }

    fn flush_times(&self, times: u32) -> Vec<Vec<String>> {
        (0..times).map(|_| self.flush()).collect()
    }

    fn contexts(&self) -> u64 {
        self.guard.client().stats().contexts
    }

    /// How many handles the recorder keeps.
    fn kept(&self) -> String {
        format!("{:?}", self.recorder)
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.guard.client().stats().dropped(reason).values
    }
}

fn kept(counters: u32, gauges: u32, histograms: u32) -> String {
    format!("Recorder {{ counters: {counters}, gauges: {gauges}, histograms: {histograms}, .. }}")
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn types_are_what_programs_need_of_them() {
    const fn any<T: Debug + Send + Sync + UnwindSafe + RefUnwindSafe + Unpin + Clone>() {}
    const fn shown<T: Display + std::error::Error>() {}
    any::<Recorder>();
    any::<TaskIdLayer<Recorder>>();
    any::<HistogramKind>();
    any::<InstallError>();
    shown::<InstallError>();
    assert_eq!(HistogramKind::Timing.to_string().parse(), Ok(HistogramKind::Timing));
}

#[test]
fn macros_of_several_threads_add_up() {
    const THREADS: u64 = 4;
    const EACH: u64 = 10_000;
    let setup = setup();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    setup.with(|| {
                        for n in 0..EACH {
                            let queue = (n % 10).to_string();
                            counter!("jobs", "queue" => queue.clone()).increment(n);
                            gauge!("level", "queue" => queue.clone()).increment(1.0);
                            histogram!("wait", "queue" => queue).record(1.0);
                        }
                    });
                })
            })
            .collect();
        // Flushes meanwhile: what is taken is taken once.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                setup.guard.client().flush(PATIENCE).unwrap();
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    setup.guard.client().flush(PATIENCE).unwrap();
    let (mut jobs, mut waits, mut levels) = (BTreeMap::new(), 0.0_f64, BTreeMap::new());
    for metric in setup.capture.take_metrics().unwrap() {
        let queue = metric.tags.iter().find(|tag| tag.0 == "queue").unwrap().1.clone();
        match metric.name.as_str() {
            "jobs" => *jobs.entry(queue).or_insert(0.0) += metric.value.number().unwrap(),
            "level" => _ = levels.insert(queue, metric.value.number().unwrap()),
            _ => waits += (1.0 / metric.rate).trunc(),
        }
    }
    assert_eq!((jobs.len(), levels.len()), (10, 10));
    for queue in 0..10 {
        let sum: u64 = (0..EACH).filter(|n| n % 10 == queue).sum();
        assert_eq!(jobs[&queue.to_string()], (THREADS * sum) as f64);
        assert_eq!(levels[&queue.to_string()], (THREADS * EACH / 10) as f64);
    }
    assert_eq!(waits, (THREADS * EACH) as f64);
    assert_conserved(&setup.guard.client().stats());
}

#[test]
fn macros_reach_a_real_socket() {
    let agent = Agent::udp();
    let guard = builder().agent(agent.address()).prefix("shop").build().unwrap();
    let recorder = Recorder::new(guard.client());
    thread::scope(|scope| {
        for thread in ["a", "b", "c"] {
            let recorder = &recorder;
            scope.spawn(move || {
                with_local_recorder(recorder, || {
                    for _ in 0..1000 {
                        counter!("jobs", "thread" => thread).increment(2);
                        counter!("all").increment(1);
                    }
                });
            });
        }
    });
    guard.client().flush(PATIENCE).unwrap();
    let mut lines = agent.lines(4);
    lines.sort_unstable();
    let of = |thread| format!("shop.jobs:2000|c|#thread:{thread},{TAG}");
    assert_eq!(lines, [format!("shop.all:3000|c|#{TAG}"), of("a"), of("b"), of("c")]);
}

#[test]
fn flush_before_exit() {
    let agent = Agent::udp();
    let guard = builder().agent(agent.address()).build().unwrap();
    with_local_recorder(&Recorder::new(guard.client()), || {
        counter!("jobs").increment(1);
        gauge!("level").set(0.5);
        histogram!("wait").record(1.5);
    });
    // The recorder is gone, and then the guard.
    drop(guard);
    let mut lines = agent.lines(3);
    lines.sort_unstable();
    assert_eq!(lines, ["jobs:1|c|#", "level:0.5|g|#", "wait:1.5|d|#"].map(|line| format!("{line}{TAG}")));
}

#[test]
fn the_process_has_one_recorder() {
    let setup = setup();
    counter!("jobs").increment(100);
    setup.recorder.clone().install().unwrap();
    counter!("jobs").increment(1);
    thread::scope(|scope| scope.spawn(|| counter!("jobs").increment(2)).join().unwrap());
    let refused: InstallError = setup.recorder.clone().install().unwrap_err();
    assert!(refused.to_string().contains("already installed in this process"));
    counter!("jobs").increment(4);
    assert_eq!(setup.flush(), ["jobs:7|c"]);
}

#[test]
fn absolute_counters_send_their_growth() {
    let setup = setup();
    let set = |value| setup.with(|| counter!("bytes", "nic" => "eth0").absolute(value));
    set(1_000_000);
    assert_eq!(setup.flush(), nothing(), "it begins there");
    set(1_000_100);
    set(1_000_250);
    assert_eq!(setup.flush(), ["bytes:250|c|#nic:eth0"]);
    set(1_000_250);
    assert_eq!(setup.flush(), nothing());
    set(30);
    set(50);
    assert_eq!(setup.flush(), ["bytes:50|c|#nic:eth0"], "it started again");
    setup.with(|| counter!("bytes", "nic" => "eth0").increment(7));
    set(51);
    assert_eq!(setup.flush(), ["bytes:8|c|#nic:eth0"], "both at once");
}

#[test]
fn absolute_counters_of_several_threads_count_every_unit_once() {
    const THREADS: u64 = 4;
    const EACH: u64 = 5_000;
    let (setup, source) = (setup(), AtomicU64::new(500));
    setup.with(|| counter!("bytes").absolute(500));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                setup.with(|| {
                    for _ in 0..EACH {
                        let now = source.fetch_add(1, Ordering::SeqCst) + 1;
                        counter!("bytes").absolute(now);
                    }
                });
            });
        }
    });
    assert_eq!(setup.flush(), [format!("bytes:{}|c", THREADS * EACH)]);
}

#[test]
fn absolute_counters_are_told_apart_from_those_of_other_labels() {
    let setup = setup();
    setup.with(|| {
        for (a, b) in [(100, 7), (110, 9)] {
            counter!("bytes", "nic" => "a").absolute(a);
            counter!("bytes", "nic" => "b").absolute(b);
            // The same as `a`, with what makes no difference.
            counter!("bytes", "nic" => "a", "task_id" => "0042").absolute(a);
            counter!("bytes", "nic" => "a", "nic" => "a").absolute(a);
        }
    });
    assert_eq!(setup.flush(), ["bytes:10|c|#nic:a", "bytes:2|c|#nic:b"]);
}

#[test]
fn gauge_increments() {
    let setup = setup();
    setup.with(|| {
        gauge!("level").increment(5.0);
        gauge!("level").decrement(2.5);
        gauge!("set").set(10.0);
        gauge!("set").increment(1.0);
        gauge!("set").decrement(4.0);
        gauge!("below").decrement(3.0);
    });
    assert_eq!(setup.flush(), ["below:-3|g", "level:2.5|g", "set:7|g"]);
}

#[test]
fn nan() {
    let setup = setup();
    setup.with(|| {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            gauge!("level").set(value);
            gauge!("level").increment(value);
            gauge!("level").decrement(value);
            histogram!("wait").record(value);
        }
        histogram!("wait").record_many(f64::NAN, 5);
        gauge!("level").set(1.0);
        gauge!("level").set(f64::NAN);
    });
    assert_eq!(setup.flush(), nothing(), "the gauge is absent");
    assert_eq!(setup.dropped(DropReason::Invalid), 3 + 5, "those of the histogram");
    assert_eq!(setup.guard.client().stats().unset_gauges, 2, "before it was set, and after");
    assert_conserved(&setup.guard.client().stats());
}

#[test]
fn tag_forging() {
    let setup = setup();
    setup.with(|| {
        counter!("jobs:1|c\nforged", "a,b|c#d:e\nf" => "1,task_id:7|#x:y\nforged:1|c").increment(1);
        gauge!("level\n|g", "a" => "b|@0.1").set(1.0);
    });
    let lines = setup.flush();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let metrics = |lines: &[String]| lines.iter().map(|line| line.split('|').count()).collect::<Vec<_>>();
    assert_eq!(metrics(&lines), [3, 3], "{lines:?}");
    for line in &lines {
        assert_eq!(line.matches('#').count(), 1, "{line}");
        assert_eq!(line.split_once('#').unwrap().1.matches([',', '\n', '|']).count(), 0, "{line}");
    }
}

#[test]
fn double_task_id() {
    let setup = setup();
    setup.with(|| {
        for other in ["7", "8"] {
            gauge!("level", "task_id" => other, "a" => "1").set(1.0);
            gauge!("level", "a" => "1", "TASK_ID" => other).set(2.0);
            counter!("jobs", "Task_Id" => other).increment(1);
        }
        counter!("jobs").increment(1);
    });
    // `flush` looks that there is one. Those of other tasks stay apart.
    let lines = [
        "jobs:1|c",
        "jobs:1|c|#task_id_:7",
        "jobs:1|c|#task_id_:8",
        "level:2|g|#a:1,task_id_:7",
        "level:2|g|#a:1,task_id_:8",
    ];
    assert_eq!(setup.flush(), lines);
    assert_eq!(setup.guard.client().stats().refused_tags, 0);
}

#[test]
fn clone_drop() {
    let setup = setup();
    let clone = setup.recorder.clone();
    let done = with_local_recorder(&clone, || counter!("jobs"));
    drop(clone);
    done.increment(1);
    setup.with(|| counter!("jobs").increment(2));
    assert_eq!(setup.flush(), ["jobs:3|c"]);
    // The last one, too: what is held goes on, what is not is not sent again.
    let Setup { guard, recorder, capture } = setup;
    with_local_recorder(&recorder, || gauge!("level").set(1.0));
    drop(recorder);
    done.increment(4);
    guard.client().flush(PATIENCE).unwrap();
    let mut lines = capture.take_lines();
    lines.sort_unstable();
    assert_eq!(lines, [format!("jobs:4|c|#{TAG}"), format!("level:1|g|#{TAG}")]);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(capture.take_lines(), nothing());
    assert_eq!(guard.client().stats().contexts, 1);
}

#[test]
fn handles_that_outlive_the_guard() {
    let Setup { guard, recorder, .. } = setup();
    let client = guard.client().clone();
    let (jobs, level, wait) =
        with_local_recorder(&recorder, || (counter!("jobs"), gauge!("level"), histogram!("wait")));
    jobs.increment(1);
    drop(guard);
    jobs.increment(2);
    level.set(1.0);
    wait.record_many(1.0, 3);
    with_local_recorder(&recorder, || counter!("late").increment(1));
    let stats = client.stats();
    assert_eq!((stats.sent.values, stats.dropped(DropReason::AfterShutdown).values), (1, 6));
    assert_conserved(&stats);
}

#[test]
fn hash_collisions_of_keys() {
    let setup = setup();
    // Values that the facade's own hash does not tell apart.
    for (a, b) in [("303278", "3032278"), ("127680", "1276680"), ("605449", "6054449")] {
        let key = |value: &'static str| Key::from_parts("jobs", vec![Label::new("queue", value)]);
        assert_eq!(key(a).get_hash(), key(b).get_hash(), "no collision any more: find another");
        for round in 1..=3 {
            setup.with(|| {
                counter!("jobs", "queue" => a).increment(1);
                counter!("jobs", "queue" => b).increment(10);
                gauge!("level", "queue" => a).set(f64::from(round));
                gauge!("level", "queue" => b).set(f64::from(-round));
            });
            let lines = setup.flush();
            for line in [
                format!("jobs:1|c|#queue:{a}"),
                format!("jobs:10|c|#queue:{b}"),
                format!("level:{round}|g|#queue:{a}"),
                format!("level:-{round}|g|#queue:{b}"),
            ] {
                assert!(lines.contains(&line), "{line} in {lines:?}");
            }
        }
    }
}

#[test]
fn the_order_of_labels_makes_no_difference() {
    let setup = setup();
    let labels: Vec<Label> = (0..10).map(|n| Label::new(format!("k{n}"), "v")).collect();
    for turn in 0..10 {
        let mut turned = labels.clone();
        turned.rotate_left(turn);
        setup.with(|| counter!("jobs", turned).increment(1));
    }
    assert_eq!(setup.kept(), kept(1, 0, 0));
    assert!(setup.flush()[0].starts_with("jobs:10|c|#k0:v,"));
}

#[test]
fn recorders_are_told_apart_where_threads_remember_handles() {
    let (first, second) = (setup(), setup());
    let same_client = Recorder::new(first.guard.client());
    for n in 1..=3 {
        first.with(|| counter!("jobs").increment(n));
        second.with(|| counter!("jobs").increment(10 * n));
        with_local_recorder(&same_client, || counter!("jobs").increment(100 * n));
        assert_eq!(first.flush(), [format!("jobs:{}|c", 101 * n)]);
        assert_eq!(second.flush(), [format!("jobs:{}|c", 10 * n)]);
    }
}

#[test]
fn labels_obey_the_limits_and_lose_nothing() {
    let setup = setup_with(|builder| builder.metric_context_limit(3).context_limit(5));
    setup.with(|| {
        for n in 0..1000 {
            counter!("jobs", "user" => n.to_string()).increment(1);
            histogram!("wait", "user" => n.to_string()).record(1.0);
        }
    });
    let stats = setup.guard.client().stats();
    assert_eq!(stats.folded_registrations, 997 + 998);
    // What is folded is kept once a metric.
    assert_eq!(setup.kept(), kept(4, 0, 3));
    let jobs =
        (0..3).map(|n| format!("jobs:1|c|#user:{n}")).chain(["jobs:997|c|#tasktag_overflow:true".to_owned()]);
    let lines = setup.flush();
    for line in jobs {
        assert!(lines.contains(&line), "{line} in {lines:?}");
    }
    let folded = |line: &&String| line.starts_with("wait:1|d|@") && line.ends_with("|#tasktag_overflow:true");
    assert_eq!(lines.iter().filter(folded).count(), 1, "{lines:?}");
    assert_conserved(&setup.guard.client().stats());
}

#[test]
fn an_absolute_value_that_is_folded_is_refused_and_counted() {
    let setup = setup_with(|builder| builder.metric_context_limit(1));
    setup.with(|| {
        for value in [100, 200] {
            counter!("bytes", "nic" => "a").absolute(value);
            counter!("bytes", "nic" => "b").absolute(3 * value);
            counter!("bytes", "nic" => "c").absolute(1);
        }
        counter!("bytes", "nic" => "d").increment(5);
    });
    let lines = setup.flush();
    assert!(lines.contains(&"bytes:100|c|#nic:a".to_owned()), "{lines:?}");
    assert!(lines.contains(&"bytes:5|c|#tasktag_overflow:true".to_owned()), "{lines:?}");
    assert_eq!(setup.dropped(DropReason::ContextLimit), 4);
    assert_conserved(&setup.guard.client().stats());
}

#[test]
fn what_is_folded_and_what_asks_for_it_by_its_label_are_one() {
    let setup = setup_with(|builder| builder.metric_context_limit(1));
    setup.with(|| {
        counter!("jobs", "user" => "a").increment(1);
        counter!("jobs", "tasktag_overflow" => "true").increment(2);
        counter!("jobs", "user" => "b").increment(4);
    });
    assert_eq!(setup.kept(), kept(2, 0, 0));
    assert_eq!(setup.flush().iter().filter(|line| line.starts_with("jobs:6|c|#tasktag_overflow")).count(), 1);
}

#[test]
fn what_has_no_place_at_all_is_counted() {
    let setup = setup_with(|builder| builder.context_limit(1));
    setup.with(|| {
        counter!("known").increment(1);
        counter!("folded").increment(1);
        counter!("lost").increment(1);
        counter!("lost").absolute(1);
        gauge!("lost.level").set(1.0);
        histogram!("lost.wait").record_many(1.0, 3);
    });
    assert_eq!(setup.dropped(DropReason::ContextLimit), 6);
    assert_conserved(&setup.guard.client().stats());
}

#[test]
fn a_counter_and_a_histogram_may_have_one_name() {
    let setup = setup();
    for turn in 1..=3 {
        setup.with(|| {
            counter!("jobs", "k" => "v").increment(turn);
            histogram!("jobs", "k" => "v").record(5.0);
            histogram!("requests").record(2.0);
            counter!("requests").increment(1);
        });
        let lines = ["jobs:5|d|#k:v", "requests:1|c", "requests:2|d"].map(str::to_owned);
        let expected = [format!("jobs:{turn}|c|#k:v")].into_iter().chain(lines);
        assert_eq!(setup.flush(), expected.collect::<Vec<_>>());
    }
    assert_eq!(setup.guard.client().stats().dropped_total().values, 0);
    assert_conserved(&setup.guard.client().stats());
}

#[test]
fn a_name_has_one_kind_otherwise_and_what_is_lost_by_it_is_counted() {
    let setup = setup();
    setup.with(|| {
        counter!("jobs").increment(1);
        for _ in 0..3 {
            gauge!("jobs").set(5.0);
            gauge!("jobs").increment(5.0);
            gauge!("jobs").decrement(5.0);
        }
        gauge!("level").set(1.0);
        histogram!("level").record(5.0);
        counter!("level").increment(5);
        counter!("").increment(1);
    });
    assert_eq!(setup.flush(), ["jobs:1|c", "level:1|g"]);
    assert_eq!(setup.dropped(DropReason::Invalid), 12);
    assert_eq!(setup.kept(), kept(1, 1, 0));
    assert_conserved(&setup.guard.client().stats());
}

#[test]
fn labels_that_change_nothing_take_no_room_without_bound() {
    let setup = setup_with(|builder| builder.context_limit(10));
    setup.with(|| {
        for n in 0..200 {
            counter!("jobs", vec![metrics::Label::new("a", "1"); n + 2]).increment(1);
        }
    });
    assert_eq!(setup.kept(), kept(11, 0, 0), "the plain key, and as many others as there may be");
    assert_eq!(setup.flush(), ["jobs:200|c|#a:1"]);
    setup.flush_times(IDLE_FLUSHES + 2);
    assert_eq!(setup.kept(), kept(0, 0, 0));
    setup.with(|| counter!("jobs", "a" => "1", "a" => "1").increment(1));
    assert_eq!(setup.kept(), kept(2, 0, 0), "there is room again");
}

#[test]
fn what_sends_nothing_is_forgotten_when_nobody_calls_it_and_a_gauge_is_not() {
    let setup = setup();
    setup.with(|| {
        gauge!("level", "a" => "1").set(0.5);
        counter!("jobs").increment(1);
        histogram!("wait").record(1.0);
    });
    assert_eq!(setup.flush(), ["jobs:1|c", "level:0.5|g|#a:1", "wait:1|d"]);
    for (flush, lines) in setup.flush_times(IDLE_FLUSHES - 1).into_iter().enumerate() {
        assert_eq!(lines, ["level:0.5|g|#a:1"], "flush {flush}");
    }
    assert_eq!((setup.contexts(), setup.kept()), (3, kept(1, 1, 1)));
    setup.flush();
    assert_eq!(setup.flush(), ["level:0.5|g|#a:1"]);
    assert_eq!((setup.contexts(), setup.kept()), (1, kept(0, 1, 0)));
    // This thread still remembers where they were.
    setup.with(|| {
        gauge!("level", "a" => "1").set(0.25);
        counter!("jobs").increment(3);
        histogram!("wait").record(2.0);
    });
    assert_eq!(setup.flush(), ["jobs:3|c", "level:0.25|g|#a:1", "wait:2|d"]);
    assert_eq!((setup.contexts(), setup.kept()), (3, kept(1, 1, 1)));
}

#[test]
fn time_alone_makes_a_client_forget() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = Client::builder().capture(&capture).clock(&clock).telemetry(false).build().unwrap();
    with_local_recorder(&Recorder::new(guard.client()), || {
        counter!("jobs").increment(1);
        for _ in 0..IDLE_FLUSHES {
            clock.advance(Duration::from_secs(2));
        }
        assert_eq!(guard.client().stats().contexts, 1);
        assert_eq!(capture.take_lines().len(), 1);
        clock.advance(Duration::from_secs(2));
        clock.advance(Duration::from_secs(2));
        assert_eq!(guard.client().stats().contexts, 0);
    });
}

#[test]
fn what_is_called_now_and_then_stays() {
    let setup = setup();
    for round in 0..5 {
        setup.with(|| gauge!("level").set(f64::from(round)));
        for lines in setup.flush_times(IDLE_FLUSHES - 10) {
            assert_eq!(lines, [format!("level:{round}|g")]);
        }
    }
}

#[test]
fn what_is_held_is_not_forgotten() {
    let setup = setup();
    let (jobs, level) = setup.with(|| (counter!("jobs"), gauge!("level")));
    level.set(1.0);
    for lines in setup.flush_times(2 * IDLE_FLUSHES) {
        assert_eq!(lines, ["level:1|g"]);
    }
    jobs.increment(1);
    setup.with(|| counter!("jobs").increment(1));
    assert_eq!(setup.flush(), ["jobs:2|c", "level:1|g"]);
    drop((jobs, level));
    setup.flush_times(IDLE_FLUSHES - 1);
    assert_eq!((setup.contexts(), setup.kept()), (2, kept(1, 1, 0)), "from now on it is called no more");
    assert_eq!(setup.flush_times(2), [["level:1|g"]; 2]);
    assert_eq!((setup.contexts(), setup.kept()), (1, kept(0, 1, 0)));
}

#[test]
fn a_thread_that_falls_silent_keeps_nothing_alive() {
    let setup = setup();
    let (go, wait) = mpsc::channel::<()>();
    let called = Barrier::new(2);
    thread::scope(|scope| {
        let called = &called;
        let setup = &setup;
        scope.spawn(move || {
            setup.with(|| {
                counter!("jobs").increment(1);
                called.wait();
                wait.recv().unwrap_err();
                counter!("jobs").increment(2);
            });
        });
        called.wait();
        setup.flush_times(IDLE_FLUSHES + 2);
        assert_eq!((setup.contexts(), setup.kept()), (0, kept(0, 0, 0)));
        drop(go);
    });
    assert_eq!(setup.flush(), ["jobs:2|c"]);
}

#[test]
fn a_gauge_is_moved_from_where_it_is_however_long_ago_it_was_moved() {
    let setup = setup();
    let wait_long = || setup.flush_times(3 * IDLE_FLUSHES).pop().unwrap();
    setup.with(|| gauge!("connections").increment(2.0));
    assert_eq!(wait_long(), ["connections:2|g"]);
    setup.with(|| gauge!("connections").decrement(1.0));
    assert_eq!(wait_long(), ["connections:1|g"]);
    setup.with(|| gauge!("connections").decrement(1.0));
    assert_eq!(wait_long(), ["connections:0|g"], "and not below");
}

#[test]
fn an_absolute_counter_that_is_set_now_and_then_counts_what_it_grew_by_meanwhile() {
    let setup = setup();
    let set_after_long = |value| {
        setup.flush_times(IDLE_FLUSHES + 2);
        assert_eq!((setup.contexts(), setup.kept()), (0, kept(0, 0, 0)), "it takes no room meanwhile");
        setup.with(|| counter!("bytes", "nic" => "eth0").absolute(value));
        setup.flush()
    };
    assert_eq!(set_after_long(1_000), nothing());
    assert_eq!(set_after_long(1_400), ["bytes:400|c|#nic:eth0"]);
    assert_eq!(set_after_long(1_400), nothing());
    assert_eq!(set_after_long(30), ["bytes:30|c|#nic:eth0"], "it started again");
    assert_eq!(set_after_long(31), ["bytes:1|c|#nic:eth0"]);
}

#[test]
fn a_gauge_that_made_room_is_moved_from_where_it_was() {
    let setup = setup_with(|builder| builder.context_limit(1));
    let level = || gauge!("workers", "queue" => "mail");
    let make_room = || {
        setup.flush_times(2);
        setup.with(|| counter!("jobs").increment(1));
        let overflow = ["jobs.folded:1|c|#tasktag_overflow:true", "jobs:1|c|#tasktag_overflow:true"];
        assert_eq!(setup.flush(), overflow);
        assert_eq!(setup.contexts(), 0);
    };
    setup.with(|| level().set(10.0));
    make_room();
    // Looked for, and not used: where it was is still known after that.
    setup.with(|| drop(level()));
    assert_eq!(setup.flush(), nothing());
    setup.flush_times(IDLE_FLUSHES + 2);
    assert_eq!((setup.contexts(), setup.kept()), (0, kept(0, 0, 0)), "it was absent");
    setup.with(|| level().decrement(1.0));
    assert_eq!(setup.flush(), ["workers:9|g|#queue:mail"]);
    setup.with(|| level().set(3.0));
    setup.with(|| level().increment(1.0));
    assert_eq!(setup.flush(), ["workers:4|g|#queue:mail"]);
    // What is not known any more is nowhere.
    setup.with(|| level().set(f64::NAN));
    assert_eq!(setup.flush(), nothing());
    setup.flush_times(IDLE_FLUSHES);
    assert_eq!(setup.contexts(), 0);
    setup.with(|| level().increment(1.0));
    assert_eq!(setup.flush(), ["workers:1|g|#queue:mail"]);
}

#[test]
fn what_is_known_of_the_forgotten_has_a_bound() {
    let setup = setup_with(|builder| builder.context_limit(4));
    let count = |name: &'static str, value| setup.with(|| counter!(name).absolute(value));
    let forget = || drop(setup.flush_times(IDLE_FLUSHES + 2));
    for name in ["a", "b", "c", "d"] {
        count(name, 100);
        forget();
    }
    count("d", 105);
    count("c", 103);
    assert_eq!(setup.flush(), ["c:3|c", "d:5|c"], "the last ones are known");
    forget();
    for name in ["e", "f", "g", "h"] {
        count(name, 100);
        forget();
    }
    count("a", 150);
    assert_eq!(setup.flush(), nothing(), "what is long forgotten begins anew");
}

#[test]
fn what_is_forgotten_makes_room() {
    let setup = setup_with(|builder| builder.context_limit(3));
    setup.with(|| {
        counter!("jobs", "user" => "1").increment(1);
        counter!("told").absolute(100);
        gauge!("connections").increment(1.0);
    });
    // Somebody knocks at each flush: what loses nothing by it goes after two flushes, and what was set after all of
    // them. A gauge goes if that is not enough.
    let knock = || setup.with(|| counter!("jobs", "user" => "2").increment(1));
    for _ in 0..5 {
        knock();
        setup.flush();
    }
    assert!(setup.flush().iter().any(|line| line == "connections:1|g"));
    setup.with(|| counter!("told").absolute(130));
    knock();
    let lines = setup.flush();
    assert!(lines.contains(&"told:30|c".to_owned()), "{lines:?}");
    assert!(lines.contains(&"jobs:1|c|#user:2".to_owned()), "{lines:?}");
    setup.with(|| ["3", "4"].map(|user| counter!("jobs", "user" => user).increment(1)));
    let left = setup.flush();
    assert!(!left.iter().any(|line| line.starts_with("connections")), "{left:?}");
}

#[test]
fn names_that_are_forgotten_while_threads_call_them_lose_nothing() {
    const THREADS: u64 = 3;
    const EACH: u64 = 3_000;
    // No room for the second name: all that can go goes at every other flush.
    let setup = setup_with(|builder| builder.context_limit(1));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    setup.with(|| {
                        for n in 0..EACH {
                            counter!("jobs", "n" => (n / 50 % 3).to_string()).increment(1);
                            if n % 50 == 0 {
                                thread::yield_now();
                            }
                        }
                    });
                })
            })
            .collect();
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                setup.guard.client().flush(PATIENCE).unwrap();
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    setup.guard.client().flush(PATIENCE).unwrap();
    let metrics = setup.capture.take_metrics().unwrap();
    let sum: f64 =
        metrics.iter().filter(|metric| metric.name == "jobs").filter_map(|m| m.value.number()).sum();
    assert_eq!(sum, (THREADS * EACH) as f64);
    assert_conserved(&setup.guard.client().stats());
}

#[test]
fn histograms_are_what_they_are_asked_to_be() {
    for (kind, code) in
        [(HistogramKind::Distribution, "d"), (HistogramKind::Histogram, "h"), (HistogramKind::Timing, "ms")]
    {
        let mut setup = setup();
        setup.recorder = setup.recorder.histograms_as(kind);
        setup.with(|| {
            describe_histogram!("wait", Unit::Seconds, "is not converted unless that is asked for");
            histogram!("wait").record(Duration::from_millis(250));
        });
        assert_eq!(setup.flush(), [format!("wait:0.25|{code}")]);
    }
}

#[test]
fn times_are_milliseconds_where_that_is_asked_for() {
    let mut setup = setup();
    setup.recorder = setup.recorder.timings_by_unit();
    setup.with(|| {
        describe_histogram!("seconds", Unit::Seconds, "");
        describe_histogram!("micros", Unit::Microseconds, "");
        describe_histogram!("nanos", Unit::Nanoseconds, "");
        describe_histogram!("millis", Unit::Milliseconds, "");
        describe_histogram!("bytes", Unit::Bytes, "");
        histogram!("seconds", "a" => "1").record(Duration::from_millis(250));
        histogram!("micros").record(1234.0);
        histogram!("nanos").record(1_234_567.0);
        histogram!("millis").record(12.5);
        histogram!("bytes").record(512.0);
        histogram!("other").record_many(7.0, 2);
        for _ in 0..3 {
            describe_histogram!("called", Unit::Seconds, "at every call");
            histogram!("called").record(0.5);
        }
    });
    let lines = [
        "bytes:512|d",
        "called:500|ms|@0.3333333333333333",
        "micros:1.234|ms",
        "millis:12.5|ms",
        "nanos:1.234567|ms",
    ];
    assert_eq!(setup.flush(), [&lines[..], &["other:7|d|@0.5", "seconds:250|ms|#a:1"]].concat());
}

/// A recorder that notes the keys it is asked for.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<Key>>);

impl metrics::Recorder for Noting {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().push(Key::from_name(key));
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().push(Key::from_name(key));
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().push(Key::from_name(key));
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.lock().unwrap().push(key.clone());
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.lock().unwrap().push(key.clone());
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.lock().unwrap().push(key.clone());
        Histogram::noop()
    }
}

#[test]
fn a_layer_adds_the_task_id_once_in_front_of_any_recorder() {
    let noting = Noting::default();
    let id = TaskId::current();
    let layer = TaskIdLayer::new(&noting);
    with_local_recorder(&layer, || {
        _ = counter!("a", "x" => "1");
        _ = gauge!("b");
        _ = histogram!("c", "task_id" => "0000", "x" => "1", "TASK_ID" => "9");
        metrics::describe_counter!("d", "");
        metrics::describe_gauge!("e", "");
        describe_histogram!("f", "");
    });
    let id = id.as_str();
    let keys = noting.0.into_inner().unwrap();
    let expected = [
        Key::from_parts("a", &[("x", "1".to_owned()), ("task_id", id.to_owned())]),
        Key::from_parts("b", &[("task_id", id.to_owned())]),
        Key::from_parts(
            "c",
            &[
                ("task_id_", "0000".to_owned()),
                ("x", "1".to_owned()),
                ("task_id_", "9".to_owned()),
                ("task_id", id.to_owned()),
            ],
        ),
        Key::from_name("d"),
        Key::from_name("e"),
        Key::from_name("f"),
    ];
    assert_eq!(keys, expected);
}

#[test]
fn a_layer_in_front_of_our_own_recorder_does_no_harm() {
    let setup = setup();
    let layer = TaskIdLayer::new(setup.recorder.clone());
    for _ in 0..3 {
        let counter = layer.register_counter(&Key::from_name("jobs"), &METADATA);
        counter.increment(1);
    }
    setup.with(|| counter!("jobs").increment(1));
    assert_eq!(setup.flush(), ["jobs:4|c"]);
    assert_eq!(setup.guard.client().task_id(), task_id());
}
