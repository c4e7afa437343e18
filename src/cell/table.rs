//! One table of buckets, of a size that never changes.

use super::bucket::bucket_of;
use super::slot::{Addition, Slot};
use super::tally::Tally;
use crate::process::sync::{AtomicUsize, Ordering};
use std::fmt;

/// The number of sizes.
pub(super) const CLASSES: usize = if cfg!(tasktag_loom) { 2 } else { 5 };
/// The class of the largest table.
pub(super) const LARGEST: usize = CLASSES - 1;
/// The slots of each class. Thirty values that are spread over three decades fit in the first one, and a thousand
/// latencies in the third. The largest has room for 32 octaves with every bucket in use; the Agent's own sketch keeps
/// as many buckets. All five together take 101 KiB. The numbers are odd, so that buckets that are octaves apart, and
/// their numbers therefore multiples of 128, have slots of their own.
const SLOTS: [usize; 5] = if cfg!(tasktag_loom) { [1, 2, 2, 2, 2] } else { [31, 127, 639, 1535, 4097] };

/// The number of slots in which a bucket may be placed, from its own slot on.
const PROBES: usize = 32;

/// The number of collisions between two sweeps that makes a table crowded. They are few even where threads record all
/// the time: most of what they cost each other is waiting for a cache line, which fails no exchange. With fewer
/// collisions, a record so rarely waits for another thread that memory matters more.
const MANY_COLLISIONS: usize = 32;
/// How often, for each slot of a table, buckets are found away from their own slot between two sweeps before a larger
/// table is worth its memory. The model's few records never come to it.
const MANY_STRAYS: usize = if cfg!(tasktag_loom) { 8 } else { 2 };

/// 2^32 divided by the golden ratio. Multiples of it, modulo 2^32, are spread evenly: no two neighbours of n in a row
/// are much nearer to each other than 2^32 / n.
const GOLDEN: u64 = 0x9E37_79B9;

/// A table of buckets.
pub(super) struct Table {
    slots: Box<[Slot]>,
    // How far apart the slots of neighbouring buckets are, in parts of the table, each of which is 1 / 2^32 of it.
    step: u32,
    // Not 0 if a slot was written, so that the worker sweeps only tables with values. It and the words of the slots are
    // `SeqCst`. A caller writes a word and then reads this, and the worker clears this and then reads the words.
    // Without a single order of these four operations, a count could stay unnoticed.
    touched: AtomicUsize,
    collisions: Tally,
    strays: Tally,
}

impl Table {
    /// Makes a table of a class.
    #[allow(clippy::unnecessary_box_returns, reason = "tables are kept and handed over in boxes")]
    pub(super) fn of(class: usize) -> Box<Self> {
        Box::new(Self::new(slots_of(class)))
    }

    fn new(slots: usize) -> Self {
        Self {
            slots: (0..slots).map(|_| Slot::new()).collect(),
            step: step_of(slots),
            touched: AtomicUsize::new(0),
            collisions: Tally::new(),
            strays: Tally::new(),
        }
    }

    /// Counts a value `n` times if its bucket is in its own slot, as is nearly always so, and no other thread is
    /// writing there. The value need not be countable. Everything that must be fast is here, and the other methods do
    /// the rest.
    #[inline]
    pub(super) fn add_at_once(&self, value: f64, n: u64) -> bool {
        let Some(slot) = self.slots.get(self.place_of(bucket_of(value))) else { return false };
        match slot.add_known(value, n) {
            Addition::Done => self.touch(),
            Addition::Met => self.collide(),
            Addition::Free | Addition::Taken => false,
        }
    }

    /// Does the same for a bucket that may be in another slot than its own. It is told whether a larger table is
    /// possible: if so, it returns `false` once that is worthwhile.
    pub(super) fn add_known(&self, value: f64, n: u64, may_grow: bool) -> bool {
        let mut place = self.place_of(bucket_of(value));
        for step in 0..PROBES {
            let Some(slot) = self.slots.get(place) else { break };
            match self.insist(|| slot.add_known(value, n)) {
                Addition::Done => return self.touch(),
                Addition::Free => break,
                Addition::Met | Addition::Taken => {}
            }
            if step == 0 && may_grow && self.stray() {
                break;
            }
            place = if place + 1 == self.slots.len() { 0 } else { place + 1 };
        }
        false
    }

    /// Notes that a bucket is not in its own slot, and returns whether there were many.
    fn stray(&self) -> bool {
        self.strays.note(self.many_strays());
        self.is_strained()
    }

