//! Hashing and comparing short texts by words, for the names and tags of calls by name.
//!
//! These functions are inlined, so that the compiler can evaluate what it knows of a text, which is often all of it.

use foldhash::fast::RandomState;
use std::hash::BuildHasher;

// Odd numbers with half of their bits set, from the fraction digits of pi.
const FIRST: u64 = 0x243f_6a88_85a3_08d3;
const LAST: u64 = 0x1319_8a2e_0370_7345;

/// The maximum number of bytes of a text that is hashed and compared as its first and last word.
pub(super) const MAX_IN_WORDS: usize = 16;

/// Adds a text to a hash. The seed is fixed: a hash only finds a slot, and never decides whether two texts are equal.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the length of a literal is known where it stands")]
pub(crate) fn hash(hash: u64, text: &str) -> u64 {
    let text = text.as_bytes();
    let (first, last) = ends(text);
    let len = (text.len() as u64) << 56;
    let mut sum = fold(first ^ len ^ FIRST, last ^ LAST);
    if text.len() > MAX_IN_WORDS {
        let (words, _) = text.as_chunks();
        for word in words {
            sum = fold(sum ^ u64::from_le_bytes(*word), FIRST);
        }
    }
    // The products don't depend on each other.
    hash.rotate_left(23).wrapping_add(sum)
}

/// The key of a hash, so that nobody can choose texts that collide.
#[derive(Debug)]
pub(crate) struct Seed([u64; 2]);

impl Seed {
    /// The length in bytes up to which a text is hashed in one step.
    pub(crate) const SHORT: usize = MAX_IN_WORDS;

    pub(crate) fn random() -> Self {
        let random = RandomState::default();
        Self([0_u8, 1].map(|half| random.hash_one(half)))
    }

    /// Returns the hash of a text.
    #[inline]
    pub(crate) fn hash(&self, text: &str) -> u64 {
        let ([first_key, last_key], text) = (self.0, text.as_bytes());
        let (first, last) = ends(text);
        let len = (text.len() as u64) << 56;
        let sum = fold(first ^ len ^ first_key, last ^ last_key);
        if text.len() > Self::SHORT { longer(sum, first_key, text) } else { sum }
    }
}

#[inline(never)]
fn longer(sum: u64, key: u64, text: &[u8]) -> u64 {
    let (words, _) = text.as_chunks();
    words.iter().fold(sum, |sum, word| fold(sum ^ u64::from_le_bytes(*word), key))
}

/// Returns whether two texts are equal.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the length of a literal is known where it stands")]
pub(crate) fn same(a: &str, b: &str) -> bool {
    same_bytes(a.as_bytes(), b.as_bytes())
}

/// Returns whether the bytes of two texts are equal.
#[inline(always)]
#[allow(clippy::inline_always, reason = "see `same`")]
pub(crate) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a.len() > MAX_IN_WORDS {
        return a == b;
    }
    let ((first, last), (others_first, others_last)) = (ends(a), ends(b));
    (first ^ others_first) | (last ^ others_last) == 0
}

/// Returns the first and the last bytes, up to 8 each. In a text of less than 16 bytes the two overlap. Together with
/// the length they determine the text.
#[inline(always)]
#[allow(clippy::inline_always, reason = "see `hash`")]
fn ends(text: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u16::from_le_bytes(*first).into(), u16::from_le_bytes(*last).into());
    }
    (text.first().copied().unwrap_or_default().into(), 0)
}

/// Returns both halves of a product in one word. Each of its bits depends on every bit of the factors.
#[inline(always)]
#[allow(clippy::inline_always, reason = "see `hash`")]
#[allow(clippy::cast_possible_truncation, reason = "one half each")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn texts_of_every_length_are_the_same_only_if_every_byte_is() {
        for len in 0..70 {
            let text: String = (0..len).map(|at| char::from(b'a' + at % 26)).collect();
            assert!(same(&text, &text.clone()), "{len}");
            assert!(!same(&text, &format!("{text}a")) && !same(&format!("{text}a"), &text), "{len}");
            for at in 0..text.len() {
                let mut other = text.clone();
                other.replace_range(at..=at, "_");
                assert!(!same(&text, &other), "{len}, byte {at}");
                assert_ne!(hash(0, &text), hash(0, &other), "{len}, byte {at}");
            }
        }
    }

    #[test]
    fn hashes_with_a_seed_differ_by_text_and_by_seed() {
        let (one, other) = (Seed([1, 2]), Seed([1, 3]));
        let texts: Vec<String> = (0..40).map(|len| "x".repeat(len)).collect();
        let longer = (0..4096).map(|n| format!("/a/path/that/is/long/{n}/and/goes/on"));
        let hashes: HashSet<_> = texts.iter().cloned().chain(longer).map(|text| one.hash(&text)).collect();
        assert_eq!(hashes.len(), 40 + 4096);
        assert!(texts.iter().all(|text| one.hash(text) != other.hash(text)));
    }

    #[test]
    fn texts_that_differ_little_are_hashed_apart() {
        let texts =
            (0..4096).flat_map(|n| [format!("{n}"), format!("queue-{n}"), format!("{n}.of.some.length.{n}")]);
        let hashes: HashSet<_> = texts.map(|text| hash(0, &text) >> 32).collect();
        // Random 32-bit numbers would collide about twice here.
        assert!(hashes.len() >= 3 * 4096 - 3, "{}", hashes.len());
        assert_ne!(hash(hash(0, "a"), "b"), hash(hash(0, "b"), "a"));
        assert_ne!(hash(hash(0, "a"), "bc"), hash(hash(0, "ab"), "c"));
    }
}
