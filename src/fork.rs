//! A forked child is another process. It has no worker, and what it was born with is its parent's.
//!
//! Where the system tells of forks (Linux), a child notes its birth, and nothing else: many children run another program
//! at once. The first use of a metric then gives it what it needs of its own: a task id, a channel, a worker, empty
//! books. Elsewhere, and after a fork past the C library, [`after_fork`] does.

mod hook;

use crate::cell::forget_other_lanes;
use crate::shared::Shared;
use crate::task_id;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Whether this is a child that nobody used a metric in.
static NEWBORN: AtomicBool = AtomicBool::new(false);
/// How many forks lie between this process and the first.
static GENERATION: AtomicU32 = AtomicU32::new(0);
/// The process that the two above speak of; 0 is none yet.
static PROCESS: AtomicU32 = AtomicU32::new(0);
static CLIENTS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
/// Taken after `CLIENTS` and before any index.
static MAKING: Mutex<()> = Mutex::new(());

/// Gives a forked child what it needs of its own: a task id, a worker, empty books. Does nothing anywhere else.
///
/// On Linux no call is needed: the first use of a metric in the child does the same, which takes as long as starting a
/// thread. A program that would rather have that behind it, one for another system, or one that forks past the C
/// library, calls this first thing in the child.
///
/// What the child reports is its own: counts from 0, gauges when they are set, units when they are acquired. Pools and queues that
/// the parent watches stay with the parent. A lease of a task id stays with the parent, too, and the child takes another.
/// A [`Guard`](crate::Guard) that the child was born with ends the child's worker when it is dropped.
///
/// What led to its parent's worker stays in a child's memory until it ends: 600 KB with the default channel, and as much
/// again for each further generation that used a metric. A child of a process whose [writer](crate::ClientBuilder::writer)
/// was at work when it forked can't write, and counts what it would have written as
/// [`Transport`](crate::DropReason::Transport).
///
/// ```
/// // In the child, before it does anything else:
/// tasktag::after_fork();
/// ```
pub fn after_fork() {
    let born_in = PROCESS.load(Ordering::Relaxed);
    if born_in != 0 && born_in != std::process::id() {
        note_birth();
    }
    check();
}

/// What every use of a metric begins with: one load of a line that nobody writes, and a branch that is never taken.
#[inline]
pub(crate) fn check() {
    // Acquire pairs with the Release of `grow_up`: who sees no newborn sees what the child got of its own.
    if NEWBORN.load(Ordering::Acquire) {
        grow_up();
    }
}

/// Whether this is a child that nobody used a metric in.
pub(crate) fn is_newborn() -> bool {
    NEWBORN.load(Ordering::Acquire)
}

/// Tells the units that this process acquired from those that it was born with.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// From now on there is something that a fork must not share: a task id, or a client.
pub(crate) fn expect_forks() {
    static READY: AtomicBool = AtomicBool::new(false);
    if READY.load(Ordering::Acquire) {
        return;
    }
    // What is there was noted in this process, or in a parent by whose fork past the C library it is yet to be told.
    let _ = PROCESS.compare_exchange(0, std::process::id(), Ordering::Relaxed, Ordering::Relaxed);
    hook::install();
    {
        let _whole = making();
        task_id::prepare();
    }
    READY.store(true, Ordering::Release);
}

/// What is made while the answer lives is whole in a forked child, or not begun: a thread that forks waits for it. For what
/// threads would wait for if another one had begun it, which the child does not have.
pub(crate) fn make_whole() -> MutexGuard<'static, ()> {
    // Not under it: what the child needs of its own is taken before it.
    check();
    making()
}

/// Fills an empty place, unless another thread was faster. In a forked child the place is filled or empty: nobody is about
/// to, and so nobody is waited for. In a newborn, too.
pub(crate) fn fill<T>(place: &OnceLock<T>, value: T) {
    let _making = making();
    let _ = place.set(value);
}

fn making() -> MutexGuard<'static, ()> {
    #[cfg(all(test, not(tasktag_loom)))]
    match MAKING.try_lock() {
        Ok(making) => return making,
        Err(_) => waiting::note(),
    }
    MAKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which threads found that another one makes something or forks: a test need not guess how long they take to get there.
#[cfg(all(test, not(tasktag_loom)))]
pub(crate) mod waiting {
    use std::sync::{Mutex, PoisonError};
    use std::thread::{self, ScopedJoinHandle, ThreadId};

    static NOTED: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

    pub(super) fn note() {
        NOTED.lock().unwrap_or_else(PoisonError::into_inner).push(thread::current().id());
    }

    /// Until the thread stands at the lock, and gets no further, or has ended without it.
    pub(crate) fn wait_for<T>(waits: &ScopedJoinHandle<'_, T>) {
        let is_noted = || NOTED.lock().unwrap_or_else(PoisonError::into_inner).contains(&waits.thread().id());
        while !is_noted() && !waits.is_finished() {
            thread::yield_now();
        }
    }
}

/// Takes a client into account for the forks to come.
pub(crate) fn expect(client: &Arc<Shared>) {
    expect_forks();
    let mut clients = clients();
    clients.retain(|known| known.strong_count() > 0);
    clients.push(Arc::downgrade(client));
}

/// In the child, where hardly anything may be done: between a fork and the start of another program.
fn note_birth() {
    forget_other_lanes();
    GENERATION.fetch_add(1, Ordering::Relaxed);
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    NEWBORN.store(true, Ordering::Relaxed);
}

#[cold]
#[inline(never)]
fn grow_up() {
    let clients = clients();
    // Another thread may have been quicker, and this one waited for it.
    if !NEWBORN.load(Ordering::Relaxed) {
        return;
    }
    #[cfg(target_os = "linux")]
    crate::transport::close_inherited();
    task_id::start_over();
    clients.iter().filter_map(Weak::upgrade).for_each(|client| client.start_over());
    NEWBORN.store(false, Ordering::Release);
}

fn clients() -> MutexGuard<'static, Vec<Weak<Shared>>> {
    CLIENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value of which a forked child gets another.
///
/// The parent's stays where it is and is never dropped in the child: other threads of the parent may have been half-way
/// through a change of it.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    here: Arc<T>,
    child: OnceLock<Box<PerProcess<T>>>,
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> PerProcess<T> {
    pub(crate) fn new(here: T) -> Self {
        Self { here: Arc::new(here), child: OnceLock::new() }
    }

    pub(crate) fn get(&self) -> &T {
        &self.last().here
    }

    /// In a child: puts its own value in the parent's place.
    pub(crate) fn renew(&self, value: T) {
        let last = self.last();
        mem::forget(Arc::clone(&last.here));
        let _ = last.child.set(Box::new(Self::new(value)));
    }

    fn last(&self) -> &Self {
        let mut last = self;
        while let Some(child) = last.child.get() {
            last = child;
        }
        last
    }
}
