//! Detects forks.

#[cfg(target_os = "linux")]
pub(super) use self::linux::install;

/// On systems without a fork hook, the child has to call `after_fork`.
#[cfg(not(target_os = "linux"))]
pub(super) fn install() {}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the C library tells of forks, and locks are held across one")]
mod linux {
    use super::super::{BUSY, Clients, Freeze, Held as Locks, Resident, clients, making, note_birth};
    use std::cell::RefCell;
    use std::mem::{self, ManuallyDrop};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, MutexGuard};

    thread_local! {
        // This has no destructor, so that it also works if a thread forks while it ends.
        static HELD: ManuallyDrop<RefCell<Option<Held>>> = const { ManuallyDrop::new(RefCell::new(None)) };
    }

    /// The locks that a forking thread holds, so that no other thread can hold them. A lock held by another thread
    /// would stay locked in the child, which has no other thread.
    ///
    /// All locks are released before the clients and the other owners are dropped. If this was an owner's last
    /// reference, its drop may use another client.
    struct Held {
        locked: Locked,
        owners: Owners,
    }

    struct Locked {
        _locks: Vec<Box<dyn Locks>>,
        _making: MutexGuard<'static, ()>,
        _list: MutexGuard<'static, Clients>,
    }

    struct Owners {
        _further: Vec<Arc<dyn Freeze>>,
        _clients: Vec<Arc<dyn Resident>>,
    }

    pub(in super::super) fn install() {
        // This never waits: a child that was forked before the hook was installed would wait forever. If two threads
        // arrive at once, the hook is installed twice, and its second call finds nothing to do.
        static INSTALLED: AtomicBool = AtomicBool::new(false);
        if !INSTALLED.load(Ordering::Acquire) {
            // SAFETY: The three functions have the required type, live as long as the process, and do not unwind. An
            // error means that there was no memory for them. Forks then go undetected.
            unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
            INSTALLED.store(true, Ordering::Release);
        }
    }

    /// This allocates. An allocator that locks itself across forks registers its hook at its first allocation, which is
    /// before ours. Hooks run in reverse order here, so the allocator is not locked yet.
    extern "C" fn prepare() {
        if HELD.with(|held| held.borrow().is_some()) {
            return;
        }
        let list = clients();
        // From here on, an allocator that counts calls back into this library.
        BUSY.set(true);
        let making = making();
        let clients = list.present();
        let mut further = Vec::new();
        let mut locks = Vec::new();
        for client in &clients {
            locks.extend(client.freeze(&mut further).into_iter().map(outlast));
        }
        locks.extend(further.iter().map(|other| outlast(other.freeze())));
        let locked = Locked { _locks: locks, _making: making, _list: list };
        let owners = Owners { _further: further, _clients: clients };
        HELD.with(|held| held.replace(Some(Held { locked, owners })));
    }

    fn outlast(locks: Box<dyn Locks + '_>) -> Box<dyn Locks> {
        // SAFETY: `Held` keeps the clients and the other owners, and thereby what is locked, alive for longer than the
        // locks. Nothing else has access to either.
        unsafe { mem::transmute::<Box<dyn Locks + '_>, Box<dyn Locks>>(locks) }
    }

    extern "C" fn parent() {
        let Some(Held { locked, owners }) = HELD.with(|held| held.take()) else { return };
        drop(locked);
        // What these owners hold may use metrics while it is dropped.
        BUSY.set(false);
        drop(owners);
    }

    extern "C" fn child() {
        note_birth();
        parent();
    }
}
