//! Buckets keep every count, in a chain of tables alone and with further tables.

use super::*;
use crate::cell::countable;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

fn taken(buckets: &Buckets) -> Vec<(f64, u64)> {
    let mut found = Vec::new();
    buckets.take(|value, n| found.push((value, n)));
    found
}

/// With as many further tables as there can be.
fn wide() -> Buckets {
    let buckets = Buckets::new();
    (0..5).for_each(|_| buckets.widen());
    buckets
}

/// The least values of as many buckets in a row as fit.
fn dense() -> impl Iterator<Item = f64> + Clone {
    (0..4096).map(|step| f64::from_bits((0x3FF << 52) + (step << 45)))
}

#[test]
fn lone_values_come_back_exactly_from_the_least_to_the_greatest() {
    let values = [-1e300, -12.5, 0.0, 1e-300, 1e-9, 0.1, 1.0, 3.0, 1e18, f64::MAX];
    for buckets in [Buckets::new(), wide()] {
        for (lane, value) in values.into_iter().enumerate() {
            assert!(buckets.add_in(|| lane, value, 1, None));
        }
        assert_eq!(taken(&buckets), values.map(|value| (value, 1)));
        assert_eq!(taken(&buckets), []);
    }
}

#[test]
fn buckets_that_nobody_reads_take_everything_and_keep_nothing() {
    let buckets = Buckets::unread();
    let record = |value| {
        let known =
            buckets.add_at_once(value, 1) || buckets.add_in_lane(value, 1) || buckets.add_apart(value, 1);
        known || buckets.add(value, 1, None)
    };
    // More of them than a table has room for, by a thread without a lane and by one with it.
    assert!(dense().chain([-1.0, 0.0, f64::MAX]).all(record));
    lane::current();
    assert!(dense().chain([-1.0, 0.0, f64::MAX]).all(record));
    assert_eq!(taken(&buckets), []);
}

#[test]
fn the_zeroes_share_a_bucket() {
    let buckets = Buckets::new();
    assert!(buckets.add(countable(-0.0).unwrap(), 1, None) && buckets.add(countable(0.0).unwrap(), 2, None));
    assert_eq!(taken(&buckets), [(0.0, 3)]);
}

#[test]
fn a_bucket_that_several_tables_had_is_one_with_the_sum_of_its_counts() {
    let buckets = wide();
    for lane in 0..20 {
        for value in [-7.0, 0.0, 1.001, 1.0, 250.0] {
            assert!(buckets.add_in(|| lane, value, 3, None));
        }
    }
    assert_eq!(taken(&buckets), [(-7.0, 60), (0.0, 60), (1.001, 120), (250.0, 60)]);
}

#[test]
fn a_bucket_that_several_tables_had_has_the_value_of_the_first() {
    let buckets = wide();
    for (lane, value) in [(1, 1.003), (2, 1.001), (0, 1.002)] {
        assert!(buckets.add_in(|| lane, value, 1, None));
    }
    assert_eq!(taken(&buckets), [(1.002, 3)]);
}

#[test]
fn the_places_double_up_to_eight() {
    let buckets = Buckets::new();
    let grown = [(); 6].map(|()| {
        let before = 1 + buckets.spread();
        buckets.widen();
        before
    });
    assert_eq!(grown, [1, 2, 4, 8, 8, 8]);
}

#[test]
fn each_lane_keeps_to_its_place_and_shares_it_when_there_are_more_lanes() {
    let buckets = wide();
    for lane in 0..16 {
        assert!(buckets.add_in(|| lane, 2.5, 1, None) && buckets.add_apart_in(Some(lane), 2.5, 1));
    }
    let mut found = Vec::new();
    buckets.chain.take(&mut found);
    buckets.all_further().for_each(|table| table.take(&mut found));
    assert_eq!(found, [(2.5, 4); 8]);
}

#[test]
fn what_a_further_table_has_no_room_for_goes_to_the_chain() {
    let (buckets, stock) = (Buckets::new(), Stock::of(1));
    buckets.widen();
    assert!(dense().all(|value| buckets.add_in(|| 1, value, 1, Some(&stock))));
    let mut found = Vec::new();
    buckets.all_further().for_each(|table| table.take(&mut found));
    assert_eq!((found.len(), taken(&buckets).len()), (639, 4096 - 639));
}

