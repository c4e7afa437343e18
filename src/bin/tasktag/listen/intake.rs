//! What is done with every packet: it is counted, and handed on unchanged.

use super::forward::Forward;
use super::recording::Recorder;
use crate::line::Reason;
use crate::traffic::Traffic;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where all receivers put their packets.
#[derive(Debug)]
pub(crate) struct Intake {
    traffic: Mutex<Traffic>,
    forward: Option<Mutex<Forward>>,
    recorder: Option<Mutex<Recorder>>,
}

impl Intake {
    pub(crate) fn new(traffic: Traffic, forward: Option<Forward>, recorder: Option<Recorder>) -> Self {
        Self {
            traffic: Mutex::new(traffic),
            forward: forward.map(Mutex::new),
            recorder: recorder.map(Mutex::new),
        }
    }

    /// Takes a packet. The agent behind this is served first.
    pub(super) fn take(&self, packet: &[u8]) {
        if let Some(forward) = &self.forward {
            lock(forward).send(packet);
        }
        if let Some(recorder) = &self.recorder {
            lock(recorder).write(packet);
        }
        self.traffic().take(packet);
    }

    /// Takes what is left of a stream that can't be read on.
    pub(super) fn refuse(&self, bytes: &[u8], reason: Reason) {
        self.traffic().refuse(bytes, reason);
    }

    pub(crate) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        lock(&self.traffic)
    }

    /// What the forwarder and the recorder have to say.
    pub(crate) fn states(&self) -> Vec<String> {
        let forward = self.forward.as_ref().map(|forward| lock(forward).state());
        let recorder = self.recorder.as_ref().map(|recorder| lock(recorder).state());
        [forward, recorder].into_iter().flatten().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
