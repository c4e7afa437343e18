//! The share that is to be good, and the budget that it leaves.

use super::counts::Counts;
use crate::vocabulary::error::ConfigError;

const BILLION: f64 = 1e9;

/// A share between 0 and 1. It is kept as the billionths that may be bad, so that a burn rate is rounded only once:
/// 1 - 0.999 is not exactly 0.001.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    budget: u32,
}

impl Goal {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1 and a billion"
    )]
    pub(super) fn new(setting: &'static str, share: f64) -> Result<Self, ConfigError> {
        let budget = ((1.0 - share) * BILLION).round();
        if share > 0.0 && (1.0..BILLION).contains(&budget) {
            Ok(Self { budget: budget as u32 })
        } else {
            Err(ConfigError::setting(setting, share, "the share must be above 0 and at most 0.999999999"))
        }
    }

    /// Returns how many times faster than allowed the budget is used, or `None` if nothing was counted.
    pub(super) fn burn_rate(self, counts: Counts) -> Option<f64> {
        let total = counts.total();
        (total > 0).then(|| self.used(counts.bad, total))
    }

    /// Returns the share of the budget of `total` that is left. It is below 0 if more was bad than may be.
    pub(super) fn budget_left(self, bad: u64, total: u64) -> Option<f64> {
        (total > 0).then(|| 1.0 - self.used(bad, total))
    }

    /// Returns whether what was counted, if anything, keeps to the goal.
    pub(super) fn is_kept_by(self, counts: Counts) -> bool {
        let (bad, total) = (u128::from(counts.bad), u128::from(counts.total()));
        bad * 1_000_000_000 <= total * u128::from(self.budget)
    }

    fn used(self, bad: u64, total: u64) -> f64 {
        (bad as f64 * BILLION) / (total as f64 * f64::from(self.budget))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burn_rate_is_rounded_once() {
        let goal = Goal::new("objective", 0.999).unwrap();
        assert_eq!(goal.burn_rate(Counts { good: 9856, bad: 144 }), Some(14.4));
        assert_eq!(goal.burn_rate(Counts { good: 999, bad: 1 }), Some(1.0));
        assert_eq!(goal.burn_rate(Counts::default()), None, "nothing is known");
        assert_eq!(Goal::new("objective", 0.95).unwrap().burn_rate(Counts { good: 0, bad: 7 }), Some(20.0));
    }

    #[test]
    fn a_goal_is_kept_by_exactly_its_share() {
        let goal = Goal::new("objective", 0.999).unwrap();
        assert!(goal.is_kept_by(Counts { good: 999, bad: 1 }));
        assert!(!goal.is_kept_by(Counts { good: 998, bad: 1 }));
        assert!(!goal.is_kept_by(Counts { good: 0, bad: u64::MAX }));
    }

    #[test]
    fn what_leaves_no_budget_or_nothing_else_is_refused() {
        for share in [0.0, 1.0, -0.5, 1.5, 0.999_999_999_9, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, -0.0]
        {
            let error = Goal::new("objective", share).unwrap_err().to_string();
            assert!(
                error.contains("the setting objective can't be") && error.contains(&share.to_string()),
                "{error}"
            );
        }
        assert!(Goal::new("objective", 0.999_999_999).is_ok() && Goal::new("objective", 0.001).is_ok());
    }
}