    /// Counts a countable value up to `MAX_COUNT` times in the first slot, from the bucket's own on, that is free or
    /// already has the bucket. It returns `false` if there is none.
    pub(super) fn add(&self, value: f64, n: u64) -> bool {
        let fits = |slot: &Slot| self.insist(|| slot.add(value, n)) == Addition::Done;
        self.probes(bucket_of(value)).any(fits) && self.touch()
    }

    /// Returns whether there is a slot for the bucket.
    pub(super) fn has_room_for(&self, bucket: u64) -> bool {
        self.probes(bucket).any(|slot| slot.is_open_to(bucket))
    }

    /// Returns whether buckets were so often away from their own slots that a larger table is worth its memory.
    pub(super) fn is_strained(&self) -> bool {
        self.strays.has(self.many_strays())
    }

    /// Waits for as many strays again before a larger table is worthwhile.
    pub(super) fn forget_strays(&self) {
        self.strays.forget();
    }

    fn many_strays(&self) -> usize {
        MANY_STRAYS * self.slots.len()
    }

    /// Tries again until no other thread interferes.
    fn insist(&self, add: impl Fn() -> Addition) -> Addition {
        loop {
            let addition = add();
            if addition != Addition::Met {
                return addition;
            }
            self.collide();
        }
    }

    /// The slots in which a bucket may be, its own first.
    fn probes(&self, bucket: u64) -> impl Iterator<Item = &Slot> {
        let (before, from) = self.slots.split_at_checked(self.place_of(bucket)).unwrap_or_default();
        from.iter().chain(before).take(PROBES)
    }

    /// Returns the slot of a bucket if that is free: a fixed number of slots after that of the bucket before, around
    /// the table.
    #[inline]
    fn place_of(&self, bucket: u64) -> usize {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a bucket has 19 bits, and a place is less than the slots"
        )]
        let place = ((u64::from((bucket as u32).wrapping_mul(self.step)) * self.slots.len() as u64)
            >> u32::BITS) as usize;
        place
    }

    /// Makes the next sweep look here. It returns `true`.
    #[inline]
    fn touch(&self) -> bool {
        #[cfg(tasktag_loom)]
        in_one_order();
        if self.touched.load(Ordering::SeqCst) == 0 {
            self.touched.store(1, Ordering::SeqCst);
        }
        true
    }

    /// Notes that two callers met in a slot. It returns `false`.
    #[inline]
    fn collide(&self) -> bool {
        self.collisions.note(MANY_COLLISIONS);
        false
    }

    /// Does the same as [`take_crowded`](Self::take_crowded) without a reset. Threads that share one processor only
    /// meet if one is preempted during a record, which takes time to occur.
    #[cfg(all(test, not(tasktag_loom)))]
    pub(super) fn is_crowded(&self) -> bool {
        self.collisions.has(MANY_COLLISIONS)
    }

    /// Returns whether callers often met in a slot since the last call.
    pub(super) fn take_crowded(&self) -> bool {
        self.collisions.take(MANY_COLLISIONS)
    }

    /// Takes the value and the count of every bucket, and leaves the table empty.
    pub(super) fn take(&self, found: &mut Vec<(f64, u64)>) {
        // What is touched a moment later is for the next sweep.
        if self.touched.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.touched.swap(0, Ordering::SeqCst);
        #[cfg(tasktag_loom)]
        in_one_order();
        self.forget_strays();
        found.extend(self.slots.iter().filter_map(Slot::take));
    }

    /// Empties every slot. If the process forked during a record or a sweep, an untouched table has counts too.
    pub(super) fn start_over(&self) {
        self.touched.store(0, Ordering::SeqCst);
        for slot in &self.slots {
            let _ = slot.take();
        }
    }
}

