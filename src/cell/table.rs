//! One table of logarithmic buckets, in a fixed amount of memory.

use crate::process::sync::{AtomicU64, Ordering};
use std::fmt;

/// The mantissa bits that distinguish buckets. They make 128 buckets per octave, so two values of a bucket differ by
/// less than 1/128 of the smaller one. The Datadog Agent's own sketch adds an error of 1/128.
const MANTISSA_BITS: u32 = 7;
const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - MANTISSA_BITS;
/// The exponent of values that are not finite.
const EXPONENT_MASK: u64 = 0x7FF;
const SIGN: u64 = 1 << (u64::BITS - 1 - SHIFT);

// A slot is one word: the upper bits are the bucket, and the lower ones are its count. The worker therefore takes both
// in one instruction, and a caller that has seen the bucket can't add to the count of another one.
const COUNT_BITS: u32 = 44;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// The most that may be added at once. A slot accepts more up to the same count, so that no sum carries into the
/// bucket.
const MAX_COUNT: u64 = COUNT_MASK >> 1;
// A bucket is the sign, the exponent and the upper bits of the mantissa. One is added, so that no used slot is 0.
const _: () = assert!(u64::BITS - COUNT_BITS > 1 + 11 + MANTISSA_BITS);

/// The number of collisions between two sweeps that makes a table crowded. With fewer collisions, a record so rarely
/// waits for another thread that memory matters more.
const MANY_COLLISIONS: u64 = 256;

/// Returns whether a value is counted unchanged. It must be finite, and at least 2.2e-308 away from 0.
#[inline]
pub(crate) fn is_countable(value: f64) -> bool {
    // This is the result of `f64::is_normal` in half its instructions.
    let exponent = (value.to_bits() << 1) >> f64::MANTISSA_DIGITS;
    exponent.wrapping_sub(1) < EXPONENT_MASK - 1
}

/// Returns a value as it is counted, or `None` if it is not finite. Values nearer to 0 than 2.2e-308, of either sign,
/// are counted as 0, because their bits no longer give their size.
pub(crate) fn countable(value: f64) -> Option<f64> {
    if is_countable(value) { Some(value) } else { value.is_finite().then_some(0.0) }
}

/// Returns the number of the bucket of a countable value.
#[inline]
pub(crate) fn bucket_of(value: f64) -> u64 {
    value.to_bits() >> SHIFT
}

/// Returns the position of a value's bucket among all buckets in ascending order.
#[inline]
pub(super) fn rank_of(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    // Below 0, a greater bucket number means a smaller value.
    let size_flipped = (bits >> (u64::BITS - 1)) & i64::MAX;
    (bits ^ size_flipped) >> SHIFT
}

/// Returns a value in the middle of a bucket, for the rare case in which the observed value is unknown.
fn middle_of(bucket: u64) -> f64 {
    f64::from_bits((bucket << SHIFT) | (1 << (SHIFT - 1)))
}

/// A table of buckets with a fixed size. Each bucket keeps a value that was really observed, so that a lone value is
/// sent exactly.
pub(super) struct Table<const SLOTS: usize> {
    words: Box<[AtomicU64; SLOTS]>,
    values: Box<[AtomicU64; SLOTS]>,
    // One bit per group of slots that was written, so that the worker sweeps only those. The marks and the words are
    // `SeqCst`. A caller writes a word and then reads its mark, and the worker clears the marks and then reads the
    // words. Without a single order of these four operations, a count could remain unmarked.
    marks: AtomicU64,
    collisions: AtomicU64,
}

