//! A hasher for keys that are hashes.

use std::hash::Hasher;

/// Uses a hash as its own hash.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        // Only `u64` keys are used.
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
