//! Where a transport sink's lines are packed.

use crate::encode::Lines;
use crate::fork;
use crate::ledger::{DropReason, Ledger, Stats};
use crate::packet::{Outbox, Sender};
use crate::task_id::{Identity, TaskId};
use crate::transport::{self, Address};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a desk is made of, in each process anew.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) address: Address,
    pub(super) max_packet_size: usize,
    pub(super) interval: Duration,
}

/// Where lines are packed, in one process.
#[derive(Debug)]
pub(super) struct Desk {
    generation: u32,
    ledger: Arc<Ledger>,
    interval: Duration,
    packer: Mutex<Packer>,
}

#[derive(Debug)]
struct Packer {
    outbox: Outbox,
    // A line with its end, as it goes into a packet.
    line: Vec<u8>,
    due: Instant,
}

impl Desk {
    pub(super) fn new(settings: &Settings) -> Self {
        let (ledger, task_id) = (Arc::<Ledger>::default(), TaskId::stand_in());
        // Lines are not ours to put a task id on, so that there is none to be lost.
        let sender = Sender { identity: Identity::Constant(task_id), task_id };
        let transport = transport::connect(settings.address.clone());
        let outbox = Outbox::new(settings.max_packet_size, transport, Arc::clone(&ledger), sender);
        let packer = Packer { outbox, line: Vec::new(), due: Instant::now() + settings.interval };
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

    /// Flushes what is due, and says when it is next.
    pub(super) fn flush_if_due(&self) -> Instant {
        let mut packer = self.lock();
        if packer.due <= Instant::now() {
            packer.flush();
            packer.due = Instant::now() + self.interval;
        }
        packer.due
    }

    /// Takes a line in, or says why it was dropped.
    pub(super) fn put(&self, line: &str) -> Option<DropReason> {
        if line.is_empty() || line.contains('\n') {
            self.ledger.refuse(DropReason::Invalid, 1);
            return Some(DropReason::Invalid);
        }
        let mut packer = self.lock();
        let Packer { outbox, line: buffer, .. } = &mut *packer;
        buffer.clear();
        buffer.extend_from_slice(line.as_bytes());
        buffer.push(b'\n');
        outbox.report(Lines { bytes: buffer, count: 1 }, 1);
        outbox.is_too_large(buffer.len()).then_some(DropReason::TooLarge)
    }

    /// Sends everything. `false` when something was lost on its way.
    pub(super) fn flush(&self) -> bool {
        let lost = || self.ledger.stats(0).dropped(DropReason::Transport).packets;
        let mut packer = self.lock();
        let before = lost();
        packer.flush();
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
    fn flush(&mut self) {
        // The thread is that of the other sinks, too.
        if catch_unwind(AssertUnwindSafe(|| self.outbox.finish())).is_err() {
            self.outbox.write_off();
        }
    }
}
