//! The library's threads. They have names, block signals, and can be waited for with a timeout.

#[cfg(target_os = "linux")]
mod orphan;
#[cfg(target_os = "linux")]
mod signals;

use crossbeam_channel::{Receiver, Sender, bounded};
use std::cell::RefCell;
use std::io;
use std::thread::Builder;
use std::time::Duration;

/// Starts a thread that handles none of the program's signals.
///
/// The kernel delivers a signal to any thread that does not block it. If a program blocks `SIGTERM` in its main thread
/// and waits for it there, a thread that the program does not know of would take the signal away.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let _blocked = signals::block();
    #[cfg(target_os = "linux")]
    if super::fork::is_child() {
        return orphan::spawn(name, body);
    }
    Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

thread_local! {
    /// This is the thread's first value with a destructor, so it is the last one to be dropped.
    static LIVES: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
}

/// A thread that can be waited for. Dropping this detaches the thread.
#[derive(Debug)]
pub(crate) struct Thread {
    ended: Receiver<()>,
}

impl Thread {
    /// Starts a thread in the same way as [`spawn`].
    pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (lives, ended) = bounded(0);
        spawn(name, move || {
            LIVES.with(|place| place.replace(Some(lives)));
            body();
        })?;
        Ok(Self { ended })
    }

    /// Waits until the thread has ended, for at most `timeout`. The standard library's `join` would also wait for the
    /// destructors of other code's thread-locals, which may take any time.
    pub(crate) fn wait(&self, timeout: Duration) {
        // Nothing is ever sent.
        let _ = self.ended.recv_timeout(timeout);
    }
}
