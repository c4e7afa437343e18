//! A program's own writer, which fails as files and pipes do.

use crate::support::stream_agent::Mood;
use std::io::{self, ErrorKind, Write};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Clones write to the same paper.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    fails: bool,
    panics: bool,
    // The next packet is taken in part, and the writer fails then.
    cuts: bool,
    begun: Vec<u8>,
    packets: Vec<Vec<u8>>,
}

impl Writer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    pub(crate) fn set_failing(&self, fails: bool) {
        self.lock().fails = fails;
    }

    pub(crate) fn set_panicking(&self, panics: bool) {
        self.lock().panics = panics;
    }

    pub(crate) fn cut(&self) {
        self.lock().cuts = true;
    }

    /// Those that were taken wholly.
    pub(crate) fn take_packets(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.lock().packets)
    }

    /// As long as the mood wants it; nothing is locked meanwhile.
    fn wait(&self) {
        let pause = Duration::from_millis(1);
        if self.lock().mood == Mood::Slow {
            thread::sleep(pause);
        }
        while self.lock().mood == Mood::Deaf {
            thread::sleep(pause);
        }
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait();
        let mut state = self.lock();
        if state.panics {
            drop(state);
            resume_unwind(Box::new("a writer that panics, without a word"));
        }
        // What ends a line that was begun is no packet.
        if bytes == b"\n" {
            state.begun.clear();
            return Ok(1);
        }
        if state.fails {
            return Err(ErrorKind::StorageFull.into());
        }
        if std::mem::take(&mut state.cuts) {
            let half = bytes.len() / 2;
            state.begun.extend_from_slice(&bytes[..half]);
            state.fails = true;
            return if half == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(half) };
        }
        let packet = [std::mem::take(&mut state.begun).as_slice(), bytes].concat();
        state.packets.push(packet);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait();
        if self.lock().fails { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}