impl<const SLOTS: usize> Table<SLOTS> {
    /// The number of slots in which a bucket may be placed, from its own slot on. In a table of 4096 they are four
    /// cache lines.
    const PROBES: usize = if cfg!(tasktag_loom) { SLOTS } else { SLOTS / 128 };
    /// The number of slots that share a mark.
    const GROUP: usize = SLOTS.div_ceil(u64::BITS as usize);
    /// The group where a sweep starts, which contains the slot of 2^-12. The values of most metrics are then taken in
    /// ascending order, except for those far from 1.
    #[allow(clippy::cast_possible_truncation, reason = "less than 64")]
    const FIRST_GROUP: u32 = ((((1023 - 12) << MANTISSA_BITS) % SLOTS) / Self::GROUP) as u32;
    const CHECKED: () = assert!(SLOTS.is_power_of_two() && Self::PROBES > 0);

    pub(super) fn new() -> Self {
        let () = Self::CHECKED;
        Self { words: zeroes(), values: zeroes(), marks: AtomicU64::new(0), collisions: AtomicU64::new(0) }
    }

    /// Counts a countable value `n` times if its bucket is in its own slot, as is nearly always so, and no other thread
    /// is writing there. Everything that must be fast is here, and [`add`](Self::add) does the rest.
    #[inline]
    pub(super) fn add_at_once(&self, value: f64, n: u64) -> bool {
        let bucket = bucket_of(value);
        let place = Self::place_of(bucket);
        let Some(word) = self.words.get(place) else { return false };
        let seen = word.load(Ordering::Relaxed);
        if n > MAX_COUNT || !takes(seen, bucket) {
            return false;
        }
        if word.compare_exchange_weak(seen, seen + n, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            self.collide();
            return false;
        }
        self.mark(place);
        true
    }

    /// Counts a countable value `n` times. It uses the first slot, from the bucket's own on, that is free or already
    /// has the bucket. It returns `false` if there is none, or if `n` is more than a slot holds. The caller must then
    /// record the value elsewhere.
    pub(super) fn add(&self, value: f64, n: u64) -> bool {
        if n > MAX_COUNT {
            return false;
        }
        let start = Self::place_of(bucket_of(value));
        for step in 0..Self::PROBES {
            let place = (start + step) % SLOTS;
            let (Some(word), Some(held)) = (self.words.get(place), self.values.get(place)) else { break };
            if self.count_in(word, held, value, n) {
                self.mark(place);
                return true;
            }
        }
        false
    }

