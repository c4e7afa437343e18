//! A gate admits what the load allows, by class, and takes an unknown load for neither high nor low.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{
    Admission, Client, ConfigError, Gate, GateBuilder, GateState, Guard, Load, PoolStatus, Promise,
    QueueStatus,
};

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// A client whose time is moved by hand, and what it flushes.
struct Lab {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
}

impl Lab {
    fn new() -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false);
        let guard = builder.flush_interval(Duration::from_secs(3600)).build().unwrap();
        Self { guard, capture, clock }
    }

    /// A gate that takes each sample as it is.
    fn gate(&self) -> GateBuilder<'_> {
        self.guard.client().gate("orders").smoothing(Duration::ZERO)
    }

    /// What is flushed, by name and by the values of the tags except the task's and the gate's.
    fn flushed(&self) -> BTreeMap<String, f64> {
        self.guard.client().flush(PATIENCE).unwrap();
        let metric = |metric: ParsedMetric| {
            assert_eq!(metric.tag("gate"), Some("orders"));
            let own = metric.tags.iter().filter(|(key, _)| key != "task_id" && key != "gate");
            let name = own.fold(metric.name.clone(), |name, (_, value)| format!("{name} {value}"));
            (name, metric.value.number().unwrap())
        };
        self.capture.take_metrics().unwrap().into_iter().map(metric).collect()
    }
}

/// A load that a test changes while a gate measures it, and how often it did.
#[derive(Clone, Default)]
struct Shown {
    load: Arc<Mutex<Load>>,
    asked: Arc<AtomicU32>,
}

impl Shown {
    fn show(&self, load: Load) {
        *self.load.lock().unwrap() = load;
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    fn probe(&self) -> impl FnMut() -> Load + Send + 'static {
        let shown = self.clone();
        move || {
            shown.asked.fetch_add(1, Ordering::Relaxed);
            shown.load.lock().unwrap().clone()
        }
    }
}

fn admitted(gate: &Gate, class: &str, of: u32) -> u32 {
    (0..of).map(|_| u32::from(gate.admits(class))).sum()
}

#[test]
fn classes_are_shed_at_their_own_thresholds_and_admitted_again_at_lower_ones() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let nightly = Admission::below(0.8).reopen_below(0.6).passing(0.0);
    let gate = lab
        .gate()
        .class("nightly", nightly)
        .class("soon", Admission::below(1.5).passing(0.0))
        .class("pay", Admission::always())
        .register()?;
    for (load, open) in [
        (0.0, [true, true]),
        (0.8, [true, true]),
        (0.81, [false, true]),
        (0.7, [false, true]),
        (0.6, [false, true]),
        (0.59, [true, true]),
        (0.8, [true, true]),
        (1.51, [false, false]),
        (1.21, [false, false]),
        (1.19, [false, true]),
        (1e300, [false, false]),
        (0.0, [true, true]),
    ] {
        gate.set_load(Load::of(load));
        assert_eq!(["nightly", "soon"].map(|class| gate.admits(class)), open, "at {load}");
        assert!(gate.admits("pay") && gate.admits("nobody registered this"), "at {load}");
    }
    Ok(())
}

#[test]
fn a_share_passes_while_a_class_is_shed() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let gate = lab.gate().class("nightly", Admission::below(0.8)).register()?;
    gate.set_load(Load::of(2.0));
    assert!((45..=55).contains(&admitted(&gate, "nightly", 1_000)));
    Ok(())
}

#[test]
fn an_unknown_load_is_neither_high_nor_low_and_each_class_says_what_follows() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let gate = lab
        .gate()
        .class("admitted", Admission::below(0.8).passing(0.0))
        .class("shed", Admission::below(0.8).passing(1.0).when_unknown(0.0))
        .class("some", Admission::below(0.8).when_unknown(0.5))
        .class("always", Admission::always().when_unknown(0.0))
        .register()?;
    let state = |class| gate.class(class).state();
    let policies_hold = || {
        assert!(["admitted", "shed", "some"].iter().all(|class| state(class) == GateState::Unknown));
        assert_eq!(["admitted", "shed", "always"].map(|class| admitted(&gate, class, 100)), [100, 0, 100]);
        assert!((45..=55).contains(&admitted(&gate, "some", 100)));
    };
    policies_hold();
    for known in [0.1, 5.0] {
        gate.set_load(Load::of(known));
        assert_eq!(gate.load(), Some(known));
        assert_ne!(state("shed"), GateState::Unknown);
        for unknown in [None, Some(f64::NAN), Some(f64::INFINITY), Some(-0.1)] {
            gate.set_load(Load::of(unknown));
            policies_hold();
        }
    }
    Ok(())
}

