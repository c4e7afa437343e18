//! The course against a list of everything that ever happened, and the alerts against the arithmetic of their table.

use super::*;
use crate::api::objective::record;

const DAY: u64 = 24 * 3600;
/// The first of January 2026, in slices of 10 s.
const START: u64 = 176_722_560;

fn rule(unit: Unit, goal: f64, slice: u64, period_days: u64) -> Rule {
    let goal = Goal::new("objective", goal).unwrap();
    Rule { unit, goal, span: Span { slice, period_days }, min_bad: 3 }
}

/// Everything that happened, slice by slice, and nothing forgotten.
struct Diary {
    rule: Rule,
    budget: u64,
    slices: Vec<(u64, Counts)>,
}

impl Diary {
    /// Adds up the slices after `from`, in steps of so many slices.
    fn sum(&self, newest: u64, seconds: u64, step_seconds: u64) -> Counts {
        let step = step_seconds / self.rule.span.slice;
        let is_within = |slice: u64| slice / step + seconds / step_seconds > newest / step;
        let within = self.slices.iter().filter(|(slice, _)| is_within(*slice));
        within.fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts))
    }

    fn window(&self, newest: u64, window: BurnWindow) -> Counts {
        let (seconds, step) = match window {
            BurnWindow::FiveMinutes => (300, self.rule.span.slice),
            BurnWindow::ThirtyMinutes => (1800, self.rule.span.slice),
            BurnWindow::OneHour => (3600, self.rule.span.slice),
            BurnWindow::SixHours => (6 * 3600, 300),
            BurnWindow::ThreeDays => (3 * DAY, 3600),
        };
        self.sum(newest, seconds, step)
    }

    /// Returns the budget that so much has used, from whole numbers.
    fn used(&self, bad: u64, total: u64) -> f64 {
        (u128::from(bad) * 1_000_000_000) as f64 / (u128::from(total) * u128::from(self.budget)) as f64
    }

    fn assert_equals(&self, course: &Course, newest: u64) {
        for &window in BurnWindow::ALL {
            let counts = self.window(newest, window);
            let rate = (counts.total() > 0).then(|| self.used(counts.bad, counts.total()));
            assert_eq!(course.burn_rate(window), rate, "{window:?} at {}", newest - START);
        }
        let counts = self.sum(newest, self.rule.span.period_days * DAY, 3600);
        let total = match self.rule.unit {
            Unit::Events(_) => counts.total(),
            Unit::Slices => self.rule.span.slices(),
        };
        let left = (counts.total() > 0).then(|| 1.0 - self.used(counts.bad, total));
        assert_eq!(course.budget_left(), left, "at {}", newest - START);
    }
}

/// A generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What was counted of slices by state, in the test's own words.
#[derive(Debug, Default, PartialEq, Eq)]
struct States {
    good: u64,
    bad: u64,
    unknown: u64,
}