/// Returns the step of a table. Around the table it is a number of slots that has no divisor in common with all slots,
/// so that as many buckets in a row as there are slots have one each, wherever they begin. It is the golden part of the
/// table, so that where there are fewer, the slots between them are free.
///
/// It is rounded up, and a bucket has 19 bits and a table fewer than 2^13 slots, so what it is too large by never adds
/// up to a slot.
fn step_of(slots: usize) -> u32 {
    let slots = slots as u64;
    let golden = (slots * GOLDEN) >> u32::BITS;
    let apart = (golden..slots).find(|apart| greatest_common_divisor(*apart, slots) == 1).unwrap_or(1);
    u32::try_from((apart << u32::BITS).div_ceil(slots)).unwrap_or(0)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Returns the number of slots of a class.
pub(super) fn slots_of(class: usize) -> usize {
    SLOTS.get(class).copied().unwrap_or_default()
}

/// The model checker treats `SeqCst` operations as weaker ones. It only models such fences correctly.
#[cfg(tasktag_loom)]
fn in_one_order() {
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// This leaves out the slots.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::super::slot::MAX_COUNT;
    use super::*;

    const SMALL: usize = 256;

    fn taken(table: &Table) -> Vec<(f64, u64)> {
        let mut found = Vec::new();
        table.take(&mut found);
        found
    }

    /// The least values of buckets in a row.
    fn dense(from: f64, buckets: u64) -> impl Iterator<Item = f64> + Clone {
        (0..buckets).map(move |step| f64::from_bits(from.to_bits() + (step << 45)))
    }

    /// How many of the values are not in their own slots.
    fn strays(table: &Table, values: impl Iterator<Item = f64> + Clone) -> usize {
        assert!(values.clone().all(|value| table.add(value, 1)));
        values.filter(|value| !table.add_at_once(*value, 1)).count()
    }

    #[test]
    fn as_many_buckets_in_a_row_as_a_table_has_slots_have_one_each_wherever_they_begin() {
        for slots in SLOTS {
            for from in [1e-300, 1e-9, 0.001, 1.0, 12.5, 100.0, 1e6, -1e6] {
                let (table, buckets) = (Table::new(slots), slots as u64);
                assert_eq!(strays(&table, dense(from, buckets)), 0, "{slots} from {from}");
                assert_eq!(taken(&table).len() as u64, buckets);
            }
        }
    }

    #[test]
    fn few_buckets_are_away_from_their_own_slots() {
        let halves: Vec<f64> = dense(0.125, 320).collect();
        let whole: Vec<f64> = (1..=256).map(f64::from).collect();
        let octaves: Vec<f64> = (-15..15).map(|power| 2_f64.powi(power)).collect();
        for (slots, values) in [(639, halves), (639, whole), (127, octaves)] {
            let strays = strays(&Table::new(slots), values.iter().copied());
            assert!(strays * 20 <= values.len(), "{strays} of {} in {slots}", values.len());
        }
        // Buckets of both signs meet as by chance.
        let signs: Vec<f64> = dense(1.0, 160).flat_map(|value| [value, -value]).collect();
        assert!(strays(&Table::new(639), signs.into_iter()) < 110);
    }

    #[test]
    fn thirty_values_over_three_decades_fit_in_the_smallest_table() {
        let table = Table::of(0);
        assert!((0..30).all(|step| table.add(10_f64.powf(f64::from(step) / 10.0), 1)));
    }

    #[test]
    fn a_full_table_says_so_and_keeps_what_it_has() {
        let table = Table::new(SMALL);
        let kept = dense(1e-30, 128 * 200).filter(|value| table.add(*value, 1)).count() as u64;
        assert_eq!(kept, SMALL as u64);
        assert!(!table.has_room_for(bucket_of(1e30)) && table.has_room_for(bucket_of(1e-30)));
        let found = taken(&table);
        assert_eq!((found.len(), found.iter().map(|(_, n)| n).sum()), (SMALL, kept));
        assert_eq!(taken(&table), []);
        assert!(table.has_room_for(bucket_of(1e30)));
    }

    #[test]
    fn a_count_that_would_overflow_gets_a_second_slot() {
        let table = Table::new(SMALL);
        for n in [1, MAX_COUNT - 1, MAX_COUNT] {
            assert!(table.add_at_once(1.0, n) || table.add(1.0, n));
        }
        assert!(!table.add_at_once(1.0, 1), "it might be the one too many");
        assert!(table.add(1.0, 1) && !table.add_at_once(1.0, 1) && table.add_known(1.0, 1, false));
        assert_eq!(taken(&table), [(1.0, 2 * MAX_COUNT), (1.0, 2)]);
    }

    #[test]
    fn a_table_is_strained_when_many_buckets_were_found_away_from_their_slots() {
        let table = Table::new(32);
        // Once around the table, the second half meets the first.
        let values: Vec<f64> = dense(1.0, 16).chain(dense(1.25, 16)).collect();
        let strays = strays(&table, values.iter().copied());
        assert!(strays > 0 && !table.is_strained());
        let record = |value: &f64| table.add_at_once(*value, 1) || table.add_known(*value, 1, true);
        let rounds = (0..1000).take_while(|_| values.iter().all(record)).count();
        assert!(table.is_strained() && rounds >= MANY_STRAYS, "{rounds}");
        // What can't grow goes on as it is.
        assert!(values.iter().all(|value| table.add_known(*value, 1, false)));
        taken(&table);
        assert!(!table.is_strained());
    }

    #[test]
    fn a_table_is_crowded_when_callers_met_often_since_it_was_asked() {
        let table = Table::new(SMALL);
        for _ in 0..MANY_COLLISIONS {
            table.collide();
        }
        assert!(table.is_crowded() && table.take_crowded() && !table.take_crowded());
    }
}
