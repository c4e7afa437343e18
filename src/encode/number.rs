//! Numbers as every server reads them: digits and a point, never an exponent.

use std::io::Write;

/// The shortest text that reads back as exactly `value`.
pub(super) fn float(value: f64, out: &mut Vec<u8>) {
    // 2^53: up to here every whole `f64` is an exact `i64`.
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
        // Etsy's StatsD reads the rate `1e-5` as 1. Std writes any float without exponent, but slower.
        let _ = write!(out, "{value}");
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

pub(super) fn integer(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The sample rate that a server turns back into exactly `n` when it truncates `1 / rate`, as the Datadog Agent does.
///
/// Where `1 / (1 / n)` falls short of `n`, the next smaller rate does not: `n` = 93 is the first of them. Source of
/// the truncation: `pkg/metrics/histogram.go` and `pkg/util/quantile/agent.go` of the Agent.
pub(super) fn rate(n: u64) -> f64 {
    let n = n as f64;
    let rate = 1.0 / n;
    if (1.0 / rate).trunc() < n { rate.next_down() } else { rate }
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

    #[test]
    fn a_truncating_server_gets_the_count_back() {
        for n in 1..=1_000_000_u64 {
            let written = text(rate(n));
            let read: f64 = written.parse().unwrap();
            assert!((1.0 / read).trunc() == n as f64, "{n}: {written}");
        }
    }
}
