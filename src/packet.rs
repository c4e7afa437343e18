//! Lines gathered into packets that fit, and what became of each packet.

use crate::encode::Lines;
use crate::ledger::{DropReason, Ledger, Tally};
use crate::task_id::{Identity, TaskId};
use crate::transport::Transport;
use std::mem;
use std::sync::Arc;

/// Bytes of numbers for which a line is begun in what is left of a packet.
const MIN_VALUES: usize = 64;

/// Lines that will travel together: never more bytes than one send may carry.
#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    tally: Tally,
}

/// Fills packets and sends them, and books every line.
#[derive(Debug)]
pub(crate) struct Outbox {
    packet: Packet,
    max_packet_size: usize,
    transport: Box<dyn Transport>,
    ledger: Arc<Ledger>,
    // Accepted since the books were last written: a few additions a packet instead of a few a line.
    accepted: Tally,
    // Handed to the kernel, which may yet report that the packet was refused.
    in_doubt: Option<Tally>,
    // Values that are out of their cells and in no packet yet.
    on_desk: u64,
    // In the transport's hands right now.
    in_hand: Tally,
    // Whether the transport knows of the flush under way.
    begun: bool,
    sender: Sender,
}

/// Under which task id lines are rendered, and what tells whether it is still this process's.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) identity: Identity,
    pub(crate) task_id: TaskId,
}

impl Outbox {
    pub(crate) fn new(
        max_packet_size: usize,
        transport: Box<dyn Transport>,
        ledger: Arc<Ledger>,
        sender: Sender,
    ) -> Self {
        let packet = Packet { bytes: Vec::with_capacity(max_packet_size), tally: Tally::default() };
        Self {
            packet,
            max_packet_size,
            transport,
            ledger,
            accepted: Tally::default(),
            in_doubt: None,
            on_desk: 0,
            in_hand: Tally::default(),
            begun: false,
            sender,
        }
    }

    /// What is put from now on is rendered under another task id.
    pub(crate) fn rename(&mut self, task_id: TaskId) {
        self.sender.task_id = task_id;
    }

    /// Accepts values that have no line yet. From here on they are counted as lost if the worker panics, until
    /// [`put`](Self::put) or [`refuse`](Self::refuse) takes them off the desk.
    pub(crate) fn take_in(&mut self, values: u64) {
        self.accepted += Tally::values(values);
        self.on_desk = self.on_desk.wrapping_add(values);
    }

    /// Bytes that a line may have to go with those before it, or what a whole packet holds where little is left: room
    /// for one value and what stands around it, `frame` bytes.
    pub(crate) fn room(&self, frame: usize) -> usize {
        let left = self.max_packet_size.saturating_sub(self.packet.bytes.len());
        if left >= frame + MIN_VALUES { left } else { self.max_packet_size }
    }

    /// Puts lines that stand for `values` on the desk into a packet, and sends the packet that they don't fit into.
    pub(crate) fn put(&mut self, lines: Lines<'_>, values: u64) {
        let on_wire = Tally { values: 0, lines: lines.count, packets: 0, bytes: lines.bytes.len() as u64 };
        let tally = Tally { values, ..on_wire };
        let too_large = lines.bytes.len() > self.max_packet_size;
        if !too_large && self.packet.bytes.len() + lines.bytes.len() > self.max_packet_size {
            self.send();
        }
        self.accepted += on_wire;
        self.on_desk = self.on_desk.wrapping_sub(values);
        if too_large {
            // What is dropped was accepted, and the books say so at any moment.
            self.ledger.book_accepted(mem::take(&mut self.accepted));
            self.ledger.book_dropped(DropReason::TooLarge, tally);
        } else {
            self.packet.bytes.extend_from_slice(lines.bytes);
            self.packet.tally += tally;
        }
    }

    /// [Takes in](Self::take_in) and [puts](Self::put) at once.
    pub(crate) fn report(&mut self, lines: Lines<'_>, values: u64) {
        self.take_in(values);
        self.put(lines, values);
    }

    /// Books values on the desk that get no line.
    pub(crate) fn refuse(&mut self, reason: DropReason, values: u64) {
        self.on_desk = self.on_desk.wrapping_sub(values);
        self.ledger.book_accepted(mem::take(&mut self.accepted));
        self.ledger.book_dropped(reason, Tally::values(values));
    }

    fn send(&mut self) {
        if self.packet.bytes.is_empty() {
            return;
        }
        if !mem::replace(&mut self.begun, true) {
            self.transport.begin();
        }
        self.accepted.packets += 1;
        self.ledger.book_accepted(mem::take(&mut self.accepted));
        // A flush may have been stopped half-way, for longer than its lease lasts.
        if self.sender.identity.task_id() != self.sender.task_id {
            self.packet.bytes.clear();
            let lost = Tally { packets: 1, ..mem::take(&mut self.packet.tally) };
            self.ledger.book_dropped(DropReason::LeaseLost, lost);
            return;
        }
        // The state changes before the send, so that a transport that panics can't have a packet sent twice.
        self.in_hand = mem::take(&mut self.packet.tally);
        self.in_hand.packets = 1;
        let mut bytes = mem::take(&mut self.packet.bytes);
        let delivery = self.transport.send(&bytes);
        bytes.clear();
        self.packet.bytes = bytes;
        let tally = mem::take(&mut self.in_hand);
        self.settle(delivery.refused_before);
        if delivery.taken {
            self.in_doubt = Some(tally);
        } else {
            self.ledger.book_dropped(DropReason::Transport, tally);
        }
    }

