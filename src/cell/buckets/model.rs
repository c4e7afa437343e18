//! No value is lost or counted twice, whatever callers and a sweep do at once.

use super::super::table::LARGEST;
use super::*;
use loom::sync::Arc;
use loom::thread;

/// Records a value as a handle does.
fn record(buckets: &Buckets, lane: usize, value: f64, stock: Option<&Stock>) {
    let at_once = buckets.add_at_once(value, 1) || buckets.add_at_once_in(lane, value, 1);
    let known = at_once || buckets.add_apart_in(Some(lane), value, 1);
    assert!(known || buckets.add_in(|| lane, value, 1, stock));
}

/// Buckets whose first table has two slots and never grows.
fn grown() -> Buckets {
    let chain = Chain::new();
    chain.install(LARGEST);
    Buckets::with(chain, 0)
}

/// What one sweep and a later one find together is what was recorded, in whatever order things happen.
fn counts_are_conserved(
    values: [f64; 2],
    make: impl Fn() -> (Buckets, Option<Stock>) + Copy + Send + Sync + 'static,
    start: impl Fn(&Buckets) + Copy + Send + Sync + 'static,
) {
    crate::process::sync::model(move || {
        let all = Arc::new(make());
        // One caller finds the slot taken, and goes the short way.
        record(&all.0, 1, values[0], all.1.as_ref());
        let writers = [1, 2].map(|lane| {
            let all = Arc::clone(&all);
            thread::spawn(move || record(&all.0, lane, values[lane - 1], all.1.as_ref()))
        });
        start(&all.0);
        let mut total = 0;
        let mut take = || {
            let mut last = None;
            all.0.take(|value, n| {
                let rank = rank_of(value);
                assert!(values.map(rank_of).contains(&rank) && last.replace(rank) < Some(rank));
                total += n;
            });
        };
        take();
        for writer in writers {
            writer.join().unwrap();
        }
        // No later value touches the table: what the first sweep passed by must be touched still.
        take();
        assert_eq!(total, 3);
    });
}

#[test]
fn two_callers_in_one_bucket_and_a_sweep() {
    counts_are_conserved([1.0, 1.001], || (grown(), None), |_| ());
}

#[test]
fn two_callers_in_two_buckets_and_a_sweep() {
    counts_are_conserved([1.0, 1.5], || (grown(), None), |_| ());
}

#[test]
fn two_callers_in_one_bucket_while_the_places_double_and_a_sweep() {
    counts_are_conserved([1.0, 1.001], || (grown(), None), Buckets::widen);
}

#[test]
fn two_callers_in_two_buckets_while_the_places_double_and_a_sweep() {
    counts_are_conserved([1.0, 1.5], || (grown(), None), Buckets::widen);
}

/// The smallest table of the model has one slot: of two buckets one makes the chain grow.
#[test]
fn two_callers_of_whom_one_makes_the_chain_grow_and_a_sweep() {
    counts_are_conserved([1.0, 1.5], || (Buckets::new(), Some(Stock::of(2))), |_| ());
}

/// Both callers may take a table from the stock, and one of them gives it back.
#[test]
fn two_callers_who_both_make_the_chain_grow() {
    crate::process::sync::model_within(2, || {
        let all = Arc::new((Buckets::new(), Stock::of(2)));
        record(&all.0, 1, 1.0, None);
        let writers = [1.5, 1.7].map(|value| {
            let all = Arc::clone(&all);
            thread::spawn(move || record(&all.0, 1, value, Some(&all.1)))
        });
        for writer in writers {
            writer.join().unwrap();
        }
        let mut total = 0;
        all.0.take(|_, n| total += n);
        assert_eq!(total, 3);
        assert!(all.1.take(LARGEST).is_some(), "one is left");
    });
}

/// A further table of the model has one slot: of two buckets one goes to the chain.
#[test]
fn two_callers_where_only_one_has_room_in_a_further_table() {
    crate::process::sync::model(|| {
        let buckets = Arc::new(grown());
        buckets.widen();
        let writers = [1.0, 1.5].map(|value| {
            let buckets = Arc::clone(&buckets);
            thread::spawn(move || record(&buckets, 1, value, None))
        });
        let mut found = Vec::new();
        buckets.take(|value, n| found.push((value, n)));
        for writer in writers {
            writer.join().unwrap();
        }
        buckets.take(|value, n| found.push((value, n)));
        assert_eq!((found.len(), found.iter().map(|(_, n)| n).sum::<u64>()), (2, 2));
        assert_ne!(rank_of(found[0].0), rank_of(found[1].0));
    });
}
