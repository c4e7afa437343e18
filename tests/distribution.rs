//! A distribution's counts are exact, and its quantiles are off by less than 1 in 128, whatever the values.

use std::error::Error;
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{Client, ClientBuilder, DropReason, Guard, OwnedTimer, Stats};

const PATIENCE: Duration = Duration::from_secs(60);
const N: usize = 100_000;
/// In thousandths, from the least value to the greatest.
const QUANTILES: [usize; 10] = [0, 10, 50, 250, 500, 750, 900, 990, 999, 1000];

/// `SplitMix64`: the same values in every run.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Uniform from 0, exclusive, to 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Normal with mean 0 and deviation 1, after Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn values(&mut self, mut shape: impl FnMut(&mut Self) -> f64) -> Vec<f64> {
        (0..N).map(|_| shape(self)).collect()
    }
}

/// A client whose worker does nothing until it is told to.
fn quiet(capture: &Capture) -> ClientBuilder {
    let hour = Duration::from_secs(3600);
    Client::builder()
        .capture(capture)
        .clock(&ManualClock::new())
        .flush_interval(hour)
        .collect_interval(hour)
        .telemetry(false)
}

/// What arrives at the next flush: values in ascending order, and how often each was seen.
fn flushed(guard: &Guard, capture: &Capture) -> Result<Vec<(f64, u64)>, Box<dyn Error>> {
    guard.client().flush(PATIENCE)?;
    let read = |metric: &ParsedMetric| Some((metric.value.number()?, metric.count()));
    let mut values: Vec<_> = capture.take_metrics()?.iter().filter_map(read).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(values)
}

fn count(values: &[(f64, u64)]) -> u64 {
    values.iter().map(|(_, n)| n).sum()
}

/// The least reported value that at least `rank` values do not exceed.
fn at_rank(values: &[(f64, u64)], rank: usize) -> f64 {
    let mut seen = 0;
    let reaches = |(_, n): &&(f64, u64)| {
        seen += n;
        seen >= rank as u64
    };
    values.iter().find(reaches).unwrap().0
}

/// Records all values in one flush interval, and compares what arrives with them.
fn assert_faithful(mut values: Vec<f64>) -> Result<Stats, Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let distribution = guard.client().distribution("values").register();
    for value in &values {
        distribution.record(*value);
    }
    let reported = flushed(&guard, &capture)?;
    assert_eq!(count(&reported), values.len() as u64);
    values.sort_by(f64::total_cmp);
    for quantile in QUANTILES {
        let rank = (quantile * values.len()).div_ceil(1000).max(1);
        let (exact, found) = (values[rank - 1], at_rank(&reported, rank));
        let error = (found - exact).abs();
        assert!(error < exact.abs() / 128.0 || found == exact, "quantile {quantile}: {found}, not {exact}");
    }
    let stats = guard.client().stats();
    assert_eq!((stats.sent.values, stats.dropped_total().values), (values.len() as u64, 0));
    Ok(stats)
}

#[test]
fn uniform_values_keep_their_quantiles() -> Result<(), Box<dyn Error>> {
    assert_faithful(Generator(1).values(Generator::unit))?;
    assert_faithful(Generator(2).values(|random| random.between(1.0, 1000.0)))?;
    Ok(())
}

#[test]
fn lognormal_values_keep_their_quantiles() -> Result<(), Box<dyn Error>> {
    assert_faithful(Generator(3).values(|random| (3.0 + random.normal()).exp()))?;
    assert_faithful(Generator(4).values(|random| (2.0 * random.normal()).exp()))?;
    Ok(())
}

#[test]
fn a_constant_is_one_line() -> Result<(), Box<dyn Error>> {
    for constant in [12.345_678_9, 0.0, -1e-300, f64::MAX] {
        assert_eq!(assert_faithful(vec![constant; N])?.sent.lines, 1);
    }
    Ok(())
}

#[test]
fn huge_values_keep_their_quantiles() -> Result<(), Box<dyn Error>> {
    assert_faithful(Generator(5).values(|random| 1e300 * random.between(0.1, 10.0)))?;
    Ok(())
}