    fn settle(&mut self, refused: bool) {
        match self.in_doubt.take() {
            Some(tally) if refused => self.ledger.book_dropped(DropReason::Transport, tally),
            Some(tally) => self.ledger.book_sent(tally),
            None => {}
        }
    }

    /// A flush ends: the last packet leaves, and the books are written.
    pub(crate) fn finish(&mut self) {
        self.write_books();
        self.begun = false;
    }

    /// What was put so far leaves, and the books are written.
    pub(crate) fn write_books(&mut self) {
        self.send();
        let refused = self.in_doubt.is_some() && self.transport.last_was_refused();
        self.settle(refused);
        self.ledger.book_accepted(mem::take(&mut self.accepted));
    }

    /// The worker died: what it had in hand is lost.
    pub(crate) fn write_off(&mut self) {
        self.ledger.book_accepted(mem::take(&mut self.accepted));
        let mut lost = mem::take(&mut self.in_hand);
        lost += Tally::values(mem::take(&mut self.on_desk));
        self.ledger.book_dropped(DropReason::WorkerPanic, lost);
    }

    /// The worker died too often while it ended: what was put and did not leave is lost as well.
    pub(crate) fn abandon(&mut self) {
        self.settle(false);
        self.ledger.book_dropped(DropReason::WorkerPanic, mem::take(&mut self.packet.tally));
        self.packet.bytes.clear();
    }

    pub(crate) fn transport_name(&self) -> &'static str {
        self.transport.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task_id::TaskIdPool;
    use crate::transport::Delivery;
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct Recorder {
        packets: Arc<Mutex<Vec<Vec<u8>>>>,
        deliveries: Vec<Delivery>,
        last_refused: bool,
    }

    impl Transport for Recorder {
        fn send(&mut self, packet: &[u8]) -> Delivery {
            self.packets.lock().unwrap().push(packet.to_vec());
            self.deliveries.pop().unwrap_or(Delivery::TAKEN)
        }

        fn last_was_refused(&mut self) -> bool {
            self.last_refused
        }

        fn name(&self) -> &'static str {
            "recorder"
        }
    }

    fn sender() -> Sender {
        let task_id = TaskIdPool::DEFAULT.id(42).unwrap();
        Sender { identity: Identity::Constant(task_id), task_id }
    }

    fn put(outbox: &mut Outbox, text: &str, values: u64) {
        outbox.report(Lines { bytes: text.as_bytes(), count: 1 }, values);
    }

    #[test]
    fn packets_are_filled_to_the_limit_and_never_over_it() {
        let recorder = Recorder::default();
        let (packets, ledger) = (Arc::clone(&recorder.packets), Arc::<Ledger>::default());
        let mut outbox = Outbox::new(8, Box::new(recorder), Arc::clone(&ledger), sender());
        for line in ["aaa\n", "bbb\n", "c\n", "dddddddd\n", "eeeeeee\n", "f\n"] {
            put(&mut outbox, line, 1);
        }
        outbox.finish();
        let expected: [&[u8]; 4] = [b"aaa\nbbb\n", b"c\n", b"eeeeeee\n", b"f\n"];
        assert_eq!(*packets.lock().unwrap(), expected);
        let stats = ledger.stats(0);
        assert_eq!(stats.accepted, Tally { values: 6, lines: 6, packets: 4, bytes: 29 });
        assert_eq!(stats.sent, Tally { values: 5, lines: 5, packets: 4, bytes: 20 });
        assert_eq!(stats.dropped(DropReason::TooLarge), Tally { values: 1, lines: 1, packets: 0, bytes: 9 });
    }

    #[test]
    fn a_refusal_is_booked_to_the_packet_that_it_speaks_of() {
        let refused_before = Delivery { taken: true, refused_before: true };
        let recorder =
            Recorder { deliveries: vec![refused_before], last_refused: true, ..Recorder::default() };
        let ledger = Arc::<Ledger>::default();
        let mut outbox = Outbox::new(4, Box::new(recorder), Arc::clone(&ledger), sender());
        put(&mut outbox, "a\n", 3);
        outbox.send();
        put(&mut outbox, "b\n", 5);
        outbox.finish();
        let stats = ledger.stats(0);
        // The first delivery spoke of nothing, the end of the flush of the last packet.
        assert_eq!(stats.dropped(DropReason::Transport).values, 5);
        assert_eq!(stats.sent.values, 3);
    }

    #[test]
    fn what_was_put_under_an_id_that_is_gone_stays_here_and_is_counted() {
        let recorder = Recorder::default();
        let (packets, ledger) = (Arc::clone(&recorder.packets), Arc::<Ledger>::default());
        let mut outbox = Outbox::new(8, Box::new(recorder), Arc::clone(&ledger), sender());
        put(&mut outbox, "a\n", 3);
        outbox.sender.identity = Identity::Constant(TaskIdPool::DEFAULT.id(7).unwrap());
        put(&mut outbox, "bb\n", 2);
        outbox.finish();
        let stats = ledger.stats(0);
        assert_eq!(stats.dropped(DropReason::LeaseLost), Tally { values: 5, lines: 2, packets: 1, bytes: 5 });
        assert_eq!(stats.accepted, stats.dropped_total());
        outbox.rename(TaskIdPool::DEFAULT.id(7).unwrap());
        put(&mut outbox, "c\n", 1);
        outbox.finish();
        assert_eq!(*packets.lock().unwrap(), [b"c\n"]);
        assert_eq!(ledger.stats(0).sent, Tally { values: 1, lines: 1, packets: 1, bytes: 2 });
    }
}
