//! The client under the macros: the installed one, or for a while a thread's own.

use crate::api::client::{Client, Guard};
use crate::process::fork::{self, detour};
use crate::process::sync::wide::AtomicU64;
use crate::task_id;
use crate::vocabulary::error::ConfigError;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The first one that was installed. Call sites keep handles of it as long as the process lives, and so does this.
static FIRST: OnceLock<Client> = OnceLock::new();
/// The one that is installed now, if it is not the first. Locked by nobody while a thread forks.
static LATER: Mutex<Option<Client>> = Mutex::new(None);
/// How many were installed, and so which one is.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Whether the one that is installed has not ended.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The process that a thread installs one in at the moment, or 0.
static INSTALLING: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // The thread's own, the innermost last.
    static LOCAL: RefCell<Vec<Rc<Client>>> = const { RefCell::new(Vec::new()) };
    // Which later one the thread found, so that it takes no lock for the next look.
    static FOUND: RefCell<Option<(u64, Rc<Client>)>> = const { RefCell::new(None) };
}

/// Which client a call site is to use.
pub(super) enum Current {
    Nobody,
    /// Of this one it keeps a handle.
    First(&'static Client),
    /// A later one or a local one, which it uses by name.
    Other(Rc<Client>),
}

/// The client that the macros use: the [installed](crate::ClientBuilder::install) one, or inside
/// [`with_local_client`] the thread's own. `None` until one is installed.
///
/// An installed client whose guard was dropped stays the installed one until another takes its place.
#[must_use]
pub fn client() -> Option<Client> {
    if detour::is_straight() {
        return FIRST.get().cloned();
    }
    match current() {
        Current::Nobody => None,
        Current::First(client) => Some(client.clone()),
        Current::Other(client) => Some(Client::clone(&client)),
    }
}

/// Has the macros of the calling thread use a client of its own while `act` runs, and [`client`] return it: for tests of code
/// that uses the macros, which run side by side in one process.
///
/// The client need not be installed, and may be [disabled](Client::disabled). Calls are calls by name meanwhile, and leave
/// nothing behind at their call sites. Where scopes are nested, the innermost client counts; a panic ends its scope. Other threads
/// are not concerned, those that `act` starts included: hand the client on, and call this there. In asynchronous code,
/// `act` is what polls, as a `block_on` of a runtime that runs on the calling thread. A child that is forked inside goes on
/// with the client, which has a worker of its own there.
///
/// While any thread is inside, the macros of all others cost a few nanoseconds more.
///
/// ```
/// use tasktag::testing::Capture;
/// use tasktag::{Client, with_local_client};
///
/// fn work() {
///     tasktag::counter!("jobs.done").increment(1);
/// }
///
/// let capture = Capture::new();
/// let guard = Client::builder().capture(&capture).telemetry(false).build()?;
/// with_local_client(guard.client(), work);
/// drop(guard);
/// assert_eq!(capture.take_metrics()?[0].name, "jobs.done");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn with_local_client<T>(client: &Client, act: impl FnOnce() -> T) -> T {
    let _scope = Scope::enter(client);
    act()
}

/// Has a client for as long as it lives. It stays on its thread.
struct Scope {
    is_entered: bool,
    thread: PhantomData<*const ()>,
}

impl Scope {
    fn enter(client: &Client) -> Self {
        let client = Rc::new(client.clone());
        // A thread that is at its end, and has no such place any more, goes without.
        let is_entered = LOCAL.try_with(|local| local.borrow_mut().push(client)).is_ok();
        if is_entered {
            detour::add();
        }
        Self { is_entered, thread: PhantomData }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if self.is_entered {
            let client = LOCAL.try_with(|local| local.borrow_mut().pop());
            detour::remove();
            // Not while the list is borrowed: it may be the last that holds the client.
            drop(client);
        }
    }
}

/// Which client is to be used by the calling thread.
pub(super) fn current() -> Current {
    // A signal handler or an allocator may come in while the list is changed.
    let local = LOCAL.try_with(|local| local.try_borrow().ok()?.last().cloned());
    if let Some(client) = local.ok().flatten() {
        return Current::Other(client);
    }
    match COUNT.load(Ordering::Acquire) {
        0 => Current::Nobody,
        1 => FIRST.get().map_or(Current::Nobody, Current::First),
        count => later(count).map_or(Current::Nobody, Current::Other),
    }
}

/// The one that is installed after others.
fn later(count: u64) -> Option<Rc<Client>> {
    let found = FOUND.try_with(|found| {
        let found = found.try_borrow().ok()?;
        found.as_ref().filter(|(which, _)| *which == count).map(|(_, client)| Rc::clone(client))
    });
    found.ok().flatten().or_else(look_up)
}

/// The same where the thread did not find it yet, which remembers it.
#[cold]
fn look_up() -> Option<Rc<Client>> {
    // It would wait for itself.
    if fork::is_busy() {
        return None;
    }
    let whole = fork::make_whole();
    let (count, client) = (COUNT.load(Ordering::Acquire), locked_later().clone().map(Rc::new)?);
    drop(whole);
    let found = Some((count, Rc::clone(&client)));
    // What it found before is let go with no lock held.
    let before = FOUND
        .try_with(|place| place.try_borrow_mut().ok().map(|mut place| std::mem::replace(&mut *place, found)));
    drop(before);
    Some(client)
}

/// Builds a client and puts it into its place, which nobody else has or whose client has ended.
pub(crate) fn install(build: impl FnOnce() -> Result<Guard, ConfigError>) -> Result<Guard, ConfigError> {
    let _turn = Turn::wait();
    if TAKEN.load(Ordering::Relaxed) {
        return Err(ConfigError::AlreadyInstalled);
    }
    let guard = build()?;
    let before = put(guard.client().clone());
    drop(before);
    Ok(guard.when_ended(vacate))
}

/// Puts a client into its place, and says what was there.
fn put(client: Client) -> Option<Client> {
    let _whole = fork::make_whole();
    TAKEN.store(true, Ordering::Relaxed);
    let before = if COUNT.load(Ordering::Relaxed) == 0 {
        FIRST.set(client).err()
    } else {
        locked_later().replace(client)
    };
    // Release: who sees the count sees the client.
    if COUNT.fetch_add(1, Ordering::Release) == 1 {
        // For good: what call sites keep is the first one's.
        detour::add();
    }
    before
}

/// The client that is installed has ended: another may take its place.
fn vacate() {
    TAKEN.store(false, Ordering::Relaxed);
}

fn locked_later() -> MutexGuard<'static, Option<Client>> {
    // Nothing panics while it holds the lock; a poisoned one would be as good.
    LATER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to install a client: one thread at a time, so that no second client is built in vain.
///
/// No lock of the library's: a child that is forked while another thread has one would wait for it, for ever.
struct Turn;

impl Turn {
    fn wait() -> Self {
        // A child is told from its parent, whatever its number.
        fork::expect_forks(&task_id::AT_FORK);
        // In a process namespace of its own a forked child may have its parent's number.
        let this = u64::from(fork::generation()) << u32::BITS | u64::from(std::process::id());
        let take = |installing| (installing != this).then_some(this);
        while INSTALLING.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        INSTALLING.store(0, Ordering::Release);
    }
}