#[test]
fn tiny_values_keep_their_quantiles() -> Result<(), Box<dyn Error>> {
    assert_faithful(Generator(6).values(|random| 1e-300 * random.between(0.1, 10.0)))?;
    Ok(())
}

#[test]
fn negative_values_keep_their_quantiles() -> Result<(), Box<dyn Error>> {
    assert_faithful(Generator(7).values(|random| -(3.0 + random.normal()).exp()))?;
    Ok(())
}

#[test]
fn values_of_both_signs_keep_their_quantiles() -> Result<(), Box<dyn Error>> {
    assert_faithful(Generator(8).values(|random| random.between(-1000.0, 1000.0)))?;
    assert_faithful(Generator(9).values(Generator::normal))?;
    Ok(())
}

#[test]
fn lone_values_arrive_exactly() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let distribution = guard.client().distribution("values").register();
    let lone = [f64::MIN, -1e300, -12.5, -0.1, 0.0, 1e-300, 1e-9, 0.1, 1.0 / 3.0, 1.0, 3.0, 1e18, f64::MAX];
    for value in lone {
        distribution.record(value);
    }
    assert_eq!(flushed(&guard, &capture)?, lone.map(|value| (value, 1)));
    assert_eq!(flushed(&guard, &capture)?, [], "each is sent once");
    Ok(())
}

#[test]
fn a_value_recorded_many_times_is_one_line_with_its_count() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let distribution = guard.client().distribution("values").register();
    // Where a server truncates 1 / rate, 93 and 105 are among the counts that 1 / n falls short of.
    for n in [1, 2, 3, 93, 105, 1_000_003, (1 << 44) - 1, 1 << 44, (1 << 48) + 1] {
        distribution.record_many(0.25, n);
        let reported = flushed(&guard, &capture)?;
        assert_eq!(count(&reported), n);
        assert!(reported.iter().all(|(value, _)| *value == 0.25), "{reported:?}");
    }
    distribution.record_many(0.25, 0);
    assert_eq!(flushed(&guard, &capture)?, []);
    Ok(())
}

#[test]
fn any_counts_arrive_exactly() {
    arbtest::arbtest(|u| {
        let capture = Capture::new();
        let guard = quiet(&capture).build().unwrap();
        let distribution = guard.client().distribution("values").register();
        let mut total = 0;
        for _ in 0..u.int_in_range(1..=20)? {
            let bits = u.int_in_range(0..=46)?;
            let n = u.int_in_range(0..=1 << bits)?;
            distribution.record_many(f64::from(u.int_in_range(0..=10_u8)?), n);
            total += n;
        }
        assert_eq!(count(&flushed(&guard, &capture).unwrap()), total);
        Ok(())
    })
    .budget_ms(1_000);
}

#[test]
fn a_count_beyond_all_bounds_does_not_kill_the_worker() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let distribution = guard.client().distribution("values").register();
    distribution.record_many(1.0, u64::MAX);
    distribution.record_many(1.0, u64::MAX);
    guard.client().counter("other").increment(7);
    guard.client().flush(PATIENCE)?;
    assert_eq!(guard.client().stats().worker_restarts, 0);
    assert!(capture.take_metrics()?.iter().any(|metric| metric.name == "other"));
    Ok(())
}

#[test]
fn values_that_are_not_finite_are_refused_and_counted() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let distribution = guard.client().distribution("values").register();
    distribution.record(f64::NAN);
    distribution.record(f64::NEG_INFINITY);
    distribution.record_many(f64::INFINITY, 5);
    guard.client().distribution("by.name").record(f64::NAN);
    assert_eq!(flushed(&guard, &capture)?, []);
    assert_eq!(guard.client().stats().dropped(DropReason::Invalid).values, 8);
    Ok(())
}

#[test]
fn each_kind_has_its_code() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let client = guard.client();
    let builders = [client.distribution("d"), client.histogram("h"), client.timing("ms")];
    let handles = builders.map(tasktag::MetricBuilder::register);
    for handle in &handles {
        handle.record_many(2.5, 4);
    }
    client.flush(PATIENCE)?;
    let mut lines = capture.take_lines();
    lines.sort();
    let tag = client.task_id().tag().to_owned();
    assert_eq!(lines, ["d", "h", "ms"].map(|code| format!("{code}:2.5|{code}|@0.25|#{tag}")));
    Ok(())
}

