//! A lease is to be had by everybody who may write in its directory, whatever else lies there, and touches no file but
//! its own.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std can't fork, nor become another user")]

mod support;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::fork::{assert_done, fork};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, TaskIdClaim, TaskIdPool, TaskIdSource, TaskIdSourceKind};

const GROUP: u32 = 2000;
const USERS: [u32; 3] = [2001, 2002, 2003];

/// One test at a time: a child that another one forks has a copy of every lock, and keeps it until it ends.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("tasktag-users-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        let directory = Self(path);
        directory.set_mode(mode);
        directory
    }

    fn set_mode(&self, mode: u32) {
        fs::set_permissions(&self.0, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn source(&self) -> TaskIdSource {
        TaskIdSource::leased(&self.0)
    }

    fn claim(&self, size: u32) -> Result<TaskIdClaim, String> {
        self.source().claim(TaskIdPool::new(size).unwrap()).map_err(|error| error.to_string())
    }

    /// The number that a claim leased.
    fn leased(&self, size: u32) -> Option<(u32, TaskIdClaim)> {
        let claim = self.claim(size).unwrap();
        let id = claim.task_id();
        (id.source() == TaskIdSourceKind::Leased).then(|| (id.number(), claim))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether the tests may become other users.
fn can_become_others() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root {
        println!("skipped: only root can become another user");
    }
    is_root
}

/// Becomes another user, in a forked child.
fn become_user(user: u32) {
    let groups = [GROUP];
    // SAFETY: Three system calls; the groups outlive the first.
    let became = unsafe {
        libc::setgroups(1, groups.as_ptr()) == 0 && libc::setgid(GROUP) == 0 && libc::setuid(user) == 0
    };
    assert!(became);
}

#[test]
fn every_user_of_a_shared_directory_leases_in_it() {
    let _alone = alone();
    if !can_become_others() {
        return;
    }
    for mode in [0o2775, 0o2770, 0o770, 0o3770, 0o777, 0o1777] {
        let directory = Directory::new(&format!("mode-{mode:o}"), 0o700);
        chown(&directory.0, None, Some(GROUP)).unwrap();
        directory.set_mode(mode);
        // One makes a slot's file and the next another, until each has leased whatever the others made.
        for (count, user) in (1..=3).chain([3; 3]).zip(USERS.into_iter().cycle()) {
            let leases = fork(|| {
                become_user(user);
                let held: Vec<_> = (0..count).filter_map(|_| directory.leased(3)).collect();
                held.len() == count
            });
            assert!(leases.success(), "{user} in {mode:o}");
        }
        let held: Vec<_> = (0..3).filter_map(|_| directory.leased(3)).collect();
        assert_eq!(held.len(), 3, "{mode:o}");
        for user in USERS {
            let shares = fork(|| {
                become_user(user);
                directory.claim(3).unwrap().task_id().source() == TaskIdSourceKind::Shared
            });
            assert!(shares.success(), "{mode:o}");
        }
        drop(held);
    }
}

#[test]
fn files_are_shared_with_those_who_may_write_in_the_directory_and_with_nobody_else() {
    let _alone = alone();
    for (mode, files) in [(0o700, 0o600), (0o755, 0o600), (0o775, 0o660), (0o770, 0o660), (0o777, 0o666)] {
        let directory = Directory::new(&format!("files-{mode:o}"), mode);
        let held = directory.leased(1);
        for name in ["1.lock", "last-seen"] {
            let found = fs::metadata(directory.file(name)).unwrap().mode() & 0o7777;
            assert_eq!(found, files, "{name} in {mode:o}: {found:o}");
        }
        assert!(held.is_some());
    }
}

#[test]
fn a_file_that_may_only_be_read_is_locked_all_the_same() {
    let _alone = alone();
    if !can_become_others() {
        return;
    }
    let directory = Directory::new("readable", 0o755);
    for name in ["1.lock", "2.lock", "last-seen"] {
        fs::write(directory.file(name), "").unwrap();
        fs::set_permissions(directory.file(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    assert_done(fork(|| {
        become_user(USERS[0]);
        let held: Vec<_> = (0..2).filter_map(|_| directory.leased(100)).collect();
        // No further file can be made: two of 100 slots are all that there is.
        held.len() == 2 && directory.leased(100).is_none()
    }));
}

#[test]
fn one_bad_slot_costs_a_slot_and_not_a_start() {
    let _alone = alone();
    let directory = Directory::new("bad", 0o700);
    fs::create_dir(directory.file("1.lock")).unwrap();
    symlink("/nowhere/at/all", directory.file("2.lock")).unwrap();
    make_fifo(&directory.file("3.lock"));
    for _ in 0..20 {
        let held = directory.leased(5).unwrap();
        let last = directory.leased(5).unwrap();
        let mut numbers = [held.0, last.0];
        numbers.sort_unstable();
        assert_eq!(numbers, [4, 5]);
        assert!(directory.leased(5).is_none(), "there is no other");
        // Whatever was noted of the bad ones.
        drop((held, last));
        let _ = fs::remove_file(directory.file("last-seen"));
    }
    assert!(!Path::new("/nowhere").exists());
}

fn make_fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: The path outlives the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

#[test]
fn what_a_link_points_to_is_neither_made_nor_changed() {
    let _alone = alone();
    let directory = Directory::new("links", 0o777);
    let victim = directory.file("victim");
    fs::write(&victim, "precious contents").unwrap();
    symlink(&victim, directory.file("last-seen")).unwrap();
    symlink(directory.file("made"), directory.file("1.lock")).unwrap();
    symlink(&victim, directory.file("2.lock")).unwrap();
    let (clock, capture) = (ManualClock::new(), Capture::new());
    let builder = Client::builder().capture(&capture).clock(&clock).task_id_from(directory.source());
    let guard = builder.task_id_pool(TaskIdPool::new(3).unwrap()).build().unwrap();
    clock.advance(std::time::Duration::from_secs(10));
    assert_eq!(guard.client().task_id().number(), 3);
    drop(guard);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious contents");
    assert!(!directory.file("made").exists());
}

#[test]
fn notes_that_can_not_be_used_are_no_error() {
    let _alone = alone();
    let directory = Directory::new("notes", 0o700);
    fs::create_dir(directory.file("last-seen")).unwrap();
    let held: Vec<_> = (0..3).filter_map(|_| directory.leased(3)).collect();
    assert_eq!(held.len(), 3);
    assert!(directory.leased(3).is_none());
}

#[test]
fn where_no_file_can_be_made_the_free_ones_are_leased() {
    let _alone = alone();
    if !can_become_others() {
        return;
    }
    let directory = Directory::new("full", 0o777);
    drop((0..3).filter_map(|_| directory.leased(1000)).collect::<Vec<_>>());
    directory.set_mode(0o555);
    assert_done(fork(|| {
        become_user(USERS[0]);
        let held: Vec<_> = (0..3).filter_map(|_| directory.leased(1000)).collect();
        held.len() == 3 && directory.leased(1000).is_none()
    }));
    let empty = Directory::new("full-and-empty", 0o555);
    assert_done(fork(|| {
        become_user(USERS[0]);
        let error = empty.claim(1000).unwrap_err();
        error.contains(".lock") && error.contains("Permission denied")
    }));
}

#[test]
fn a_master_that_gave_up_its_rights_keeps_its_lease_and_its_workers_share() {
    let _alone = alone();
    if !can_become_others() {
        return;
    }
    let directory = Directory::new("master", 0o700);
    assert_done(fork(|| {
        let (clock, capture) = (ManualClock::new(), Capture::new());
        let pool = TaskIdPool::new(10).unwrap();
        let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false);
        let guard = builder.task_id_pool(pool).task_id_from(directory.source()).install().unwrap();
        let client = guard.client();
        let id = client.task_id();
        become_user(USERS[0]);
        for _ in 0..2 {
            assert_done(fork(|| {
                client.counter("jobs").increment(1);
                let own = client.task_id();
                let is_shared = own.source() == TaskIdSourceKind::Shared && own.pool() == pool;
                is_shared && client.stats().shared_task_ids == 1 && tasktag::TaskId::current() == own
            }));
        }
        clock.advance(std::time::Duration::from_secs(10));
        client.task_id() == id && client.task_id().source() == TaskIdSourceKind::Leased
    }));
}
