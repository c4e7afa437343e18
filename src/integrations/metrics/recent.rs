//! The handles that a thread found recently, so that it finds them again without a lock.

use super::kept::{CounterHandle, GaugeHandle, Handle, HistogramHandle, Kept};
use crate::process::thread_table::ThreadTable;
use metrics::Key;
use std::cell::Cell;
use std::sync::{Arc, Weak};

/// Slots of the table. Each holds two entries, the most recent first.
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 7;
const WAYS: usize = 2;

/// An odd number with half of its bits set: digits of pi's fraction.
const SPREAD: u64 = 0x243f_6a88_85a3_08d3;

/// A remembered handle. The reference is weak, so that an idle thread keeps no metric from being evicted.
struct Entry<H> {
    mark: Cell<u64>,
    // Empty while it is read.
    kept: Cell<Option<Weak<Kept<H>>>>,
}

/// One thread's memory of one kind of handle. It is gone in a thread that is ending.
pub(super) struct Recent<H>(ThreadTable<[Entry<H>; WAYS], PLACES>);

impl<H: Handle> Recent<H> {
    pub(super) const fn new() -> Self {
        Self(ThreadTable::new())
    }

    /// The handle that was found under a key, if it still exists.
    #[inline]
    pub(super) fn find(&self, recorder: u64, key: &Key) -> Option<Arc<Kept<H>>> {
        let mark = mark(recorder, key);
        let [first, second] = self.0.get()?.get(place(mark))?;
        let entry = if first.mark.get() == mark { first } else { second };
        if entry.mark.get() != mark {
            return None;
        }
        let known = entry.kept.take()?;
        let kept = known.upgrade()?;
        entry.kept.set(Some(known));
        if !kept.is(recorder, key) {
            return None;
        }
        kept.call();
        Some(kept)
    }

    /// Remembers a handle, replacing the oldest entry of its slot.
    pub(super) fn remember(&self, recorder: u64, kept: &Arc<Kept<H>>) {
        let mark = mark(recorder, &kept.key);
        let entry = || Entry { mark: Cell::new(0), kept: Cell::new(None) };
        let Some(table) = self.0.get_or_make(|| [entry(), entry()]) else { return };
        let Some([first, second]) = table.get(place(mark)) else { return };
        let known = first.kept.replace(Some(Arc::downgrade(kept)));
        let earlier = first.mark.replace(mark);
        if earlier != mark {
            second.mark.set(earlier);
            second.kept.set(known);
        }
    }
}

/// A kind of handle that threads remember.
pub(super) trait Remembered: Handle {
    /// Gives access to the calling thread's memory.
    fn recent<T>(act: impl FnOnce(&Recent<Self>) -> T) -> Option<T>;
}

impl Remembered for CounterHandle {
    fn recent<T>(act: impl FnOnce(&Recent<Self>) -> T) -> Option<T> {
        thread_local!(static RECENT: Recent<CounterHandle> = const { Recent::new() });
        RECENT.try_with(act).ok()
    }
}

impl Remembered for GaugeHandle {
    fn recent<T>(act: impl FnOnce(&Recent<Self>) -> T) -> Option<T> {
        thread_local!(static RECENT: Recent<GaugeHandle> = const { Recent::new() });
        RECENT.try_with(act).ok()
    }
}

impl Remembered for HistogramHandle {
    fn recent<T>(act: impl FnOnce(&Recent<Self>) -> T) -> Option<T> {
        thread_local!(static RECENT: Recent<HistogramHandle> = const { Recent::new() });
        RECENT.try_with(act).ok()
    }
}

#[inline]
fn mark(recorder: u64, key: &Key) -> u64 {
    key.get_hash() ^ recorder.wrapping_mul(SPREAD)
}

/// The upper bits of a product depend on all bits of the hash. The hash's own lower bits may be those of one label.
#[inline]
fn place(mark: u64) -> usize {
    (mark.wrapping_mul(SPREAD) >> (u64::BITS - PLACE_BITS)) as usize
}
