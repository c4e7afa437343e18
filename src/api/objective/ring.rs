//! Counts of the latest steps of time.

use super::counts::Counts;

/// The counts of the latest steps, of a fixed number of slices each. A step's number is that of its first slice, divided
/// by the slices of a step, so rings of different steps agree on where a step begins.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    slices_per_step: u64,
    // The bucket of a step is found by its number, modulo the length.
    buckets: Box<[Counts]>,
    newest: u64,
}

impl Ring {
    pub(super) fn new(slices_per_step: u64, steps: u64) -> Self {
        let buckets = (0..steps.max(1)).map(|_| Counts::default()).collect();
        Self { slices_per_step: slices_per_step.max(1), buckets, newest: 0 }
    }

    /// Moves on to the step of a slice, and forgets the steps that are too old for the ring by then.
    pub(super) fn turn_to(&mut self, slice: u64) {
        let step = self.step_of(slice);
        let first_new = (self.newest + 1).max(self.oldest_at(step));
        for forgotten in first_new..=step {
            self.put(forgotten, Counts::default());
        }
        self.newest = self.newest.max(step);
    }

    /// Adds to the step of a slice that is not older than the ring reaches.
    pub(super) fn add(&mut self, slice: u64, counts: Counts) {
        self.turn_to(slice);
        self.set(self.step_of(slice), self.at(self.step_of(slice)).plus(counts));
    }

    /// Sets the counts of a step that is not newer than the newest. An older one than the ring reaches is left out.
    pub(super) fn set(&mut self, step: u64, counts: Counts) {
        if (self.oldest_at(self.newest)..=self.newest).contains(&step) {
            self.put(step, counts);
        }
    }

    /// Returns the number of the newest step.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Returns the sum of the newest steps.
    pub(super) fn latest(&self, steps: u64) -> Counts {
        let oldest = self.oldest_at(self.newest).max((self.newest + 1).saturating_sub(steps));
        (oldest..=self.newest).map(|step| self.at(step)).fold(Counts::default(), Counts::plus)
    }

    /// Returns the steps that are not empty, the oldest first.
    pub(super) fn steps(&self) -> impl Iterator<Item = (u64, Counts)> + '_ {
        let steps = self.oldest_at(self.newest)..=self.newest;
        steps.map(|step| (step, self.at(step))).filter(|(_, counts)| *counts != Counts::default())
    }

    fn step_of(&self, slice: u64) -> u64 {
        slice / self.slices_per_step
    }

    /// Returns the oldest step that the ring reaches when `newest` is its newest.
    fn oldest_at(&self, newest: u64) -> u64 {
        (newest + 1).saturating_sub(self.buckets.len() as u64)
    }

    fn at(&self, step: u64) -> Counts {
        self.place(step).and_then(|place| self.buckets.get(place)).copied().unwrap_or_default()
    }

    fn put(&mut self, step: u64, counts: Counts) {
        let place = self.place(step);
        if let Some(bucket) = place.and_then(|place| self.buckets.get_mut(place)) {
            *bucket = counts;
        }
    }

    fn place(&self, step: u64) -> Option<usize> {
        usize::try_from(step % self.buckets.len() as u64).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbtest::arbitrary::{Result as Arbitrary, Unstructured};

    const ONE: Counts = Counts { good: 1, bad: 2 };

    /// Additions at slices that only grow, against the list of all of them.
    fn against_a_list(u: &mut Unstructured<'_>) -> Arbitrary<()> {
        let (slices_per_step, steps) = (u.int_in_range(1..=5)?, u.int_in_range(1..=7)?);
        let mut ring = Ring::new(slices_per_step, steps);
        let (mut slice, mut list) = (u.int_in_range(0..=100)?, Vec::new());
        for _ in 0..u.int_in_range(0..=50)? {
            slice += u.int_in_range(0..=12)?;
            if u.arbitrary()? {
                ring.add(slice, ONE);
                list.push(slice / slices_per_step);
            } else {
                ring.turn_to(slice);
            }
            for asked in 1..=steps {
                let is_within = |step: &&u64| *step + asked > slice / slices_per_step;
                let found = list.iter().filter(is_within).count() as u64;
                assert_eq!(ring.latest(asked), Counts { good: found, bad: 2 * found });
            }
        }
        Ok(())
    }

    #[test]
    fn the_latest_steps_are_what_a_list_of_all_says() {
        arbtest::arbtest(against_a_list).budget_ms(500);
    }
}
