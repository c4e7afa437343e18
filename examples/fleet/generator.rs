//! Reproducible random numbers: the same seed gives the same fleet.

/// `SplitMix64`: <https://doi.org/10.1145/2714064.2660195>.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    state: u64,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and excluding `end`. Of 2^64 draws, a number occurs at most once more often than another.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        let wide = u128::from(self.next()) * u128::from(end);
        u32::try_from(wide >> 64).unwrap_or(0)
    }

    /// The whole number below or above, so that many of them average to `expected`.
    pub(crate) fn round(&mut self, expected: f64) -> usize {
        let up = f64::from(self.below(1 << 30)) < expected.fract() * f64::from(1 << 30);
        // A number of tasks, far from any limit.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = expected as usize;
        whole + usize::from(up)
    }
}
