//! Slots of a directory, each held by at most one live process.
//!
//! A slot is a file, and whoever has it locked holds the slot. That alone decides; the kernel unlocks it however its
//! holder ends. A second file notes for each slot when its holder was last seen, four bytes each. It is never locked, it
//! may be late or wrong, and all it does is to spare a start from asking about every slot.

use super::TaskIdPool;
use std::cmp::Reverse;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The name of the file of notes.
const NOTES: &str = "last-seen";
/// Bytes of a note: seconds since 1970, or 0 where nobody holds the slot.
const NOTE_LEN: usize = 4;
/// Seconds after which a holder that was not seen may be gone: it shows itself every 10 s.
const UNSEEN_SECONDS: u32 = 25;
/// How many slots whose holders were seen are tried nevertheless.
const MAX_SEEN_TRIES: usize = 16;

/// A directory of slots.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    pool: TaskIdPool,
}

/// A slot that this process holds.
#[derive(Debug)]
pub(super) struct Slot {
    // Never unlocked, only closed: a forked child's copy of it is the same lock, and is to leave it alone.
    _lock: File,
    number: u32,
    notes: PathBuf,
    holder: u32,
}

impl Slot {
    pub(super) fn number(&self) -> u32 {
        self.number
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
    let seen = directory.read(&mut notes).map_err(failed)?;
    let now = now();
    for number in candidates(&seen, start, now) {
        let slot = directory.slot(number);
        let lock = lock(&slot).map_err(|error| told(&slot, &error))?;
        // Whoever holds it is there: the next start need not ask again.
        note(&mut notes, number, now).map_err(failed)?;
        if let Some(lock) = lock {
            let (notes, holder) = (path, std::process::id());
            return Ok(Some(Slot { _lock: lock, number, notes, holder }));
        }
    }
    Ok(None)
}

/// The slots to be tried, in this order: those that nobody is known to hold, those whose holder was not seen for long,
/// and a few of the others, the longest unseen first.
fn candidates(seen: &[u32], start: u32, now: u32) -> impl Iterator<Item = u32> {
    let from_start =
        (start..).zip(seen.iter().skip(start as usize - 1)).chain((1..).zip(seen)).take(seen.len());
    let (free, held): (Vec<_>, Vec<_>) =
        from_start.map(|(number, &seen)| (number, seen)).partition(|(_, seen)| *seen == 0);
    // A note from the future is from before the clock was set back: it says nothing.
    let mut by_age: Vec<_> =
        held.into_iter().map(|(number, seen)| (now.checked_sub(seen).unwrap_or(u32::MAX), number)).collect();
    let unseen = by_age.iter().filter(|(age, _)| *age > UNSEEN_SECONDS).count();
    by_age.sort_by_key(|(age, _)| Reverse(*age));
    by_age.truncate(unseen + MAX_SEEN_TRIES);
    free.into_iter().map(|(number, _)| number).chain(by_age.into_iter().map(|(_, number)| number))
}

impl Directory {
    pub(super) fn new(path: &Path, pool: TaskIdPool) -> Self {
        Self { path: path.to_owned(), pool }
    }

    /// Not padded, so that pools of several sizes still lock the same numbers.
    fn slot(&self, number: u32) -> PathBuf {
        self.path.join(format!("{number}.lock"))
    }

    /// What is noted of each slot, 0 where nothing is.
    fn read(&self, notes: &mut File) -> io::Result<Vec<u32>> {
        let len = self.pool.size() as usize;
        let mut bytes = Vec::with_capacity(len * NOTE_LEN);
        notes.seek(SeekFrom::Start(0))?;
        notes.take((len * NOTE_LEN) as u64).read_to_end(&mut bytes)?;
        let (found, _) = bytes.as_chunks::<NOTE_LEN>();
        let mut seen: Vec<u32> = found.iter().map(|&note| u32::from_le_bytes(note)).collect();
        seen.resize(len, 0);
        Ok(seen)
    }

    /// Notes that a slot's holder is there, and counts the holders that were seen lately.
    pub(super) fn show(&self, slot: Option<&Slot>) -> Option<u32> {
        let mut notes = open(&self.path.join(NOTES)).ok()?;
        let now = now();
        if let Some(slot) = slot.filter(|slot| slot.holder == std::process::id()) {
            note(&mut notes, slot.number, now).ok()?;
        }
        let seen = self.read(&mut notes).ok()?;
        let lately = |seen: &&u32| now.checked_sub(**seen).is_some_and(|age| age <= UNSEEN_SECONDS);
        u32::try_from(seen.iter().filter(lately).count()).ok()
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
    notes.seek(SeekFrom::Start((u64::from(number) - 1) * NOTE_LEN as u64))?;
    notes.write_all(&seen.to_le_bytes())
}
