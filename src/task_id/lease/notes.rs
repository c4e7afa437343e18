//! Notes of when the holders of slots were last seen, which spare a start from trying every slot.
//!
//! The file has four bytes a slot. It is never locked. It may be late, wrong, unreadable or missing, which only costs a
//! start time.

use super::file::{self, Sharing};
use super::{SMALL_POOL, UNSEEN_SECONDS};
use crate::task_id::TaskIdPool;
use std::cmp::Reverse;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::iter;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The name of the file.
const NAME: &str = "last-seen";
/// Bytes of a note: seconds since 1970, or 0 if nobody holds the slot.
const NOTE_LEN: usize = 4;
/// The note in the position of slot 0, which does not exist: when a holder was last found gone.
const GONE: u32 = 0;
/// How many slots are tried although their holders were seen, unless a holder was found gone recently. A start in a
/// full pool costs this many attempts.
const MAX_SEEN_TRIES: usize = 6;

/// The file of notes, or none if it can't be opened.
#[derive(Debug)]
pub(super) struct Notes(Option<File>);

impl Notes {
    /// Opens the notes of a directory, and makes them if they don't exist.
    pub(super) fn open(directory: &Path, sharing: Sharing) -> Self {
        let path = directory.join(NAME);
        Self(file::open(&path).or_else(|_| sharing.make(&path)).ok())
    }

    /// The notes; 0 for a slot without one.
    pub(super) fn read(&mut self, pool: TaskIdPool) -> Seen {
        self.try_read(pool).unwrap_or_else(|| Seen { gone: 0, seen: vec![0; pool.size() as usize] })
    }

    /// Like [`read`](Self::read), but `None` if nothing can be read.
    pub(super) fn try_read(&mut self, pool: TaskIdPool) -> Option<Seen> {
        let notes = self.0.as_mut()?;
        let len = pool.size() as usize;
        let mut bytes = Vec::with_capacity((1 + len) * NOTE_LEN);
        notes.seek(SeekFrom::Start(0)).ok()?;
        notes.take(((1 + len) * NOTE_LEN) as u64).read_to_end(&mut bytes).ok()?;
        let (found, _) = bytes.as_chunks::<NOTE_LEN>();
        let mut found = found.iter().map(|&note| u32::from_le_bytes(note));
        let gone = found.next().unwrap_or(0);
        let mut seen: Vec<u32> = found.collect();
        seen.resize(len, 0);
        Some(Seen { gone, seen })
    }

    /// Notes that a slot's holder is running.
    pub(super) fn note(&mut self, number: u32, at: u32) {
        let _ = self.write(number, at);
    }

    /// Notes that nobody holds a slot.
    pub(super) fn note_free(&mut self, number: u32) {
        let _ = self.write(number, 0);
    }

    /// Notes that a holder ended without giving its slot back.
    pub(super) fn note_gone(&mut self, at: u32) {
        let _ = self.write(GONE, at);
    }

    fn write(&mut self, place: u32, note: u32) -> io::Result<()> {
        let Some(notes) = &mut self.0 else { return Ok(()) };
        notes.seek(SeekFrom::Start(u64::from(place) * NOTE_LEN as u64))?;
        notes.write_all(&note.to_le_bytes())
    }
}

/// The notes at the time they were read.
#[derive(Debug)]
pub(super) struct Seen {
    gone: u32,
    // By number, from 1 on.
    seen: Vec<u32>,
}

impl Seen {
    pub(super) fn is_noted(&self, number: u32) -> bool {
        self.of(number) != 0
    }

    /// Whether a slot's holder was seen so recently that it counts as running.
    pub(super) fn is_fresh(&self, number: u32, now: u32) -> bool {
        age(self.of(number), now) <= UNSEEN_SECONDS
    }

    /// How many holders were seen recently.
    pub(super) fn live(&self, now: u32) -> usize {
        self.seen.iter().filter(|seen| age(**seen, now) <= UNSEEN_SECONDS).count()
    }

    fn of(&self, number: u32) -> u32 {
        self.seen.get((number as usize).wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// The slots to try, in this order: the one whose holder was not seen for longest, those without a known holder,
    /// those whose holder was not seen for long, and a few or all of the others, the longest unseen first.
    ///
    /// Trying the first one detects early that holders are being killed, so that their slots don't pile up.
    pub(super) fn candidates(&self, start: u32, now: u32) -> impl Iterator<Item = u32> {
        let (before, from) = self.seen.split_at(start as usize - 1);
        let from_start = move || (start..).zip(from).chain((1..).zip(before));
        let noted = move || from_start().filter(|(_, seen)| **seen != 0);
        let first = noted().min_by_key(|(_, seen)| Reverse(age(**seen, now))).map(|(number, _)| number);
        let free = from_start().filter(|(_, seen)| **seen == 0).map(|(number, _)| number);
        // Only starts that find nothing free get to the others.
        let held = iter::once_with(move || {
            let mut held = Vec::with_capacity(self.seen.len());
            noted().for_each(|(number, seen)| held.push((number, *seen)));
            oldest(&held, now, self.tries(now))
        });
        first.into_iter().chain(free).chain(held.flatten().filter(move |number| Some(*number) != first))
    }

    /// How many slots to try whose holders were seen. If holders are being killed, having been seen means little.
    fn tries(&self, now: u32) -> usize {
        let quiet = age(self.gone, now) > UNSEEN_SECONDS && self.gone <= now;
        if quiet && self.seen.len() > SMALL_POOL { MAX_SEEN_TRIES } else { self.seen.len() }
    }
}

/// Whole seconds since 1970. A jump of the clock only costs time.
pub(super) fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX).max(1)
}

