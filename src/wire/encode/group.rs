//! Groups values that can share a line because they have equal counts. Pure arithmetic.

/// Values that were each seen `weight` times.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) weight: u64,
    pub(crate) values: Vec<f64>,
}

/// Up to this number of different counts, each has a line of its own, whatever that costs.
const FEW: usize = 16;
/// The approximate length of a value on the wire: `:123.456`.
const VALUE_BYTES: usize = 8;

/// Groups values by their counts, the lightest first, with the values ascending.
///
/// If counts differ so much that most values would be alone in a line of `line_bytes`, the rare counts are split into
/// powers of two: a value seen 37 times is in the lines of 32, 4 and 1, and the server adds them up again.
pub(crate) fn groups(values: &mut [(f64, u64)], line_bytes: usize) -> Vec<Group> {
    values.sort_unstable_by(|(a, n), (b, m)| n.cmp(m).then(a.total_cmp(b)));
    let runs = || values.chunk_by(|(_, n), (_, m)| n == m);
    let lonely = |run: &&[(f64, u64)]| run.len() * VALUE_BYTES < line_bytes;
    let split = is_worth_splitting(runs().filter(lonely), line_bytes);
    let mut groups = Vec::new();
    let mut powers: Vec<(f64, u64)> = Vec::new();
    for run in runs() {
        if split && lonely(&run) {
            powers.extend(run.iter().flat_map(|&(value, n)| powers_of(n).map(move |power| (value, power))));
        } else {
            groups.push(group(run));
        }
    }
    if powers.is_empty() {
        return groups;
    }
    // A value in a line of its own keeps that line.
    for Group { weight, values } in &mut groups {
        if weight.is_power_of_two() {
            powers.extend(values.drain(..).map(|value| (value, *weight)));
        }
    }
    groups.retain(|group| !group.values.is_empty());
    powers.sort_unstable_by(|(a, n), (b, m)| n.cmp(m).then(a.total_cmp(b)));
    groups.extend(powers.chunk_by(|(_, n), (_, m)| n == m).map(group));
    groups.sort_unstable_by_key(|group| group.weight);
    groups
}

fn group(run: &[(f64, u64)]) -> Group {
    let weight = run.first().map_or(0, |(_, n)| *n);
    Group { weight, values: run.iter().map(|(value, _)| *value).collect() }
}

/// Whether the split needs fewer bytes.
fn is_worth_splitting<'a>(runs: impl Iterator<Item = &'a [(f64, u64)]>, line_bytes: usize) -> bool {
    let (mut lines, mut values, mut parts, mut bits) = (0, 0, 0, 0_u64);
    for run in runs {
        let n = run.first().map_or(0, |(_, n)| *n);
        lines += 1;
        values += run.len();
        parts += run.len() * n.count_ones() as usize;
        bits |= n;
    }
    let split = bits.count_ones() as usize * line_bytes + parts * VALUE_BYTES;
    lines > FEW && split < lines * line_bytes + values * VALUE_BYTES
}

fn powers_of(n: u64) -> impl Iterator<Item = u64> {
    (0..u64::BITS).map(|bit| 1 << bit).filter(move |power| n & power != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const LINE: usize = 80;

    /// Each value with its count, put together again.
    fn counts(groups: &[Group]) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for Group { weight, values } in groups {
            for value in values {
                *counts.entry(value.to_bits()).or_default() += weight;
            }
        }
        counts
    }

    #[test]
    fn equal_counts_share_a_group() {
        let mut values = [(3.0, 2), (1.0, 1), (2.0, 2), (-4.0, 1)];
        let expected =
            [Group { weight: 1, values: vec![-4.0, 1.0] }, Group { weight: 2, values: vec![2.0, 3.0] }];
        assert_eq!(groups(&mut values, LINE), expected);
    }

    #[test]
    fn a_few_different_counts_are_not_split() {
        let mut values: Vec<_> = (0..16_u32).map(|i| (f64::from(i), u64::from(i) * 3 + 100)).collect();
        assert_eq!(groups(&mut values, LINE).len(), 16);
    }

    #[test]
    fn many_different_counts_become_few_lines() {
        let mut values: Vec<_> = (0..200_u32).map(|i| (f64::from(i), u64::from(i) * 3 + 100)).collect();
        let before: BTreeMap<_, _> = values.iter().map(|(value, n)| (value.to_bits(), *n)).collect();
        let groups = groups(&mut values, LINE);
        assert!(groups.len() <= 10, "{}", groups.len());
        assert_eq!(counts(&groups), before);
    }

    #[test]
    fn no_count_is_lost_or_made() {
        arbtest::arbtest(|u| {
            let highest = u.int_in_range(1..=100_000)?;
            let mut values = Vec::new();
            for i in 0..u.int_in_range(0..=500)? {
                values.push((f64::from(i), u.int_in_range(1..=highest)?));
            }
            let before: BTreeMap<_, _> = values.iter().map(|(value, n)| (value.to_bits(), *n)).collect();
            let groups = groups(&mut values, u.int_in_range(1..=300)?);
            assert_eq!(counts(&groups), before);
            assert!(groups.windows(2).all(|pair| pair[0].weight < pair[1].weight));
            assert!(groups.iter().all(|group| group.values.is_sorted() && !group.values.is_empty()));
            Ok(())
        });
    }
}
