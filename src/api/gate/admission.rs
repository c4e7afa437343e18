//! What a class of work is admitted by.

use crate::vocabulary::error::ConfigError;

/// The lower threshold, as a part of the upper one.
const DEFAULT_REOPEN: f64 = 0.8;
const DEFAULT_PASSING: f64 = 0.05;

/// By what a class of work is admitted: thresholds of the smoothed load, and shares.
///
/// ```
/// use tasktag::Admission;
///
/// // Shed from a load of 0.9 on, until it is below 0.6. Meanwhile one in ten is admitted.
/// let nightly = Admission::below(0.9).reopen_below(0.6).passing(0.1);
/// // Shed from 1.5 on, until it is below 1.2. If the load is unknown, none is admitted.
/// let exports = Admission::below(1.5).when_unknown(0.0);
/// # let _ = (nightly, exports);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "give it to a class"]
pub struct Admission {
    // Infinite if nothing is ever shed.
    shed_above: f64,
    reopen_below: Option<f64>,
    passing: f64,
    when_unknown: f64,
}

impl Admission {
    /// Sheds the class when the smoothed load is above `threshold`, until it is below a [lower](Self::reopen_below)
    /// one.
    pub const fn below(threshold: f64) -> Self {
        Self { shed_above: threshold, reopen_below: None, passing: DEFAULT_PASSING, when_unknown: 1.0 }
    }

    /// Admits everything, whatever the load.
    pub const fn always() -> Self {
        Self::below(f64::INFINITY)
    }

    /// Sets the load below which a class that is being shed is admitted again. The default is 0.8 times the threshold.
    /// The distance between the two keeps the gate from opening and closing by turns: shedding lowers the load that it
    /// is measured by.
    pub const fn reopen_below(mut self, load: f64) -> Self {
        self.reopen_below = Some(load);
        self
    }

    /// Sets the share that is admitted while the class is being shed, from 0 to 1. The default is 0.05. It lets a queue
    /// drain, and it shows that the work succeeds again.
    pub const fn passing(mut self, share: f64) -> Self {
        self.passing = share;
        self
    }

    /// Sets the share that is admitted while the load is unknown, from 0 to 1. The default is 1: what can't be measured
    /// sheds nothing. Set 0 for work that can wait for hours and would do harm to a database that is down.
    pub const fn when_unknown(mut self, share: f64) -> Self {
        self.when_unknown = share;
        self
    }

    pub(super) fn shed_above(&self) -> f64 {
        self.shed_above
    }

    pub(super) fn reopens_below(&self) -> f64 {
        self.reopen_below.unwrap_or(self.shed_above * DEFAULT_REOPEN)
    }

    pub(super) fn share_while_shedding(&self) -> f64 {
        self.passing
    }

    pub(super) fn share_while_unknown(&self) -> f64 {
        if self.shed_above.is_infinite() { 1.0 } else { self.when_unknown }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self { shed_above, passing, when_unknown, .. } = *self;
        if shed_above.is_nan() || shed_above <= 0.0 {
            return Err(ConfigError::setting("below", shed_above, "a threshold must be above 0"));
        }
        let reopens_below = self.reopens_below();
        // No load is below 0, so a class would never be admitted again.
        if !(reopens_below > 0.0 && reopens_below <= shed_above) {
            let reason = "it must be above 0, and at most the threshold above which the class is shed";
            return Err(ConfigError::setting("reopen_below", reopens_below, reason));
        }
        for (setting, share) in [("passing", passing), ("when_unknown", when_unknown)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(ConfigError::setting(setting, share, "a share must be from 0 to 1"));
            }
        }
        Ok(())
    }
}
