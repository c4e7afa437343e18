//! Numbers in the form that every server reads: digits and a point, never an exponent.

use std::io::Write;

/// The shortest text that reads back as exactly `value`.
pub(super) fn float(value: f64, out: &mut Vec<u8>) {
    // 2^53: up to this, every whole `f64` is an exact `i64`.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if value.abs() <= WHOLE && value.fract() == 0.0 {
        #[allow(clippy::cast_possible_truncation, reason = "whole, and within i64")]
        let whole = value as i64;
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format(value);
    if text.contains('e') {
        // Etsy's StatsD reads the rate `1e-5` as 1. Std writes floats without an exponent, but more slowly.
        let _ = write!(out, "{value}");
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

pub(super) fn integer(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The sample rate from which a server recovers exactly `n` when it truncates `1 / rate`, as the Datadog Agent does.
///
/// If `1 / (1 / n)` falls short of `n`, the next smaller rate does not: `n` = 93 is the first such number. Source of
/// the truncation: `pkg/metrics/histogram.go` and `pkg/util/quantile/agent.go` of the Agent.
///
/// The rate is exact for every count that [`split_counts`] leaves.
pub(super) fn rate(n: u64) -> f64 {
    let n = n as f64;
    let rate = 1.0 / n;
    if (1.0 / rate).trunc() < n { rate.next_down() } else { rate }
}

/// Up to this, every count has an exact rate. Above it, an `f64` has no digits after the point, and one count in six
/// has no exact rate: 2^53 - 1 is read as 2^53.
const MAX_EXACT: u64 = 1 << 52;
/// The greatest count that fits into an `i64` on the server.
const MAX_POWER: u64 = 1 << 62;

/// Splits counts without an exact rate into powers of two, which have one, and a remainder.
pub(crate) fn split_counts(values: &mut Vec<(f64, u64)>) {
    for place in 0..values.len() {
        while let Some((value, n)) = values.get_mut(place)
            && !has_exact_rate(*n)
        {
            let power = MAX_POWER.min(1 << n.ilog2());
            *n -= power;
            let part = (*value, power);
            values.push(part);
        }
    }
}

fn has_exact_rate(n: u64) -> bool {
    n <= MAX_EXACT || (n.is_power_of_two() && n <= MAX_POWER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        float(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_short_and_without_exponent() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-5.0, "-5"),
            (0.83, "0.83"),
            (1e-7, "0.0000001"),
            (1e15, "1000000000000000"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (1e22, "10000000000000000000000"),
            (1.5e-10, "0.00000000015"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn floats_read_back_exactly() {
        arbtest::arbtest(|u| {
            let value = f64::from_bits(u.arbitrary()?);
            if value.is_finite() {
                let text = text(value);
                assert!(!text.contains(['e', 'E']), "{text}");
                assert!(text.parse::<f64>().unwrap() == value, "{text}");
            }
            Ok(())
        });
    }

    /// The count of a server that reads the rate of `n` and truncates.
    fn counted(n: u64) -> i64 {
        let read: f64 = text(rate(n)).parse().unwrap();
        #[allow(clippy::cast_possible_truncation, reason = "that is what the server does")]
        let counted = (1.0 / read) as i64;
        counted
    }

    #[test]
    fn a_truncating_server_gets_the_count_back() {
        for n in 1..=1_000_000 {
            assert_eq!(counted(n), n.cast_signed());
        }
        for bits in 20..=52 {
            let power = 1_u64 << bits;
            for n in (power - 1000)..=power {
                assert_eq!(counted(n), n.cast_signed());
            }
        }
        // The limit is not too low.
        assert_ne!(counted((1 << 53) - 1), (1 << 53) - 1);
    }

    #[test]
    fn a_truncating_server_gets_any_count_back_up_to_the_limit() {
        arbtest::arbtest(|u| {
            let bits = u.int_in_range(0..=52)?;
            let n = u.int_in_range(1..=1 << bits)?;
            assert_eq!(counted(n), n.cast_signed());
            Ok(())
        });
    }

    #[test]
    fn larger_counts_are_split_into_those_that_have_a_rate() {
        for (n, parts) in [
            (0, vec![0]),
            (1, vec![1]),
            (MAX_EXACT, vec![MAX_EXACT]),
            (MAX_EXACT + 1, vec![1, MAX_EXACT]),
            ((1 << 53) - 1, vec![MAX_EXACT - 1, MAX_EXACT]),
            (1 << 53, vec![1 << 53]),
            (1 << 62, vec![1 << 62]),
            (1 << 63, vec![1 << 62, 1 << 62]),
        ] {
            let mut values = vec![(2.5, n)];
            split_counts(&mut values);
            assert_eq!(values, parts.into_iter().map(|part| (2.5, part)).collect::<Vec<_>>());
        }
        arbtest::arbtest(|u| {
            let given: Vec<(f64, u64)> =
                u.arbitrary_iter()?.map(|n| Ok((1.0, n?))).collect::<Result<_, _>>()?;
            let given: Vec<_> = given.into_iter().filter(|(_, n)| *n > 0).collect();
            let mut values = given.clone();
            split_counts(&mut values);
            let sum = |values: &[(f64, u64)]| values.iter().map(|(_, n)| u128::from(*n)).sum::<u128>();
            assert_eq!(sum(&values), sum(&given));
            assert!(values.len() <= 14 * given.len());
            assert!(values.iter().all(|(_, n)| *n > 0 && counted(*n) == n.cast_signed()));
            Ok(())
        });
    }
}