#[test]
fn a_timer_records_the_time_that_it_lived() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture).clock(&clock).build()?;
    let timing = guard.client().timing("job").register();
    let outer = timing.start();
    for nanos in [1, 250_000, 12_500_000, 90_000_000_123] {
        let timer = timing.start();
        clock.advance(Duration::from_nanos(nanos));
        drop(timer);
    }
    clock.advance(Duration::from_secs(600));
    drop(outer);
    let reported = flushed(&guard, &capture)?;
    // In milliseconds, the outer timer's the last of them.
    assert_eq!(reported, [0.000_001, 0.25, 12.5, 90_000.000_123, 690_012.750_124].map(|ms| (ms, 1)));
    Ok(())
}

#[test]
fn a_timer_records_in_a_panic_and_not_when_it_is_discarded() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture).clock(&clock).build()?;
    let timing = guard.client().timing("job").register();
    let discarded = timing.start();
    clock.advance(Duration::from_millis(3));
    discarded.discard();
    assert_eq!(flushed(&guard, &capture)?, []);
    let panicked = std::panic::catch_unwind(|| {
        let _timer = timing.start();
        clock.advance(Duration::from_millis(7));
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    assert_eq!(flushed(&guard, &capture)?, [(7.0, 1)]);
    Ok(())
}

#[test]
fn an_owned_timer_records_once_where_it_ends_and_not_when_it_is_discarded() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture).clock(&clock).build()?;
    let start = || guard.client().timing("job").register().start_owned();
    let [dropped, stopped, discarded, panicked] = [(); 4].map(|()| start());
    clock.advance(Duration::from_millis(3));
    std::thread::spawn(move || drop(dropped)).join().unwrap();
    clock.advance(Duration::from_millis(4));
    let elapsed = std::thread::spawn(move || stopped.stop()).join().unwrap();
    assert_eq!(elapsed, Duration::from_millis(7));
    clock.advance(Duration::from_millis(5));
    std::thread::spawn(move || discarded.discard()).join().unwrap();
    clock.advance(Duration::from_millis(6));
    let panic = std::thread::spawn(move || {
        let _timer = panicked;
        panic!("on purpose");
    });
    assert!(panic.join().is_err());
    assert_eq!(flushed(&guard, &capture)?, [(3.0, 1), (7.0, 1), (18.0, 1)]);
    assert_eq!(flushed(&guard, &capture)?, []);
    Ok(())
}

#[test]
fn an_owned_timer_holds_its_metric_until_it_ends() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture).clock(&clock).build()?;
    let client = guard.client();
    let ends: [fn(OwnedTimer); 3] = [drop, |timer| assert!(timer.stop().is_zero()), OwnedTimer::discard];
    for end in ends {
        // No handle is held beside it.
        let timer = client.timing("job").register().start_owned();
        for _ in 0..3 {
            assert_eq!(flushed(&guard, &capture)?, []);
            assert_eq!(client.stats().contexts, 1);
        }
        end(timer);
        for _ in 0..3 {
            flushed(&guard, &capture)?;
        }
        assert_eq!(client.stats().contexts, 0, "nothing holds it any more");
    }
    Ok(())
}

#[test]
fn a_duration_is_recorded_in_milliseconds_whatever_the_kind() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let client = guard.client();
    client.timing("timing").register().record_duration(Duration::from_micros(1_250));
    client.histogram("histogram").register().record_duration(Duration::from_secs(2));
    client.distribution("by.name").record_duration(Duration::from_nanos(500));
    client.timing("longest").record_duration(Duration::MAX);
    let reported = flushed(&guard, &capture)?;
    assert_eq!(reported[..3], [(0.0005, 1), (1.25, 1), (2000.0, 1)]);
    // The longest duration is cut, to 584 years, and not refused.
    assert_eq!(reported[3], (u64::MAX as f64 / 1e6, 1));
    Ok(())
}