    /// Adds to the slot if it is free or already has the value's bucket.
    fn count_in(&self, word: &AtomicU64, held: &AtomicU64, value: f64, n: u64) -> bool {
        let bucket = bucket_of(value);
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let wanted = if seen == 0 {
                // The value is written before the slot is claimed, so that a claimed slot has a value. Another thread
                // that claims the same free slot may write the value of another bucket in between. The worker detects
                // that, and uses the middle of the bucket.
                held.store(value.to_bits(), Ordering::Relaxed);
                ((bucket + 1) << COUNT_BITS) | n
            } else if takes(seen, bucket) {
                seen + n
            } else {
                return false;
            };
            match word.compare_exchange_weak(seen, wanted, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => seen = changed,
            }
            self.collide();
        }
    }

    #[inline]
    fn mark(&self, place: usize) {
        #[cfg(tasktag_loom)]
        in_one_order();
        let group = place / Self::GROUP;
        if (self.marks.load(Ordering::SeqCst) >> group) & 1 == 0 {
            self.marks.fetch_or(1 << group, Ordering::SeqCst);
        }
    }

    /// Notes that two callers met in a slot. Some collisions may go uncounted, because the number is only a hint. No
    /// more than `MANY_COLLISIONS` are noted, so that the cache line of the marks is left to its readers.
    fn collide(&self) {
        let collisions = self.collisions.load(Ordering::Relaxed);
        if collisions < MANY_COLLISIONS {
            self.collisions.store(collisions + 1, Ordering::Relaxed);
        }
    }

    /// Does the same as [`take_crowded`](Self::take_crowded) without a reset. Threads that share one processor only
    /// meet if one is preempted during a record, which takes time to occur.
    #[cfg(all(test, not(tasktag_loom)))]
    pub(super) fn is_crowded(&self) -> bool {
        self.collisions.load(Ordering::Relaxed) >= MANY_COLLISIONS
    }

    /// Returns whether callers often met in a slot since the last call.
    pub(super) fn take_crowded(&self) -> bool {
        let collisions = self.collisions.load(Ordering::Relaxed);
        if collisions != 0 {
            self.collisions.store(0, Ordering::Relaxed);
        }
        collisions >= MANY_COLLISIONS
    }

    /// Takes the value and the count of every bucket, and leaves the table empty.
    pub(super) fn take(&self, found: &mut Vec<(f64, u64)>) {
        // A mark that is set a moment later is for the next sweep.
        if self.marks.load(Ordering::Relaxed) == 0 {
            return;
        }
        let marks = self.marks.swap(0, Ordering::SeqCst);
        #[cfg(tasktag_loom)]
        in_one_order();
        self.sweep(marks, found);
    }

    /// Empties every slot. If the process forked during a record or a sweep, unmarked slots have counts too.
    pub(super) fn start_over(&self) {
        self.marks.store(0, Ordering::SeqCst);
        self.sweep(u64::MAX, &mut Vec::new());
    }

    fn sweep(&self, marks: u64, found: &mut Vec<(f64, u64)>) {
        found.reserve(marks.count_ones() as usize * Self::GROUP);
        let mut ahead = marks.rotate_right(Self::FIRST_GROUP);
        while ahead != 0 {
            let group = (ahead.trailing_zeros() + Self::FIRST_GROUP) % u64::BITS;
            ahead &= ahead - 1;
            self.take_group(group as usize * Self::GROUP, found);
        }
    }

    fn take_group(&self, start: usize, found: &mut Vec<(f64, u64)>) {
        let group = start..start + Self::GROUP;
        let (Some(words), Some(values)) = (self.words.get(group.clone()), self.values.get(group)) else {
            return;
        };
        for (word, held) in words.iter().zip(values) {
            if word.load(Ordering::SeqCst) == 0 {
                continue;
            }
            // It pairs with the exchange in `count_in`, so that the value of the bucket is visible too.
            let taken = word.swap(0, Ordering::SeqCst);
            let bucket = (taken >> COUNT_BITS) - 1;
            let value = f64::from_bits(held.load(Ordering::Relaxed));
            let value = if bucket_of(value) == bucket { value } else { middle_of(bucket) };
            found.push((value, taken & COUNT_MASK));
        }
    }

    /// Returns the slot of a bucket if that is free. The octaves of one sign are adjacent, as the values of a metric
    /// are, and those of the other sign are half a table away. Octaves in a row therefore do not collide, up to as many
    /// as fill the table, or half as many of each sign.
    #[inline]
    fn place_of(bucket: u64) -> usize {
        let negative = bucket / SIGN;
        let place = (bucket + negative * (SLOTS as u64 / 2)) % SLOTS as u64;
        #[allow(clippy::cast_possible_truncation, reason = "less than SLOTS")]
        let place = place as usize;
        place
    }
}

/// Returns whether a slot has the bucket, and room for `MAX_COUNT` more. One comparison decides both.
#[inline]
fn takes(word: u64, bucket: u64) -> bool {
    word >> (COUNT_BITS - 1) == (bucket + 1) << 1
}

#[allow(clippy::unnecessary_box_returns, reason = "32 KiB are not for the stack")]
fn zeroes<const N: usize>() -> Box<[AtomicU64; N]> {
    let zeroes: Box<[AtomicU64]> = (0..N).map(|_| AtomicU64::new(0)).collect();
    // The slice has `N` words.
    zeroes.try_into().unwrap_or_else(|_| Box::new(std::array::from_fn(|_| AtomicU64::new(0))))
}

