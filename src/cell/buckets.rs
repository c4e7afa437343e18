//! Values folded into logarithmic buckets, in a fixed amount of memory.

use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Bits of the mantissa that tell buckets apart: 128 buckets an octave, so two values of a bucket differ by less
/// than 1/128 of the smaller one. The Datadog Agent's own sketch allows an error of 1/128 on top.
const MANTISSA_BITS: u32 = 7;
const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - MANTISSA_BITS;
const SIGN_SHIFT: u32 = u64::BITS - 1;

/// Distinct buckets that fit: 32 octaves with every bucket in use. The Agent's own sketch keeps as many.
const SLOTS: usize = if cfg!(loom) { 2 } else { 4096 };
/// How far from its own place a bucket may stand: four cache lines of slots.
const PROBES: usize = if cfg!(loom) { 2 } else { 32 };

// A slot is one word, so that the worker takes a bucket and its count in one instruction, and a caller who has seen
// the bucket in it can't add to another one's count: the upper bits name the bucket, the lower ones count.
const COUNT_BITS: u32 = 44;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
// Sign, exponent and the mantissa's upper bits, plus one so that no used slot is 0.
const _: () = assert!(u64::BITS - COUNT_BITS > 1 + 11 + MANTISSA_BITS);
const _: () = assert!(SLOTS.is_power_of_two() && PROBES <= SLOTS);

/// The number of the bucket that a finite value falls in.
#[inline]
pub(crate) fn bucket_of(value: f64) -> u64 {
    flat(value).to_bits() >> SHIFT
}

/// Values nearer to 0 than 2.2e-308 are 0, of either sign: their own bits tell their size no more.
#[inline]
fn flat(value: f64) -> f64 {
    if value.is_normal() { value } else { 0.0 }
}

/// A value in the middle of a bucket, for the rare moment at which the observed one can't be told.
fn middle_of(bucket: u64) -> f64 {
    f64::from_bits((bucket << SHIFT) | (1 << (SHIFT - 1)))
}

/// A fixed table of buckets. Each remembers a value really observed, so that a lone value is sent exactly.
#[derive(Debug)]
pub(crate) struct Buckets {
    slots: Box<[AtomicU64]>,
    values: Box<[AtomicU64]>,
    // Saves the worker from sweeping tables that nobody touched. The mark and the slots are `SeqCst`: a caller writes
    // a slot and then reads the mark, the worker clears the mark and then reads the slots, and without one order of
    // the four a count could stay behind unmarked.
    touched: AtomicBool,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        let zeroes = || (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { slots: zeroes(), values: zeroes(), touched: AtomicBool::new(false) }
    }

    /// Counts a finite value `n` times. `false` when the table has no room for its bucket, or `n` none in a slot:
    /// the caller must take the value elsewhere.
    #[inline]
    pub(crate) fn add(&self, value: f64, n: u64) -> bool {
        if n > COUNT_MASK {
            return false;
        }
        let value = flat(value);
        let bucket = bucket_of(value);
        let start = place_of(bucket);
        for step in 0..PROBES {
            let place = (start + step) % SLOTS;
            let (Some(slot), Some(held)) = (self.slots.get(place), self.values.get(place)) else { break };
            if count_in(slot, held, bucket, value, n) {
                #[cfg(loom)]
                in_one_order();
                if !self.touched.load(Ordering::SeqCst) {
                    self.touched.swap(true, Ordering::SeqCst);
                }
                return true;
            }
        }
        false
    }

    /// Takes every bucket's value and count, and leaves the table empty.
    pub(crate) fn take(&self, mut each: impl FnMut(f64, u64)) {
        if !self.touched.swap(false, Ordering::SeqCst) {
            return;
        }
        #[cfg(loom)]
        in_one_order();
        for (slot, held) in self.slots.iter().zip(&self.values) {
            if slot.load(Ordering::SeqCst) == 0 {
                continue;
            }
            // Pairs with the exchange in `count_in`, so that the bucket's value is seen too.
            let word = slot.swap(0, Ordering::SeqCst);
            let bucket = (word >> COUNT_BITS) - 1;
            let value = f64::from_bits(held.load(Ordering::Relaxed));
            let value = if bucket_of(value) == bucket { value } else { middle_of(bucket) };
            each(value, word & COUNT_MASK);
        }
    }
}

/// Where a bucket stands if its place is free. The octaves of one sign stand side by side, as a metric's values do, and
/// those of the other half a table away: 32 octaves in a row, or 16 of each sign, are in nobody's way.
#[inline]
fn place_of(bucket: u64) -> usize {
    let negative = bucket >> (SIGN_SHIFT - SHIFT);
    let place = (bucket + negative * (SLOTS as u64 / 2)) % SLOTS as u64;
    #[allow(clippy::cast_possible_truncation, reason = "less than SLOTS")]
    let place = place as usize;
    place
}