/// A month of a service, with nights without traffic, outages, restarts that know the past and some that don't, and
/// gaps in which the process slept.
fn live(rule: Rule, budget: u64, mut dice: Dice) {
    let mut diary = Diary { rule, budget, slices: Vec::new() };
    let mut course = Course::new(rule);
    let (mut counted, mut expected) = (SliceCounts::default(), States::default());
    let (mut slice, mut outage) = (START, 0);
    course.begin(slice, None);
    let mut is_whole = false;
    let end = START + 30 * DAY / 10;
    while slice < end {
        let is_night = (slice / 360) % 24 < 5;
        outage =
            if outage == 0 && dice.below(20_000) == 0 { dice.below(400) } else { outage.saturating_sub(1) };
        let events = if is_night { 0 } else { dice.below(40) };
        let failed = if outage > 0 { events } else { events.min(u64::from(dice.below(900) == 0)) };
        let seen = Counts { good: events - failed, bad: failed };
        course.see(seen);

        // What the slice is worth, said once more in other words.
        let is_slices = rule.unit == Unit::Slices;
        if is_whole {
            match (events, failed) {
                (0, _) => expected.unknown += 1,
                (_, 0) => expected.good += 1,
                _ => expected.bad += 1,
            }
        }
        let worth = match (is_slices, events, failed) {
            (false, ..) => seen,
            (true, 1.., 0) if is_whole => Counts::GOOD,
            (true, 1.., 1..) if is_whole => Counts::BAD,
            _ => Counts::default(),
        };
        diary.slices.push((slice, worth));

        let gap = if dice.below(3000) == 0 { 1 + dice.below(900) } else { 0 };
        let over = course.turn_to(slice + 1 + gap).unwrap();
        expected.unknown += gap;
        counted = counted.plus(over);
        assert_eq!(course.turn_to(slice + 1 + gap), None, "it is that slice already");
        slice += 1 + gap;
        is_whole = true;
        if dice.below(9000) == 0 || slice + 1 >= end {
            diary.assert_equals(&course, slice - 1);
        }
        if dice.below(30_000) == 0 {
            // A restart, that takes a while. The slice that was not over is nobody's.
            let text = record::write(course.history(), "any");
            slice += dice.below(500);
            course = Course::new(rule);
            let known = if dice.below(3) == 0 { None } else { record::read(&text, rule.span, "any", slice) };
            if known.is_none() {
                diary.slices.clear();
            }
            course.begin(slice, known);
            is_whole = false;
        }
    }
    assert_eq!(expected, States { good: counted.good, bad: counted.bad, unknown: counted.unknown });
    assert!(counted.good > 100_000 && counted.bad > 100 && counted.unknown > 10_000, "{counted:?}");
}

#[test]
fn a_month_of_events_is_what_a_diary_of_it_says() {
    for (seed, period_days) in [(1, 30), (2, 28), (3, 7)] {
        live(rule(Unit::Events(None), 0.999, 10, period_days), 1_000_000, Dice(seed));
    }
}

#[test]
fn a_month_of_slices_is_what_a_diary_of_it_says() {
    for (seed, period_days) in [(4, 30), (5, 28), (6, 7)] {
        live(rule(Unit::Slices, 0.95, 10, period_days), 50_000_000, Dice(seed));
    }
}

/// A course of slices, of which the given ones of the latest are bad.
fn of_slices(rule: Rule, slices: u64, is_bad: impl Fn(u64) -> bool) -> Course {
    let mut course = Course::new(rule);
    let end = START * 10 / rule.span.slice;
    course.begin(end - slices - 1, None);
    course.turn_to(end - slices);
    for left in (0..slices).rev() {
        course.see(Counts::one(!is_bad(left)));
        course.turn_to(end - left);
    }
    course
}

/// A course of events at a constant rate, of which the given share is bad.
fn of_events(rule: Rule, hours: u64, per_slice: u64, bad_in_thousand: impl Fn(u64) -> u64) -> Course {
    let mut course = Course::new(rule);
    let slices = hours * 360;
    course.begin(START - slices, None);
    for left in (0..slices).rev() {
        let bad = per_slice * bad_in_thousand(left) / 1000;
        course.see(Counts { good: per_slice - bad, bad });
        course.turn_to(START - left);
    }
    course
}

const PAGE: AlertSeverity = AlertSeverity::Page;
const TICKET: AlertSeverity = AlertSeverity::Ticket;

#[test]
fn the_table_of_the_workbook_is_reproduced() {
    // Google, The Site Reliability Workbook, table 5-8: severity, long, short, burn rate, budget used.
    let table = [
        (PAGE, BurnWindow::OneHour, BurnWindow::FiveMinutes, 14.4, 2),
        (PAGE, BurnWindow::SixHours, BurnWindow::ThirtyMinutes, 6.0, 5),
        (TICKET, BurnWindow::ThreeDays, BurnWindow::SixHours, 1.0, 10),
    ];
    let month = Duration::from_secs(30 * DAY);
    let own = BurnAlert::WORKBOOK
        .map(|alert| (alert.severity, alert.long, alert.short, alert.burn_rate(month), alert.budget_percent));
    assert_eq!(own, table);
    for alert in BurnAlert::WORKBOOK {
        assert_eq!(alert.short.duration() * 12, alert.long.duration());
        // At its rate, the alert's share of the budget is gone at the end of its window.
        let used = alert.burn_rate(month) * alert.long.duration().as_secs_f64() / month.as_secs_f64();
        assert!((used - f64::from(alert.budget_percent) / 100.0).abs() < 1e-12);
    }
}

