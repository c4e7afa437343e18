//! Slots of a directory, each held by at most one live process.
//!
//! A slot is a file, and the process that has locked it holds the slot. The lock only counts while the file is the one
//! at its path: a directory that is removed and made again has other files, which other processes lock. A holder
//! therefore checks from time to time whether it still holds its slot. The kernel unlocks the file however its holder
//! ends. The notes beside the slots decide nothing.

mod file;
mod notes;

use self::file::{Inode, Sharing};
use self::notes::{Notes, now};
use super::{TaskIdPool, Term};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Seconds after which a holder that was not seen may be gone. A holder shows itself every 10 s.
const UNSEEN_SECONDS: u32 = 25;
/// In a pool of at most this many slots, all are tried.
const SMALL_POOL: usize = 16;
/// How often a slot's file is reopened if it was replaced while it was being locked.
const MAX_OPENS: usize = 3;
/// How many slots that can't be locked show that the file system doesn't support locks.
const MAX_LOCK_ERRORS: usize = 3;

/// A directory of slots.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    pool: TaskIdPool,
}

/// The lease of a process: a slot of a directory, or a shared bucket if it has no slot.
#[derive(Debug)]
pub(super) struct FileLease {
    directory: Directory,
    standing: Mutex<Standing>,
    term: Arc<Term>,
    holder: u32,
    // Whether it waits for a slot if all are taken.
    waits: bool,
}

#[derive(Debug)]
enum Standing {
    /// The process holds a slot.
    Held(Lock),
    /// The process lost the slot with this number and has found no other yet: it retries.
    Lost(u32),
    /// Other processes have all slots, and the process waits for one.
    Waiting,
    /// The process shares a bucket permanently, as a forked child does whose parent has the lease.
    Settled,
}

/// The locked file of a slot. It is never unlocked, only closed: a forked child's copy is the same lock, and must leave
/// it alone.
#[derive(Debug)]
struct Lock {
    // `None` only while it is dropped.
    file: Option<File>,
    inode: Inode,
    number: u32,
}

/// The result of an attempt to lock a slot.
enum Attempt {
    Locked(Lock),
    /// Another process holds the slot.
    Taken,
    /// The file does not exist.
    Missing,
    /// Something exists that can't be opened.
    Unusable(io::Error),
    /// The file does not exist, and can't be made.
    Unmade(io::Error),
    /// The file can't be locked, although nobody has locked it.
    Unlockable(io::Error),
}

impl FileLease {
    /// Takes a free slot, searching from `start`, or shares that bucket if no slot is free. The slot `except` belongs
    /// to another process. With `waits`, it takes a slot later instead, when one is free. `Err` holds what is wrong
    /// with the directory.
    pub(super) fn start(
        path: &Path,
        pool: TaskIdPool,
        start: super::TaskId,
        except: Option<u32>,
        waits: bool,
    ) -> Result<Self, String> {
        // An empty path joined with a file's name would be a path in the current directory.
        if path.as_os_str().is_empty() {
            return Err("a lease needs a directory, but the path is empty".to_owned());
        }
        let directory = Directory { path: path.to_owned(), pool };
        let term = Arc::new(Term::new(start, Instant::now()));
        let standing = match directory.take(start.number(), except)? {
            Some(lock) => {
                term.hold_until_lost(lock.number);
                Standing::Held(lock)
            }
            None if waits => Standing::Waiting,
            None => Standing::Settled,
        };
        Ok(Self { directory, standing: Mutex::new(standing), term, holder: std::process::id(), waits })
    }

    pub(super) fn term(&self) -> &Arc<Term> {
        &self.term
    }

