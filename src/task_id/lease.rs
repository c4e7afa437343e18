//! Slots of a directory, each held by at most one live process.
//!
//! A slot is a file, and whoever has it locked holds the slot. That alone decides; the kernel unlocks it however its
//! holder ends. A second file notes when a holder was last found gone, and for each slot when its holder was last seen,
//! four bytes each. It is never locked, it may be late or wrong, and all it does is to spare a start from asking about
//! every slot.

use super::TaskIdPool;
use std::cmp::Reverse;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The name of the file of notes.
const NOTES: &str = "last-seen";
/// Bytes of a note: seconds since 1970, or 0 where nobody holds the slot.
const NOTE_LEN: usize = 4;
/// The note in the place of a slot 0, which there is not: when a holder was last found gone.
const GONE: u32 = 0;
/// Seconds after which a holder that was not seen may be gone: it shows itself every 10 s.
const UNSEEN_SECONDS: u32 = 25;
/// How many slots whose holders were seen are tried nevertheless, unless one was found gone lately: a start in a full pool
/// costs that many.
const MAX_SEEN_TRIES: usize = 6;
/// A pool of so many slots or fewer is tried whole.
const SMALL_POOL: usize = 16;

/// A directory of slots.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    pool: TaskIdPool,
}

/// A slot that this process holds.
#[derive(Debug)]
pub(super) struct Slot {
    // Never unlocked, only closed: a forked child's copy of it is the same lock, and is to leave it alone. `None` in a
    // child that closed its copy.
    lock: Mutex<Option<File>>,
    number: u32,
    notes: PathBuf,
    holder: u32,
}

impl Slot {
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// In a forked child: closes its copy of the lock, which would keep the slot taken when the parent is gone.
    pub(super) fn disclaim(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A forked child has nothing to give back.
        if self.holder == std::process::id() {
            // Before the file is closed, so that the next holder's note is not overwritten.
            let _ = open(&self.notes).and_then(|mut notes| note(&mut notes, self.number, 0));
        }
    }
}

/// Takes a free slot, looked for from `start` on, or none. `Err` says what is wrong with the directory.
pub(super) fn take(directory: &Directory, start: u32) -> Result<Option<Slot>, String> {
    let told = |path: &Path, error: &io::Error| {
        format!(
            "a lease needs a directory that exists, can be written and locks files: {}: {error}",
            path.display()
        )
    };
    let path = directory.path.join(NOTES);
    let failed = |error: io::Error| told(&path, &error);
    let mut notes = open(&path).map_err(failed)?;
    let found = directory.read(&mut notes).map_err(failed)?;
    let now = now();
    for number in found.candidates(start, now) {
        let slot = directory.slot(number);
        let lock = lock(&slot).map_err(|error| told(&slot, &error))?;
        // Whoever holds it is there: the next start need not ask again.
        note(&mut notes, number, now).map_err(failed)?;
        if let Some(lock) = lock {
            if found.is_noted(number) {
                note(&mut notes, GONE, now).map_err(failed)?;
            }
            let (notes, holder) = (path, std::process::id());
            return Ok(Some(Slot { lock: Mutex::new(Some(lock)), number, notes, holder }));
        }
    }
    Ok(None)
}

/// The notes, as they were read.
struct Notes {
    gone: u32,
    // By number, from 1 on.
    seen: Vec<u32>,
}

impl Notes {
    fn is_noted(&self, number: u32) -> bool {
        self.seen.get(number as usize - 1).is_some_and(|seen| *seen != 0)
    }

    /// The slots to be tried, in this order: the one whose holder was not seen for longest, those that nobody is known to
    /// hold, those whose holder was not seen for long, and a few of the others or all, the longest unseen first.
    ///
    /// The first is there so that it is known early where holders are killed, and their slots don't pile up.
    fn candidates(&self, start: u32, now: u32) -> impl Iterator<Item = u32> {
        let (before, from) = self.seen.split_at(start as usize - 1);
        let from_start = move || (start..).zip(from).chain((1..).zip(before));
        let noted = move || from_start().filter(|(_, seen)| **seen != 0);
        let first = noted().min_by_key(|(_, seen)| Reverse(age(**seen, now))).map(|(number, _)| number);
        let free = from_start().filter(|(_, seen)| **seen == 0).map(|(number, _)| number);
        // Only those starts look at the others that find nothing free.
        let held = iter::once_with(move || {
            let mut held = Vec::with_capacity(self.seen.len());
            noted().for_each(|(number, seen)| held.push((number, *seen)));
            oldest(&held, now, self.tries(now))
        });
        first.into_iter().chain(free).chain(held.flatten().filter(move |number| Some(*number) != first))
    }

    /// How many slots to try whose holders were seen. Where holders are killed, what was seen of them says little.
    fn tries(&self, now: u32) -> usize {
        let quiet = age(self.gone, now) > UNSEEN_SECONDS && self.gone <= now;
        if quiet && self.seen.len() > SMALL_POOL { MAX_SEEN_TRIES } else { self.seen.len() }
    }
}

/// A note from the future is from before the clock was set back: it says nothing.
fn age(seen: u32, now: u32) -> u32 {
    now.checked_sub(seen).unwrap_or(u32::MAX)
}