#[test]
fn an_alert_fires_above_its_rate_and_not_at_it() {
    let rule = rule(Unit::Events(None), 0.9, 10, 30);
    // 10 % may be bad. At the rates of 6 and 1, that is 60 % and 10 % of 1000 events a slice.
    for (hours, per_thousand, [page, ticket]) in
        [(6, 600, [false, true]), (6, 601, [true, true]), (72, 100, [false, false]), (72, 101, [false, true])]
    {
        let course = of_events(rule, hours, 1000, |_| per_thousand);
        assert_eq!([PAGE, TICKET].map(|severity| course.alert(severity)), [Some(page), Some(ticket)]);
    }
}

#[test]
fn an_alert_ends_soon_after_what_it_is_about() {
    let rule = rule(Unit::Events(None), 0.999, 10, 30);
    let outage = |ago: u64| {
        of_events(rule, 2, 1000, move |left| if left >= ago && left < ago + 180 { 500 } else { 0 })
    };
    assert_eq!(outage(0).alert(PAGE), Some(true));
    assert_eq!(outage(29).alert(PAGE), Some(true), "the page of an hour has 5 minutes to end");
    assert_eq!(outage(170).alert(PAGE), Some(true), "but that of 6 hours has 30");
    assert!(outage(170).burn_rate(BurnWindow::FiveMinutes) == Some(0.0));
    assert_eq!(outage(180).alert(PAGE), Some(false));
    assert!(
        outage(180).burn_rate(BurnWindow::OneHour) > Some(14.4),
        "the long window alone would still page"
    );
}

#[test]
fn the_constants_of_a_month_page_too_late_for_a_week() {
    let (week, month) = (rule(Unit::Slices, 0.999, 10, 7), rule(Unit::Slices, 0.999, 10, 30));
    // 4 of the last 360 slices, two of them in the last 5 minutes: 40 s, of 604.8 that a week may have.
    let is_bad = |left| [0, 10, 40, 50].contains(&left);
    let [weekly, monthly] = [week, month].map(|rule| of_slices(rule, 360 * 6, is_bad));
    let rate = weekly.burn_rate(BurnWindow::OneHour).unwrap();
    assert!(rate > 3.36 && rate < 14.4, "{rate}");
    assert!(weekly.budget_left().unwrap() < 0.94, "more than 6 % of the budget in an hour");
    assert_eq!([weekly.alert(PAGE), monthly.alert(PAGE)], [Some(true), Some(false)]);
}

#[test]
fn a_weeks_ticket_would_be_written_for_a_promise_that_is_kept() {
    let week = Duration::from_secs(7 * DAY);
    let [.., ticket] = BurnAlert::WORKBOOK;
    assert!((ticket.burn_rate(week) - 0.233).abs() < 0.001 && ticket.threshold(week) == 1.0);
    // Three days at half of what is allowed: half of the budget will be left at the end of the week.
    let course = of_events(rule(Unit::Events(None), 0.99, 10, 7), 73, 1000, |_| 5);
    assert_eq!(course.burn_rate(BurnWindow::ThreeDays), Some(0.5));
    assert!(0.5 > ticket.burn_rate(week), "the scaled constant alone would fire");
    assert_eq!(course.alert(TICKET), Some(false));
}

#[test]
fn one_bad_slice_of_a_minute_is_above_the_rate_and_pages_nobody() {
    let rule = rule(Unit::Slices, 0.999, 60, 30);
    let bad = |slices: u64| of_slices(rule, 360, move |left| left < slices);
    let one = bad(1);
    let rate = one.burn_rate(BurnWindow::OneHour).unwrap();
    assert!(
        rate > 14.4 && one.burn_rate(BurnWindow::FiveMinutes) > Some(14.4),
        "{rate}: the constants would page"
    );
    assert_eq!([1, 2, 3].map(|slices| bad(slices).alert(PAGE)), [Some(false), Some(false), Some(true)]);
    // Over 6 hours, two bad minutes are below the rate of 6, and three above.
    let early = |slices: u64| of_slices(rule, 360, move |left| left < 120 + slices && left >= 120);
    assert!(early(2).burn_rate(BurnWindow::SixHours) < Some(6.0));
    assert!(early(3).burn_rate(BurnWindow::SixHours) > Some(6.0));
}

