//! When a measurement began.

use crate::process::clock::Clock;
use crate::process::fork;

/// When a measurement began, and in which process. It has the lowest 56 bits of the nanoseconds, which are enough for
/// two years, and the lowest 8 bits of the [generation](fork::generation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start(u64);

impl Start {
    const GENERATION_BITS: u32 = 8;
    const GENERATION_MASK: u64 = (1 << Self::GENERATION_BITS) - 1;

    #[inline]
    pub(crate) fn now(clock: &Clock) -> Self {
        Self::at(clock.now())
    }

    /// A measurement of this process that began at this time of the client's clock.
    #[inline]
    pub(crate) fn at(nanos: u64) -> Self {
        Self::of(fork::generation(), nanos)
    }

    /// A measurement of the process of this generation that began at this time of the client's clock.
    #[inline]
    pub(crate) fn of(generation: u32, nanos: u64) -> Self {
        let low_bits = u64::from(generation) & Self::GENERATION_MASK;
        Self(nanos << Self::GENERATION_BITS | low_bits)
    }

    /// Returns the start in a word that is never 0.
    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        // Only the last nanosecond of the two years would be 0.
        !self.0
    }

    /// Returns the start that became this word.
    #[inline]
    pub(crate) fn from_word(word: u64) -> Self {
        Self(!word)
    }

    /// Returns whether the measurement began in this process.
    #[inline]
    pub(crate) fn is_here(self) -> bool {
        self.is_of(fork::generation())
    }

    /// Returns whether the measurement began in the process of this generation.
    #[inline]
    pub(crate) fn is_of(self, generation: u32) -> bool {
        (self.0 ^ u64::from(generation)) & Self::GENERATION_MASK == 0
    }

    /// Returns what is known of its process's generation.
    #[inline]
    pub(crate) fn generation(self) -> u32 {
        (self.0 & Self::GENERATION_MASK) as u32
    }

    /// Returns the nanoseconds until `now`, or 0 if the clock went back.
    #[inline]
    pub(crate) fn until(self, now: u64) -> u64 {
        let elapsed = (now << Self::GENERATION_BITS).wrapping_sub(self.0 & !Self::GENERATION_MASK);
        if elapsed > u64::MAX / 2 { 0 } else { elapsed >> Self::GENERATION_BITS }
    }
}
