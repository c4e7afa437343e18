//! Forks. A forked child is a new process: it has no worker, and it inherits its parent's state.
//!
//! On Linux, where the system reports forks, a child only notes that it is new, because many children run another
//! program at once. The first use of a metric then gives the child its own task id, channel and worker, and statistics
//! at 0. On other systems, and after a fork that bypasses the C library, [`after_fork`] does so.

pub(crate) mod detour;
mod hook;
mod resident;

pub(crate) use self::resident::{AtFork, Freeze, Held, Origin, Resident};

use super::birth;
use std::cell::Cell;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The stage of this process: [`GROWN`], [`NEWBORN`] or [`SHORT`].
static STAGE: AtomicU8 = AtomicU8::new(GROWN);
/// The process has everything of its own.
const GROWN: u8 = 0;
/// The process is a forked child that has not used a metric yet.
const NEWBORN: u8 = 1;
/// The process is a forked child, and the system refused it a thread. The next use of a metric tries again.
const SHORT: u8 = 2;
/// How long a child waits before it tries again to start a thread.
const RETRY: Duration = Duration::from_secs(1);

static IS_CHILD: AtomicBool = AtomicBool::new(false);
/// The number of forks between this process and the first one.
static GENERATION: AtomicU32 = AtomicU32::new(0);
/// The process that the values above describe, or 0 for none yet.
static PROCESS: AtomicU32 = AtomicU32::new(0);
static CLIENTS: Mutex<Clients> = Mutex::new(Clients { known: Vec::new(), retry_at: None });
/// This lock is taken after `CLIENTS` and before that of any index.
static MAKING: Mutex<()> = Mutex::new(());