    /// Checks whether the slot is still held. If not, takes it again or takes another one: another process may have the
    /// same id until then.
    pub(super) fn look(&self) {
        if self.holder != std::process::id() {
            return;
        }
        // If it is locked, another thread is already checking.
        let Ok(mut standing) = self.standing.try_lock() else { return };
        let (number, taken) = match &*standing {
            Standing::Held(lock) if self.directory.has(lock) => return,
            Standing::Held(Lock { number, .. }) | Standing::Lost(number) => {
                (*number, self.directory.take_again(*number))
            }
            // Nothing is made that belongs to a holder whose file is gone for the moment.
            Standing::Waiting => (1, self.directory.take(1, None)),
            Standing::Settled => return,
        };
        *standing = match taken {
            Ok(Some(lock)) => {
                self.term.hold_until_lost(lock.number);
                Standing::Held(lock)
            }
            Ok(None) => {
                self.term.lose();
                if self.waits { Standing::Waiting } else { Standing::Settled }
            }
            Err(_) => {
                self.term.lose();
                Standing::Lost(number)
            }
        };
    }

    /// Checks as [`look`](Self::look) does, shows that this process is running, and counts the holders seen recently.
    /// `None` if the number is unknown.
    pub(super) fn show(&self) -> Option<u32> {
        self.look();
        let mut notes = Notes::open(&self.directory.path, Sharing::of(&self.directory.path).ok()?);
        let now = now();
        if let Some(number) = self.held_number() {
            notes.note(number, now);
        }
        u32::try_from(notes.try_read(self.directory.pool)?.live(now)).ok()
    }

    /// The slot that this process holds.
    fn held_number(&self) -> Option<u32> {
        if self.holder != std::process::id() {
            return None;
        }
        match &*self.standing() {
            Standing::Held(lock) => Some(lock.number),
            Standing::Lost(_) | Standing::Waiting | Standing::Settled => None,
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the slot back.
    pub(super) fn give_back(&self) {
        if self.holder == std::process::id() {
            // The id must change before the slot is free for others.
            self.term.give_back();
            *self.standing() = Standing::Settled;
        }
    }

    /// Closes a forked child's copy of the lock, which would keep the slot taken after the parent has ended.
    pub(super) fn disclaim(&self) {
        // A thread of the parent may have been checking it at the fork, and the child does not have that thread. The
        // slot then stays taken for as long as the child lives, which costs a slot and no id.
        if let Ok(mut standing) = self.standing.try_lock() {
            *standing = Standing::Settled;
        }
    }
}

impl Drop for FileLease {
    fn drop(&mut self) {
        // A forked child has nothing to give back, and neither has a process that lost the slot.
        if self.holder == std::process::id()
            && let Standing::Held(lock) = self.standing.get_mut().unwrap_or_else(PoisonError::into_inner)
            && self.directory.has(lock)
            && let Ok(sharing) = Sharing::of(&self.directory.path)
        {
            // Noted before the file is closed, so that the next holder's note is not overwritten.
            Notes::open(&self.directory.path, sharing).note_free(lock.number);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            file::close(file, self.inode);
        }
    }
}

impl Directory {
    /// The number is not padded, so that pools of several sizes lock the same files.
    fn slot(&self, number: u32) -> PathBuf {
        self.path.join(format!("{number}.lock"))
    }

    /// Takes a free slot, or none if all are taken.
    fn take(&self, start: u32, except: Option<u32>) -> Result<Option<Lock>, String> {
        let sharing = Sharing::of(&self.path).map_err(|error| unfit(&self.path, &error))?;
        let search = Search {
            directory: self,
            sharing,
            notes: Notes::open(&self.path, sharing),
            now: now(),
            is_any_taken: false,
            refused: None,
            lock_errors: 0,
        };
        search.run(start, except)
    }

    /// Takes the slot that this process had, or another one if it belongs to another process by now.
    fn take_again(&self, number: u32) -> Result<Option<Lock>, String> {
        let sharing = Sharing::of(&self.path).map_err(|error| unfit(&self.path, &error))?;
        match self.attempt(number, Some(sharing)) {
            Attempt::Locked(lock) => Ok(Some(lock)),
            _ => self.take(number, Some(number)),
        }
    }

    /// Whether this lock still holds a slot.
    fn has(&self, lock: &Lock) -> bool {
        // The program may have closed the file and opened another one under its descriptor.
        let Some(open) = lock.file.as_ref().and_then(|file| file.metadata().ok()) else { return false };
        if Inode::of(&open) != lock.inode {
            return false;
        }
        match fs::symlink_metadata(self.slot(lock.number)) {
            Ok(there) => Inode::of(&there) == lock.inode,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => false,
                // The program gave up the permission to check.
                _ => file::has_name(&open),
            },
        }
    }

    /// Locks a slot. With `sharing`, a missing file is made.
    fn attempt(&self, number: u32, sharing: Option<Sharing>) -> Attempt {
        let path = self.slot(number);
        for _ in 0..MAX_OPENS {
            let opened = match (file::open(&path), sharing) {
                (Err(error), None) if error.kind() == io::ErrorKind::NotFound => return Attempt::Missing,
                (Err(error), Some(sharing)) if error.kind() == io::ErrorKind::NotFound => {
                    match sharing.make(&path) {
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                        Err(error) => return Attempt::Unmade(error),
                        Ok(file) => Ok(file),
                    }
                }
                (opened, _) => opened,
            };
            let file = match opened {
                Ok(file) => file,
                Err(error) => return Attempt::Unusable(error),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Attempt::Taken,
                Err(TryLockError::Error(error)) => return Attempt::Unlockable(error),
            }
            let Ok(found) = file.metadata() else { continue };
            let inode = Inode::of(&found);
            // A file that was replaced meanwhile is no slot.
            if file::is_at(&path, inode) {
                return Attempt::Locked(Lock { file: Some(file), inode, number });
            }
        }
        Attempt::Taken
    }

    /// The slots that have a file.
    fn existing(&self) -> Vec<u32> {
        let number = |name: &str| name.strip_suffix(".lock")?.parse().ok();
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| number(entry.file_name().to_str()?));
        numbers.filter(|number| (1..=self.pool.size()).contains(number)).collect()
    }
}

