//! Packets kept in memory, and every fault that a real way to the agent can have.

use super::{Delivery, Failure, Packets, Transport};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Memory {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    packets: Vec<Vec<u8>>,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Away,
    Panic,
}

impl Memory {
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        self.with(|state| std::mem::take(&mut state.packets))
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.with(|state| state.fault = away.then_some(Fault::Away));
    }

    pub(crate) fn panic_once(&self) {
        self.with(|state| state.fault = Some(Fault::Panic));
    }

    fn receive(&self, packet: &[u8]) -> Delivery {
        let fault = self.with(|state| match state.fault {
            None => {
                state.packets.push(packet.to_vec());
                None
            }
            Some(Fault::Panic) => state.fault.take(),
            away => away,
        });
        match fault {
            None => Delivery::taken(1),
            Some(Fault::Away) => Delivery::lost(1),
            #[allow(clippy::panic, reason = "the fault that was asked for; it ends at the worker's restart")]
            Some(Fault::Panic) => panic!("a transport that panics, as asked for"),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
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
