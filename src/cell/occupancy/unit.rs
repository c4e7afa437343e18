//! A unit in use, as its guard knows it.

use crate::cell::holds::{Entry, Holds};
use crate::cell::start::Start;
use crate::process::fork;
use std::num::NonZeroU64;

// The fields, from the lowest bit: the generation of the process that acquired the unit, and, if the start of its hold
// is kept, the entry's code, which is never 0, and the generation that is kept with the start.
const ENTRY_SHIFT: u32 = 32;
const START_SHIFT: u32 = 48;

/// What a guard keeps of its unit. It is one word, so that a single comparison tells a unit of this process without a
/// start from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit(u64);

impl Unit {
    /// Returns a unit of this process, without a start.
    #[inline]
    pub(super) fn here() -> Self {
        Self(u64::from(fork::generation()))
    }

    /// Returns the same unit with a hold that begins.
    pub(super) fn with_hold(self, holds: &Holds, now: u64) -> Self {
        // The start and the unit are of the same process, also in one that is being restored.
        let start = Start::of(self.generation(), now);
        let entry = u64::from(holds.begin(start).to_code());
        Self(self.0 | entry << ENTRY_SHIFT | u64::from(start.generation()) << START_SHIFT)
    }

    fn generation(self) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "it is the low half")]
        let generation = self.0 as u32;
        generation
    }

    /// Returns what makes it differ from a unit of this process without a start.
    #[inline]
    pub(super) fn mark(self) -> Option<Mark> {
        NonZeroU64::new(self.0 ^ Self::here().0).map(Mark)
    }
}

/// What makes a unit differ from one of this process without a start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(NonZeroU64);

#[allow(clippy::cast_possible_truncation, reason = "each is a field of the word")]
impl Mark {
    /// Returns whether the unit is of this process.
    pub(super) fn is_here(self) -> bool {
        self.0.get() as u32 == 0
    }

    /// Returns where the start of the hold is, if the unit is of this process.
    pub(super) fn entry(self) -> Entry {
        Entry::from_code((self.0.get() >> ENTRY_SHIFT) as u16)
    }

    /// Returns what is known of the generation of the hold's process.
    pub(super) fn generation(self) -> u32 {
        (self.0.get() >> START_SHIFT) as u32
    }
}
