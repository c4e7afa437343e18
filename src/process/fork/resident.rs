//! Who lives in a process, as far as a fork concerns them: clients, and parts of the library that every client has.

use std::ptr;
use std::sync::{Arc, OnceLock};

/// Locks, held.
pub(crate) trait Held {}

impl<T> Held for T {}

/// What others must be kept out of while a thread forks.
pub(crate) trait Freeze: Send + Sync {
    /// Keeps everybody out for as long as the answer lives.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux is asked to tell of forks"))]
    fn freeze(&self) -> Box<dyn Held + '_>;
}

/// A client, for whoever forks.
pub(crate) trait Resident: Send + Sync {
    /// Keeps everybody out of it for as long as the answer lives, and adds what is to be frozen after it.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux is asked to tell of forks"))]
    fn freeze(&self, further: &mut Vec<Arc<dyn Freeze>>) -> Vec<Box<dyn Held + '_>>;

    /// In a forked child: makes its own out of what it was born with. `false` where the system refused a thread.
    fn start_over(self: Arc<Self>) -> bool;

    /// The same in a process that was restored from a snapshot: its threads are there.
    fn start_over_restored(self: Arc<Self>) -> bool;

    /// Asks again for a thread that the system refused. `false` where it does so again.
    fn start_worker(&self) -> bool;

    /// In a process that was restored: ends the worker of the original, which is to send nothing here.
    fn outlive_worker(&self);
}

/// Where a process that starts over has its memory from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is a forked child.
    Forked,
    /// It was restored from a snapshot.
    Restored,
}

/// A part of the library that a fork concerns, with or without a client.
#[derive(Debug)]
pub(crate) struct AtFork {
    /// Makes what can't be made by halves, before the first fork: a forked child would wait for the rest.
    pub(crate) prepare: fn(),
    /// In the child, where hardly anything may be done: between a fork and the start of another program.
    pub(crate) forget_parents: fn(),
    /// In a process that starts over.
    pub(crate) start_over: fn(Origin),
}

impl AtFork {
    /// One that has nothing to do at a fork.
    pub(crate) const NONE: Self = Self { prepare: || (), forget_parents: || (), start_over: |_| () };
}

/// As many as there are: the threads' lanes, the task id, the connections.
static PARTS: [OnceLock<&AtFork>; 3] = [const { OnceLock::new() }; 3];

pub(super) fn is_known(part: &'static AtFork) -> bool {
    parts().any(|known| ptr::eq(known, part))
}

/// One thread at a time.
pub(super) fn note(part: &'static AtFork) {
    let mut places = PARTS.iter();
    while !is_known(part) && places.next().is_some_and(|place| place.set(part).is_err()) {}
}

/// In the child.
pub(super) fn forget_parents() {
    parts().for_each(|part| (part.forget_parents)());
}

pub(super) fn start_parts_over(origin: Origin) {
    parts().for_each(|part| (part.start_over)(origin));
}

fn parts() -> impl Iterator<Item = &'static AtFork> {
    PARTS.iter().filter_map(OnceLock::get).copied()
}