#[test]
fn what_was_shed_before_the_load_was_unknown_is_shed_until_it_is_low_again() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let gate =
        lab.gate().class("nightly", Admission::below(0.8).reopen_below(0.6).passing(0.0)).register()?;
    for (load, open) in
        [(Some(0.9), false), (None, true), (Some(0.7), false), (Some(0.5), true), (Some(0.7), true)]
    {
        gate.set_load(Load::of(load));
        assert_eq!(gate.admits("nightly"), open, "{load:?}");
    }
    Ok(())
}

#[test]
fn the_load_is_sampled_once_a_second_and_smoothed() -> Result<(), ConfigError> {
    let (lab, shown) = (Lab::new(), Shown::default());
    let gate =
        lab.guard.client().gate("orders").class("nightly", Admission::below(0.8)).measure(shown.probe())?;
    shown.show(Load::of(0.0));
    for second in 1..=5 {
        lab.clock.advance(SECOND);
        assert_eq!(shown.asked(), second);
    }
    shown.show(Load::of(1.0));
    for second in 1..=12_u32 {
        lab.clock.advance(SECOND);
        let smoothed = gate.status().smoothed().unwrap();
        let expected = 1.0 - (-f64::from(second) / 5.0).exp();
        assert!((smoothed - expected).abs() < 1e-9, "{smoothed} after {second} s, not {expected}");
        assert_eq!(gate.class("nightly").state() == GateState::Shedding, expected > 0.8, "after {second} s");
        assert_eq!(gate.load(), Some(1.0));
    }
    // What is known again after it was unknown begins with what was measured.
    shown.show(Load::unknown());
    lab.clock.advance(SECOND);
    shown.show(Load::of(0.3));
    lab.clock.advance(SECOND);
    assert_eq!(gate.status().smoothed(), Some(0.3));
    Ok(())
}

#[test]
fn a_load_that_nobody_measures_again_is_unknown_after_two_samples() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let gate = lab.gate().class("nightly", Admission::below(0.8)).register()?;
    for known in [0.1, 5.0] {
        gate.set_load(Load::of(known));
        lab.clock.advance(Duration::from_millis(1750));
        assert_eq!(gate.load(), Some(known));
        lab.clock.advance(Duration::from_millis(250));
        assert_eq!((gate.load(), gate.class("nightly").state()), (None, GateState::Unknown));
    }
    Ok(())
}

#[test]
fn a_measurement_that_hangs_or_panics_makes_the_load_unknown() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let (hang, hangs) = mpsc::channel::<()>();
    let hangs = Mutex::new(hangs);
    let mut calls = 0;
    let gate = lab.gate().class("nightly", Admission::below(0.8)).measure(move || {
        calls += 1;
        if calls == 3 {
            // Until the test is over.
            let _ = hangs.lock().unwrap().recv();
        }
        Load::of(0.1)
    })?;
    let other = lab.guard.client().gate("other").class("nightly", Admission::below(0.8)).measure({
        let mut calls = 0;
        move || {
            calls += 1;
            assert!(calls < 3, "as it is asked to");
            Load::of(0.1)
        }
    })?;
    let is_known = |gate: &Gate| gate.load().is_some();
    lab.clock.advance(SECOND);
    lab.clock.advance(SECOND);
    assert!(is_known(&gate) && is_known(&other));
    let start = Instant::now();
    while is_known(&gate) || is_known(&other) {
        assert!(start.elapsed() < PATIENCE, "it is still taken for known");
        lab.clock.advance(SECOND);
    }
    assert_eq!(gate.class("nightly").state(), GateState::Unknown);
    drop(hang);
    Ok(())
}