/// Describes what is wrong with a directory.
fn unfit(path: &Path, error: &io::Error) -> String {
    format!(
        "a lease needs a directory that exists, is writable and supports file locks: {}: {error}",
        path.display()
    )
}

/// One start's search for a free slot.
struct Search<'a> {
    directory: &'a Directory,
    sharing: Sharing,
    notes: Notes,
    now: u32,
    is_any_taken: bool,
    // The first slot that could be neither locked nor counted as taken, and why.
    refused: Option<String>,
    lock_errors: usize,
}

impl Search<'_> {
    /// A slot that can't be used counts as taken, and the next one is tried. It is an error if no other slot exists.
    fn run(mut self, start: u32, except: Option<u32>) -> Result<Option<Lock>, String> {
        let seen = self.notes.read(self.directory.pool);
        let mut missing = Vec::new();
        let mut can_make = true;
        for number in seen.candidates(start, self.now).filter(|number| Some(*number) != except) {
            // A holder that was noted has a file. If the file is gone, the holder may still be running, and about to
            // make another one.
            let is_noted = seen.is_noted(number);
            match self.directory.attempt(number, (!is_noted).then_some(self.sharing)) {
                Attempt::Locked(lock) => return Ok(Some(self.found(lock, is_noted))),
                Attempt::Missing => missing.push(number),
                refused => can_make = self.note(number, refused),
            }
            if !can_make || self.lock_errors >= MAX_LOCK_ERRORS {
                break;
            }
        }
        if !can_make {
            // There is no disk space or no permission to write, but existing files may still be locked.
            let (before, from): (Vec<_>, Vec<_>) =
                self.directory.existing().into_iter().partition(|n| *n < start);
            missing = from.into_iter().chain(before).filter(|number| Some(*number) != except).collect();
        }
        for number in missing {
            let is_noted = seen.is_noted(number);
            if can_make && seen.is_fresh(number, self.now) {
                self.is_any_taken = true;
                continue;
            }
            match self.directory.attempt(number, can_make.then_some(self.sharing)) {
                Attempt::Locked(lock) => return Ok(Some(self.found(lock, is_noted))),
                refused => {
                    self.note(number, refused);
                }
            }
        }
        self.refused.filter(|_| !self.is_any_taken).map_or(Ok(None), Err)
    }

    fn found(&mut self, lock: Lock, is_noted: bool) -> Lock {
        self.notes.note(lock.number, self.now);
        if is_noted {
            self.notes.note_gone(self.now);
        }
        lock
    }

    /// Notes the result for a slot. Returns whether further files should be made.
    fn note(&mut self, number: u32, refused: Attempt) -> bool {
        let (error, can_make) = match refused {
            Attempt::Taken => {
                self.is_any_taken = true;
                // The holder is running, so the next start need not try this slot.
                self.notes.note(number, self.now);
                return true;
            }
            Attempt::Unusable(error) => (error, true),
            Attempt::Unmade(error) => (error, false),
            Attempt::Unlockable(error) => {
                self.lock_errors += 1;
                (error, true)
            }
            Attempt::Locked(_) | Attempt::Missing => return true,
        };
        self.refused.get_or_insert_with(|| unfit(&self.directory.slot(number), &error));
        can_make
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task_id::TaskIdSourceKind;

    /// A directory of one slot, empty, and gone after the test.
    struct Place(Directory);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tasktag-lease-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(Directory { path, pool: TaskIdPool::new(1).unwrap() })
        }

        fn start(&self) -> FileLease {
            let start = self.0.pool.draw().unwrap().with_source(TaskIdSourceKind::Shared);
            FileLease::start(&self.0.path, self.0.pool, start, None, false).unwrap()
        }

        fn is_free(&self) -> bool {
            is_held(&self.start())
        }

        fn notes(&self) -> Notes {
            Notes::open(&self.0.path, Sharing::of(&self.0.path).unwrap())
        }

        fn noted(&self) -> bool {
            self.notes().read(self.0.pool).is_noted(1)
        }

        fn make_again(&self) {
            fs::remove_dir_all(&self.0.path).unwrap();
            fs::create_dir(&self.0.path).unwrap();
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.path);
        }
    }

    fn is_held(lease: &FileLease) -> bool {
        lease.term.task_id().source() == TaskIdSourceKind::Leased
    }

    /// What a child has: the same lock, and the number of another process.
    fn childs_copy(parent: &FileLease) -> FileLease {
        let standing = parent.standing();
        let Standing::Held(lock) = &*standing else { panic!("it is held") };
        let file = lock.file.as_ref().unwrap().try_clone().unwrap();
        let lock = Lock { file: Some(file), inode: lock.inode, number: lock.number };
        FileLease {
            directory: Directory { path: parent.directory.path.clone(), pool: parent.directory.pool },
            standing: Mutex::new(Standing::Held(lock)),
            term: Arc::clone(&parent.term),
            holder: parent.holder + 1,
            waits: false,
        }
    }

    #[test]
    fn a_holder_that_is_found_gone_is_noted_and_one_that_gave_its_slot_back_is_not() {
        let place = Place::new("gone");
        // A large pool in which nobody was found gone is not tried whole.
        let pool = TaskIdPool::new(100).unwrap();
        let tries = || {
            (1..=100).for_each(|number| place.notes().note(number, now()));
            let tries = place.notes().read(pool).candidates(1, now()).count();
            (2..=100).for_each(|number| place.notes().note_free(number));
            tries
        };
        for _ in 0..2 {
            place.notes().note_free(1);
            assert!(place.is_free());
        }
        assert!(tries() < 100);
        assert!(place.is_free());
        assert_eq!(tries(), 100);
    }

    #[test]
    fn a_forked_childs_copy_gives_nothing_back_and_keeps_the_slot_taken() {
        let place = Place::new("fork");
        let parent = place.start();
        drop(childs_copy(&parent));
        assert!(!place.is_free(), "the parent's lock is the parent's");
        assert!(place.noted());
        place.notes().note_free(1);
        childs_copy(&parent).show();
        assert!(!place.noted(), "it does not say that its parent is there");
        let child = childs_copy(&parent);
        drop(parent);
        assert!(!place.is_free(), "the child is there, under the parent's id");
        child.disclaim();
        assert!(place.is_free());
        drop(child);
    }

    #[test]
    fn holders_that_were_seen_lately_are_counted() {
        let place = Place::new("count");
        let lease = place.start();
        let other = childs_copy(&lease);
        let count = |seen| {
            place.notes().note(1, seen);
            other.show()
        };
        let at = now();
        assert_eq!(
            [count(at), count(at - 20), count(0), count(at - 60), count(at + 60)],
            [1, 1, 0, 0, 0].map(Some)
        );
        assert_eq!(lease.show(), Some(1));
        assert!(place.noted());
        drop(lease);
        assert_eq!((place.noted(), other.show()), (false, Some(0)));
        fs::remove_dir_all(&place.0.path).unwrap();
        assert_eq!(other.show(), None);
    }

    #[test]
    fn a_slot_whose_file_was_replaced_is_held_again_or_shared() {
        let place = Place::new("again");
        let first = place.start();
        place.make_again();
        first.look();
        assert!(is_held(&first) && !place.is_free(), "it locked the new file");
        assert_eq!(first.term.losses(), 0);
        place.make_again();
        let second = place.start();
        assert!(is_held(&second), "nothing tells that somebody holds it");
        first.look();
        assert!(!is_held(&first) && is_held(&second));
        assert_eq!(first.term.losses(), 1);
        drop(second);
        first.look();
        assert!(!is_held(&first), "one look at a full pool is enough");
        assert!(place.is_free());
    }

    #[test]
    fn a_slot_whose_directory_is_gone_is_shared_until_it_is_there_again() {
        let place = Place::new("away");
        let lease = place.start();
        fs::remove_dir_all(&place.0.path).unwrap();
        for _ in 0..2 {
            assert_eq!(lease.show(), None);
            assert_eq!((is_held(&lease), lease.term.losses()), (false, 1));
        }
        fs::create_dir(&place.0.path).unwrap();
        assert_eq!(lease.show(), Some(1));
        assert!(is_held(&lease) && !place.is_free());
    }

    #[test]
    fn a_slot_whose_holder_shows_itself_is_taken_by_no_start_though_its_file_is_gone() {
        let place = Place::new("shows");
        let lease = place.start();
        fs::remove_file(place.0.slot(1)).unwrap();
        assert!(!place.is_free());
        // Not by the second: it may change before this is read.
        place.notes().note(1, now() - (UNSEEN_SECONDS - 5));
        assert!(!place.is_free());
        lease.look();
        assert!(is_held(&lease) && !place.is_free());
        drop(lease);
        for seen in [now() - UNSEEN_SECONDS - 5, 1, now() + 100] {
            fs::remove_file(place.0.slot(1)).unwrap();
            place.notes().note(1, seen);
            assert!(place.is_free(), "{seen}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_descriptor_that_stands_for_another_file_is_left_alone() {
        use std::os::fd::AsRawFd;
        let place = Place::new("descriptor");
        let lease = place.start();
        // As if the program had closed the lock and opened another file under its descriptor.
        let others = File::create(place.0.path.join("others")).unwrap();
        let number = others.as_raw_fd();
        {
            let mut standing = lease.standing();
            let Standing::Held(lock) = &mut *standing else { panic!("it is held") };
            drop(lock.file.replace(others));
        }
        lease.look();
        assert!(is_held(&lease) && !place.is_free(), "it locked the slot's file again");
        drop(lease);
        let is_open = |number: i32| fs::metadata(format!("/proc/self/fd/{number}")).is_ok();
        assert!(!cfg!(target_os = "linux") || is_open(number));
    }
}
