//! The arithmetic of capacity agrees with the published figures, and with queues that are simulated item by item.
//!
//! A simulation has a million items, or as many as `TASKTAG_ARRIVALS` says. With ten million its mean wait is within 1
//! % of the formula: `TASKTAG_ARRIVALS=10000000 cargo test --release --features testing --test capacity`.

use std::time::Duration;
use tasktag::capacity::{
    ArgumentError, CapacityReport, MAX_WORKERS, SplitQueues, highest_speedup, items_in_progress, mean_wait,
    share_within, speedup, threads_for_speedup, threads_to_keep_busy, utilization, waiting_probability,
    workers_for,
};

type Result<T = (), E = ArgumentError> = std::result::Result<T, E>;

const SECOND: Duration = Duration::from_secs(1);

/// A generator of random numbers that are the same each time (xorshift64*).
struct Random(u64);

impl Random {
    /// From 0 to 1, neither of them included.
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        (bits as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.uniform().ln()
    }
}

/// What became of the items of a simulated queue, whose jobs take a second on average.
#[derive(Debug)]
struct Simulated {
    mean_wait: f64,
    waited: f64,
    within_a_second: f64,
}

fn simulate(arrivals: u32, workers: u32, busy: f64) -> Simulated {
    let mut random = Random(0x0123_4567_89AB_CDEF);
    let mut free_at = vec![0.0_f64; workers as usize];
    let (mut now, mut sum, mut waited, mut within) = (0.0, 0.0, 0_u32, 0_u32);
    let between = 1.0 / (busy * f64::from(workers));
    for _ in 0..arrivals {
        now += random.exponential(between);
        let first = free_at.iter_mut().min_by(|one, two| one.total_cmp(two)).unwrap();
        let wait = (*first - now).max(0.0);
        sum += wait;
        waited += u32::from(wait > 0.0);
        within += u32::from(wait <= 1.0);
        *first = now + wait + random.exponential(1.0);
    }
    let share = |count: u32| f64::from(count) / f64::from(arrivals);
    Simulated { mean_wait: sum / f64::from(arrivals), waited: share(waited), within_a_second: share(within) }
}

#[test]
fn a_simulated_queue_waits_as_long_as_computed() -> Result {
    let arrivals = std::env::var("TASKTAG_ARRIVALS").map_or(1_000_000, |text| text.parse().unwrap());
    // Waits in a row depend on each other, so that a million of them are as good as far fewer.
    let tolerance = if arrivals < 10_000_000 { 0.04 } else { 0.01 };
    for (workers, busy) in [(1, 0.5), (1, 0.7), (5, 0.5), (5, 0.8), (25, 0.8), (25, 0.9)] {
        let seen = simulate(arrivals, workers, busy);
        let rate = busy * f64::from(workers);
        let mean = mean_wait(rate, SECOND, workers)?.as_secs_f64();
        let is_near = |seen: f64, computed: f64| (seen / computed - 1.0).abs() < tolerance;
        assert!(is_near(seen.mean_wait, mean), "{workers} at {busy}: {mean} and {seen:?}");
        let waited = waiting_probability(rate, SECOND, workers)?;
        assert!(is_near(seen.waited, waited), "{workers} at {busy}: {waited} and {seen:?}");
        let within = share_within(rate, SECOND, workers, SECOND)?;
        assert!(is_near(seen.within_a_second, within), "{workers} at {busy}: {within} and {seen:?}");
    }
    Ok(())
}

#[test]
fn mean_waits_are_those_of_the_published_tables() -> Result {
    for (workers, busy, waits) in [
        (1, 0.5, 1.0),
        (1, 0.9, 9.0),
        (5, 0.5, 0.05),
        (5, 0.7, 0.25),
        (5, 0.8, 0.55),
        (5, 0.9, 1.52),
        (5, 0.95, 3.51),
        (25, 0.8, 0.04),
        (25, 0.9, 0.20),
        (25, 0.95, 0.58),
    ] {
        let computed = mean_wait(busy * f64::from(workers), SECOND, workers)?.as_secs_f64();
        assert!((computed - waits).abs() <= 0.005 + 1e-9, "{workers} at {busy}: {computed}, not {waits}");
    }
    Ok(())
}

