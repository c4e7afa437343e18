//! Items that come, run and leave, at all ages and in all numbers.

use super::seats::SEATS;
use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
const HOUR: u64 = 3600 * SECOND;
const YEAR: u64 = 365 * 24 * HOUR;

fn group(items: u64, since: u64) -> Group {
    Group { items, since: Some(since) }
}

/// The age of the oldest waiting item, once everything is at rest.
fn oldest_age(stays: &Stays, now: u64) -> u64 {
    stays.count(now, 0).waiting.since.map_or(0, |since| now - since)
}

fn leave_all(stays: &Stays, places: &[Place]) {
    for place in places {
        stays.leave(*place, 0);
    }
}

#[test]
fn an_item_waits_and_then_runs_and_then_is_gone() {
    let stays = Stays::default();
    assert_eq!(stays.count(0, 0), Census::default());
    let place = stays.enter(0, 0);
    let expected = Census { waiting: group(1, 0), ..Census::default() };
    assert_eq!(stays.count(5 * MS, 0), expected, "also at the start of the clock");
    let place = stays.start(place, 5 * MS, 0);
    assert_eq!(stays.count(9 * MS, 0), Census { running: group(1, 5 * MS), ..Census::default() });
    stays.leave(place, 0);
    assert_eq!(stays.count(9 * MS, 0), Census::default());
}

#[test]
fn a_millisecond_is_exact_and_nothing_is_rounded_by_more_than_64_ns() {
    let stays = Stays::default();
    for since in [1, 63, 64, 999, MS, MS + 1, 17 * HOUR + 3 * MS, 20 * YEAR] {
        let place = stays.enter(since, 0);
        let told = stays.count(since, 0).waiting.since.unwrap();
        assert!(told <= since && since - told < 64, "{told} {since}");
        assert!(since % MS != 0 || told == since, "{told} {since}");
        stays.leave(place, 0);
    }
}

#[test]
fn items_leave_in_any_order_and_the_oldest_of_the_rest_is_known() {
    let stays = Stays::default();
    let mut places: Vec<_> = (0..500).map(|n| (n * MS, stays.enter(n * MS, 0))).collect();
    let mut draw = 1_u64;
    while !places.is_empty() {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (_, place) = places.swap_remove(usize::try_from(draw >> 33).unwrap() % places.len());
        stays.leave(place, 0);
        let waiting = stays.count(SECOND, 0).waiting;
        assert_eq!(waiting.items, places.len() as u64);
        assert_eq!(waiting.since, places.iter().map(|(since, _)| *since).min());
    }
}

#[test]
fn what_finds_no_seat_is_counted_and_its_age_is_known_to_a_slice() {
    let stays = Stays::default();
    let items = 100_000;
    // An item in 50 µs: 5 s in all.
    let mut places: Vec<_> = (0..items).map(|n| stays.enter(n * MS / 20, 0)).collect();
    let seated = places.iter().filter(|place| matches!(place, Place::Seat(_))).count();
    assert!(seated <= SEATS && seated > SEATS * 9 / 10, "{seated}");
    assert!(!places.contains(&Place::Nowhere));
    let now = 5 * SECOND;
    assert_eq!(stays.count(now, 0).waiting, group(items, 0));
    // The oldest leave first.
    for left in (0..items).step_by(10_000) {
        places.drain(..10_000).for_each(|place| stays.leave(place, 0));
        let next = (left + 10_000) * MS / 20;
        if places.is_empty() {
            continue;
        }
        let age = oldest_age(&stays, now);
        assert!(
            (now - next..=now - next + 5 * SECOND / 64 + 5 * MS).contains(&age),
            "{age} of {}",
            now - next
        );
    }
    assert_eq!(stays.count(now, 0), Census::default());
}

#[test]
fn jobs_that_find_no_seat_run_and_end_too() {
    let stays = Stays::default();
    let places: Vec<_> = (0..20_000).map(|_| stays.enter(SECOND, 0)).collect();
    let running: Vec<_> = places.into_iter().map(|place| stays.start(place, 2 * SECOND, 0)).collect();
    let running_slices = running.iter().filter(|place| matches!(place, Place::RunningSlice(_))).count();
    assert!(running_slices > 15_000 && !running.contains(&Place::Nowhere), "{running_slices}");
    let census = stays.count(3 * SECOND, 0);
    assert_eq!((census.waiting.items, census.running.items), (0, 20_000));
    leave_all(&stays, &running);
    assert_eq!(stays.count(3 * SECOND, 0), Census::default());
}

#[test]
fn a_queue_that_only_grows_for_a_year_counts_every_item() {
    let stays = Stays::default();
    // Nothing that follows finds a seat.
    while !matches!(stays.enter(0, 0), Place::WaitingSlice(_)) {}
    let (mut now, mut entered) = (4 * MS, stays.count(0, 0).waiting.items);
    let mut last = 0;
    while now < YEAR {
        match stays.enter(now, 0) {
            Place::WaitingSlice(_) | Place::Seat(_) => entered += 1,
            place => panic!("{place:?} at {now}"),
        }
        last = now;
        // Often enough that each slice is begun.
        now += (now / 200).max(4 * MS);
        assert_eq!(stays.count(now, 0).waiting, group(entered, 0));
    }
    assert!(last > YEAR * 9 / 10);
}

#[test]
fn a_queue_that_nobody_counts_has_no_more_slices() {
    let stays = Stays::default();
    let places: Vec<_> = (0..1_000_000_u64).map(|n| stays.enter(n * 36 * MS / 10, 0)).collect();
    let now = HOUR;
    assert_eq!(stays.count(now, 0).waiting, group(1_000_000, 0));
    let (oldest, newest) = places.split_at(990_000);
    leave_all(&stays, oldest);
    let age = oldest_age(&stays, now);
    assert!((36 * SECOND..36 * SECOND + 2 * HOUR / 64).contains(&age), "{age}");
    leave_all(&stays, newest);
    assert_eq!(stays.count(now, 0), Census::default());
}

#[test]
fn another_generations_stays_are_free() {
    let stays = Stays::default();
    let inherited: Vec<_> = (0..20_000).map(|_| stays.enter(SECOND, 7)).collect();
    assert_eq!(stays.count(2 * SECOND, 8), Census::default());
    let own: Vec<_> = (0..20_000).map(|_| stays.enter(3 * SECOND, 8)).collect();
    assert_eq!(stays.count(4 * SECOND, 8).waiting.items, 20_000);
    // What was in a slice knows that it is not there any more.
    inherited
        .iter()
        .filter(|place| !matches!(place, Place::Seat(_)))
        .for_each(|place| stays.leave(*place, 7));
    assert_eq!(stays.count(4 * SECOND, 8).waiting.items, 20_000);
    for place in own {
        stays.leave(place, 8);
    }
    assert_eq!(stays.count(4 * SECOND, 8), Census::default());
}

#[test]
fn an_item_that_entered_after_the_clock_was_read_is_not_old() {
    let stays = Stays::default();
    let places: Vec<_> = (0..20_000).map(|_| stays.enter(10 * SECOND, 0)).collect();
    assert!(places.iter().any(|place| matches!(place, Place::WaitingSlice(_))));
    let earlier = 9 * SECOND;
    let since = stays.count(earlier, 0).waiting.since.unwrap();
    assert!(earlier.saturating_sub(since) < 5 * MS, "{since}");
}
