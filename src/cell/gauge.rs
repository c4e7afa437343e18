//! A level, and the highest level since the worker last read it.

use crate::process::sync::{AtomicU64, Ordering};

/// Means "never set". A gauge without a value is absent, not 0. No caller can store this value.
const NEVER_SET: u64 = f64::NAN.to_bits();

/// Means "no longer known", after `unset` or a value that is not finite. It is also a NaN.
const UNSET: u64 = NEVER_SET | 1;

/// The last value, as the bits of an `f64`.
///
/// Callers store the value and read the peak. If both were on one cache line, each store would delay the other threads.
/// Cache lines have 64 bytes on the machines that matter. The value begins 64 bytes after the peak, so that no line has
/// both, wherever the cell is. If the cell began with a line, it would take 192 bytes in an `Arc` instead of 120. What
/// is allocated after it may have its first 16 bytes on the value's line.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct GaugeCell {
    // It is infinite until a peak is requested, so that one comparison covers both cases.
    peak: AtomicU64,
    _before: [u64; 7],
    value: AtomicU64,
    _after: [u64; 4],
}

impl GaugeCell {
    pub(crate) fn new() -> Self {
        Self {
            peak: AtomicU64::new(f64::INFINITY.to_bits()),
            _before: [0; 7],
            value: AtomicU64::new(NEVER_SET),
            _after: [0; 4],
        }
    }

    /// Keeps the highest value from now on. It may be called again.
    pub(crate) fn keep_peak(&self) {
        if self.keeps_peak() {
            return;
        }
        let start = f64::NEG_INFINITY.to_bits();
        let _ =
            self.peak.compare_exchange(f64::INFINITY.to_bits(), start, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Stores a finite value.
    #[inline]
    pub(crate) fn set(&self, value: f64) {
        self.value.store(value.to_bits(), Ordering::Relaxed);
        self.raise(value);
    }

    /// Adds to the value. It starts at `start` if the gauge was never set, and at 0 if it was unset. A sum that is not
    /// finite unsets the gauge. Returns whether that made the gauge absent.
    pub(crate) fn add_from(&self, start: f64, delta: f64) -> bool {
        let mut now = self.value.load(Ordering::Relaxed);
        loop {
            let sum = level_or(now, start) + delta;
            let new = if sum.is_finite() { sum.to_bits() } else { UNSET };
            match self.value.compare_exchange_weak(now, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) if new == UNSET => return now != UNSET,
                Ok(_) => {
                    self.raise(sum);
                    return false;
                }
                Err(changed) => now = changed,
            }
        }
    }

    /// Makes the gauge absent until it is set again. Returns whether it was present before.
    pub(crate) fn unset(&self) -> bool {
        // A source without a value mostly finds the gauge absent already. Such a call takes no cache line from another
        // core.
        self.value.load(Ordering::Relaxed) != UNSET && self.value.swap(UNSET, Ordering::Relaxed) != UNSET
    }

    /// Removes the level and the peak in a forked child, because they belong to the parent.
    pub(crate) fn start_over(&self) {
        self.value.store(NEVER_SET, Ordering::Relaxed);
        self.take_peak();
    }

    #[inline]
    fn raise(&self, value: f64) {
        if value > f64::from_bits(self.peak.load(Ordering::Relaxed)) {
            self.raise_to(value);
        }
    }

    #[cold]
    fn raise_to(&self, value: f64) {
        let higher = |peak| (value > f64::from_bits(peak)).then_some(value.to_bits());
        let _ = self.peak.fetch_update(Ordering::Relaxed, Ordering::Relaxed, higher);
    }

    /// Returns the last value, or `None` if there is none.
    pub(crate) fn value(&self) -> Option<f64> {
        let bits = self.value.load(Ordering::Relaxed);
        (!is_absent(bits)).then(|| f64::from_bits(bits))
    }

    /// Returns the value that the next addition starts from: the last value, 0 if the gauge was unset, and `start` if
    /// it was never set.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn value_or(&self, start: f64) -> f64 {
        level_or(self.value.load(Ordering::Relaxed), start)
    }

    /// Returns the highest value set since the last call, or `None` if nothing was set or no peak was requested.
    pub(crate) fn take_peak(&self) -> Option<f64> {
        if !self.keeps_peak() {
            return None;
        }
        let peak = f64::from_bits(self.peak.swap(f64::NEG_INFINITY.to_bits(), Ordering::Relaxed));
        peak.is_finite().then_some(peak)
    }

    #[inline]
    pub(crate) fn keeps_peak(&self) -> bool {
        self.peak.load(Ordering::Relaxed) != f64::INFINITY.to_bits()
    }
}

fn is_absent(bits: u64) -> bool {
    bits == NEVER_SET || bits == UNSET
}

fn level_or(bits: u64, start: f64) -> f64 {
    match bits {
        NEVER_SET => start,
        UNSET => 0.0,
        level => f64::from_bits(level),
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_absent_until_it_is_set_and_after_it_is_unset() {
        let cell = GaugeCell::new();
        assert_eq!(cell.value(), None);
        cell.set(-0.0);
        assert_eq!(cell.value().map(f64::to_bits), Some((-0.0_f64).to_bits()));
        assert!(cell.unset());
        assert_eq!(cell.value(), None);
        assert!(!cell.unset(), "it is absent already");
        assert!(!cell.add_from(7.0, 2.5));
        assert_eq!(cell.value(), Some(2.5), "it was set before, and so does not begin with 7");
        assert!(!cell.add_from(7.0, -1.0));
        assert_eq!(cell.value(), Some(1.5));
    }

    #[test]
    fn a_sum_that_is_not_finite_makes_a_gauge_absent_once() {
        let cell = GaugeCell::new();
        assert!(cell.add_from(0.0, f64::NAN), "it was never set");
        assert!(!cell.add_from(0.0, f64::NAN));
        cell.set(f64::MAX);
        assert!(cell.add_from(0.0, f64::MAX));
        assert_eq!((cell.value(), cell.value_or(3.0)), (None, 0.0));
        cell.start_over();
        assert_eq!((cell.value(), cell.value_or(3.0)), (None, 3.0));
    }

    #[test]
    fn the_peak_is_the_highest_since_it_was_taken() {
        let cell = GaugeCell::new();
        cell.set(9.0);
        assert_eq!(cell.take_peak(), None, "nobody asked");
        cell.keep_peak();
        cell.set(-3.0);
        cell.set(-7.0);
        cell.keep_peak();
        assert_eq!(cell.take_peak(), Some(-3.0));
        assert_eq!(cell.take_peak(), None);
        cell.set(1.0);
        cell.add_from(0.0, 4.0);
        cell.add_from(0.0, -2.0);
        assert_eq!(cell.take_peak(), Some(5.0));
    }
}
