//! How a fork is noticed.

#[cfg(target_os = "linux")]
pub(super) use self::linux::install;

/// Where the system is not asked to tell of forks, the child has to.
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
        // Without a destructor: a thread that forks while it ends holds what it must as well.
        static HELD: ManuallyDrop<RefCell<Option<Held>>> = const { ManuallyDrop::new(RefCell::new(None)) };
    }

    /// What a thread that forks holds meanwhile, so that no other thread holds it: it would hold it for ever in the
    /// child, which has no other thread.
    ///
    /// All locks are let go before the clients and the others that they belong to: one that nobody else has any more is dropped
    /// then, and what it held may use another client.
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
        // Nobody waits here: a child that was forked before the hook was there could not be told that it need not. Where
        // two threads come at once the hook is there twice, and finds the second time that all is done.
        static INSTALLED: AtomicBool = AtomicBool::new(false);
        if !INSTALLED.load(Ordering::Acquire) {
            // SAFETY: The three functions are of the type that is asked for, live as long as the process, and do not
            // unwind. An error means that there was no memory for them: forks go unnoticed then.
            unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
            INSTALLED.store(true, Ordering::Release);
        }
    }

    /// It allocates. An allocator that locks itself across forks registers at its first allocation, which is before ours:
    /// what registered first comes last here, and so finds it unlocked.
    extern "C" fn prepare() {
        if HELD.with(|held| held.borrow().is_some()) {
            return;
        }
        let list = clients();
        // From here on an allocator that counts comes back in.
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
        // SAFETY: `Held` keeps the clients and the others, and so what is locked, for longer than the locks, and nobody
        // else gets at either.
        unsafe { mem::transmute::<Box<dyn Locks + '_>, Box<dyn Locks>>(locks) }
    }

    extern "C" fn parent() {
        let Some(Held { locked, owners }) = HELD.with(|held| held.take()) else { return };
        drop(locked);
        // What these held may use metrics while it is let go.
        BUSY.set(false);
        drop(owners);
    }

    extern "C" fn child() {
        note_birth();
        parent();
    }
}
