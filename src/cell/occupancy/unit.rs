//! A unit in use, as its guard knows it.

use crate::cell::holds::Entry;
use crate::process::fork;

/// What a guard keeps of its unit: in the low half the generation of the process that acquired it, and in the high half
/// the code of the entry with the start of its hold. Without an entry the high half is 0.
///
/// It is one word, so that a single comparison tells a unit of this process without an entry from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit(u64);

impl Unit {
    /// Returns a unit of this process without an entry.
    #[inline]
    pub(crate) fn here() -> Self {
        Self(u64::from(fork::generation()))
    }

    pub(super) fn with_entry(generation: u32, entry: Entry) -> Self {
        Self(u64::from(entry.to_code()) << u32::BITS | u64::from(generation))
    }

    pub(super) fn generation(self) -> u32 {
        self.0 as u32
    }

    pub(super) fn entry(self) -> Option<Entry> {
        let code = (self.0 >> u32::BITS) as u32;
        (code != 0).then(|| Entry::from_code(code))
    }
}
