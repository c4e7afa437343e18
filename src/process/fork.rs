//! A forked child is another process. It has no worker, and what it was born with is its parent's.
//!
//! Where the system tells of forks (Linux), a child notes its birth, and nothing else: many children run another program
//! at once. The first use of a metric then gives it what it needs of its own: a task id, a channel, a worker, empty
//! books. Elsewhere, and after a fork past the C library, [`after_fork`] does.

pub(crate) mod detour;
mod hook;
mod resident;

pub(crate) use self::resident::{AtFork, Freeze, Held, Origin, Resident};

use std::cell::Cell;
use std::mem;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How far this process is: [`GROWN`], [`NEWBORN`] or [`SHORT`].
static STAGE: AtomicU8 = AtomicU8::new(GROWN);
/// It has what it needs of its own.
const GROWN: u8 = 0;
/// It is a child that nobody used a metric in.
const NEWBORN: u8 = 1;
/// It is a child that the system refused a thread: the next use of a metric tries again.
const SHORT: u8 = 2;
/// How long a child waits before it asks for a thread again.
const RETRY: Duration = Duration::from_secs(1);

/// How many forks lie between this process and the first.
static GENERATION: AtomicU32 = AtomicU32::new(0);
/// The process that the two above speak of; 0 is none yet.
static PROCESS: AtomicU32 = AtomicU32::new(0);
static CLIENTS: Mutex<Clients> = Mutex::new(Clients { known: Vec::new(), retry_at: None });
/// Taken after `CLIENTS` and before any index.
static MAKING: Mutex<()> = Mutex::new(());

thread_local! {
    // Whether this thread holds the locks of a fork, or gives a child what it needs. What it counts meanwhile, as an allocator
    // does, waits for nothing: it would wait for itself.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// The clients of this process.
struct Clients {
    known: Vec<Weak<dyn Resident>>,
    /// When to ask for a thread again, where one was refused.
    retry_at: Option<Instant>,
}

impl Clients {
    fn present(&self) -> Vec<Arc<dyn Resident>> {
        self.known.iter().filter_map(Weak::upgrade).collect()
    }
}

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

/// Starts a process over that was restored from a snapshot of its memory: it gets another task id, other workers, and
/// statistics at 0. For the hook that a platform calls after it restored a micro-VM or a container, first thing: each clone of
/// a snapshot has the same memory and the same process id, and nothing else tells it from the others.
///
/// What was counted and not yet sent when the snapshot was taken is the original's to report, as are the units that were in
/// use then and the timers that ran. Pools and queues are watched on. A lease stays the original's, and another is taken; an
/// ordinal or a name of the platform is the original's too, and is exchanged for a [shared](crate::TaskIdSourceKind::Shared)
/// bucket, while an id that was set stays. Connections are made anew, and the origin is detected again.
///
/// This waits up to a second for what a worker was at when the snapshot was taken. In a process that no client was built in it
/// decides no task id yet. Take a snapshot while the program rests: a packet that was on its way then may be sent by every
/// clone.
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
    // What other threads acquired before is the original's from here on, and each worker sees that it is outlived.
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for client in &clients {
        client.outlive_worker();
    }
    resident::start_parts_over(Origin::Restored);
    let all_started = start_over(&clients, Resident::start_over_restored);
    finish(list, all_started);
}

/// What every use of a metric begins with: one load of a line that nobody writes, and a branch that is never taken. `true`
/// means that this thread is giving the process what it needs at this very moment: it must wait for nothing, and the channel
/// to the worker may still be the parent's.
#[inline]
pub(crate) fn check() -> bool {
    // Acquire pairs with the Release of `finish`: who sees a grown process sees what it got of its own.
    STAGE.load(Ordering::Acquire) != GROWN && grow_up()
}

/// Whether this is a child that nobody used a metric in.
pub(crate) fn is_newborn() -> bool {
    STAGE.load(Ordering::Acquire) == NEWBORN
}

/// Whether a thread that counts must come by [`check`] again: the process has not got all that it needs.
pub(crate) fn is_growing() -> bool {
    STAGE.load(Ordering::Acquire) != GROWN
}

/// Whether this thread holds the locks of a fork, or gives the process what it needs: what it would wait for, it has itself.
pub(crate) fn is_busy() -> bool {
    BUSY.get()
}

/// Tells the units that this process acquired from those that it was born with.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// From now on there is something that a fork must not share, of this part of the library.
pub(crate) fn expect_forks(part: &'static AtFork) {
    if resident::is_known(part) {
        return;
    }
    // What is there was noted in this process, or in a parent by whose fork past the C library it is yet to be told.
    let _ = PROCESS.compare_exchange(0, std::process::id(), Ordering::Relaxed, Ordering::Relaxed);
    hook::install();
    // Not under the lock below: what counts its allocations may make something there.
    (part.prepare)();
    let _whole = making();
    resident::note(part);
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

/// As [`make_whole`], for what a newborn may do too and not grow by it.
pub(crate) fn making() -> MutexGuard<'static, ()> {
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
pub(crate) fn expect(client: Weak<dyn Resident>) {
    let mut clients = clients();
    clients.known.retain(|known| known.strong_count() > 0);
    clients.known.push(client);
}

/// In the child, where hardly anything may be done: between a fork and the start of another program.
fn note_birth() {
    resident::forget_parents();
    GENERATION.fetch_add(1, Ordering::Relaxed);
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    STAGE.store(NEWBORN, Ordering::Relaxed);
    detour::set_growing(true);
}

/// Gives a child what it needs, unless this thread is at it. Answers whether it is.
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
    // Another thread may have been quicker, and this one waited for it.
    if STAGE.load(Ordering::Relaxed) == NEWBORN {
        resident::start_parts_over(Origin::Forked);
        let all_started = start_over(&list.present(), Resident::start_over);
        finish(list, all_started);
    }
    false
}

/// Asks once more for the threads that a child was refused, if it is time. Waits for nobody: whoever is at it asks.
fn ask_for_threads() {
    let Ok(list) = CLIENTS.try_lock() else { return };
    let _busy = Busy::begin();
    if STAGE.load(Ordering::Relaxed) == SHORT && list.retry_at.is_none_or(|at| at <= Instant::now()) {
        let all_started = start_over(&list.present(), |client| client.start_worker());
        finish(list, all_started);
    }
}

/// Whether every client got its worker.
fn start_over(clients: &[Arc<dyn Resident>], act: impl Fn(Arc<dyn Resident>) -> bool) -> bool {
    // Each, whatever became of the others.
    clients.iter().filter(|client| !act(Arc::clone(client))).count() == 0
}

fn finish(mut list: MutexGuard<'_, Clients>, all_started: bool) {
    list.retry_at = (!all_started).then(|| Instant::now() + RETRY);
    STAGE.store(if all_started { GROWN } else { SHORT }, Ordering::Release);
    detour::set_growing(!all_started);
}

/// Marks the calling thread as busy for as long as it lives.
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

    /// The value that is this process's now, kept for as long as somebody has it.
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