/// The model checker treats `SeqCst` operations as weaker ones. It only models such fences correctly.
#[cfg(tasktag_loom)]
fn in_one_order() {
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// This leaves out its 64 KiB.
impl<const SLOTS: usize> fmt::Debug for Table<SLOTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("slots", &SLOTS).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    const SMALL: usize = 256;

    fn taken<const SLOTS: usize>(table: &Table<SLOTS>) -> Vec<(f64, u64)> {
        let mut found = Vec::new();
        table.take(&mut found);
        found
    }

    #[test]
    fn what_is_not_normal_is_0_or_not_counted() {
        for zero in [0.0, -0.0, 5e-324, -5e-324, 2.2e-308, -1e-310] {
            assert!(!is_countable(zero) && countable(zero).map(f64::to_bits) == Some(0));
        }
        for value in [1.5, -1.5, f64::MAX, f64::MIN, f64::MIN_POSITIVE, -f64::MIN_POSITIVE] {
            assert!(is_countable(value) && countable(value) == Some(value));
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!is_countable(value) && countable(value).is_none());
        }
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
    fn ranks_are_in_the_order_of_values_and_one_a_bucket() {
        arbtest::arbtest(|u| {
            let mut any = || Ok(countable(f64::from_bits(u.arbitrary()?)).unwrap_or(0.0));
            let (a, b): (f64, f64) = (any()?, any()?);
            assert_eq!(rank_of(a) == rank_of(b), bucket_of(a) == bucket_of(b), "{a} {b}");
            assert!(rank_of(a) == rank_of(b) || (rank_of(a) < rank_of(b)) == (a < b), "{a} {b}");
            let neighbour = f64::from_bits(a.to_bits() ^ 1);
            assert!(a == 0.0 || rank_of(a) == rank_of(neighbour), "{a} {neighbour}");
            Ok(())
        });
    }

    #[test]
    fn the_values_of_most_metrics_are_taken_in_ascending_order() {
        let table = Table::<4096>::new();
        let mut value = 1.0 / 4096.0;
        while value < 1e6 {
            assert!(table.add(value, 1));
            value *= 1.01;
        }
        assert!(taken(&table).is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn a_full_table_says_so_and_keeps_what_it_has() {
        let table = Table::<SMALL>::new();
        let mut kept = 0;
        for octave in 0..200 {
            for step in 0..128_u64 {
                kept += u64::from(table.add(f64::from_bits(((900 + octave) << 52) | (step << SHIFT)), 1));
            }
        }
        assert_eq!(kept, SMALL as u64);
        let found = taken(&table);
        assert_eq!((found.len(), found.iter().map(|(_, n)| n).sum()), (SMALL, kept));
        assert_eq!(taken(&table), []);
    }

    #[test]
    fn a_count_that_would_overflow_goes_elsewhere() {
        let table = Table::<SMALL>::new();
        for too_many in [MAX_COUNT + 1, COUNT_MASK, COUNT_MASK + 1, u64::MAX] {
            assert!(!table.add(1.0, too_many) && !table.add_at_once(1.0, too_many));
        }
        for n in [1, MAX_COUNT - 1, MAX_COUNT] {
            assert!(table.add_at_once(1.0, n) || table.add(1.0, n));
        }
        assert!(!table.add_at_once(1.0, 1), "it might be the one too many");
        assert!(!table.add_at_once(1.0, 1) && table.add(1.0, 1), "a second slot of the same bucket");
        assert_eq!(taken(&table), [(1.0, 2 * MAX_COUNT), (1.0, 1)]);
    }

    #[test]
    fn a_table_is_crowded_when_callers_met_often_since_it_was_asked() {
        let table = Table::<SMALL>::new();
        (1..MANY_COLLISIONS).for_each(|_| table.collide());
        assert!(!table.take_crowded());
        (0..MANY_COLLISIONS + 5).for_each(|_| table.collide());
        assert!(table.take_crowded());
        assert!(!table.take_crowded());
    }
}
