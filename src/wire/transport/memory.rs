//! Packets kept in memory, and every fault that a real transport can have.

use super::{Delivery, Failure, Packets, Transport};
use crate::process::fork::making;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long whoever is held waits before it looks again.
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    packets: Vec<Vec<u8>>,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Away,
    PanicOnce,
    Panicking,
    Stuck,
}

impl Memory {
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        self.with(|state| std::mem::take(&mut state.packets))
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.set(away.then_some(Fault::Away));
    }

    pub(crate) fn panic_once(&self) {
        self.set(Some(Fault::PanicOnce));
    }

    pub(crate) fn set_panicking(&self, panicking: bool) {
        self.set(panicking.then_some(Fault::Panicking));
    }

    pub(crate) fn set_stuck(&self, stuck: bool) {
        self.set(stuck.then_some(Fault::Stuck));
    }

    fn set(&self, fault: Option<Fault>) {
        self.with(|state| state.fault = fault);
    }

    /// Waits for as long as the sender is to be held.
    fn wait_while_stuck(&self) {
        while self.with(|state| matches!(state.fault, Some(Fault::Stuck))) {
            thread::sleep(PAUSE);
        }
    }

    fn receive(&self, packet: &[u8]) -> Delivery {
        self.wait_while_stuck();
        let fault = self.with(|state| match state.fault {
            None => {
                state.packets.push(packet.to_vec());
                None
            }
            Some(Fault::PanicOnce) => state.fault.take(),
            fault => fault,
        });
        match fault {
            None => Delivery::taken(1),
            // Stuck again in between: it is away to this packet.
            Some(Fault::Away | Fault::Stuck) => Delivery::lost(1),
            #[allow(clippy::panic, reason = "the fault that was asked for; it ends at the worker's restart")]
            Some(Fault::PanicOnce | Fault::Panicking) => panic!("a transport that panics, as asked for"),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        // A forked child would wait for a thread that had it locked, for ever.
        let _making = making();
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug)]
pub(crate) struct MemoryTransport {
    memory: Arc<Memory>,
    away: Failure,
}

impl MemoryTransport {
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        Self { memory, away: Failure::Refused(io::Error::other("it is away, as the test asked for")) }
    }
}

impl Transport for MemoryTransport {
    fn send(&mut self, packets: Packets<'_>) -> Delivery {
        self.memory.receive(packets.first())
    }

    fn failure(&self) -> Option<&Failure> {
        Some(&self.away)
    }

    fn name(&self) -> &'static str {
        "custom"
    }
}
