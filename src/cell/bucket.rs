//! Logarithmic buckets, and which one a value falls into.

/// The mantissa bits that distinguish buckets. They make 128 buckets per octave, so two values of a bucket differ by
/// less than 1/128 of the smaller one. The Datadog Agent's own sketch adds an error of 1/128.
const MANTISSA_BITS: u32 = 7;
const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - MANTISSA_BITS;
/// The exponent of values that are not finite.
const EXPONENT_MASK: u64 = 0x7FF;

/// The bits of a bucket's number: the sign, the exponent and the upper bits of the mantissa.
pub(super) const BITS: u32 = 1 + 11 + MANTISSA_BITS;

/// Returns whether a value is counted unchanged. It must be finite, and at least 2.2e-308 away from 0.
fn is_countable(value: f64) -> bool {
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
pub(super) fn middle_of(bucket: u64) -> f64 {
    f64::from_bits((bucket << SHIFT) | (1 << (SHIFT - 1)))
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

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
}
