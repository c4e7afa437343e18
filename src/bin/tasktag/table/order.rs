//! What the rows are sorted by.

use crate::traffic::Row;
use std::cmp::Ordering;
use std::fmt;

/// What of a row decides its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    #[default]
    Name,
    Rate,
    Max,
    Series,
    Tasks,
}

impl Key {
    const ALL: [Self; 5] = [Self::Name, Self::Rate, Self::Max, Self::Series, Self::Tasks];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Rate => "rate",
            Self::Max => "max",
            Self::Series => "series",
            Self::Tasks => "tasks",
        }
    }

    fn next(self) -> Self {
        let place = Self::ALL.iter().position(|key| *key == self).unwrap_or(0);
        Self::ALL.get(place + 1).copied().unwrap_or(Self::Name)
    }

    /// Names from `a` on, and of numbers the highest first.
    fn compare(self, one: &Row, two: &Row) -> Ordering {
        let max = |row: &Row| row.whole.max.unwrap_or(f64::NEG_INFINITY);
        match self {
            Self::Name => one.name.cmp(&two.name),
            Self::Rate => two.rate.total_cmp(&one.rate),
            Self::Max => max(two).total_cmp(&max(one)),
            Self::Series => two.series.cmp(&one.series),
            Self::Tasks => two.tasks.cmp(&one.tasks),
        }
    }
}

/// The order of the rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    key: Key,
    is_reversed: bool,
}

impl Order {
    /// Sorts by the next key.
    pub(super) fn turn(&mut self) {
        self.key = self.key.next();
    }

    pub(super) fn reverse(&mut self) {
        self.is_reversed = !self.is_reversed;
    }

    /// Rows that are equal stay as they were.
    pub(super) fn sort(self, rows: &mut [Row]) {
        rows.sort_by(|one, two| {
            let order = self.key.compare(one, two);
            if self.is_reversed { order.reverse() } else { order }
        });
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reversed = if self.is_reversed { ", reversed" } else { "" };
        write!(f, "by {}{reversed}", self.key.as_str())
    }
}
