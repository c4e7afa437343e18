//! Samples a distribution's values, for servers that need one line per value.

/// The fraction by which a sample's mean may be off, so that the smallest and the largest value stay in it.
const TOLERANCE: f64 = 0.01;

/// At most one value in this number may be moved at either end to correct the mean. No quantile between the 1st and the
/// 99th percentile changes by it.
const TAIL: u64 = 100;

/// Reduces values with their counts to exactly `limit` values (at least two), if there are more. Returns the number of
/// values that were removed.
///
/// The sorted values are divided into `limit` parts of the same size, and the largest value of each part is kept. A
/// server that computes a quantile of these finds the value that it would find among all of them.
///
/// The last part of a long tail reaches far beyond the usual values, and would make the mean too large. The largest
/// value is therefore replaced by one closer to the others, as far as the mean requires it. If the long tail is below,
/// the same is done with the smallest value.
pub(crate) fn thin(values: &mut Vec<(f64, u64)>, limit: u64) -> u64 {
    // 128 bits are needed because counts may be large.
    let total: u128 = values.iter().map(|(_, n)| u128::from(*n)).sum();
    if total <= u128::from(limit) {
        return 0;
    }
    values.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
    let all = Moments::of(values);
    keep_greatest_of_parts(values, limit, total);
    keep_least(values);
    values.retain(|(_, n)| *n > 0);
    keep_mean(values, limit, all);
    u64::try_from(total - u128::from(limit)).unwrap_or(u64::MAX)
}

fn keep_greatest_of_parts(values: &mut [(f64, u64)], limit: u64, total: u128) {
    let (mut seen, mut kept) = (0, 0);
    for (_, n) in values {
        seen += u128::from(*n);
        let due = u64::try_from(seen * u128::from(limit) / total).unwrap_or(limit);
        *n = due - kept;
        kept = due;
    }
}

/// The smallest value replaces the next one. The largest value is kept already, as that of the last part.
fn keep_least(values: &mut [(f64, u64)]) {
    let Some(((_, least @ 0), rest)) = values.split_first_mut() else { return };
    if let Some((_, neighbour)) = rest.iter_mut().find(|(_, n)| *n > 0) {
        *neighbour -= 1;
        *least = 1;
    }
}

/// Moves the largest or the smallest value inwards until the mean is again that of all values, within the tolerance.
fn keep_mean(sample: &mut Vec<(f64, u64)>, limit: u64, all: Moments) {
    let excess = Moments::of(sample).mean - all.mean;
    let distance = (excess.abs() - TOLERANCE * all.size) * limit as f64;
    // The distance is not finite if sums of the values are not.
    if distance <= 0.0 || !distance.is_finite() {
        return;
    }
    let tail = (limit / TAIL).max(1);
    let moved = if excess > 0.0 {
        let next = after(sample.iter().rev(), tail);
        take_one(sample.last_mut()).map(|greatest| (greatest - distance).max(next))
    } else {
        let next = after(sample.iter(), tail - 1);
        take_one(sample.first_mut()).map(|least| (least + distance).min(next))
    };
    sample.retain(|(_, n)| *n > 0);
    sample.extend(moved.map(|value| (value, 1)));
}

/// Returns the value after the first `skipped` ones.
fn after<'a>(values: impl Iterator<Item = &'a (f64, u64)>, skipped: u64) -> f64 {
    let mut seen = 0;
    let mut values = values.skip_while(|(_, n)| {
        seen += n;
        seen <= skipped
    });
    values.next().map_or(0.0, |(value, _)| *value)
}

fn take_one(end: Option<&mut (f64, u64)>) -> Option<f64> {
    end.map(|(value, n)| {
        *n -= 1;
        *value
    })
}

/// The mean of values, and the mean of their distances from 0.
#[derive(Clone, Copy, Debug)]
struct Moments {
    mean: f64,
    size: f64,
}