/// Adds to the slot if it is free or holds `bucket` already.
#[inline]
fn count_in(slot: &AtomicU64, held: &AtomicU64, bucket: u64, value: f64, n: u64) -> bool {
    let mine = (bucket + 1) << COUNT_BITS;
    let mut word = slot.load(Ordering::Relaxed);
    loop {
        let wanted = if word == 0 {
            // Written before the slot is claimed, so that a claimed slot has its value. A rival for the same free
            // slot may write another bucket's in between: the worker notices, and takes the bucket's middle.
            held.store(value.to_bits(), Ordering::Relaxed);
            mine | n
        } else if word >> COUNT_BITS == bucket + 1 && (word & COUNT_MASK) + n <= COUNT_MASK {
            word + n
        } else {
            return false;
        };
        match slot.compare_exchange_weak(word, wanted, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(changed) => word = changed,
        }
    }
}

/// The model checker takes `SeqCst` operations for weaker ones, and only such fences for what they are.
#[cfg(loom)]
fn in_one_order() {
    loom::sync::atomic::fence(Ordering::SeqCst);
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// What one sweep and a later one find together is what was added, in whatever order things happen.
    fn counts_are_conserved(first: f64, second: f64) {
        crate::sync::model(move || {
            let buckets = Arc::new(Buckets::new());
            let writers = [first, second].map(|value| {
                let buckets = Arc::clone(&buckets);
                thread::spawn(move || assert!(buckets.add(value, 1)))
            });
            let mut total = 0;
            buckets.take(|value, n| {
                assert!([first, second].map(bucket_of).contains(&bucket_of(value)));
                total += n;
            });
            for writer in writers {
                writer.join().unwrap();
            }
            // No later value marks the table: what the first sweep passed by must be marked still.
            buckets.take(|_, n| total += n);
            assert_eq!(total, 2);
        });
    }

    #[test]
    fn two_callers_in_one_bucket_and_a_sweep() {
        counts_are_conserved(1.0, 1.001);
    }

    #[test]
    fn two_callers_in_two_buckets_and_a_sweep() {
        counts_are_conserved(1.0, 1.5);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn taken(buckets: &Buckets) -> Vec<(f64, u64)> {
        let mut found = Vec::new();
        buckets.take(|value, n| found.push((value, n)));
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found
    }

    #[test]
    fn lone_values_come_back_exactly() {
        let buckets = Buckets::new();
        let values = [-1e300, -12.5, 0.0, 1e-300, 1e-9, 0.1, 1.0, 3.0, 1e18, f64::MAX];
        for value in values {
            assert!(buckets.add(value, 1));
        }
        assert_eq!(taken(&buckets), values.map(|value| (value, 1)));
        assert_eq!(taken(&buckets), []);
    }

    #[test]
    fn the_zeroes_share_a_bucket() {
        let buckets = Buckets::new();
        assert!(buckets.add(-0.0, 1) && buckets.add(0.0, 2));
        assert_eq!(taken(&buckets), [(0.0, 3)]);
    }

    #[test]
    fn values_of_a_bucket_differ_by_less_than_1_in_128() {
        let mut value = 1e-9;
        while value < 1e9 {
            let low = f64::from_bits(bucket_of(value) << SHIFT);
            let high = f64::from_bits((bucket_of(value) + 1) << SHIFT);
            assert!((high - low) / low <= 1.0 / 128.0, "{value}");
            assert!(low <= middle_of(bucket_of(value)) && middle_of(bucket_of(value)) < high);
            value *= 1.0007;
        }
    }

    #[test]
    fn thirty_two_dense_octaves_fit() {
        let buckets = Buckets::new();
        let fitted =
            (0..SLOTS as u64).filter(|step| buckets.add(f64::from_bits((0x3F0 << 52) + (step << SHIFT)), 1));
        assert_eq!(fitted.count(), SLOTS);
    }

    #[test]
    fn a_full_table_says_so_and_keeps_what_it_has() {
        let buckets = Buckets::new();
        let mut kept = 0;
        for octave in 0..200 {
            for step in 0..128_u64 {
                kept += u64::from(buckets.add(f64::from_bits(((900 + octave) << 52) | (step << SHIFT)), 1));
            }
        }
        assert!(kept <= SLOTS as u64);
        assert_eq!(taken(&buckets).iter().map(|(_, n)| n).sum::<u64>(), kept);
    }

    #[test]
    fn a_count_that_would_overflow_goes_elsewhere() {
        let buckets = Buckets::new();
        assert!(buckets.add(1.0, COUNT_MASK));
        assert!(buckets.add(1.0, 1), "a second slot of the same bucket");
        assert_eq!(taken(&buckets).iter().map(|(_, n)| n).sum::<u64>(), COUNT_MASK + 1);
    }

    #[test]
    fn nothing_is_lost_between_threads_and_a_sweep() {
        let buckets = Buckets::new();
        let mut total = 0;
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|writer| {
                    let buckets = &buckets;
                    scope.spawn(move || {
                        (0..20_000_u32).filter(|i| buckets.add(f64::from(i % 97 + writer), 1)).count() as u64
                    })
                })
                .collect();
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                buckets.take(|_, n| total += n);
            }
            let added: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
            buckets.take(|_, n| total += n);
            assert_eq!(total, added);
        });
    }
}