#[test]
fn threads_and_flushes_at_once_lose_no_value() -> Result<(), Box<dyn Error>> {
    const THREADS: u64 = 4;
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).build()?;
    let distribution = guard.client().distribution("values").register();
    let mut total = 0;
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let distribution = &distribution;
        let record = |seed| {
            for value in Generator(seed).values(|random| (3.0 + random.normal()).exp()) {
                distribution.record(value);
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|seed| scope.spawn(move || record(seed))).collect();
        while !threads.iter().all(ScopedJoinHandle::is_finished) {
            total += count(&flushed(&guard, &capture)?);
        }
        Ok(())
    })?;
    total += count(&flushed(&guard, &capture)?);
    let stats = guard.client().stats();
    assert_eq!(total + stats.dropped_total().values, THREADS * N as u64);
    assert_eq!(stats.accepted.values, THREADS * N as u64);
    Ok(())
}

#[test]
fn threads_that_get_into_each_others_way_share_the_line_of_a_bucket() -> Result<(), Box<dyn Error>> {
    const THREADS: u64 = 4;
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let distribution = guard.client().distribution("values").register();
    let mut total = 0;
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let record = || (0..10 * N).for_each(|_| distribution.record(12.5));
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(record)).collect();
        while !threads.iter().all(ScopedJoinHandle::is_finished) {
            let reported = flushed(&guard, &capture)?;
            assert!(reported.len() <= 1 && reported.iter().all(|(value, _)| *value == 12.5), "{reported:?}");
            total += count(&reported);
        }
        Ok(())
    })?;
    total += count(&flushed(&guard, &capture)?);
    assert_eq!(total, THREADS * 10 * N as u64);
    Ok(())
}

/// They fit where a context starts: nothing needs to grow.
#[test]
fn a_burst_of_thirty_values_into_each_of_2000_young_contexts_loses_none() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).metric_context_limit(2000).build()?;
    let register = |n: u32| guard.client().timing("timing").tag("n", &n.to_string()).register();
    let timings: Vec<_> = (0..2000).map(register).collect();
    // Three decades, and no collection before all are recorded.
    for step in 0..30 {
        for timing in &timings {
            timing.record(10_f64.powf(f64::from(step) / 10.0));
        }
    }
    guard.client().flush(PATIENCE)?;
    let stats = guard.client().stats();
    assert_eq!((stats.sent.values, stats.dropped_total().values), (2000 * 30, 0));
    Ok(())
}

/// The client has tables in stock for these.
#[test]
fn a_burst_of_a_hundred_different_values_into_each_of_40_young_contexts_loses_none()
-> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).channel_capacity(1).build()?;
    let register = |n: u32| guard.client().timing("timing").tag("n", &n.to_string()).register();
    let timings: Vec<_> = (0..40).map(register).collect();
    for step in 0..100 {
        for timing in &timings {
            timing.record((f64::from(step) * 0.03).exp2());
        }
    }
    guard.client().flush(PATIENCE)?;
    let stats = guard.client().stats();
    assert_eq!((stats.sent.values, stats.dropped_total().values), (40 * 100, 0));
    Ok(())
}

/// A distribution's doc promises room for about 4,000 buckets, 32 octaves each in full.
#[test]
fn thirty_octaves_fit_into_an_interval_without_the_channel() -> Result<(), Box<dyn Error>> {
    for signs in [[1.0, 1.0], [1.0, -1.0]] {
        let capture = Capture::new();
        let guard = quiet(&capture).channel_capacity(1).build()?;
        let distribution = guard.client().distribution("values").register();
        let octaves = if signs == [1.0, 1.0] { 30.0 } else { 15.0 };
        let shape = |random: &mut Generator| random.between(0.0, octaves).exp2() / 1024.0;
        for (value, sign) in Generator(12).values(shape).into_iter().zip(signs.into_iter().cycle()) {
            distribution.record(sign * value);
        }
        let reported = flushed(&guard, &capture)?;
        assert_eq!((count(&reported), guard.client().stats().dropped_total().values), (N as u64, 0));
        assert!(reported.len() > 3_800, "{} of 3,840 buckets were touched", reported.len());
    }
    Ok(())
}

