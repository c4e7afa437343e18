//! Running counts.
//!
//! All orderings are `Relaxed`: the counts publish nothing but themselves.

use super::Tally;
use crate::process::sync::wide::AtomicU64;
use std::sync::atomic::Ordering;

/// A number that only grows. The count of sent data is the exception.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        // Most amounts are 0. Skipping them avoids taking a cache line from another core.
        if n != 0 {
            self.0.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) values: Count,
    pub(super) lines: Count,
    pub(super) packets: Count,
    pub(super) bytes: Count,
}

impl Account {
    pub(super) fn add(&self, tally: Tally) {
        self.values.add(tally.values);
        self.lines.add(tally.lines);
        self.packets.add(tally.packets);
        self.bytes.add(tally.bytes);
    }

    pub(super) fn take_back(&self, tally: Tally) {
        let minus = u64::wrapping_neg;
        self.add(Tally {
            values: minus(tally.values),
            lines: minus(tally.lines),
            packets: minus(tally.packets),
            bytes: minus(tally.bytes),
        });
    }

    pub(super) fn get(&self) -> Tally {
        Tally {
            values: self.values.get(),
            lines: self.lines.get(),
            packets: self.packets.get(),
            bytes: self.bytes.get(),
        }
    }
}
