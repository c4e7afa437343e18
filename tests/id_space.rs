//! A space of ids says how full it is, what a draw costs and how long it lasts, and no draw retries for ever.

use std::collections::BTreeMap;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{Client, Guard, IdSpace, NoneFree};

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES_A_DAY: u32 = 24 * 60;
const PATIENCE: Duration = Duration::from_secs(60);

/// Ids that are taken, as a database knows them.
struct Taken(Vec<bool>, u64);

impl Taken {
    fn new(size: u64) -> Self {
        Self(vec![false; usize::try_from(size).unwrap()], 0)
    }

    fn take(&mut self, id: u64) -> bool {
        let taken = &mut self.0[usize::try_from(id).unwrap()];
        let was_free = !std::mem::replace(taken, true);
        self.1 += u64::from(was_free);
        was_free
    }

    /// What the next draw costs, on average over many, each of which gives its id back.
    fn mean_tries(&mut self, space: &IdSpace, draws: u32) -> f64 {
        let mut tries = 0;
        for _ in 0..draws {
            let draw = space.draw_with(|id| self.take(id)).unwrap();
            self.0[usize::try_from(draw.id).unwrap()] = false;
            self.1 -= 1;
            tries += u64::from(draw.tries);
        }
        tries as f64 / f64::from(draws)
    }
}

#[test]
fn draws_cost_what_is_foretold_up_to_a_fill_of_99_9_percent() {
    let size = 100_000;
    let (space, mut taken) = (IdSpace::new(size).max_tries(1_000_000), Taken::new(size));
    // As many draws as keep the standard error of the mean below 2 %.
    for (used, draws) in [(0, 100), (50_000, 4_000), (90_000, 4_000), (99_000, 4_000), (99_900, 3_000)] {
        while taken.1 < used {
            space.draw_with(|id| taken.take(id)).unwrap();
        }
        space.set_used(taken.1);
        let expected = space.status().expected_tries().unwrap();
        assert_eq!(expected, size as f64 / (size - used) as f64);
        let mean = taken.mean_tries(&space, draws);
        assert!((mean / expected - 1.0).abs() < 0.12, "{mean} tries at {used}, not {expected}");
    }
}

#[test]
fn a_draw_ends_after_its_tries_and_says_how_full_the_space_is() {
    let (space, mut taken) = (IdSpace::new(1_000), Taken::new(1_000));
    (0..1_000).for_each(|id| assert!(taken.take(id)));
    space.set_used(1_000);
    let mut asked = 0;
    let none = space.draw_with(|id| {
        asked += 1;
        taken.take(id)
    });
    let NoneFree { tries, status, .. } = none.unwrap_err();
    assert_eq!((asked, tries), (IdSpace::DEFAULT_MAX_TRIES, IdSpace::DEFAULT_MAX_TRIES));
    assert_eq!((status.fill(), status.expected_tries()), (Some(1.0), Some(f64::INFINITY)));

    assert_eq!(IdSpace::new(10).max_tries(0).draw_with(|_| false).unwrap_err().tries, 1);
    assert_eq!(IdSpace::new(0).draw_with(|_| true).unwrap_err().tries, 0);
}

#[test]
fn candidates_are_in_the_space_and_each_is_as_likely() {
    let mut seen = [0_u32; 10];
    let space = IdSpace::new(10).max_tries(100_000);
    space.candidates().for_each(|id| seen[usize::try_from(id).unwrap()] += 1);
    // A standard deviation is 95.
    assert!(seen.iter().all(|count| count.abs_diff(10_000) < 600), "{seen:?}");
    assert!(IdSpace::new(u64::MAX).candidates().any(|id| id > u64::MAX / 2));
    assert_eq!(IdSpace::new(1).candidates().collect::<Vec<_>>(), [0; 32]);
}

#[test]
fn the_days_left_are_those_of_a_steady_growth() {
    let clock = ManualClock::new();
    let space = IdSpace::new(1_000_000).clock(&clock);
    for minute in 0..=3 * MINUTES_A_DAY {
        // 14,400 a day.
        space.set_used(500_000 + 10 * u64::from(minute));
        let left = space.status().days_left();
        assert_eq!(left.is_some(), minute >= 8, "after {minute} minutes");
        clock.advance(MINUTE);
    }
    let left = space.status().days_left().unwrap();
    assert!((left.expected - 456_800.0 / 14_400.0).abs() < 1e-6, "{left:?}");
    assert!(left.at_least > 31.0 && left.at_most.unwrap() < 32.5, "{left:?}");
}

