//! Packs a transport sink's lines.

use crate::ledger::{DropReason, Ledger, Stats};
use crate::process::fork;
use crate::setup::config::DEFAULT_FLUSH_INTERVAL;
use crate::task_id::{Identity, TaskId};
use crate::wire::encode::Lines;
use crate::wire::packet::{Outbox, Sender};
use crate::wire::transport::{self, Address};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a transport may take for what a client's worker does in one flush interval.
const TURN: Duration = DEFAULT_FLUSH_INTERVAL;

/// The settings from which each process makes its own process sink.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) address: Address,
    pub(super) max_packet_size: usize,
    pub(super) interval: Duration,
}

/// Packs lines into packets, in one process.
#[derive(Debug)]
pub(super) struct ProcessSink {
    generation: u32,
    ledger: Arc<Ledger>,
    interval: Duration,
    packer: Mutex<Packer>,
}

#[derive(Debug)]
struct Packer {
    outbox: Outbox,
    // A line with its line end, in the form that goes into a packet.
    line: Vec<u8>,
    due: Instant,
    // When the transport may check its connection, and wait, again.
    turn_ends: Instant,
}

impl ProcessSink {
    pub(super) fn new(settings: &Settings) -> Self {
        let (ledger, task_id) = (Arc::<Ledger>::default(), TaskId::stand_in());
        // Lines get no task id here, so no leased one can be lost.
        let sender = Sender { identity: Identity::Constant(task_id), task_id };
        let transport = transport::connect(settings.address.clone());
        let outbox = Outbox::new(settings.max_packet_size, transport, Arc::clone(&ledger), sender);
        let now = Instant::now();
        let packer = Packer { outbox, line: Vec::new(), due: now + settings.interval, turn_ends: now + TURN };
        Self {
            generation: fork::generation(),
            ledger,
            interval: settings.interval,
            packer: Mutex::new(packer),
        }
    }

    pub(super) fn is_here(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Flushes what is due, and returns when to call this again.
    pub(super) fn look_after(&self) -> Instant {
        let mut packer = self.lock();
        if packer.due <= Instant::now() {
            packer.act(Outbox::settle_counts);
            packer.due = Instant::now() + self.interval;
        }
        // Not with each flush: an agent that reads nothing is waited for in each turn, and call sites wait meanwhile.
        // Nor only with a flush: an agent that came back must not be found an hour later.
        if packer.turn_ends <= Instant::now() {
            packer.outbox.end_turn();
            packer.turn_ends = Instant::now() + TURN;
        }
        packer.due.min(packer.turn_ends)
    }

    /// Takes a line. Returns why it was dropped, if it was.
    pub(super) fn put(&self, line: &str) -> Option<DropReason> {
        if line.is_empty() || line.contains('\n') {
            self.ledger.refuse(DropReason::Invalid, 1);
            return Some(DropReason::Invalid);
        }
        let mut packer = self.lock();
        let mut bytes = mem::take(&mut packer.line);
        bytes.clear();
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        packer.act(|outbox| outbox.report(Lines { bytes: &bytes, count: 1 }, 1));
        let too_large = packer.outbox.is_too_large(bytes.len());
        // A buffer that no packet would need is not kept: a line may have any length.
        if !too_large {
            packer.line = bytes;
        }
        too_large.then_some(DropReason::TooLarge)
    }

    /// Sends everything. Returns `false` if something was lost.
    pub(super) fn flush(&self) -> bool {
        let lost = || self.ledger.stats(0).dropped(DropReason::Transport).packets;
        let mut packer = self.lock();
        let before = lost();
        packer.act(Outbox::finish);
        lost() == before
    }

    pub(super) fn stats(&self) -> Stats {
        self.ledger.stats(0)
    }

    fn lock(&self) -> MutexGuard<'_, Packer> {
        self.packer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Packer {
    /// Runs on the sinks' shared thread or on a caller's.
    fn act(&mut self, act: impl FnOnce(&mut Outbox)) {
        if catch_unwind(AssertUnwindSafe(|| act(&mut self.outbox))).is_err() {
            self.outbox.write_off();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transport::{Delivery, Failure, Packets, Transport};

    #[derive(Debug)]
    struct Panics;

    impl Transport for Panics {
        fn send(&mut self, _: Packets<'_>) -> Delivery {
            panic!("a transport")
        }

        fn failure(&self) -> Option<&Failure> {
            None
        }

        fn name(&self) -> &'static str {
            "panics"
        }
    }

    fn process_sink() -> ProcessSink {
        let (ledger, task_id) = (Arc::<Ledger>::default(), TaskId::stand_in());
        let sender = Sender { identity: Identity::Constant(task_id), task_id };
        let outbox = Outbox::new(8, Box::new(Panics), Arc::clone(&ledger), sender);
        let now = Instant::now();
        let packer = Packer { outbox, line: Vec::new(), due: now, turn_ends: now };
        ProcessSink { generation: fork::generation(), ledger, interval: TURN, packer: Mutex::new(packer) }
    }

    #[test]
    fn a_transport_that_panics_is_the_loss_of_what_it_had_and_no_callers_matter() {
        let process_sink = process_sink();
        for _ in 0..5 {
            assert_eq!(process_sink.put("a:1|c"), None);
        }
        process_sink.look_after();
        process_sink.flush();
        let stats = process_sink.stats();
        assert_eq!((stats.accepted.values, stats.sent.values), (5, 0));
        assert_eq!(stats.dropped(DropReason::WorkerPanic).values, 5);
        assert_eq!(stats.accepted, stats.dropped_total());
    }

    #[test]
    fn a_line_that_no_packet_holds_leaves_no_buffer_of_its_size() {
        let process_sink = process_sink();
        assert_eq!(process_sink.put(&"x".repeat(1_000_000)), Some(DropReason::TooLarge));
        assert!(process_sink.lock().line.capacity() < 1000);
        assert_eq!(process_sink.stats().dropped(DropReason::TooLarge).bytes, 1_000_001);
    }
}
