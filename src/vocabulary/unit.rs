//! Units of time, and their conversion to milliseconds.

use std::sync::atomic::{AtomicU8, Ordering};

/// The unit of recorded values, if they are times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "for a bridge that is optional"))]
pub(crate) enum TimeUnit {
    Seconds = 1,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl TimeUnit {
    const ALL: [Self; 4] = [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds];

    /// Returns the conversion of a value to milliseconds.
    pub(crate) fn scale(self) -> Scale {
        match self {
            Self::Seconds => Scale { times: 1e3, per: 1.0 },
            Self::Milliseconds => Scale { times: 1.0, per: 1.0 },
            Self::Microseconds => Scale { times: 1.0, per: 1e3 },
            Self::Nanoseconds => Scale { times: 1.0, per: 1e6 },
        }
    }
}

/// A factor and a divisor, applied in this order. In this way `1234` microseconds become exactly `1.234`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    times: f64,
    per: f64,
}

impl Scale {
    #[inline]
    pub(crate) fn apply(self, value: f64) -> f64 {
        value * self.times / self.per
    }
}

/// The unit of a distribution's values, once it is known. It is written before the first value is recorded.
#[derive(Debug, Default)]
pub(crate) struct KnownUnit(AtomicU8);

impl KnownUnit {
    pub(crate) const fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    pub(crate) fn get(&self) -> Option<TimeUnit> {
        let known = self.0.load(Ordering::Relaxed);
        TimeUnit::ALL.into_iter().find(|unit| *unit as u8 == known)
    }

    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "for a bridge that is optional"))]
    pub(crate) fn set(&self, unit: TimeUnit) {
        self.0.store(unit as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_known_once_it_is_set() {
        let unit = KnownUnit::new();
        assert_eq!(unit.get(), None);
        for known in TimeUnit::ALL {
            unit.set(known);
            assert_eq!(unit.get(), Some(known));
        }
    }

    #[test]
    fn milliseconds_are_exact_where_floats_are() {
        for (unit, value, milliseconds) in [
            (TimeUnit::Seconds, 0.25, 250.0),
            (TimeUnit::Milliseconds, 0.1, 0.1),
            (TimeUnit::Microseconds, 1234.0, 1.234),
            (TimeUnit::Nanoseconds, 1_500_000.0, 1.5),
        ] {
            assert!(unit.scale().apply(value) == milliseconds, "{unit:?}");
        }
    }
}