impl Moments {
    fn of(values: &[(f64, u64)]) -> Self {
        let total: f64 = values.iter().map(|(_, n)| *n as f64).sum();
        let (mut mean, mut size) = (0.0, 0.0);
        for &(value, n) in values {
            let share = value * (n as f64 / total);
            mean += share;
            size += share.abs();
        }
        Self { mean, size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbitrary::Unstructured;

    type Values = Vec<(f64, u64)>;

    fn count(values: &Values) -> u64 {
        values.iter().map(|(_, n)| n).sum()
    }

    /// Returns the smallest value that the given fraction of all values does not exceed, in thousandths.
    fn quantile(values: &Values, thousandths: u64) -> f64 {
        let mut values = values.clone();
        values.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let rank = (count(&values) * thousandths).div_ceil(1000).max(1);
        let mut seen = 0;
        let found = values.iter().find(|(_, n)| {
            seen += n;
            seen >= rank
        });
        found.unwrap().0
    }

    fn bounds(values: &Values) -> (f64, f64) {
        (quantile(values, 0), quantile(values, 1000))
    }

    /// Generates values of any shape. Most are close together, and some are far away on either side of 0.
    fn any(u: &mut Unstructured<'_>) -> arbitrary::Result<Values> {
        (0..u.int_in_range(1..=60)?)
            .map(|_| {
                let far = 10_f64.powi(u.int_in_range(0..=12)?);
                let value = f64::from(u.int_in_range(-1000..=1000)?) * far;
                let most = 1 << u.int_in_range(0..=16)?;
                Ok((value, u.int_in_range(1..=most)?))
            })
            .collect()
    }

    #[test]
    fn what_a_flush_has_room_for_is_left_alone() {
        let mut values = vec![(3.0, 2), (1.0, 3)];
        assert_eq!(thin(&mut values, 5), 0);
        assert_eq!(values, [(3.0, 2), (1.0, 3)]);
        assert_eq!(thin(&mut Vec::new(), 5), 0);
    }

    #[test]
    fn exactly_the_limit_is_left_and_the_rest_is_counted() {
        arbtest::arbtest(|u| {
            let before = any(u)?;
            let limit = u.int_in_range(2..=2000)?;
            let mut values = before.clone();
            let thinned = thin(&mut values, limit);
            assert_eq!(count(&values), count(&before).min(limit));
            assert_eq!(count(&values) + thinned, count(&before));
            assert!(values.iter().all(|(value, n)| *n > 0 && value.is_finite()));
            Ok(())
        });
    }

    #[test]
    fn every_percentile_is_the_one_of_all() {
        arbtest::arbtest(|u| {
            let before = any(u)?;
            let mut values = before.clone();
            thin(&mut values, 1000);
            for percent in 1..=99 {
                assert_eq!(quantile(&values, 10 * percent), quantile(&before, 10 * percent), "{percent}");
            }
            Ok(())
        });
    }

    #[test]
    fn no_value_is_below_the_least_or_above_the_greatest_of_all_and_one_of_the_two_is_there() {
        arbtest::arbtest(|u| {
            let before = any(u)?;
            let mut values = before.clone();
            thin(&mut values, 1000);
            let ((least, greatest), (min, max)) = (bounds(&values), bounds(&before));
            assert!(least >= min && greatest <= max, "{least} {min}, {greatest} {max}");
            assert!(least == min || greatest == max);
            Ok(())
        });
    }

    #[test]
    fn the_mean_is_that_of_all_but_for_the_tolerance_and_what_one_line_can_say() {
        arbtest::arbtest(|u| {
            let before = any(u)?;
            let mut values = before.clone();
            thin(&mut values, 1000);
            let (all, sample) = (Moments::of(&before), Moments::of(&values));
            let (min, max) = bounds(&before);
            let off = (sample.mean - all.mean).abs();
            assert!(off <= TOLERANCE * all.size * (1.0 + 1e-9) + (max - min) / 1000.0, "{off}");
            Ok(())
        });
    }

    #[test]
    fn a_tail_keeps_its_mean_and_as_much_of_its_greatest_value_as_that_allows() {
        // The last part has 99 values of 1 and the large one, which alone would make the mean 101.
        let mut values = vec![(1.0, 99_999), (100_000.0, 1)];
        assert_eq!(thin(&mut values, 1000), 99_000);
        let [(body, 999), (moved, 1)] = values[..] else { panic!("{values:?}") };
        assert_eq!(body, 1.0);
        // The mean is 1.99999, and this makes it 1 % larger.
        assert!((moved - (1001.0 + 19.9999)).abs() < 0.01, "{moved}");
        // The same below 0.
        let mut values = vec![(-1.0, 99_999), (-100_000.0, 1)];
        thin(&mut values, 1000);
        assert!((bounds(&values).0 + moved).abs() < 1e-6, "{values:?}");
    }

    #[test]
    fn extremes_that_weigh_little_are_kept() {
        let mut values: Values = (1..=10_000).map(|value| (f64::from(value), 1)).collect();
        thin(&mut values, 1000);
        assert_eq!(bounds(&values), (1.0, 10_000.0));
    }

    #[test]
    fn the_greatest_counts_and_values_are_no_trouble() {
        for values in [[(1.0, u64::MAX), (2.0, u64::MAX)], [(f64::MIN, 1 << 62), (f64::MAX, 1 << 62)]] {
            let mut sample = values.to_vec();
            thin(&mut sample, 1000);
            assert_eq!(
                (count(&sample), bounds(&sample)),
                (1000, bounds(&values.map(|(v, _)| (v, 1)).to_vec()))
            );
        }
        let mut values = vec![(f64::MAX, 3000), (f64::MAX / 2.0, 3000)];
        thin(&mut values, 1000);
        assert_eq!(values, [(f64::MAX / 2.0, 500), (f64::MAX, 500)]);
    }
}