/// The age of a note. A note from the future was written before the clock was set back, and counts as infinitely old.
fn age(seen: u32, now: u32) -> u32 {
    now.checked_sub(seen).unwrap_or(u32::MAX)
}

/// Of the held slots, those not seen for long and a number of the others, the longest unseen first.
fn oldest(held: &[(u32, u32)], now: u32, others: usize) -> impl Iterator<Item = u32> + use<> {
    // Slots of equal age keep their order, which began at a random slot.
    let by_age = |place: usize, &(number, seen): &(u32, u32)| (Reverse(age(seen, now)), place, number);
    let mut slots: Vec<_> = held.iter().enumerate().map(|(place, slot)| by_age(place, slot)).collect();
    let tried = others + slots.iter().filter(|(Reverse(age), ..)| *age > UNSEEN_SECONDS).count();
    if tried < slots.len() {
        slots.select_nth_unstable(tried);
        slots.truncate(tried);
    }
    slots.sort_unstable();
    slots.into_iter().map(|(_, _, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u32 = 1_000_000;

    fn order(seen: &[u32], start: u32) -> Vec<u32> {
        Seen { gone: 0, seen: seen.to_vec() }.candidates(start, NOW).collect()
    }

    #[test]
    fn the_longest_unseen_is_tried_then_free_slots_from_a_random_one_on_and_then_the_others() {
        assert_eq!(order(&[0; 5], 1), [1, 2, 3, 4, 5]);
        assert_eq!(order(&[0; 5], 4), [4, 5, 1, 2, 3]);
        assert_eq!(order(&[0; 5], 5), [5, 1, 2, 3, 4]);
        assert_eq!(order(&[0], 1), [1]);
        assert_eq!(order(&[NOW, 0, NOW - 3, 0, NOW - 9], 3), [5, 4, 2, 3, 1]);
        assert_eq!(order(&[0, 0, NOW, NOW, 0], 1), [3, 1, 2, 5, 4]);
        // Of one age, and from the future: it may be any age.
        assert_eq!(order(&[NOW - 1, NOW - 1, NOW + 7, NOW - 1], 2), [3, 2, 4, 1]);
    }

    #[test]
    fn a_full_pool_is_not_swept() {
        for start in [1, 500, 1000] {
            assert_eq!(order(&[NOW; 1000], start).len(), MAX_SEEN_TRIES);
            assert_eq!(order(&[NOW - UNSEEN_SECONDS; 1000], start).len(), MAX_SEEN_TRIES);
        }
        assert_eq!(order(&[NOW; SMALL_POOL + 1], 3).len(), MAX_SEEN_TRIES);
    }

    #[test]
    fn every_slot_that_may_be_free_is_tried_once() {
        for seen in [0, 1, NOW - UNSEEN_SECONDS - 1, NOW + 1, u32::MAX] {
            let mut tried = order(&[seen; 1000], 700);
            tried.sort_unstable();
            assert!(tried.into_iter().eq(1..=1000), "{seen}");
        }
        assert_eq!(order(&[NOW; SMALL_POOL], 3).len(), SMALL_POOL);
        let mut some = [NOW; 1000];
        some[..300].fill(NOW - 100);
        let tried = order(&some, 700);
        assert_eq!(tried.len(), 300 + MAX_SEEN_TRIES);
        assert!(tried[..300].iter().all(|number| *number <= 300));
    }

    #[test]
    fn where_a_holder_was_found_gone_lately_every_slot_is_tried() {
        for (gone, tries) in [
            (NOW, 1000),
            (NOW - UNSEEN_SECONDS, 1000),
            (NOW - UNSEEN_SECONDS - 1, MAX_SEEN_TRIES),
            (0, MAX_SEEN_TRIES),
            // The clock was set back, so nothing is known.
            (NOW + 1, 1000),
        ] {
            let notes = Seen { gone, seen: vec![NOW; 1000] };
            let tried: std::collections::BTreeSet<_> = notes.candidates(300, NOW).collect();
            assert_eq!((tried.len(), notes.candidates(300, NOW).count()), (tries, tries), "{gone}");
        }
    }
}
