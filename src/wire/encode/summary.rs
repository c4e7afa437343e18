//! A distribution as a few numbers, for servers that don't accept a value's count.

/// The suffixes of what is reported besides the count, as `<name>.<suffix>`.
pub(crate) const SUFFIXES: [&str; 6] = [".min", ".max", ".avg", ".p50", ".p95", ".p99"];

/// The number of values, and their minimum, maximum, mean and three quantiles, in the order of [`SUFFIXES`]. Returns
/// `None` if there are no values.
pub(crate) fn summary(values: &mut [(f64, u64)]) -> Option<(u64, [f64; SUFFIXES.len()])> {
    values.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
    let (min, max) = (values.first()?.0, values.last()?.0);
    let total: u128 = values.iter().map(|(_, n)| u128::from(*n)).sum();
    // A running mean, because a sum of values near the greatest float would be infinite.
    let mut seen = 0.0;
    let mut mean = 0.0;
    for &(value, n) in &*values {
        seen += n as f64;
        let share = n as f64 / seen;
        mean = mean * (1.0 - share) + value * share;
    }
    let at = |percent: u128| at_rank(values, (total * percent).div_ceil(100));
    // A flush can't have twice 2^63 counts.
    let count = u64::try_from(total).unwrap_or(u64::MAX);
    Some((count, [min, max, mean.clamp(min, max), at(50), at(95), at(99)]))
}

/// The least value that at least `rank` values do not exceed.
fn at_rank(values: &[(f64, u64)], rank: u128) -> f64 {
    let mut seen = 0;
    let reached = values.iter().find(|(_, n)| {
        seen += u128::from(*n);
        seen >= rank
    });
    reached.or(values.last()).map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(summary(&mut []), None);
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let mut values: Vec<_> = (1..=100).rev().map(|i| (f64::from(i), 1)).collect();
        assert_eq!(summary(&mut values), Some((100, [1.0, 100.0, 50.5, 50.0, 95.0, 99.0])));
        assert_eq!(summary(&mut [(5.0, 1)]), Some((1, [5.0; 6])));
        assert_eq!(summary(&mut [(9.0, 1), (1.0, 99)]), Some((100, [1.0, 9.0, 1.08, 1.0, 1.0, 1.0])));
    }

    #[test]
    fn the_mean_of_huge_values_is_finite_and_between_them() {
        let (_, [min, max, mean, ..]) = summary(&mut [(f64::MAX, 3), (f64::MAX / 2.0, 1 << 40)]).unwrap();
        assert!(mean >= min && mean <= max, "{mean}");
    }
}