/// Of the slots that are held, those not seen for long and so many others, the longest unseen first.
fn oldest(held: &[(u32, u32)], now: u32, others: usize) -> impl Iterator<Item = u32> + use<> {
    // Of one age, they stay in the order that began at a random place.
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

impl Directory {
    pub(super) fn new(path: &Path, pool: TaskIdPool) -> Self {
        Self { path: path.to_owned(), pool }
    }

    /// Not padded, so that pools of several sizes still lock the same numbers.
    fn slot(&self, number: u32) -> PathBuf {
        self.path.join(format!("{number}.lock"))
    }

    /// What is noted, 0 where nothing is.
    fn read(&self, notes: &mut File) -> io::Result<Notes> {
        let len = self.pool.size() as usize;
        let mut bytes = Vec::with_capacity((1 + len) * NOTE_LEN);
        notes.seek(SeekFrom::Start(0))?;
        notes.take(((1 + len) * NOTE_LEN) as u64).read_to_end(&mut bytes)?;
        let (found, _) = bytes.as_chunks::<NOTE_LEN>();
        let mut found = found.iter().map(|&note| u32::from_le_bytes(note));
        let gone = found.next().unwrap_or(0);
        let mut seen: Vec<u32> = found.collect();
        seen.resize(len, 0);
        Ok(Notes { gone, seen })
    }

    /// Notes that a slot's holder is there, and counts the holders that were seen lately.
    pub(super) fn show(&self, slot: Option<&Slot>) -> Option<u32> {
        let mut notes = open(&self.path.join(NOTES)).ok()?;
        let now = now();
        if let Some(slot) = slot.filter(|slot| slot.holder == std::process::id()) {
            note(&mut notes, slot.number, now).ok()?;
        }
        let found = self.read(&mut notes).ok()?;
        let lately = |seen: &&u32| age(**seen, now) <= UNSEEN_SECONDS;
        u32::try_from(found.seen.iter().filter(lately).count()).ok()
    }
}

/// Whole seconds since 1970; the clock's jumps cost time and no more.
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX).max(1)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn lock(slot: &Path) -> io::Result<Option<File>> {
    let file = open(slot)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn note(notes: &mut File, number: u32, seen: u32) -> io::Result<()> {
    notes.seek(SeekFrom::Start(u64::from(number) * NOTE_LEN as u64))?;
    notes.write_all(&seen.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const NOW: u32 = 1_000_000;

    fn order(seen: &[u32], start: u32) -> Vec<u32> {
        Notes { gone: 0, seen: seen.to_vec() }.candidates(start, NOW).collect()
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
            // The clock was set back: nobody knows.
            (NOW + 1, 1000),
        ] {
            let notes = Notes { gone, seen: vec![NOW; 1000] };
            let tried: std::collections::BTreeSet<_> = notes.candidates(300, NOW).collect();
            assert_eq!((tried.len(), notes.candidates(300, NOW).count()), (tries, tries), "{gone}");
        }
    }

    #[test]
    fn a_holder_that_is_found_gone_is_noted_and_one_that_gave_its_slot_back_is_not() {
        let directory = directory("gone");
        let found = || directory.read(&mut open(&directory.path.join(NOTES)).unwrap()).unwrap();
        drop(take(&directory, 1).unwrap().unwrap());
        drop(take(&directory, 1).unwrap().unwrap());
        assert_eq!(found().gone, 0);
        note(&mut open(&directory.path.join(NOTES)).unwrap(), 1, now()).unwrap();
        let _slot = take(&directory, 1).unwrap().unwrap();
        assert!(now() - found().gone < 5);
        fs::remove_dir_all(&directory.path).unwrap();
    }

    /// A directory of one slot, empty.
    fn directory(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("tasktag-lease-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Directory::new(&path, TaskIdPool::new(1).unwrap())
    }

    fn noted(directory: &Directory) -> u32 {
        directory.read(&mut open(&directory.path.join(NOTES)).unwrap()).unwrap().seen[0]
    }

    #[test]
    #[allow(clippy::used_underscore_binding, reason = "the one place where a lock is copied")]
    fn a_forked_childs_copy_gives_nothing_back_and_keeps_the_slot_taken() {
        let directory = directory("fork");
        let parent = take(&directory, 1).unwrap().unwrap();
        // What a child has: the same lock, and the number of another process.
        let copy = || {
            let lock = parent.lock.lock().unwrap().as_ref().unwrap().try_clone().unwrap();
            Slot {
                lock: Mutex::new(Some(lock)),
                number: 1,
                notes: parent.notes.clone(),
                holder: parent.holder + 1,
            }
        };
        drop(copy());
        assert!(take(&directory, 1).unwrap().is_none(), "the parent's lock is the parent's");
        assert_ne!(noted(&directory), 0);
        note(&mut open(&parent.notes).unwrap(), 1, 1).unwrap();
        directory.show(Some(&copy()));
        assert_eq!(noted(&directory), 1, "it does not say that its parent is there");
        let child = copy();
        drop(parent);
        assert!(take(&directory, 1).unwrap().is_none(), "the child is there, under the parent's id");
        drop(child);
        assert!(take(&directory, 1).unwrap().is_some());
        fs::remove_dir_all(&directory.path).unwrap();
    }

    #[test]
    fn holders_that_were_seen_lately_are_counted() {
        let directory = directory("count");
        let slot = take(&directory, 1).unwrap().unwrap();
        let count = |seen| {
            note(&mut open(&directory.path.join(NOTES)).unwrap(), 1, seen).unwrap();
            directory.show(None)
        };
        let at = now();
        assert_eq!(
            [count(at), count(at - 20), count(0), count(at - 60), count(at + 60)],
            [1, 1, 0, 0, 0].map(Some)
        );
        assert_eq!(directory.show(Some(&slot)), Some(1));
        assert!(noted(&directory) >= at);
        drop(slot);
        assert_eq!((noted(&directory), directory.show(None)), (0, Some(0)));
        fs::remove_dir_all(&directory.path).unwrap();
        assert_eq!(directory.show(None), None);
    }
}
