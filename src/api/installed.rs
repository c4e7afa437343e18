//! The client that the macros use: the installed one, or temporarily one of the thread.

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

/// The first client that was installed. Call sites keep handles of it as long as the process lives, and so does this.
static FIRST: OnceLock<Client> = OnceLock::new();
/// The client that is installed now, if it is not the first. Nobody holds the lock while a thread forks.
static LATER: Mutex<Option<Client>> = Mutex::new(None);
/// The number of clients installed so far, which identifies the current one.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Whether the installed client has not ended.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The process that is currently installing a client, or 0.
static INSTALLING: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // The thread's own clients, the innermost last.
    static LOCAL: RefCell<Vec<Rc<Client>>> = const { RefCell::new(Vec::new()) };
    // The later client that the thread found last, so that it takes no lock the next time.
    static FOUND: RefCell<Option<(u64, Rc<Client>)>> = const { RefCell::new(None) };
}

/// The client that a call site uses.
pub(super) enum Current {
    Nobody,
    /// The first client. The call site keeps a handle of it.
    First(&'static Client),
    /// A later or a local client. The call site calls it by name.
    Other(Rc<Client>),
}

/// Returns the client that the macros use. This is the [installed](crate::ClientBuilder::install) one, or inside
/// [`with_local_client`] the thread's own. It returns `None` until a client is installed.
///
/// A client stays installed after its guard was dropped, until another one replaces it.
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

/// Makes the macros of the calling thread use `client` while `act` runs, and makes [`client`] return it. It is meant
/// for tests of code that uses the macros, because tests run concurrently in one process.
///
/// The client need not be installed, and may be [disabled](Client::disabled). The macros call it by name, and leave
/// nothing behind at their call sites. If scopes are nested, the innermost client is used. A panic ends its scope.
///
/// Other threads are not affected, including those that `act` starts. Pass the client to them, and call this function
/// there. In asynchronous code, `act` must be what polls, for example the `block_on` of a runtime that runs on the
/// calling thread. A child that is forked inside continues to use the client, which has its own worker there.
///
/// While any thread is inside, the macros of all other threads cost a few nanoseconds more.
///
/// ```
/// # #[cfg(feature = "testing")] {
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
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn with_local_client<T>(client: &Client, act: impl FnOnce() -> T) -> T {
    let _scope = Scope::enter(client);
    act()
}

/// Keeps a client on the thread's list for as long as it lives. It stays on its thread.
struct Scope {
    is_entered: bool,
    thread: PhantomData<*const ()>,
}

impl Scope {
    fn enter(client: &Client) -> Self {
        let client = Rc::new(client.clone());
        // A thread that is ending may have dropped the list already, and then has no local client.
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
            // This comes after the borrow of the list has ended, because it may drop the last reference to the client.
            drop(client);
        }
    }
}

/// Returns the client that the calling thread uses.
pub(super) fn current() -> Current {
    // A signal handler or an allocator may run this while the list is being changed.
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

/// Returns the client that was installed after others.
fn later(count: u64) -> Option<Rc<Client>> {
    let found = FOUND.try_with(|found| {
        let found = found.try_borrow().ok()?;
        found.as_ref().filter(|(which, _)| *which == count).map(|(_, client)| Rc::clone(client))
    });
    found.ok().flatten().or_else(look_up)
}

/// Looks up the later client if the thread did not find it yet, and remembers it for the thread.
#[cold]
fn look_up() -> Option<Rc<Client>> {
    // The thread would wait for itself.
    if fork::is_busy() {
        return None;
    }
    let whole = fork::make_whole();
    let (count, client) = (COUNT.load(Ordering::Acquire), locked_later().clone().map(Rc::new)?);
    drop(whole);
    let found = Some((count, Rc::clone(&client)));
    // The client found before is dropped while no lock is held.
    let before = FOUND
        .try_with(|place| place.try_borrow_mut().ok().map(|mut place| std::mem::replace(&mut *place, found)));
    drop(before);
    Some(client)
}

/// Builds and installs a client, unless another one is installed and has not ended.
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

/// Makes a client the installed one, and returns the one that it replaces.
fn put(client: Client) -> Option<Client> {
    let _whole = fork::make_whole();
    TAKEN.store(true, Ordering::Relaxed);
    let before = if COUNT.load(Ordering::Relaxed) == 0 {
        FIRST.set(client).err()
    } else {
        locked_later().replace(client)
    };
    // Release: a thread that sees the count also sees the client.
    if COUNT.fetch_add(1, Ordering::Release) == 1 {
        // This is permanent, because call sites keep handles of the first client.
        detour::add();
    }
    before
}

/// The installed client has ended, so another may be installed.
fn vacate() {
    TAKEN.store(false, Ordering::Relaxed);
}

fn locked_later() -> MutexGuard<'static, Option<Client>> {
    // Nothing panics while it holds the lock, so a poisoned lock would be just as good.
    LATER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to install a client. Only one thread has it at a time, so that no second client is built in vain.
///
/// It is not one of the library's locks: a child forked while another thread holds it would wait for it forever.
struct Turn;

impl Turn {
    fn wait() -> Self {
        // From here on, a child differs from its parent, whatever its process id.
        fork::expect_forks(&task_id::AT_FORK);
        // In a PID namespace of its own, a forked child may have its parent's process id.
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