thread_local! {
    // Whether this thread holds the locks of a fork, or is setting up a forked child. Counting must not wait then,
    // because the thread would wait for itself. An allocator that counts is such a case.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// The clients of this process.
struct Clients {
    known: Vec<Weak<dyn Resident>>,
    /// When to try again to start a thread, if the system refused one.
    retry_at: Option<Instant>,
}

impl Clients {
    fn present(&self) -> Vec<Arc<dyn Resident>> {
        self.known.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Sets up a forked child with its own task id and worker, and with statistics at 0. In any other process it does
/// nothing.
///
/// On Linux no call is needed, because the first use of a metric in the child does the same. That use takes as long as
/// starting a thread. Call this function first in the child
///
/// - to start the thread before the first use of a metric;
/// - on systems other than Linux;
/// - after a fork that bypasses the C library.
///
/// The child reports only its own data: counts from 0, gauges once they are set, and units once they are acquired. The
/// following stays with the parent:
///
/// - Pools and queues that the parent watches are not watched in the child.
/// - The parent keeps its lease of a task id, and the child takes another one.
///
/// If the child drops a [`Guard`](crate::Guard) that it inherited, its worker stops.
///
/// The state of the parent's worker stays in the child's memory until the child ends. It takes 600 KB with the default
/// channel, and as much again for each further generation that used a metric. If the parent's
/// [writer](crate::ClientBuilder::writer) was running at the time of the fork, the child can't write. It counts what it
/// would have written as [`Transport`](crate::DropReason::Transport).
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

/// Gives a process that was restored from a snapshot of its memory a new task id and new workers, and resets its
/// statistics to 0.
///
/// Call it first in the hook that the platform runs after it has restored a micro-VM or a container. All clones of a
/// snapshot have the same memory and the same process id, so the library can't detect a restore by itself.
///
/// The following stays with the original process:
///
/// - It reports what was counted and not yet sent when the snapshot was taken.
/// - It reports the units that were in use and the timers that were running at that time.
/// - It keeps its lease, and the clone takes another one.
/// - It keeps an ordinal or a name of the platform. The clone uses a [shared](crate::TaskIdSourceKind::Shared) bucket
///   instead.
///
/// The clone keeps a task id that was set explicitly, and continues to watch pools and queues. It connects again, and
/// detects the origin again.
///
/// The call waits up to 1 s for a worker that was busy when the snapshot was taken. In a process that has not built a
/// client, it does not decide on a task id yet. Take a snapshot while the program is idle: every clone may send a
/// packet that was being sent at that time.
///
/// ```
/// // In the hook, before the first request:
/// tasktag::after_restore();
/// ```
pub fn after_restore() {
    check();
    let list = clients();
    let _busy = Busy::begin();
    let clients = list.present();
    // From here on, units that other threads acquired before belong to the original, and each worker sees that it is
    // obsolete.
    GENERATION.fetch_add(1, Ordering::Relaxed);
    birth::forget();
    for client in &clients {
        client.outlive_worker();
    }
    resident::start_parts_over(Origin::Restored);
    let all_started = start_over(&clients, Resident::start_over_restored);
    finish(list, all_started);
}

/// Runs at the start of every use of a metric. It costs one load of a cache line that is never written, and a branch
/// that is never taken.
///
/// It returns `true` if this thread is setting up the process at this moment. The caller must then wait for nothing,
/// and the channel to the worker may still be the parent's.
#[inline]
pub(crate) fn check() -> bool {
    // This Acquire pairs with the Release of `finish`: a thread that sees a grown process also sees its state.
    STAGE.load(Ordering::Acquire) != GROWN && grow_up()
}

/// Returns whether this is a forked child that has not used a metric yet.
pub(crate) fn is_newborn() -> bool {
    STAGE.load(Ordering::Acquire) == NEWBORN
}

/// Returns whether a thread that counts has to call [`check`] again, because the process is not completely set up.
pub(crate) fn is_growing() -> bool {
    STAGE.load(Ordering::Acquire) != GROWN
}

/// Returns whether this thread holds the locks of a fork, or is setting up the process. Waiting for either would then
/// be waiting for itself.
pub(crate) fn is_busy() -> bool {
    BUSY.get()
}

/// Tells units that this process acquired from inherited ones.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Returns whether this is a forked child of a process that used metrics.
pub(crate) fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// Registers a part of the library whose state a forked child must not share.
pub(crate) fn expect_forks(part: &'static AtFork) {
    if resident::is_known(part) {
        return;
    }
    // The state was created in this process, or in a parent that forked without the C library. In the second case the
    // number stays the parent's, so that `after_fork` can detect the child.
    let _ = PROCESS.compare_exchange(0, std::process::id(), Ordering::Relaxed, Ordering::Relaxed);
    hook::install();
    // This runs outside the lock below, because an allocator that counts may initialize something here.
    (part.prepare)();
    let _whole = making();
    resident::note(part);
}

/// While the returned lock is held, no other thread can fork. What is created meanwhile is therefore either complete or
/// not started in a forked child. Use it for state that threads wait for while another thread creates it: in a child
/// that other thread does not exist.
pub(crate) fn make_whole() -> MutexGuard<'static, ()> {
    // This runs outside the lock, because setting up a child takes another lock first.
    check();
    making()
}

/// Fills an empty cell, unless another thread was faster. In a forked child the cell is either filled or empty, so that
/// no thread waits for one that does not exist there. It also works in a newborn child.
pub(crate) fn fill<T>(place: &OnceLock<T>, value: T) {
    let _making = making();
    let _ = place.set(value);
}

/// Does the same as [`make_whole`], but does not set up a newborn child.
pub(crate) fn making() -> MutexGuard<'static, ()> {
    #[cfg(all(test, not(tasktag_loom)))]
    match MAKING.try_lock() {
        Ok(making) => return making,
        Err(_) => waiting::note(),
    }
    MAKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records the threads that found the lock taken, so that a test need not guess how long they take to reach it.
#[cfg(all(test, not(tasktag_loom)))]
pub(crate) mod waiting {
    use std::sync::{Mutex, PoisonError};
    use std::thread::{self, ScopedJoinHandle, ThreadId};

    static NOTED: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

    pub(super) fn note() {
        NOTED.lock().unwrap_or_else(PoisonError::into_inner).push(thread::current().id());
    }

    /// Waits until the thread waits for the lock, or has ended without it.
    pub(crate) fn wait_for<T>(waits: &ScopedJoinHandle<'_, T>) {
        let is_noted = || NOTED.lock().unwrap_or_else(PoisonError::into_inner).contains(&waits.thread().id());
        while !is_noted() && !waits.is_finished() {
            thread::yield_now();
        }
    }
}

/// Registers a client, so that later forks set it up.
pub(crate) fn expect(client: Weak<dyn Resident>) {
    let mut clients = clients();
    clients.known.retain(|known| known.strong_count() > 0);
    clients.known.push(client);
}

/// Runs in the child, where almost nothing is allowed between a fork and the start of another program.
fn note_birth() {
    resident::forget_parents();
    IS_CHILD.store(true, Ordering::Relaxed);
    GENERATION.fetch_add(1, Ordering::Relaxed);
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    STAGE.store(NEWBORN, Ordering::Relaxed);
    detour::set_growing(true);
}

/// Sets up a child, unless this thread is already doing so. Returns `true` in that case.
#[cold]
#[inline(never)]
fn grow_up() -> bool {
    if BUSY.get() {
        return true;
    }
    if STAGE.load(Ordering::Relaxed) == SHORT {
        ask_for_threads();
        return false;
    }
    let list = clients();
    let _busy = Busy::begin();
    // Another thread may have finished while this one waited for the lock.
    if STAGE.load(Ordering::Relaxed) == NEWBORN {
        resident::start_parts_over(Origin::Forked);
        let all_started = start_over(&list.present(), Resident::start_over);
        finish(list, all_started);
    }
    false
}

/// Tries again to start the threads that a child was refused, if it is time. It never waits: another thread that holds
/// the lock is trying already.
fn ask_for_threads() {
    let Ok(list) = CLIENTS.try_lock() else { return };
    let _busy = Busy::begin();
    if STAGE.load(Ordering::Relaxed) == SHORT && list.retry_at.is_none_or(|at| at <= Instant::now()) {
        let all_started = start_over(&list.present(), |client| client.start_worker());
        finish(list, all_started);
    }
}

/// Returns whether every client got its worker.
fn start_over(clients: &[Arc<dyn Resident>], act: impl Fn(Arc<dyn Resident>) -> bool) -> bool {
    // Every client is started, even if another one failed.
    clients.iter().filter(|client| !act(Arc::clone(client))).count() == 0
}

fn finish(mut list: MutexGuard<'_, Clients>, all_started: bool) {
    list.retry_at = (!all_started).then(|| Instant::now() + RETRY);
    STAGE.store(if all_started { GROWN } else { SHORT }, Ordering::Release);
    detour::set_growing(!all_started);
}

/// Marks the calling thread as busy until it is dropped.
struct Busy;

impl Busy {
    fn begin() -> Self {
        BUSY.set(true);
        Self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(false);
    }
}

fn clients() -> MutexGuard<'static, Clients> {
    CLIENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value that a forked child replaces with its own.
///
/// The parent's value is never dropped in the child, because other threads of the parent may have been in the middle of
/// changing it.
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

    /// Runs in a child, and replaces the parent's value with the child's own.
    pub(crate) fn renew(&self, value: T) {
        let last = self.last();
        mem::forget(Arc::clone(&last.here));
        let _ = last.child.set(Box::new(Self::new(value)));
    }

    /// Returns this process's current value, which lives as long as the returned `Arc`.
    pub(crate) fn share(&self) -> Arc<T> {
        Arc::clone(&self.last().here)
    }

    fn last(&self) -> &Self {
        let mut last = self;
        while let Some(child) = last.child.get() {
            last = child;
        }
        last
    }
}
