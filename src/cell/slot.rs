//! One slot of a table: a bucket, its count and a value that was seen in it.

use super::bucket::{self, bucket_of, middle_of};
use crate::process::sync::{AtomicU64, Ordering};

// The upper bits of a slot's word are the bucket, and the lower ones are its count. The worker therefore takes both in
// one instruction, and a caller that has seen the bucket can't add to the count of another one.
const COUNT_BITS: u32 = 44;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// The most that may be added at once. A slot accepts more up to the same count, so that no sum carries into the
/// bucket.
pub(super) const MAX_COUNT: u64 = COUNT_MASK >> 1;
// One is added to the bucket, so that no used word is 0.
const _: () = assert!(u64::BITS - COUNT_BITS > bucket::BITS);

/// A bucket with its count, beside a value that was really observed, so that a lone value is sent exactly. Both are in
/// one cache line.
#[repr(align(16))]
pub(super) struct Slot {
    word: AtomicU64,
    value: AtomicU64,
}

/// What came of an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addition {
    Done,
    /// Another thread changed the slot meanwhile.
    Met,
    /// The slot has no bucket.
    Free,
    /// The slot has another bucket, or no room for more.
    Taken,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self { word: AtomicU64::new(0), value: AtomicU64::new(0) }
    }

    /// Counts a value `n` times if the slot has its bucket. The value need not be countable: no slot has the bucket of
    /// one that is not, except of positive ones that are counted as 0.
    #[inline]
    pub(super) fn add_known(&self, value: f64, n: u64) -> Addition {
        let seen = self.word.load(Ordering::Relaxed);
        if n > MAX_COUNT || !takes(seen, bucket_of(value)) {
            return if seen == 0 { Addition::Free } else { Addition::Taken };
        }
        self.exchange(seen, seen + n)
    }

    /// Counts a countable value up to `MAX_COUNT` times if the slot is free or has its bucket.
    pub(super) fn add(&self, value: f64, n: u64) -> Addition {
        let seen = self.word.load(Ordering::Relaxed);
        if seen != 0 {
            return self.add_known(value, n);
        }
        // The value is written before the slot is claimed, so that a claimed slot has a value. Another thread that
        // claims the same free slot may write the value of another bucket in between. The worker detects that, and uses
        // the middle of the bucket.
        self.value.store(value.to_bits(), Ordering::Relaxed);
        self.exchange(seen, ((bucket_of(value) + 1) << COUNT_BITS) | n)
    }

    #[inline]
    fn exchange(&self, seen: u64, wanted: u64) -> Addition {
        match self.word.compare_exchange_weak(seen, wanted, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => Addition::Done,
            Err(_) => Addition::Met,
        }
    }

    /// Returns whether the slot is free or has the bucket.
    pub(super) fn is_open_to(&self, bucket: u64) -> bool {
        let seen = self.word.load(Ordering::Relaxed);
        seen == 0 || takes(seen, bucket)
    }

    /// Takes the value and its count, if there are any, and leaves the slot free.
    pub(super) fn take(&self) -> Option<(f64, u64)> {
        if self.word.load(Ordering::SeqCst) == 0 {
            return None;
        }
        // It pairs with the exchange of `add`, so that the value of the bucket is visible too.
        let taken = self.word.swap(0, Ordering::SeqCst);
        let bucket = (taken >> COUNT_BITS) - 1;
        let value = f64::from_bits(self.value.load(Ordering::Relaxed));
        let value = if bucket_of(value) == bucket { value } else { middle_of(bucket) };
        Some((value, taken & COUNT_MASK))
    }
}

/// Returns whether a word has the bucket, and room for `MAX_COUNT` more. One comparison decides both.
#[inline]
fn takes(word: u64, bucket: u64) -> bool {
    word >> (COUNT_BITS - 1) == (bucket + 1) << 1
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_bucket_until_it_is_taken() {
        let slot = Slot::new();
        assert_eq!(slot.add_known(1.5, 1), Addition::Free);
        assert_eq!([slot.add(1.5, 2), slot.add_known(1.501, 3)], [Addition::Done; 2]);
        assert_eq!([slot.add(2.5, 1), slot.add_known(2.5, 1)], [Addition::Taken; 2]);
        assert!(slot.is_open_to(bucket_of(1.5)) && !slot.is_open_to(bucket_of(2.5)));
        assert_eq!((slot.take(), slot.take()), (Some((1.5, 5)), None));
        assert!(slot.is_open_to(bucket_of(2.5)));
    }

    #[test]
    fn no_slot_has_the_bucket_of_what_is_not_countable() {
        let slot = Slot::new();
        slot.add(0.0, 1);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, -5e-324, 2.2e-308] {
            assert_eq!(slot.add_known(value, 1), Addition::Taken, "{value}");
        }
        assert_eq!(slot.add_known(5e-324, 1), Addition::Done);
        assert_eq!(slot.take(), Some((0.0, 2)));
    }

    #[test]
    fn a_count_that_would_overflow_goes_elsewhere() {
        let slot = Slot::new();
        assert_eq!(slot.add(1.0, MAX_COUNT), Addition::Done);
        for too_many in [MAX_COUNT + 1, COUNT_MASK, COUNT_MASK + 1, u64::MAX] {
            assert_eq!(slot.add_known(1.0, too_many), Addition::Taken);
        }
        assert_eq!([slot.add_known(1.0, MAX_COUNT), slot.add(1.0, 1)], [Addition::Done, Addition::Taken]);
        assert_eq!(slot.take(), Some((1.0, 2 * MAX_COUNT)));
    }
}