#[test]
fn a_thread_without_a_lane_uses_a_further_table_until_it_needs_a_lane() {
    let buckets = wide();
    let last = || buckets.further(MAX_FURTHER).map(|table| table.has_room_for(bucket_of(1.5)));
    buckets.further(MAX_FURTHER).into_iter().for_each(|table| assert!(table.add(2.5, 1)));
    thread::scope(|scope| {
        let first = || (buckets.add_in_lane(2.5, 1), buckets.add_in_lane(1.5, 1), buckets.add_apart(1.5, 1));
        assert_eq!(scope.spawn(first).join().unwrap(), (true, false, false));
    });
    assert_eq!((last(), taken(&buckets)), (Some(true), vec![(2.5, 2)]));
}

#[test]
fn more_than_a_slot_holds_at_once_goes_nowhere() {
    for lane in 0..2 {
        let buckets = Buckets::new();
        buckets.widen();
        assert!(!buckets.add_in(|| lane, 1.5, MAX_COUNT + 1, None));
        assert!(buckets.add_in(|| lane, 1.5, MAX_COUNT, None));
        assert_eq!(taken(&buckets), [(1.5, MAX_COUNT)]);
    }
}

#[test]
fn one_thread_gets_no_further_table_however_much_it_records() {
    let (buckets, stock) = (Buckets::new(), Stock::of(1));
    for value in dense().cycle().take(100_000) {
        assert!(buckets.add(value, 1, Some(&stock)));
    }
    assert_eq!(taken(&buckets).len(), 4096);
    assert_eq!(buckets.spread(), 0);
}

#[test]
fn threads_that_meet_often_get_tables_of_their_own_at_a_sweep() {
    let buckets = Buckets::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    let stop = AtomicBool::new(false);
    let record = || {
        let mut added = 0;
        while !stop.load(Ordering::Relaxed) {
            assert!(buckets.add_at_once(12.5, 1) || buckets.add(12.5, 1, None));
            added += 1;
        }
        added
    };
    let mut total = 0;
    let added: u64 = thread::scope(|scope| {
        let writers = [(); 2].map(|()| scope.spawn(record));
        while !buckets.chain.is_crowded() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        buckets.take(|_, n| total += n);
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert!(buckets.spread() > 0);
    total += taken(&buckets).iter().map(|(_, n)| n).sum::<u64>();
    assert_eq!(total, added);
}

#[test]
fn thirty_two_dense_octaves_fit_with_and_without_further_tables() {
    for buckets in [Buckets::new(), wide()] {
        let stock = Stock::of(8);
        for lane in [0, 5, 6] {
            assert!(dense().all(|value| buckets.add_in(|| lane, value, 1, Some(&stock))), "{lane}");
        }
        assert_eq!(taken(&buckets), dense().map(|value| (value, 3)).collect::<Vec<_>>());
    }
}

#[test]
fn there_is_room_for_what_crossed_the_channel_from_then_on() {
    let buckets = Buckets::new();
    let refused: Vec<f64> = dense().take(100).filter(|value| !buckets.add(*value, 1, None)).collect();
    assert_eq!(refused.len(), 100 - 31);
    for value in &refused {
        buckets.make_room_for(*value);
    }
    assert!(refused.iter().all(|value| buckets.add(*value, 1, None)));
}

#[test]
fn nothing_is_lost_between_threads_and_a_sweep() {
    for buckets in [Buckets::new(), wide()] {
        let (mut total, stock) = (0, Stock::of(8));
        thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|writer| {
                    let (buckets, stock) = (&buckets, &stock);
                    let add = move |i: &u32| buckets.add(f64::from(i % 97 + writer), 1, Some(stock));
                    scope.spawn(move || (0..20_000_u32).filter(add).count() as u64)
                })
                .collect();
            while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
                buckets.take(|_, n| total += n);
            }
            let added: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
            buckets.take(|_, n| total += n);
            assert_eq!(total, added);
        });
    }
}
