//! What a fork affects: clients, and the parts of the library that all clients share.

use std::ptr;
use std::sync::{Arc, OnceLock};

/// Held locks.
pub(crate) trait Held {}

impl<T> Held for T {}

/// State that no other thread may access during a fork.
pub(crate) trait Freeze: Send + Sync {
    /// Locks it for as long as the returned value lives.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux is asked to tell of forks"))]
    fn freeze(&self) -> Box<dyn Held + '_>;
}

/// A client, as the fork code sees it.
pub(crate) trait Resident: Send + Sync {
    /// Locks the client for as long as the returned value lives, and adds what has to be locked after it.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux is asked to tell of forks"))]
    fn freeze(&self, further: &mut Vec<Arc<dyn Freeze>>) -> Vec<Box<dyn Held + '_>>;

    /// Runs in a forked child, and replaces the inherited state. Returns `false` if the system refused a thread.
    fn start_over(self: Arc<Self>) -> bool;

    /// Does the same in a process that was restored from a snapshot, whose threads still exist.
    fn start_over_restored(self: Arc<Self>) -> bool;

    /// Tries again to start a thread that the system refused. Returns `false` if it is refused again.
    fn start_worker(&self) -> bool;

    /// Runs in a restored process, and stops the original's worker, which must not send anything here.
    fn outlive_worker(&self);
}

/// The origin of the memory of a process that starts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The process is a forked child.
    Forked,
    /// The process was restored from a snapshot.
    Restored,
}

/// A part of the library that a fork affects, with or without a client.
#[derive(Debug)]
pub(crate) struct AtFork {
    /// Initializes lazy state before the first fork. If it were half-initialized at a fork, the child would wait
    /// forever.
    pub(crate) prepare: fn(),
    /// Runs in the child, where almost nothing is allowed between a fork and the start of another program.
    pub(crate) forget_parents: fn(),
    /// Runs in a process that starts over.
    pub(crate) start_over: fn(Origin),
}

impl AtFork {
    /// A part that does nothing at a fork.
    pub(crate) const NONE: Self = Self { prepare: || (), forget_parents: || (), start_over: |_| () };
}

/// One slot per part: the threads' lanes, the task id, the connections.
static PARTS: [OnceLock<&AtFork>; 3] = [const { OnceLock::new() }; 3];

pub(super) fn is_known(part: &'static AtFork) -> bool {
    parts().any(|known| ptr::eq(known, part))
}

/// The caller ensures that only one thread runs this at a time.
pub(super) fn note(part: &'static AtFork) {
    let mut places = PARTS.iter();
    while !is_known(part) && places.next().is_some_and(|place| place.set(part).is_err()) {}
}

/// Runs in the child.
pub(super) fn forget_parents() {
    parts().for_each(|part| (part.forget_parents)());
}

pub(super) fn start_parts_over(origin: Origin) {
    parts().for_each(|part| (part.start_over)(origin));
}

fn parts() -> impl Iterator<Item = &'static AtFork> {
    PARTS.iter().filter_map(OnceLock::get).copied()
}
