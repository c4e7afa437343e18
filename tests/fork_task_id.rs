//! A forked child has a task id of its own from wherever its parent's came, or shares a bucket and counts it.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std can't fork")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::fork::{assert_done, fork};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, TaskId, TaskIdPool, TaskIdSource, TaskIdSourceKind};

/// One test at a time: a child that another one forks starts all clients over, and leases for each.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tasktag-fork-id-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn builder(source: TaskIdSource) -> ClientBuilder {
    Client::builder().capture(&Capture::new()).telemetry(false).task_id_from(source)
}

/// The id that a client has in a child, and how often it was counted as shared.
fn childs(client: &Client) -> (TaskId, u64) {
    client.counter("jobs").increment(1);
    (client.task_id(), client.stats().shared_task_ids)
}

#[test]
fn an_ordinal_or_a_name_is_the_parents_and_its_child_shares_a_bucket() {
    let _alone = alone();
    let variables = [("JOB_COMPLETION_INDEX", "3"), ("NOMAD_ALLOC_ID", "5f2e")];
    for source in [
        TaskIdSource::platform(),
        TaskIdSource::hashed(),
        TaskIdSource::detect(),
        TaskIdSource::platform().or(TaskIdSource::random()),
    ] {
        let pool = TaskIdPool::new(50).unwrap();
        let guard = builder(source.clone()).task_id_pool(pool).from_vars(variables).build().unwrap();
        let client = guard.client();
        let parents = client.task_id();
        assert_ne!(parents.source(), TaskIdSourceKind::Shared);
        let shares = |client: &Client| {
            let (id, shared) = childs(client);
            (id.source(), id.pool(), shared) == (TaskIdSourceKind::Shared, pool, 1)
        };
        assert_done(fork(|| {
            let is_shared = shares(client);
            // So does a child's child.
            assert_done(fork(|| shares(client)));
            is_shared
        }));
        assert_eq!((client.task_id(), client.stats().shared_task_ids), (parents, 0), "{source}");
    }
}

#[test]
fn a_child_leases_where_its_parent_has_an_ordinal_and_there_is_something_to_lease() {
    let _alone = alone();
    let directory = Directory::new("detected");
    let path = directory.0.to_str().unwrap();
    let variables = [("JOB_COMPLETION_INDEX", "3"), ("RUNTIME_DIRECTORY", path)];
    let pool = TaskIdPool::new(5).unwrap();
    let guard = builder(TaskIdSource::detect()).task_id_pool(pool).from_vars(variables).build().unwrap();
    assert_eq!(guard.client().task_id().source(), TaskIdSourceKind::Platform);
    for _ in 0..10 {
        assert_done(fork(|| {
            let (id, shared) = childs(guard.client());
            (id.source(), shared) == (TaskIdSourceKind::Leased, 0) && id.number() != 4
        }));
    }
}

#[test]
fn a_child_that_can_not_lease_shares_a_bucket_of_its_pool_whatever_the_reason() {
    let _alone = alone();
    let pool = TaskIdPool::new(10).unwrap();
    let is_shared = |client: &Client| {
        let (id, shared) = childs(client);
        (id.source(), id.pool(), shared) == (TaskIdSourceKind::Shared, pool, 1)
    };
    let directory = Directory::new("refused");
    let guard = builder(TaskIdSource::leased(&directory.0)).task_id_pool(pool).build().unwrap();
    assert_done(fork(|| {
        // No descriptor is left, for no file whatsoever.
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: The limit outlives the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) }, 0);
        is_shared(guard.client())
    }));
    fs::remove_dir_all(&directory.0).unwrap();
    assert_done(fork(|| is_shared(guard.client())));
}

#[test]
fn a_child_never_has_the_slot_that_its_parent_is_about_to_lock_again() {
    let _alone = alone();
    let directory = Directory::new("again");
    let pool = TaskIdPool::new(2).unwrap();
    // Its time does not come: the parent does not look.
    let builder = builder(TaskIdSource::leased(&directory.0)).clock(&ManualClock::new());
    let guard = builder.task_id_pool(pool).build().unwrap();
    let parents = guard.client().task_id();
    for _ in 0..10 {
        fs::remove_dir_all(&directory.0).unwrap();
        fs::create_dir(&directory.0).unwrap();
        assert_done(fork(|| {
            let (id, _) = childs(guard.client());
            id.source() == TaskIdSourceKind::Leased && id != parents
        }));
    }
}

#[test]
fn a_child_closes_no_descriptor_that_it_gave_to_something_else() {
    let _alone = alone();
    let directory = Directory::new("descriptors");
    let source = TaskIdSource::leased(&directory.0);
    let guard = builder(source.clone()).build().unwrap();
    let claim = source.claim(TaskIdPool::DEFAULT).unwrap();
    assert_done(fork(move || {
        // What a daemon does: closes whatever it has, and opens its own.
        for descriptor in 3..256 {
            // SAFETY: Nothing here uses what is closed.
            unsafe { libc::close(descriptor) };
        }
        let listeners: Vec<_> = (0..16).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let are_open = || {
            let is_socket = |listener: &TcpListener| {
                let open = fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
                open.to_str().is_some_and(|open| open.starts_with("socket:"))
            };
            listeners.iter().all(|listener| listener.local_addr().is_ok() && is_socket(listener))
        };
        drop(claim);
        let after_a_claim = are_open();
        let (id, _) = childs(guard.client());
        let held = after_a_claim && are_open() && id.source() == TaskIdSourceKind::Leased;
        drop(guard);
        held && are_open()
    }));
}
