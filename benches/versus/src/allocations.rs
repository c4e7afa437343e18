//! Counts what a thread allocates, and what bytes all threads keep.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
/// Bytes that were allocated and not given back while `COUNTS` was set. It falls below 0 for those from before.
static KEPT: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn note(bytes: usize) {
    // Off while anything is timed: a load that is well predicted.
    if COUNTS.load(Ordering::Relaxed) {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        KEPT.fetch_add(bytes as i64, Ordering::Relaxed);
    }
}

fn note_given_back(bytes: usize) {
    if COUNTS.load(Ordering::Relaxed) {
        KEPT.fetch_sub(bytes as i64, Ordering::Relaxed);
    }
}

// SAFETY: the system's allocator does the work, on the same terms.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        note_given_back(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note_given_back(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

/// How often the calling thread allocates while `work` runs.
pub fn during(work: impl FnOnce()) -> u64 {
    COUNTS.store(true, Ordering::Relaxed);
    let before = ALLOCATIONS.with(Cell::get);
    work();
    let after = ALLOCATIONS.with(Cell::get);
    COUNTS.store(false, Ordering::Relaxed);
    after - before
}

/// Hands `work` what tells the bytes that all threads have allocated and not given back. Only the difference between
/// two of its answers means something.
pub fn counted<T>(work: impl FnOnce(fn() -> i64) -> T) -> T {
    COUNTS.store(true, Ordering::Relaxed);
    let outcome = work(|| KEPT.load(Ordering::Relaxed));
    COUNTS.store(false, Ordering::Relaxed);
    outcome
}