#[test]
fn threads_speed_up_waiting_jobs_as_amdahl_says() -> Result {
    let shown = |waiting, threads| Ok::<_, ArgumentError>(format!("{:.2}", speedup(waiting, threads)?));
    assert_eq!([shown(0.9, 5)?, shown(0.9, 25)?], ["3.57", "7.35"]);
    assert_eq!([shown(0.5, 5)?, shown(0.5, 25)?], ["1.67", "1.92"]);
    assert_eq!((speedup(0.0, 25)?, speedup(1.0, 25)?, speedup(0.3, 1)?), (1.0, 25.0, 1.0));
    assert_eq!((highest_speedup(0.75)?, highest_speedup(1.0)?), (4.0, f64::INFINITY));
    Ok(())
}

#[test]
fn the_threads_for_a_speedup_are_the_fewest_that_reach_it() -> Result {
    for waiting in [0.1, 0.5, 0.9, 0.95, 1.0] {
        for threads in [1, 2, 5, 25, 1000] {
            let reached = speedup(waiting, threads)?;
            assert_eq!(threads_for_speedup(waiting, reached)?, threads, "{waiting}");
            if let Ok(more) = threads_for_speedup(waiting, reached + 1e-9) {
                assert_eq!(more, threads + 1, "{waiting}");
            }
        }
    }
    assert_eq!(threads_for_speedup(0.0, 1.0)?, 1);
    assert_eq!((threads_to_keep_busy(0.9, 1, 1.0)?, threads_to_keep_busy(0.0, 4, 0.0)?), (10, 1));
    Ok(())
}

#[test]
fn the_workers_for_a_promise_are_the_fewest_that_keep_it() -> Result {
    for (rate, promise) in [(0.5, 0), (3.0, 1), (45.0, 1), (45.0, 60), (900.0, 5), (90_000.0, 0)] {
        let promise = Duration::from_secs(promise);
        let workers = workers_for(rate, SECOND, promise, 0.99)?;
        assert!(share_within(rate, SECOND, workers, promise)? >= 0.99);
        assert!(workers == 1 || share_within(rate, SECOND, workers - 1, promise)? < 0.99, "{workers}");
    }
    assert_eq!(workers_for(0.0, SECOND, Duration::ZERO, 0.99)?, 1);
    assert_eq!(workers_for(5.0, Duration::ZERO, Duration::ZERO, 0.99)?, 1);
    Ok(())
}

#[test]
fn many_workers_are_computed_with_as_exactly_as_few() -> Result {
    // Where the factorial of the number of workers is far out of range.
    let wait = mean_wait(9_900.0, SECOND, 10_000)?.as_secs_f64();
    assert!((0.0..0.01).contains(&wait), "{wait}");
    let probability = waiting_probability(990_000.0, SECOND, MAX_WORKERS)?;
    assert!((0.0..1e-15).contains(&probability), "{probability}");
    // Just below full use a wait is nearly certain.
    let nearly_full = waiting_probability(999.999, SECOND, 1000)?;
    assert!((0.999..1.0).contains(&nearly_full), "{nearly_full}");
    Ok(())
}

#[test]
fn workers_that_can_t_keep_up_have_no_steady_wait() -> Result {
    for rate in [5.0, 5.1, 1e12] {
        assert_eq!(mean_wait(rate, SECOND, 5)?, Duration::MAX);
        assert_eq!(waiting_probability(rate, SECOND, 5)?, 1.0);
        assert_eq!(share_within(rate, SECOND, 5, Duration::MAX)?, 0.0);
    }
    assert_eq!(items_in_progress(1e12, Duration::MAX)?, 1e12 * Duration::MAX.as_secs_f64());
    assert_eq!(utilization(6.0, SECOND, 5)?, 1.2);
    Ok(())
}

#[test]
fn one_queue_waits_less_than_several_with_the_same_workers() -> Result {
    for busy in [0.3, 0.6, 0.9, 0.99] {
        let split = SplitQueues::new(busy * 20.0, SECOND, 4, 5)?;
        assert_eq!(split.split(), mean_wait(busy * 5.0, SECOND, 5)?);
        assert_eq!(split.shared(), mean_wait(busy * 20.0, SECOND, 20)?);
        assert!(split.shared() < split.split() / 4, "{split}");
    }
    let same = SplitQueues::new(0.9, SECOND, 1, 1)?;
    assert_eq!(same.split(), same.shared());
    assert!(SplitQueues::new(21.0, SECOND, 4, 5)?.to_string().ends_with("nor can one queue"));
    Ok(())
}