#[test]
fn the_range_of_the_days_left_holds_the_truth_about_as_often_as_it_says() {
    let mut random = 0x0123_4567_89AB_CDEF_u64;
    let mut uniform = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as f64 / (1_u64 << 53) as f64
    };
    let (mut held, spaces) = (0, 400);
    for _ in 0..spaces {
        let clock = ManualClock::new();
        let space = IdSpace::new(1_000_000).clock(&clock);
        let mut used = 0;
        // Two ids in ten minutes on average, at random.
        for _ in 0..=12 * 60 {
            space.set_used(used);
            used += u64::from(uniform() < 0.2);
            clock.advance(MINUTE);
        }
        let status = space.status();
        let truth = (1_000_000 - status.used().unwrap()) as f64 / (0.2 * f64::from(MINUTES_A_DAY));
        let left = status.days_left().unwrap();
        held += i32::from(left.at_least <= truth && left.at_most.is_none_or(|at_most| truth <= at_most));
    }
    assert!((spaces * 90 / 100..=spaces).contains(&held), "{held} of {spaces}");
}

#[test]
fn a_growth_follows_what_changes_within_a_week_and_gaps_do_no_harm() {
    let clock = ManualClock::new();
    let space = IdSpace::new(10_000_000).clock(&clock);
    let mut used = 0;
    for (days, a_day) in [(20, 1_440), (9, 14_400)] {
        for _ in 0..days * MINUTES_A_DAY {
            space.set_used(used);
            used += a_day / 1_440;
            clock.advance(MINUTE);
        }
        let growth = space.status().growth_per_day().unwrap();
        assert!((growth / a_day as f64 - 1.0).abs() < 0.01, "{growth} a day, not {a_day}");
    }
    space.set_used(None);
    assert_eq!((space.status().fill(), space.status().days_left()), (None, None));
    clock.advance(MINUTE * MINUTES_A_DAY * 30);
    space.set_used(used + 30 * 14_400);
    let growth = space.status().growth_per_day().unwrap();
    assert!((growth / 14_400.0 - 1.0).abs() < 0.01, "{growth} a day over a gap");
}

#[test]
fn a_growth_that_is_looked_at_once_a_day_is_that_of_all_days() {
    let clock = ManualClock::new();
    let space = IdSpace::new(10_000_000).clock(&clock);
    for used in [0, 0, 10_000] {
        space.set_used(used);
        clock.advance(MINUTE * MINUTES_A_DAY);
    }
    let growth = space.status().growth_per_day().unwrap();
    assert!((growth / 5_000.0 - 1.0).abs() < 0.02, "{growth} a day");
}

#[test]
fn ids_that_are_given_back_leave_no_days_to_report() {
    let clock = ManualClock::new();
    let space = IdSpace::new(1_000).clock(&clock);
    for minute in 0..60 {
        space.set_used(500 - minute);
        clock.advance(MINUTE);
    }
    assert!(space.status().growth_per_day().is_some_and(|growth| growth < 0.0));
    assert_eq!(space.status().days_left(), None);
}

/// A client with a manual clock, and the gauges of the spaces of ids that it flushes.
struct Lab {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
}

impl Lab {
    fn new() -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let never = Duration::from_secs(3600);
        let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false);
        Self { guard: builder.flush_interval(never).build().unwrap(), capture, clock }
    }

    fn flushed(&self) -> BTreeMap<String, f64> {
        self.guard.client().flush(PATIENCE).unwrap();
        let gauge = |metric: ParsedMetric| {
            assert_eq!((metric.code.as_str(), metric.tag("id_space")), ("g", Some("vanity")));
            (metric.name.clone(), metric.value.number().unwrap())
        };
        self.capture.take_metrics().unwrap().into_iter().map(gauge).collect()
    }
}

fn gauges(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[test]
fn a_full_space_reports_a_number_of_tries_that_an_alert_sees() {
    let lab = Lab::new();
    let space = IdSpace::new(1_000);
    space.set_used(1_100);
    let _watch = lab.guard.client().watch_id_space("vanity", &space);
    let full =
        [("ids.size", 1_000.0), ("ids.used", 1_100.0), ("ids.fill", 1.0), ("ids.expected_tries", 1_000.0)];
    assert_eq!(lab.flushed(), gauges(&full));
}

#[test]
fn a_watched_space_reports_what_is_known_and_nothing_else() {
    let lab = Lab::new();
    let space = IdSpace::new(1_000).clock(&lab.clock);
    let _watch = lab.guard.client().watch_id_space("vanity", &space);
    assert!(lab.flushed().is_empty());
    space.set_used(750);
    let known = [("ids.size", 1_000.0), ("ids.used", 750.0), ("ids.fill", 0.75), ("ids.expected_tries", 4.0)];
    assert_eq!(lab.flushed(), gauges(&known));
    space.set_used(None);
    assert!(lab.flushed().is_empty());

    for used in 750..850 {
        space.set_used(used);
        lab.clock.advance(MINUTE);
    }
    let gauges = lab.flushed();
    let left = gauges["ids.days_left"];
    assert!(gauges["ids.days_left_at_least"] < left && left < gauges["ids.days_left_at_most"], "{gauges:?}");
}
