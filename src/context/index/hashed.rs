//! Hashes that are keys.

use std::hash::Hasher;

/// Takes a hash for the hash that it is.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        // Only `u64` keys come here.
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
