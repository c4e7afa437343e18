//! The wish to end: a signal, or a key.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the command is to end. All clones are of one wish.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Is told by the first `SIGINT`, `SIGTERM` or `SIGHUP`. A second one ends the process at once.
    pub(crate) fn by_signals() -> io::Result<Self> {
        let stop = Self::default();
        for (signal, status) in [
            (signal_hook::consts::SIGHUP, 129),
            (signal_hook::consts::SIGINT, 130),
            (signal_hook::consts::SIGTERM, 143),
        ] {
            // In this order: the first signal finds the flag not set.
            signal_hook::flag::register_conditional_shutdown(signal, status, Arc::clone(&stop.0))?;
            signal_hook::flag::register(signal, Arc::clone(&stop.0))?;
        }
        Ok(stop)
    }

    pub(crate) fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
