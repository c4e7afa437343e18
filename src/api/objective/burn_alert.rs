//! At which burn rates somebody is told.

use super::burn_window::BurnWindow;
use std::time::Duration;

crate::tags! {
    /// How urgent an alert is: `severity:page`, `severity:ticket`.
    pub enum AlertSeverity: "severity" {
        /// Somebody has to look at once.
        Page,
        /// Somebody has to look within days.
        Ticket,
    }
}

crate::api::dimension::shown!(AlertSeverity);

/// An alert on a burn rate. It fires if the rate is above [`burn_rate`](Self::burn_rate) over both windows: over the
/// long one, because then a part of the budget is gone, and over the short one, because then it is still being used.
///
/// A burn rate is the share of what was bad, divided by the share that may be. At a rate of 1, the budget of a period
/// is used up exactly at its end.
///
/// ```
/// use std::time::Duration;
/// use tasktag::BurnAlert;
///
/// const DAY: Duration = Duration::from_secs(24 * 3600);
/// let rates = |days| BurnAlert::WORKBOOK.map(|alert| alert.burn_rate(days * DAY));
/// assert_eq!(rates(30), [14.4, 6.0, 1.0]);
/// assert_eq!(rates(28), [13.44, 5.6, 14.0 / 15.0]);
/// assert_eq!(rates(7), [3.36, 1.4, 7.0 / 30.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BurnAlert {
    /// How urgent it is.
    pub severity: AlertSeverity,
    /// The long window.
    pub long: BurnWindow,
    /// The short window, a twelfth of the long one.
    pub short: BurnWindow,
    /// The share of the period's budget that is used when the alert fires, in percent.
    pub budget_percent: u32,
}

impl BurnAlert {
    /// The alerts of table 5-8 in the *Site Reliability Workbook*: a page if 2 % of the budget is used within an hour
    /// or 5 % within six, a ticket if 10 % is used within three days.
    pub const WORKBOOK: [Self; 3] = [
        Self::new(AlertSeverity::Page, BurnWindow::OneHour, BurnWindow::FiveMinutes, 2),
        Self::new(AlertSeverity::Page, BurnWindow::SixHours, BurnWindow::ThirtyMinutes, 5),
        Self::new(AlertSeverity::Ticket, BurnWindow::ThreeDays, BurnWindow::SixHours, 10),
    ];

    const fn new(severity: AlertSeverity, long: BurnWindow, short: BurnWindow, budget_percent: u32) -> Self {
        Self { severity, long, short, budget_percent }
    }

    /// Returns the burn rate at which that share of the budget is used within the long window: the share times the
    /// period, divided by the window. The well-known 14.4, 6 and 1 are those of 30 days.
    #[must_use]
    pub fn burn_rate(self, period: Duration) -> f64 {
        f64::from(self.budget_percent) * period.as_secs_f64() / (100.0 * self.long.duration().as_secs_f64())
    }

    /// Returns the burn rate above which `slo.alert` is 1: [`burn_rate`](Self::burn_rate), and at least 1. In a period
    /// of less than 30 days the ticket's rate is below 1, at which an objective is kept.
    #[must_use]
    pub fn threshold(self, period: Duration) -> f64 {
        self.burn_rate(period).max(1.0)
    }
}
