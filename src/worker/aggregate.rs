//! Aggregates the records of the channel per context until the flush. It uses no socket, clock or thread.

mod sample;
mod timeline;

pub(crate) use self::sample::thin;
pub(crate) use self::timeline::Timed;

use self::timeline::Timeline;
use crate::cell::{Buckets, CounterCell, GaugeCell, SetCell, bucket_of};
use crate::vocabulary::member::Member;
use std::collections::HashMap;
use std::sync::Arc;

/// The maximum number of distinct members that a set keeps for a flush. Further ones are refused and counted.
const MAX_MEMBERS: usize = 10_000;

// How often each member was seen.
type Members = HashMap<Member, u64>;
// One value per bucket, and how often it was seen.
type Overflow = HashMap<u64, (f64, u64)>;

/// Members of sets, values beyond the tables of distributions, and values with timestamps.
#[derive(Debug, Default)]
pub(crate) struct Aggregate {
    // By the address of the cell. The cell is held, so that no other cell can have the address.
    sets: HashMap<usize, (Arc<SetCell>, Members)>,
    overflows: HashMap<usize, (Arc<Buckets>, Overflow)>,
    pub(crate) levels: Timeline<GaugeCell, f64>,
    pub(crate) counts: Timeline<CounterCell, u64>,
}

fn address<T>(cell: &Arc<T>) -> usize {
    Arc::as_ptr(cell).addr()
}

impl Aggregate {
    /// Adds a member. Returns `false` if the set has no room.
    pub(crate) fn member(&mut self, cell: Arc<SetCell>, member: Member) -> bool {
        let (_, members) = self.sets.entry(address(&cell)).or_insert_with(|| (cell, HashMap::new()));
        if members.len() >= MAX_MEMBERS && !members.contains_key(&member) {
            return false;
        }
        *members.entry(member).or_default() += 1;
        true
    }

    /// Adds a value that was seen `n` times. Returns `false` if its count would exceed 2^64.
    pub(crate) fn overflow(&mut self, cell: Arc<Buckets>, value: f64, n: u64) -> bool {
        let (_, buckets) = self.overflows.entry(address(&cell)).or_insert_with(|| (cell, HashMap::new()));
        let (_, count) = buckets.entry(bucket_of(value)).or_insert((value, 0));
        let sum = count.checked_add(n);
        *count = sum.unwrap_or(*count);
        sum.is_some()
    }

    /// Returns a set's members and how often each was seen, in a stable order.
    pub(crate) fn take_members(&mut self, cell: &Arc<SetCell>) -> Vec<(Member, u64)> {
        let Some((_, members)) = self.sets.remove(&address(cell)) else { return Vec::new() };
        let mut members: Vec<_> = members.into_iter().collect();
        members.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        members
    }

    /// Adds a distribution's values to those from its table.
    pub(crate) fn take_overflow(&mut self, cell: &Arc<Buckets>, values: &mut Vec<(f64, u64)>) {
        if let Some((_, buckets)) = self.overflows.remove(&address(cell)) {
            values.extend(buckets.into_values());
        }
    }

    /// Discards what no context took, and returns the number of values. They came from detached handles.
    pub(crate) fn clear(&mut self) -> u64 {
        let members = self.sets.drain().flat_map(|(_, (_, members))| members.into_values());
        let buckets = self.overflows.drain().flat_map(|(_, (_, buckets))| buckets.into_values());
        let untimed = members.chain(buckets.map(|(_, n)| n)).fold(0, u64::wrapping_add);
        untimed.wrapping_add(self.levels.clear()).wrapping_add(self.counts.clear())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_counted_once_but_booked_as_often_as_seen() {
        let (mut aggregate, cell) = (Aggregate::default(), Arc::new(SetCell));
        for member in ["b", "a", "b"] {
            assert!(aggregate.member(Arc::clone(&cell), Member::new(member)));
        }
        assert_eq!(aggregate.take_members(&cell), [(Member::new("a"), 1), (Member::new("b"), 2)]);
        assert_eq!(aggregate.take_members(&cell), []);
    }

    #[test]
    fn a_set_keeps_a_bounded_number_of_members() {
        let (mut aggregate, cell) = (Aggregate::default(), Arc::new(SetCell));
        for member in 0..MAX_MEMBERS {
            assert!(aggregate.member(Arc::clone(&cell), Member::new(&member.to_string())));
        }
        assert!(!aggregate.member(Arc::clone(&cell), Member::new("one more")));
        assert!(aggregate.member(Arc::clone(&cell), Member::new("7")));
        assert_eq!(aggregate.clear(), MAX_MEMBERS as u64 + 1);
    }

    #[test]
    fn overflow_is_folded_by_bucket() {
        let (mut aggregate, cell) = (Aggregate::default(), Arc::new(Buckets::new()));
        for (value, n) in [(100.0, 2), (100.1, 3), (200.0, 1)] {
            assert!(aggregate.overflow(Arc::clone(&cell), value, n));
        }
        let mut values = vec![(1.0, 1)];
        aggregate.take_overflow(&cell, &mut values);
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert_eq!(values, [(1.0, 1), (100.0, 5), (200.0, 1)]);
        assert_eq!(aggregate.clear(), 0);
    }
}
