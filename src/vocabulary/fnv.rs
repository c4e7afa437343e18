//! A hash that has the same value in every process, version and platform.

/// 128-bit FNV-1a.
///
/// Constants: <https://www.rfc-editor.org/rfc/rfc9923>.
pub(crate) fn fnv1a(text: &str) -> u128 {
    text.bytes().fold(0x6C62_272E_07BB_0142_62B8_2175_6295_C58D, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        // From the RFC's table of test vectors: the empty string, and "a".
        assert_eq!(fnv1a(""), 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D);
        assert_eq!(fnv1a("a"), 0xD228_CB69_6F1A_8CAF_7891_2B70_4E4A_8964);
    }
}
