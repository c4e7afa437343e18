//! The members of a set.

use super::fnv::fnv1a;

/// A set's member, stored inline so that the call site does not allocate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    len: u8,
    text: [u8; Member::MAX_LEN],
}

impl Member {
    /// This fits a UUID, a SHA-256 in Base64 and most addresses.
    pub(crate) const MAX_LEN: usize = 47;

    /// Stores a member. A longer member is replaced by its hash, which leaves the size of the set unchanged.
    pub(crate) fn new(member: &str) -> Self {
        if member.len() <= Self::MAX_LEN { Self::of(member.as_bytes()) } else { Self::hashed(member) }
    }

    /// Stores the hash of a member.
    pub(crate) fn hashed(member: &str) -> Self {
        Self::of(&hex(fnv1a(member)))
    }

    fn of(bytes: &[u8]) -> Self {
        let mut text = [0; Self::MAX_LEN];
        for (to, from) in text.iter_mut().zip(bytes) {
            *to = *from;
        }
        // The length is at most `MAX_LEN`.
        Self { len: u8::try_from(bytes.len()).unwrap_or(0), text }
    }

    pub(crate) fn as_str(&self) -> &str {
        let text = self.text.get(..usize::from(self.len)).unwrap_or_default();
        // The bytes are a whole `str`, or hexadecimal digits.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

/// Writes a hash as hexadecimal digits. All processes and versions must write the same ones, because the members of one
/// set come from many of them.
fn hex(hash: u128) -> [u8; 32] {
    let mut text = [0; 32];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        let nibble = (hash >> (4 * place)) & 0xF;
        *digit = b"0123456789abcdef".get(nibble as usize).copied().unwrap_or(b'0');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_members_are_kept_and_long_ones_hashed() {
        let longest = "x".repeat(Member::MAX_LEN);
        for member in ["", "user-7", "größe", longest.as_str()] {
            assert_eq!(Member::new(member).as_str(), member);
        }
        let long = "x".repeat(Member::MAX_LEN + 1);
        assert_eq!(Member::new(&long).as_str().len(), 32);
        assert_eq!(Member::new(&long), Member::new(&long));
        assert_ne!(Member::new(&long), Member::new(&format!("{long}y")));
    }

    #[test]
    fn the_hash_is_fnv1a() {
        // From the RFC's table of test vectors.
        assert_eq!(hex(fnv1a("a")), *b"d228cb696f1a8caf78912b704e4a8964");
    }
}