#[test]
fn with_slices_of_10_s_it_takes_a_minute_to_page() {
    let rule = Rule { min_bad: 1, ..rule(Unit::Slices, 0.999, 10, 30) };
    let bad = |slices: u64| of_slices(rule, 360 * 6, move |left| left < slices).alert(PAGE);
    assert_eq!([1, 5, 6].map(bad), [Some(false), Some(false), Some(true)]);
}

#[test]
fn one_failure_at_low_traffic_pages_nobody() {
    let mut course = Course::new(rule(Unit::Events(None), 0.999, 10, 30));
    course.begin(START - 360, None);
    // Ten events in an hour, of which the last fails.
    for event in 1..=10 {
        course.see(Counts::one(event < 10));
        course.turn_to(START - 360 + 36 * event);
    }
    assert_eq!(course.burn_rate(BurnWindow::OneHour).map(f64::round), Some(100.0));
    assert_eq!([PAGE, TICKET].map(|severity| course.alert(severity)), [Some(false), Some(false)]);
    course.see(Counts { good: 0, bad: 2 });
    course.turn_to(START + 1);
    assert_eq!(course.alert(PAGE), Some(true), "but three do");
}

#[test]
fn three_bad_minutes_of_a_week_are_99_970_percent() {
    let rule = rule(Unit::Slices, 0.999, 60, 7);
    let week = of_slices(rule, 10_080, |left| (2000..2003).contains(&left));
    assert_eq!(week.slices().to_string(), "99.970 %: 10077 slices good, 3 bad, 0 unknown");
    assert!((week.budget_left().unwrap() - (1.0 - 3.0 / 10.08)).abs() < 1e-12);
}

#[test]
fn the_budget_of_time_is_that_of_the_whole_period() {
    for (days, minutes) in [(7, 10.08), (28, 40.32), (30, 43.2)] {
        let rule = rule(Unit::Slices, 0.999, 60, days);
        // Two bad minutes are all that is known.
        let course = of_slices(rule, 2, |_| true);
        assert!((course.budget_left().unwrap() - (1.0 - 2.0 / minutes)).abs() < 1e-12, "{days} days");
        assert_eq!(course.slices().unknown, days * 24 * 60 - 2);
    }
}

#[test]
fn what_nobody_saw_is_unknown() {
    let mut course = Course::new(rule(Unit::Slices, 0.999, 10, 30));
    let (known, alert) =
        (|course: &Course| course.burn_rate(BurnWindow::FiveMinutes), |course: &Course| course.alert(PAGE));
    assert_eq!((known(&course), alert(&course), course.budget_left()), (None, None, None));
    course.begin(START, None);
    course.see(Counts::BAD);
    assert_eq!(course.turn_to(START + 1), Some(SliceCounts::default()), "it began before anybody looked");
    assert_eq!((known(&course), course.budget_left()), (None, None));
    assert_eq!(course.turn_to(START + 2), Some(SliceCounts::new(0, 0, 1)));
    course.see(Counts::GOOD);
    assert_eq!(course.turn_to(START + 10), Some(SliceCounts::new(1, 0, 7)), "seven were slept over");
    assert_eq!((known(&course), alert(&course), course.budget_left()), (Some(0.0), Some(false), Some(1.0)));
    course.see(Counts { good: 5, bad: 1 });
    assert_eq!(course.turn_to(START + 11), Some(SliceCounts::new(0, 1, 0)), "bad once is bad");
    course.turn_to(START + 11 + 30);
    assert_eq!(known(&course), None, "and 5 minutes later nothing is known of 5 minutes");
}