#[test]
fn a_gate_whose_client_has_stopped_knows_nothing() -> Result<(), ConfigError> {
    let (lab, shown) = (Lab::new(), Shown::default());
    let gate = lab.gate().class("nightly", Admission::below(0.8).passing(0.0)).measure(shown.probe())?;
    shown.show(Load::of(5.0));
    lab.clock.advance(SECOND);
    assert!(!gate.admits("nightly"));
    lab.guard.shutdown(PATIENCE).unwrap();
    let start = Instant::now();
    while gate.load().is_some() {
        assert!(start.elapsed() < PATIENCE, "it is still taken for known");
        thread::yield_now();
    }
    assert!(gate.admits("nightly"), "as the class says by default");
    Ok(())
}

#[test]
fn a_gate_whose_load_was_set_forgets_it_when_its_client_has_stopped() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let gate = lab.gate().class("nightly", Admission::below(0.8).passing(0.0)).register()?;
    gate.set_load(Load::of(5.0));
    assert!(!gate.admits("nightly"));
    lab.guard.shutdown(PATIENCE).unwrap();
    let start = Instant::now();
    while gate.load().is_some() {
        assert!(start.elapsed() < PATIENCE, "it is still taken for known");
        thread::yield_now();
    }
    assert!(gate.admits("nightly"));
    Ok(())
}

#[test]
fn a_load_stays_known_between_collections_that_are_further_apart_than_its_samples() -> Result<(), ConfigError>
{
    let (lab, shown) = (Lab::new(), Shown::default());
    let gate = lab.gate().every(Duration::from_millis(100)).class("nightly", Admission::below(0.8));
    let gate = gate.measure(shown.probe())?;
    shown.show(Load::of(0.5));
    for _ in 0..10 {
        lab.clock.advance(SECOND);
        assert_eq!(gate.load(), Some(0.5));
    }
    Ok(())
}

#[test]
fn decisions_load_and_what_was_shed_are_reported() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let gate = lab.gate().class("nightly", Admission::below(0.8).passing(0.0)).register()?;
    let expected = |pairs: &[(&str, f64)]| -> BTreeMap<String, f64> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    };
    let _ = admitted(&gate, "nightly", 2);
    let unknown = [("gate.decisions nightly admitted unknown", 2.0), ("gate.load_known", 0.0)];
    assert_eq!(lab.flushed(), expected(&unknown));

    gate.set_load(Load::of(0.5).part("cpu", 0.5).part("lock", 3.0));
    let _ = (admitted(&gate, "nightly", 3), gate.admits("pay"));
    let open = [
        ("gate.decisions nightly admitted open", 3.0),
        ("gate.decisions other admitted open", 1.0),
        ("gate.load", 0.5),
        ("gate.load.max", 0.5),
        ("gate.load_known", 1.0),
        ("gate.load_part cpu", 0.5),
        ("gate.load_part lock", 3.0),
        ("gate.load_smoothed", 0.5),
        ("gate.shedding nightly", 0.0),
    ];
    assert_eq!(lab.flushed(), expected(&open));

    gate.set_load(Load::of(0.9));
    let _ = admitted(&gate, "nightly", 4);
    let shedding = [
        ("gate.decisions nightly shed shedding", 4.0),
        ("gate.load", 0.9),
        ("gate.load.max", 0.9),
        ("gate.load_known", 1.0),
        ("gate.load_smoothed", 0.9),
        ("gate.shedding nightly", 1.0),
    ];
    assert_eq!(lab.flushed(), expected(&shedding));
    drop(gate);
    assert_eq!(lab.flushed(), expected(&[]));
    Ok(())
}

