//! How fast a space fills up.

use std::collections::VecDeque;

/// The width of the first slices of time, in nanoseconds.
const FIRST_WIDTH: u64 = 60_000_000_000;
/// The most slices. When there are more, each two become one, until a slice has a width of 64 minutes. From then on the
/// oldest is forgotten: the growth is that of the last 7 days.
const MAX_SLICES: usize = 168;
/// Slices that one observation may add: what fills them at every width, and all of them once more.
const MAX_PUSHES: usize = 8 * MAX_SLICES;
const MAX_WIDTH: u64 = 64 * FIRST_WIDTH;
/// The fewest slices that tell a growth.
const MIN_SLICES: usize = 8;
const DAY: f64 = 86_400e9;
/// The standard errors within which a mean is with a probability of 95 %.
const SPREAD: f64 = 1.96;

/// The growth of a number, in slices of time.
#[derive(Debug)]
pub(super) struct Growth {
    width: u64,
    slices: VecDeque<f64>,
    // The number, and the time, at the start of the slice under way.
    start: Option<(u64, u64)>,
}

/// What is added in a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PerDay {
    pub(super) mean: f64,
    /// The mean is this far off at most, in 95 % of all cases.
    pub(super) spread: f64,
}

impl Default for Growth {
    fn default() -> Self {
        Self { width: FIRST_WIDTH, slices: VecDeque::new(), start: None }
    }
}

impl Growth {
    /// Takes the number at a time, in nanoseconds.
    pub(super) fn observe(&mut self, number: u64, now: u64) {
        let Some((before, since)) = self.start else {
            self.start = Some((number, now));
            return;
        };
        let elapsed = now.saturating_sub(since);
        if elapsed < self.width {
            return;
        }
        // What grew while nobody looked is spread evenly, over slices that become wider on the way.
        let per_nano = (number as f64 - before as f64) / elapsed as f64;
        let mut left = elapsed;
        for _ in 0..MAX_PUSHES {
            if left < self.width {
                break;
            }
            left -= self.width;
            self.push(per_nano * self.width as f64);
        }
        self.start = Some((number, now));
    }

    fn push(&mut self, added: f64) {
        if self.slices.len() == MAX_SLICES {
            self.slices.pop_front();
        }
        self.slices.push_back(added);
        // At once, so that the next slice has the width that it is taken for.
        if self.slices.len() == MAX_SLICES && self.width < MAX_WIDTH {
            self.widen();
        }
    }

    fn widen(&mut self) {
        let halves: Vec<f64> = self.slices.drain(..).collect();
        self.slices.extend(halves.chunks(2).map(|pair| pair.iter().sum::<f64>()));
        self.width *= 2;
    }

    /// Returns the growth, once enough is known.
    pub(super) fn per_day(&self) -> Option<PerDay> {
        if self.slices.len() < MIN_SLICES {
            return None;
        }
        let count = self.slices.len() as f64;
        let mean = self.slices.iter().sum::<f64>() / count;
        let squares: f64 = self.slices.iter().map(|slice| (slice - mean).powi(2)).sum();
        // Ids that come one by one at random vary as much as that, even if they did not so far.
        let variance = (squares / (count - 1.0)).max(mean.abs());
        let slices_per_day = DAY / self.width as f64;
        let spread = SPREAD * (variance / count).sqrt() * slices_per_day;
        Some(PerDay { mean: mean * slices_per_day, spread })
    }
}
