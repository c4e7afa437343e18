//! Seats, each with the exact time of one item.

use super::{Census, Stage};
use crate::process::sync::{AtomicU64, Ordering};
use std::array;
use std::cell::Cell;
use std::sync::atomic::AtomicUsize;

/// The number of seats. They take 32 KiB. A model checker keeps track of each.
pub(super) const SEATS: usize = if cfg!(tasktag_loom) { 2 } else { 4096 };
/// How many seats an item tries. If half of them are taken, one item in 65,536 finds none.
const TRIES: usize = 16;
/// How far apart the tries are. Like every odd number, it leads to all seats.
const STRIDE: usize = 2531;
/// No seat: the thread has not taken one yet.
const UNKNOWN: usize = usize::MAX;

// A stamp has these fields, from its lowest bit: whether the item runs, the generation of its process, and the time.
// A free seat is 0, so the time is one more than it is.
const RUNNING: u64 = 1;
const GENERATION_SHIFT: u32 = 1;
const GENERATION_MASK: u64 = 0xff << GENERATION_SHIFT;
const TIME_SHIFT: u32 = 9;
/// The time is in units of 64 ns, in which a millisecond is a whole number. They last for 73 years.
const UNIT_SHIFT: u32 = 6;
const LATEST: u64 = (u64::MAX >> TIME_SHIFT) - 1;

thread_local! {
    // The seat that this thread tries next, of whatever queue. There is no destructor, so reading it costs a single
    // load.
    static NEXT: Cell<usize> = const { Cell::new(UNKNOWN) };
}

/// A table of stamps. Each is written by whoever has the seat, so that leaving needs no locked instruction.
#[derive(Debug)]
pub(super) struct Seats {
    stamps: Box<[AtomicU64; SEATS]>,
}

impl Default for Seats {
    fn default() -> Self {
        Self { stamps: Box::new(array::from_fn(|_| AtomicU64::new(0))) }
    }
}

impl Seats {
    /// Takes a seat. Returns `None` if all that were tried are taken.
    #[inline]
    pub(super) fn take(&self, now: u64, generation: u8, stage: Stage) -> Option<u16> {
        let stamp = stamp(now, generation, stage);
        let seat = NEXT.get();
        // Threads begin far apart, and a queue is emptied in about the order in which it was filled. So this one is
        // nearly always free.
        if self.try_seat(seat, stamp, generation) {
            NEXT.set((seat + 1) % SEATS);
            return u16::try_from(seat).ok();
        }
        self.search(stamp, generation)
    }

    #[cold]
    #[inline(never)]
    fn search(&self, stamp: u64, generation: u8) -> Option<u16> {
        let first = if NEXT.get() == UNKNOWN { first_seat() } else { NEXT.get() + STRIDE };
        let mut tries = (0..TRIES).map(|step| step.wrapping_mul(STRIDE).wrapping_add(first) % SEATS);
        let found = tries.find(|&seat| self.try_seat(seat, stamp, generation));
        NEXT.set(found.map_or(first, |seat| seat + 1) % SEATS);
        u16::try_from(found?).ok()
    }

    #[inline]
    fn try_seat(&self, seat: usize, stamp: u64, generation: u8) -> bool {
        let Some(place) = self.stamps.get(seat) else { return false };
        let before = place.load(Ordering::Relaxed);
        let is_free = before == 0 || !is_of(before, generation);
        is_free && place.compare_exchange(before, stamp, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Changes the stamp of a taken seat.
    #[inline]
    pub(super) fn stamp(&self, seat: u16, now: u64, generation: u8, stage: Stage) {
        if let Some(place) = self.stamps.get(usize::from(seat)) {
            place.store(stamp(now, generation, stage), Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn free(&self, seat: u16) {
        if let Some(place) = self.stamps.get(usize::from(seat)) {
            place.store(0, Ordering::Relaxed);
            // The next item of this thread, if any, finds the seat in the processor's cache.
            NEXT.set(usize::from(seat));
        }
    }

    pub(super) fn count(&self, census: &mut Census, generation: u8) {
        for place in self.stamps.iter() {
            let stamp = place.load(Ordering::Relaxed);
            if stamp == 0 || !is_of(stamp, generation) {
                continue;
            }
            let group = if stamp & RUNNING == 0 { &mut census.waiting } else { &mut census.running };
            group.add(1, ((stamp >> TIME_SHIFT) - 1) << UNIT_SHIFT);
        }
    }
}

#[inline]
fn stamp(now: u64, generation: u8, stage: Stage) -> u64 {
    let time = (now >> UNIT_SHIFT).min(LATEST) + 1;
    let running = if stage == Stage::Running { RUNNING } else { 0 };
    time << TIME_SHIFT | generation_bits(generation) | running
}

#[inline]
fn is_of(stamp: u64, generation: u8) -> bool {
    stamp & GENERATION_MASK == generation_bits(generation)
}

#[inline]
fn generation_bits(generation: u8) -> u64 {
    u64::from(generation) << GENERATION_SHIFT
}

/// Returns where a thread begins: far from the others, so that they write to different cache lines.
fn first_seat() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    let thread = THREADS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    thread.wrapping_mul(STRIDE) % SEATS
}