#[test]
fn whoever_waits_is_woken_when_the_class_is_admitted() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let admission = Admission::below(0.8).passing(0.0).when_unknown(0.0);
    let gate = lab.gate().class("nightly", admission).retry_after(SECOND * 7).register()?;
    let later = gate.wait_or_later("nightly", Duration::ZERO).unwrap_err();
    assert_eq!(later.after(), SECOND * 7);
    assert_eq!(later.to_string(), "the load is too high at the moment: try again in 7s");
    gate.set_load(Load::of(2.0));
    thread::scope(|scope| {
        let waiting: Vec<_> =
            (0..4).map(|_| scope.spawn(|| gate.wait_or_later("nightly", PATIENCE))).collect();
        // Whether they wait by now or not, each of them sees the load that is low.
        gate.set_load(Load::of(1.5));
        gate.set_load(Load::of(0.1));
        for waiting in waiting {
            assert_eq!(waiting.join().unwrap(), Ok(()));
        }
    });
    assert_eq!(gate.wait_or_later("pay", Duration::ZERO), Ok(()));
    let decisions = lab.flushed().into_iter().filter(|(name, _)| name.starts_with("gate.decisions"));
    let expected = [
        ("gate.decisions nightly admitted open", 4.0),
        ("gate.decisions nightly shed unknown", 1.0),
        ("gate.decisions other admitted open", 1.0),
    ];
    assert_eq!(decisions.collect::<Vec<_>>(), expected.map(|(name, count)| (name.to_owned(), count)));
    Ok(())
}

#[test]
fn a_share_of_those_who_wait_passes_with_each_sample() -> Result<(), ConfigError> {
    let lab = Lab::new();
    let gate = lab.gate().class("nightly", Admission::below(0.8).passing(0.2)).register()?;
    gate.set_load(Load::of(2.0));
    let mut samples = 0;
    thread::scope(|scope| {
        let waiting = scope.spawn(|| gate.wait_or_later("nightly", PATIENCE));
        while !waiting.is_finished() {
            gate.set_load(Load::of(2.0));
            samples += 1;
            thread::yield_now();
        }
        assert_eq!(waiting.join().unwrap(), Ok(()), "after {samples} samples");
    });
    Ok(())
}

#[test]
fn a_setting_that_makes_no_sense_is_named() {
    let lab = Lab::new();
    let refused = |admission| lab.gate().class("nightly", admission).register().unwrap_err().to_string();
    for (admission, setting) in [
        (Admission::below(f64::NAN), "below"),
        (Admission::below(-1.0), "below"),
        (Admission::below(0.0), "below"),
        (Admission::below(0.8).reopen_below(0.0), "reopen_below"),
        (Admission::below(0.8).reopen_below(0.9), "reopen_below"),
        (Admission::below(0.8).reopen_below(-0.1), "reopen_below"),
        (Admission::below(0.8).passing(1.1), "passing"),
        (Admission::below(0.8).when_unknown(f64::NAN), "when_unknown"),
    ] {
        let error = refused(admission);
        assert!(error.starts_with(&format!("the setting {setting} can't be ")), "{error}");
    }
    let twice = lab.gate().class("a", Admission::always()).class("a", Admission::always());
    assert!(twice.register().is_err());
    let many = (0..17).fold(lab.gate(), |gate, n| gate.class(&n.to_string(), Admission::always()));
    assert!(many.register().is_err());
}

#[test]
fn a_gate_of_a_disabled_client_admits_everything() -> Result<(), ConfigError> {
    let client = Client::disabled();
    let gate = client.gate("orders").class("nightly", Admission::below(0.1).when_unknown(0.0)).register()?;
    gate.set_load(Load::of(9.0));
    for gate in [gate, Gate::default()] {
        assert!(gate.admits("nightly") && gate.wait_or_later("nightly", Duration::ZERO).is_ok());
    }
    Ok(())
}

#[test]
fn loads_of_pools_and_queues_are_known_where_their_numbers_are() {
    let pool = PoolStatus::new().max(10).in_use(10).waiting(5);
    assert_eq!(Load::of_pool(&pool).value(), Some(1.5));
    assert_eq!(Load::of_pool(&PoolStatus::new().in_use(10)).value(), None);
    assert_eq!(Load::of_pool(&PoolStatus::new().max(0).in_use(1)).value(), None);
    assert_eq!(Load::of_pool(&PoolStatus::new().max(10)).value(), None);
    let queue = QueueStatus::new().oldest_age(SECOND * 3);
    assert_eq!(Load::of_queue(&queue).value(), None);
    assert_eq!(Load::of_queue(&queue.promise(Promise::within(SECOND * 2))).value(), Some(1.5));
    assert_eq!(Load::of_queue(&queue.promise(Promise::within(Duration::ZERO))).value(), None);
}