#[test]
fn a_report_says_what_there_is_to_spare_and_what_would_do() -> Result {
    let promise = Duration::from_secs(60);
    let report = CapacityReport::new(3.0, Duration::from_secs(3), 12, promise)?;
    let highest = 3.0 * (1.0 + report.spare());
    let kept = |rate| share_within(rate, Duration::from_secs(3), 12, promise);
    assert!(kept(highest)? >= 0.99 && kept(highest * 1.000_001)? < 0.99, "{highest}");
    assert_eq!(report.workers_needed(), workers_for(3.0, Duration::from_secs(3), promise, 0.99)?);
    assert_eq!(report.waiting_share(0.8)?.cpus().map(|cpus| format!("{cpus:.1}")).as_deref(), Some("1.8"));

    let said = |rate, workers, share| {
        let report = CapacityReport::new(rate, Duration::from_secs(3), workers, promise)?.share(share)?;
        Ok::<_, ArgumentError>(report.to_string())
    };
    assert_eq!(
        said(3.0, 12, 0.99)?,
        "12 workers keep the promise of 60s with 30 % to spare; 10 would still keep it 99 % of the time"
    );
    assert_eq!(
        said(3.0, 10, 0.99)?,
        "10 workers keep the promise of 60s with 8 % to spare; fewer would not keep it 99 % of the time"
    );
    assert_eq!(
        said(3.3, 10, 0.99)?,
        "10 workers keep the promise of 60s 86 % of the time; 11 would keep it 99 % of the time"
    );
    assert_eq!(
        said(5.0, 12, 0.999)?,
        "12 workers can't keep up with the work of 15.0; 16 would keep the promise of 60s 99.9 % of the time"
    );
    assert_eq!(said(0.0, 12, 0.99)?, "12 workers keep the promise of 60s, as there is no work");
    let lines = format!("{:#}", report.waiting_share(0.8)?);
    assert_eq!(
        lines.lines().filter(|line| line.starts_with("- ") && line.contains(", if ")).count(),
        5,
        "{lines}"
    );
    // All of these workers together could do more than any rate that may be asked for.
    assert!(CapacityReport::new(10.0, Duration::from_nanos(1), 10_000, SECOND)?.is_kept());
    Ok(())
}

#[test]
fn what_is_out_of_its_range_is_named() {
    let job = Duration::from_millis(100);
    for (result, argument, value) in [
        (speedup(-0.1, 5), "waiting_share", "-0.1"),
        (speedup(f64::NAN, 5), "waiting_share", "NaN"),
        (speedup(0.5, 0), "threads", "0"),
        (highest_speedup(1.1), "waiting_share", "1.1"),
        (threads_for_speedup(0.9, 10.0).map(f64::from), "speedup", "10"),
        (threads_for_speedup(0.9, 0.5).map(f64::from), "speedup", "0.5"),
        (threads_for_speedup(0.9, f64::NAN).map(f64::from), "speedup", "NaN"),
        (threads_to_keep_busy(1.0, 1, 1.0).map(f64::from), "waiting_share", "1"),
        (threads_to_keep_busy(1.0, 1, 0.0).map(f64::from), "waiting_share", "1"),
        (threads_to_keep_busy(0.5, 0, 1.0).map(f64::from), "cpus", "0"),
        (threads_to_keep_busy(0.5, 1, 1.01).map(f64::from), "utilization", "1.01"),
        (items_in_progress(-1.0, job), "rate", "-1"),
        (items_in_progress(f64::INFINITY, job), "rate", "inf"),
        (utilization(1.0, job, 0), "workers", "0"),
        (waiting_probability(1.0, job, MAX_WORKERS + 1), "workers", "1000001"),
        (share_within(f64::NAN, job, 1, job), "rate", "NaN"),
        (workers_for(1.0, job, job, 1.0).map(f64::from), "share", "1"),
        (workers_for(1e9, job, job, 0.5).map(f64::from), "rate", "1000000000"),
        (SplitQueues::new(1.0, job, 0, 5).map(|_| 0.0), "queues", "0"),
        (SplitQueues::new(1.0, job, 1000, 1001).map(|_| 0.0), "workers", "1001000"),
        (CapacityReport::new(1.0, job, 0, job).map(|_| 0.0), "workers", "0"),
        (
            CapacityReport::new(1.0, job, 1, job).and_then(|report| report.share(1.0)).map(|_| 0.0),
            "share",
            "1",
        ),
    ] {
        let error = result.unwrap_err();
        assert_eq!((error.argument(), error.value()), (argument, value), "{error}");
        assert!(
            error.to_string().starts_with(&format!("the argument {argument} can't be {value}: ")),
            "{error}"
        );
    }
}
