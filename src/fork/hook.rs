//! How a fork is noticed.

#[cfg(target_os = "linux")]
pub(super) use self::linux::install;

/// Where the system is not asked to tell of forks, the child has to.
#[cfg(not(target_os = "linux"))]
pub(super) fn install() {}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the C library tells of forks, and locks are held across one")]
mod linux {
    use super::super::{be_whole, clients, making, note_birth};
    use crate::keeper::{self, Held as Locks, Keep};
    use crate::shared::Shared;
    use std::cell::RefCell;
    use std::mem;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, MutexGuard, Weak};
    use std::thread;

    thread_local! {
        static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
    }

    /// What a thread that forks holds meanwhile, so that no other thread holds it: it would hold it for ever in the
    /// child, which has no other thread.
    struct Held {
        // All locks are let go before the keepers and clients that they belong to: one that nobody else has any more is
        // dropped then, and what it held may use another client.
        _locks: Vec<Box<dyn Locks>>,
        _making: MutexGuard<'static, ()>,
        _list: MutexGuard<'static, Vec<Weak<Shared>>>,
        _keepers: Vec<Arc<dyn Keep>>,
        _clients: Vec<Arc<Shared>>,
    }

    /// The process that a thread asks to be told in, 0 before that, and [`TOLD`] after it.
    static TELLING: AtomicU32 = AtomicU32::new(0);
    /// No process has this number.
    const TOLD: u32 = u32::MAX;

    /// Returns when forks are told of. No `Once`: a child that is forked while another thread is at it would wait for
    /// that thread, for ever.
    pub(in super::super) fn install() {
        let this = std::process::id();
        let ask = |telling| (![this, TOLD].contains(&telling)).then_some(this);
        let asked = loop {
            match TELLING.fetch_update(Ordering::Acquire, Ordering::Acquire, ask) {
                // Another thread is at it.
                Err(telling) if telling == this => thread::yield_now(),
                other => break other,
            }
        };
        if asked.is_ok() {
            // SAFETY: The three functions are of the type that is asked for, live as long as the process, and do not
            // unwind. An error means that there was no memory for them: forks go unnoticed then.
            unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
            TELLING.store(TOLD, Ordering::Release);
        }
    }

    extern "C" fn prepare() {
        // A child that was forked between the two lines above asks once more, and so is told twice.
        if HELD.try_with(|held| held.borrow().is_some()).unwrap_or_default() {
            return;
        }
        be_whole();
        let list = clients();
        let making = making();
        let clients: Vec<_> = list.iter().filter_map(Weak::upgrade).collect();
        let mut keepers = Vec::new();
        let mut locks = Vec::new();
        for client in &clients {
            let known = client.keepers.freeze();
            keepers.extend(keeper::present(&known));
            locks.push(outlast(Box::new(known)));
            locks.push(outlast(Box::new(client.index.freeze())));
        }
        locks.extend(keepers.iter().map(|keeper| outlast(keeper.freeze())));
        // A thread that is ending has no place for them, and forks without.
        let held_now =
            Held { _locks: locks, _keepers: keepers, _clients: clients, _making: making, _list: list };
        let _ = HELD.try_with(|held| held.replace(Some(held_now)));
    }

    fn outlast(locks: Box<dyn Locks + '_>) -> Box<dyn Locks> {
        // SAFETY: `Held` keeps the clients and the keepers, and so what is locked, for longer than the locks, and nobody
        // else gets at either.
        unsafe { mem::transmute::<Box<dyn Locks + '_>, Box<dyn Locks>>(locks) }
    }

    extern "C" fn parent() {
        let _ = HELD.try_with(|held| drop(held.take()));
    }

    extern "C" fn child() {
        note_birth();
        parent();
    }
}