#[test]
fn values_nearer_to_0_than_normal_numbers_count_as_0() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let distribution = guard.client().distribution("values").register();
    for value in [5e-324, -5e-324, 1e-310, -2.2e-308, 2.2e-308, 0.0, f64::MIN_POSITIVE] {
        distribution.record(value);
    }
    assert_eq!(flushed(&guard, &capture)?, [(0.0, 6), (f64::MIN_POSITIVE, 1)]);
    Ok(())
}

#[test]
fn values_nearer_to_0_than_normal_numbers_count_as_0_over_the_channel_too() -> Result<(), Box<dyn Error>> {
    // More than a table counts at once.
    const MANY: u64 = 1 << 44;
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let distribution = guard.client().distribution("values").register();
    for value in [5e-324, -1e-310, -0.0, 2.2e-308] {
        distribution.record_many(value, MANY);
    }
    let reported = flushed(&guard, &capture)?;
    assert_eq!(count(&reported), 4 * MANY);
    assert!(reported.iter().all(|(value, _)| value.to_bits() == 0), "{reported:?}");
    Ok(())
}

/// Over six hundred powers of ten: more buckets than a table holds, and more values beyond it than the channel does.
fn over_the_whole_range(random: &mut Generator) -> f64 {
    10_f64.powf(random.between(-300.0, 300.0))
}

/// The clock stands still, so that nothing else wakes the worker.
#[test]
fn what_finds_no_room_wakes_the_worker() -> Result<(), Box<dyn Error>> {
    const CHANNEL: usize = 64;
    /// Of the five tables of a distribution.
    const PLACES: u64 = 31 + 127 + 639 + 1535 + 4097;
    let capture = Capture::new();
    let guard = quiet(&capture).channel_capacity(CHANNEL).build()?;
    let distribution = guard.client().distribution("values").register();
    // Each has a bucket of its own. Once all tables are full, each further one crosses the channel.
    let values = (0..150_000).map(|step| 10_f64.powf(f64::from(step) / 250.0 - 300.0));
    // Not all that is kept fits into the tables and the channel.
    let is_collected =
        |recorded: u64| recorded - guard.client().stats().dropped_total().values > PLACES + CHANNEL as u64;
    for (recorded, value) in (1..).zip(values) {
        distribution.record(value);
        if is_collected(recorded) {
            return Ok(());
        }
        std::thread::yield_now();
    }
    Err("the worker slept".into())
}

#[test]
fn what_neither_table_nor_channel_hold_is_counted() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = quiet(&capture).build()?;
    let distribution = guard.client().distribution("values").register();
    distribution.record(1.0);
    // A worker that is free would make room in time.
    capture.set_stuck(true);
    assert!(guard.client().flush(Duration::from_millis(100)).is_err());
    for value in Generator(10).values(over_the_whole_range) {
        distribution.record(value);
    }
    capture.set_stuck(false);
    let reported = flushed(&guard, &capture)?;
    let stats = guard.client().stats();
    assert!(reported.len() > 4096, "values came through the channel: {}", reported.len());
    assert_eq!(count(&reported), stats.sent.values);
    assert_eq!(stats.dropped_total().values, stats.dropped(DropReason::ChannelFull).values);
    assert!(stats.dropped_total().values > 0);
    assert_eq!(stats.sent.values + stats.dropped_total().values, 1 + N as u64);
    Ok(())
}

#[test]
fn what_the_table_does_not_hold_arrives_when_the_worker_collects_in_time() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let collect_interval = Duration::from_millis(250);
    let guard = quiet(&capture).clock(&clock).collect_interval(collect_interval).build()?;
    let distribution = guard.client().distribution("values").register();
    let values = Generator(11).values(over_the_whole_range);
    for recorded in values.chunks(5_000) {
        for value in recorded {
            distribution.record(*value);
        }
        clock.advance(collect_interval);
    }
    let reported = flushed(&guard, &capture)?;
    assert_eq!(count(&reported), N as u64);
    let median = at_rank(&reported, N / 2).log10();
    assert!(median.abs() < 10.0, "10 to the power of {median}");
    Ok(())
}
