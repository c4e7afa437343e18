//! What was good and bad lately, in bounded memory.

use super::burn_window::BurnWindow;
use super::counts::Counts;
use super::ring::Ring;

const FIVE_MINUTES: u64 = 300;
const HOUR: u64 = 3600;
/// The steps of the rings that serve 6 hours and 3 days.
const STEPS: u64 = 72;

/// The lengths of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The seconds of a slice, of which there is a whole number in 5 minutes.
    pub(super) slice: u64,
    pub(super) period_days: u64,
}

impl Span {
    /// Returns the slices of the period.
    pub(super) fn slices(self) -> u64 {
        self.period_days * 24 * (HOUR / self.slice)
    }
}

/// The counts of the latest period, finer the younger they are: the last hour slice by slice, six hours in steps of 5
/// minutes, and everything else in steps of an hour.
///
/// A window therefore never reaches back further than its length, and at most one step less. It has neither clock nor
/// thread: slices are numbers.
#[derive(Clone, Debug)]
pub(super) struct History {
    span: Span,
    slices: Ring,
    five_minutes: Ring,
    hours: Ring,
}

impl History {
    pub(super) fn new(span: Span) -> Self {
        Self {
            span,
            slices: Ring::new(1, HOUR / span.slice),
            five_minutes: Ring::new(FIVE_MINUTES / span.slice, STEPS),
            hours: Ring::new(HOUR / span.slice, span.period_days * 24),
        }
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// Has the windows end with this slice, which is not older than the latest.
    pub(super) fn turn_to(&mut self, slice: u64) {
        self.rings_mut().into_iter().for_each(|ring| ring.turn_to(slice));
    }

    /// Adds to a slice, with which the windows end from then on.
    pub(super) fn add(&mut self, slice: u64, counts: Counts) {
        self.rings_mut().into_iter().for_each(|ring| ring.add(slice, counts));
    }

    /// Returns the sum of a window.
    pub(super) fn within(&self, window: BurnWindow) -> Counts {
        let slices = |seconds: u64| seconds / self.span.slice;
        match window {
            BurnWindow::FiveMinutes => self.slices.latest(slices(FIVE_MINUTES)),
            BurnWindow::ThirtyMinutes => self.slices.latest(slices(6 * FIVE_MINUTES)),
            BurnWindow::OneHour => self.slices.latest(slices(HOUR)),
            BurnWindow::SixHours => self.five_minutes.latest(STEPS),
            BurnWindow::ThreeDays => self.hours.latest(STEPS),
        }
    }

    /// Returns the sum of the period.
    pub(super) fn within_period(&self) -> Counts {
        self.hours.latest(self.span.period_days * 24)
    }

    /// Returns the number of slices that the period has so far: its last hour may not be over.
    pub(super) fn slices_of_period(&self) -> u64 {
        let per_hour = HOUR / self.span.slice;
        self.span.slices() - per_hour + self.slices.newest() % per_hour + 1
    }

    pub(super) fn rings(&self) -> [&Ring; 3] {
        [&self.slices, &self.five_minutes, &self.hours]
    }

    pub(super) fn rings_mut(&mut self) -> [&mut Ring; 3] {
        [&mut self.slices, &mut self.five_minutes, &mut self.hours]
    }
}
