//! A thread whose end can be waited for, but not for ever.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::cell::RefCell;
use std::io;
use std::thread::Builder;
use std::time::Duration;

thread_local! {
    /// The thread's first value with a destructor, and so the last to be dropped.
    static LIVES: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
}

/// A thread that is left to itself when this is dropped.
#[derive(Debug)]
pub(crate) struct Thread {
    ended: Receiver<()>,
}

impl Thread {
    pub(crate) fn spawn(name: &str, act: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (lives, ended) = bounded(0);
        Builder::new().name(name.to_owned()).spawn(move || {
            LIVES.with(|place| place.replace(Some(lives)));
            act();
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
