//! The windows over which burn rates are computed.

use std::time::Duration;

crate::tags! {
    /// A window of time before now, over which a burn rate is computed: `window:5m`, …
    ///
    /// These are the five windows of the alerts that chapter 5 of Google's *Site Reliability Workbook* recommends in
    /// table 5-8.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasktag::{BurnWindow, ClosedTag};
    ///
    /// assert_eq!(BurnWindow::SixHours.value(), "6h");
    /// assert_eq!(BurnWindow::SixHours.duration(), Duration::from_secs(6 * 3600));
    /// ```
    pub enum BurnWindow: "window" {
        /// 5 minutes, `5m`.
        FiveMinutes = "5m",
        /// 30 minutes, `30m`.
        ThirtyMinutes = "30m",
        /// An hour, `1h`.
        OneHour = "1h",
        /// 6 hours, `6h`.
        SixHours = "6h",
        /// 3 days, `3d`.
        ThreeDays = "3d",
    }
}

crate::api::dimension::shown!(BurnWindow);

impl BurnWindow {
    /// Returns the length of the window.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(
            60 * match self {
                Self::FiveMinutes => 5,
                Self::ThirtyMinutes => 30,
                Self::OneHour => 60,
                Self::SixHours => 6 * 60,
                Self::ThreeDays => 3 * 24 * 60,
            },
        )
    }
}
