//! Threads of the library: they have names, take no signals, and are not waited for longer than somebody wants to.

#[cfg(target_os = "linux")]
mod signals;

use crossbeam_channel::{Receiver, Sender, bounded};
use std::cell::RefCell;
use std::io;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Starts a thread that handles none of the program's signals.
///
/// The kernel hands a signal to any thread that does not block it. A program that blocks `SIGTERM` in its main thread and
/// waits for it there would lose it to a thread that it does not know of.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    #[cfg(target_os = "linux")]
    let _blocked = signals::block();
    Builder::new().name(name.to_owned()).spawn(body)
}

thread_local! {
    /// The thread's first value with a destructor, and so the last to be dropped.
    static LIVES: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
}

/// A thread whose end can be waited for, and that is left to itself when this is dropped.
#[derive(Debug)]
pub(crate) struct Thread {
    ended: Receiver<()>,
}

impl Thread {
    /// Starts one as [`spawn`] does.
    pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (lives, ended) = bounded(0);
        spawn(name, move || {
            LIVES.with(|place| place.replace(Some(lives)));
            body();
        })?;
        Ok(Self { ended })
    }

    /// Waits until it has ended, for at most `timeout`. Its thread-locals may be other people's, and take as long as they
    /// like: std's `join` would wait for them.
    pub(crate) fn wait(&self, timeout: Duration) {
        // Nothing is ever sent.
        let _ = self.ended.recv_timeout(timeout);
    }
}
