//! Packs lines into packets, and counts what becomes of each packet.

use crate::ledger::{DropReason, Ledger, Tally};
use crate::task_id::{Identity, TaskId};
use crate::wire::encode::Lines;
use crate::wire::transport::{Address, Failure, MAX_PACKETS, Packets, Transport, Turn};
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

/// The minimum room for numbers, in bytes, to begin a line in the rest of a packet.
const MIN_VALUES: usize = 64;

/// Bytes of packets that are gathered before they are sent, unless a single packet is larger.
const MAX_GATHERED: usize = 256 * 1024;

/// Packets in sequence in one reused buffer. The last one is open.
#[derive(Debug)]
struct Gathered {
    bytes: Vec<u8>,
    // Where each full packet ends, and what it contains.
    ends: Vec<usize>,
    tallies: Vec<Tally>,
    open: Tally,
    // The number of full packets that the transport has dealt with.
    done: usize,
}

impl Gathered {
    fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(MAX_PACKETS),
            tallies: Vec::with_capacity(MAX_PACKETS),
            open: Tally::default(),
            done: 0,
        }
    }

    fn open_len(&self) -> usize {
        self.bytes.len() - self.ends.last().copied().unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8], tally: Tally) {
        self.bytes.extend_from_slice(bytes);
        self.open += tally;
    }

    /// Closes the open packet.
    fn close(&mut self) {
        if self.open_len() > 0 {
            self.ends.push(self.bytes.len());
            self.tallies.push(Tally { packets: 1, ..mem::take(&mut self.open) });
        }
    }

    /// The full packets that are still to be dealt with.
    fn left(&self) -> Packets<'_> {
        let (done, left) = self.ends.split_at(self.done.min(self.ends.len()));
        Packets::new(&self.bytes, done.last().copied().unwrap_or_default(), left)
    }

    /// Marks the next one of them as dealt with.
    fn next(&mut self) -> Option<Tally> {
        let tally = self.tallies.get(self.done).copied();
        self.done += usize::from(tally.is_some());
        tally
    }

    /// Discards everything, and returns what was still to be dealt with.
    fn clear(&mut self) -> Tally {
        let mut lost = mem::take(&mut self.open);
        while let Some(tally) = self.next() {
            lost += tally;
        }
        self.bytes.clear();
        self.ends.clear();
        self.tallies.clear();
        self.done = 0;
        lost
    }
}

/// Fills packets, sends them, and counts every line.
#[derive(Debug)]
pub(crate) struct Outbox {
    gathered: Gathered,
    max_packet_size: usize,
    // The maximum size of a packet for one event or service check.
    max_text_size: usize,
    transport: Box<dyn Transport>,
    // The address as users know it.
    address: String,
    // Packets that are sent together.
    most_packets: usize,
    ledger: Arc<Ledger>,
    // Accepted since the ledger was last written: a few additions per packet instead of a few per line.
    accepted: Tally,
    // Given to the kernel, which may still report a refusal.
    in_doubt: Option<Tally>,
    // The last packets sent, which the transport may still report as lost with a connection.
    held: VecDeque<Tally>,
    // Values that have left their cells and are in no packet yet.
    in_progress: u64,
    // Whether the transport is sending the gathered packets right now.
    in_hand: bool,
    // Whether the transport knows of the current flush.
    begun: bool,
    turn: Turn,
    outcome: Outcome,
    sender: Sender,
}

/// What happened in the current flush.
#[derive(Debug, Default)]
struct Outcome {
    sent: bool,
    lost: bool,
    /// Something was lost because the flush ran out of time.
    late: bool,
}

/// The task id of rendered lines, and the source that shows whether it is still this process's.
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
        let fitting = (MAX_GATHERED / max_packet_size.max(1)).max(1);
        Self {
            gathered: Gathered::with_capacity(max_packet_size),
            max_packet_size,
            max_text_size: max_packet_size,
            address: transport.name().to_owned(),
            most_packets: transport.most_packets().min(MAX_PACKETS).min(fitting),
            transport,
            ledger,
            accepted: Tally::default(),
            in_doubt: None,
            held: VecDeque::new(),
            in_progress: 0,
            in_hand: false,
            begun: false,
            turn: Turn::default(),
            outcome: Outcome::default(),
            sender,
        }
    }

    /// Allows an event or a service check that is larger than the other packets a packet of its own, of up to `bytes`.
    pub(crate) fn with_texts_of(mut self, bytes: usize) -> Self {
        self.max_text_size = self.max_text_size.max(bytes);
        self
    }

    /// The same, for an agent that errors name by its address.
    pub(crate) fn at(mut self, address: &Address) -> Self {
        self.address = address.to_string();
        self
    }

    /// Renders lines under another task id from now on.
    pub(crate) fn rename(&mut self, task_id: TaskId) {
        self.sender.task_id = task_id;
    }

    /// Accepts values that have no line yet. They count as lost if the worker panics before [`put`](Self::put) or
    /// [`refuse`](Self::refuse) takes them.
    pub(crate) fn take_in(&mut self, values: u64) {
        self.accepted += Tally::values(values);
        self.in_progress = self.in_progress.wrapping_add(values);
    }

    /// The maximum length of a line that goes into the open packet, or that of a whole packet if little room is left:
    /// room for one value and the `frame` bytes around it.
    pub(crate) fn room(&self, frame: usize) -> usize {
        let left = self.max_packet_size.saturating_sub(self.gathered.open_len());
        if left >= frame + MIN_VALUES { left } else { self.max_packet_size }
    }

    /// Whether this many bytes fit into no packet.
    #[cfg_attr(not(feature = "cadence"), allow(dead_code, reason = "for a bridge that is optional"))]
    pub(crate) fn is_too_large(&self, bytes: usize) -> bool {
        bytes > self.max_packet_size
    }

    /// The maximum length of the line of an event or a service check.
    pub(crate) fn text_room(&self) -> usize {
        self.max_text_size
    }

    /// Puts lines that stand for the accepted `values` into a packet. Sends the open packet if they don't fit.
    pub(crate) fn put(&mut self, lines: Lines<'_>, values: u64) {
        self.put_up_to(self.max_packet_size, lines, values);
    }

    /// Like [`put`](Self::put), for an event or a service check.
    pub(crate) fn put_text(&mut self, line: Lines<'_>, values: u64) {
        // A line larger than a packet is alone in one: the next line does not fit into that packet.
        self.put_up_to(self.max_text_size, line, values);
    }

    fn put_up_to(&mut self, most: usize, lines: Lines<'_>, values: u64) {
        let on_wire = Tally { values: 0, lines: lines.count, packets: 0, bytes: lines.bytes.len() as u64 };
        let tally = Tally { values, ..on_wire };
        let too_large = lines.bytes.len() > most;
        if !too_large && self.gathered.open_len() + lines.bytes.len() > self.max_packet_size {
            self.gathered.close();
            if self.gathered.left().len() >= self.most_packets {
                self.send();
            }
        }
        self.accepted += on_wire;
        self.in_progress = self.in_progress.wrapping_sub(values);
        if too_large {
            // Dropped values were accepted first, and the ledger shows that at any moment.
            self.ledger.book_accepted(mem::take(&mut self.accepted));
            self.ledger.book_dropped(DropReason::TooLarge, tally);
        } else {
            self.gathered.push(lines.bytes, tally);
        }
    }

    /// [Takes in](Self::take_in) and [puts](Self::put) in one step.
    pub(crate) fn report(&mut self, lines: Lines<'_>, values: u64) {
        self.take_in(values);
        self.put(lines, values);
    }

    /// Counts accepted values that get no line.
    pub(crate) fn refuse(&mut self, reason: DropReason, values: u64) {
        self.in_progress = self.in_progress.wrapping_sub(values);
        self.ledger.book_accepted(mem::take(&mut self.accepted));
        self.ledger.book_dropped(reason, Tally::values(values));
    }

    /// Sends all packets, including the open one.
    fn send(&mut self) {
        self.gathered.close();
        let packets = self.gathered.left().len() as u64;
        if packets == 0 {
            return;
        }
        if !mem::replace(&mut self.begun, true) {
            self.transport.begin(self.turn);
        }
        // The state changes before each send, so that a panicking transport can't cause a packet to be sent twice.
        self.in_hand = true;
        self.accepted.packets += packets;
        self.ledger.book_accepted(mem::take(&mut self.accepted));
        while self.gathered.left().len() > 0 {
            // The process may have been suspended during a flush, for longer than its lease lasts.
            if self.sender.identity.task_id() != self.sender.task_id {
                let lost = self.gathered.clear();
                self.ledger.book_dropped(DropReason::LeaseLost, lost);
                break;
            }
            let delivery = self.transport.send(self.gathered.left());
            self.lose_held(delivery.lost_before);
            if !delivery.doubtful {
                self.settle(delivery.refused_before);
            }
            for _ in 0..delivery.taken {
                let Some(tally) = self.gathered.next() else { break };
                if !delivery.doubtful {
                    self.settle(false);
                }
                *self.in_doubt.get_or_insert_default() += tally;
                self.hold(tally);
            }
            // A packet that the transport does not report on counts as lost: otherwise it would be offered forever.
            for _ in 0..delivery.lost.max(usize::from(delivery.taken == 0)) {
                let Some(tally) = self.gathered.next() else { break };
                self.lose(tally);
            }
        }
        self.gathered.clear();
        self.in_hand = false;
    }

    fn settle(&mut self, refused: bool) {
        match self.in_doubt.take() {
            Some(tally) if refused => self.lose(tally),
            Some(tally) => {
                self.outcome.sent = true;
                self.ledger.book_sent(tally);
            }
            None => {}
        }
    }

    fn lose(&mut self, tally: Tally) {
        self.ledger.book_dropped(DropReason::Transport, tally);
        self.outcome.lost = true;
        self.outcome.late |= matches!(self.transport.failure(), Some(Failure::Late(_)));
    }

    /// Remembers a sent packet that may still turn out to be lost.
    fn hold(&mut self, tally: Tally) {
        self.held.push_back(tally);
        let gone = self.held.len().saturating_sub(self.transport.most_held());
        self.held.drain(..gone);
    }

    /// Counts this many of the last packets sent as lost.
    fn lose_held(&mut self, packets: usize) {
        if packets == 0 {
            return;
        }
        self.settle(false);
        let mut lost = Tally::default();
        self.held.drain(self.held.len().saturating_sub(packets)..).for_each(|tally| lost += tally);
        self.ledger.book_lost(lost);
        self.outcome.lost = true;
    }

    /// Ends a flush: sends the last packet and writes the ledger.
    pub(crate) fn finish(&mut self) {
        self.settle_counts();
        self.end_turn();
    }

    /// Starts a flush with this much time.
    pub(crate) fn begin_turn(&mut self, turn: Turn) {
        self.turn = turn;
        self.outcome.late = false;
    }

    /// Starts another flush for the transport: it checks its connection, and may wait again.
    pub(crate) fn end_turn(&mut self) {
        self.begun = false;
        self.turn = Turn::default();
        let error = mem::take(&mut self.outcome.lost).then(|| match self.transport.failure() {
            Some(failure) => format!("{}: {failure}", self.address),
            None => self.address.clone(),
        });
        self.ledger.reach().note(mem::take(&mut self.outcome.sent), error);
    }

    /// Whether something was lost since the flush began because it ran out of time.
    pub(crate) fn take_late(&mut self) -> bool {
        mem::take(&mut self.outcome.late)
    }

    /// Sends everything put so far and writes the ledger.
    pub(crate) fn settle_counts(&mut self) {
        self.send();
        let refused = self.in_doubt.is_some() && self.transport.last_was_refused();
        self.settle(refused);
        self.ledger.book_accepted(mem::take(&mut self.accepted));
    }

    /// Counts what the worker was handling as lost, after it panicked.
    pub(crate) fn write_off(&mut self) {
        self.ledger.book_accepted(mem::take(&mut self.accepted));
        let mut lost = Tally::values(mem::take(&mut self.in_progress));
        if mem::take(&mut self.in_hand) {
            lost += self.gathered.clear();
        }
        self.ledger.book_dropped(DropReason::WorkerPanic, lost);
    }

    /// Counts everything that was put and not sent as lost, after the worker panicked too often during shutdown.
    pub(crate) fn abandon(&mut self) {
        self.settle(false);
        // None of it was accepted as a packet.
        let lost = Tally { packets: 0, ..self.gathered.clear() };
        self.ledger.book_dropped(DropReason::WorkerPanic, lost);
    }

    pub(crate) fn transport_name(&self) -> &'static str {
        self.transport.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task_id::TaskIdPool;
    use crate::wire::transport::Delivery;
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct Recorder {
        packets: Arc<Mutex<Vec<Vec<u8>>>>,
        deliveries: Vec<Delivery>,
        last_refused: bool,
    }

    impl Transport for Recorder {
        fn send(&mut self, packets: Packets<'_>) -> Delivery {
            self.packets.lock().unwrap().push(packets.first().to_vec());
            self.deliveries.pop().unwrap_or(Delivery::taken(1))
        }

        fn last_was_refused(&mut self) -> bool {
            self.last_refused
        }

        fn failure(&self) -> Option<&Failure> {
            None
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
        let refused_before = Delivery { refused_before: true, ..Delivery::taken(1) };
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

    /// Takes several packets at a time, and treats each batch as the test says.
    #[derive(Debug)]
    struct Script {
        offers: Arc<Mutex<Vec<Vec<Vec<u8>>>>>,
        // `None` panics.
        deliveries: Vec<Option<Delivery>>,
        last_refused: bool,
    }

    impl Transport for Script {
        fn send(&mut self, packets: Packets<'_>) -> Delivery {
            self.offers.lock().unwrap().push(packets.iter().map(<[u8]>::to_vec).collect());
            let delivery = if self.deliveries.is_empty() {
                Some(Delivery::taken(packets.len()))
            } else {
                self.deliveries.remove(0)
            };
            delivery.expect("a transport that panics")
        }

        fn last_was_refused(&mut self) -> bool {
            self.last_refused
        }

        fn most_packets(&self) -> usize {
            4
        }

        fn failure(&self) -> Option<&Failure> {
            None
        }

        fn most_held(&self) -> usize {
            3
        }

        fn name(&self) -> &'static str {
            "script"
        }
    }

    type Offers = Arc<Mutex<Vec<Vec<Vec<u8>>>>>;

    /// Five packets, of 1, 2, 4, 8 and 16 values.
    fn send_five(deliveries: Vec<Option<Delivery>>, last_refused: bool) -> (Outbox, Arc<Ledger>, Offers) {
        let script = Script { offers: Arc::default(), deliveries, last_refused };
        let (offers, ledger) = (Arc::clone(&script.offers), Arc::<Ledger>::default());
        let mut outbox = Outbox::new(4, Box::new(script), Arc::clone(&ledger), sender());
        let send = std::panic::AssertUnwindSafe(|| {
            for (number, line) in ["aaa\n", "bbb\n", "ccc\n", "ddd\n", "eee\n"].into_iter().enumerate() {
                put(&mut outbox, line, 1 << number);
            }
            outbox.finish();
        });
        if std::panic::catch_unwind(send).is_err() {
            outbox.write_off();
        }
        (outbox, ledger, offers)
    }

    /// Values sent, lost on the way, and lost by a panic; whatever happened, they are all there.
    fn booked(ledger: &Ledger) -> (u64, u64, u64) {
        let stats = ledger.stats(0);
        let mut left = stats.sent;
        left += stats.dropped_total();
        assert_eq!(left, stats.accepted);
        let lost = |reason| stats.dropped(reason).values;
        (stats.sent.values, lost(DropReason::Transport), lost(DropReason::WorkerPanic))
    }

    #[test]
    fn packets_leave_together_and_what_was_not_dealt_with_is_offered_again() {
        let cut = Delivery { lost: 1, ..Delivery::taken(1) };
        let (_, ledger, offers) = send_five(vec![Some(cut)], false);
        let offers: Vec<String> = offers
            .lock()
            .unwrap()
            .iter()
            .map(|packets| String::from_utf8(packets.concat()).unwrap())
            .collect();
        assert_eq!(offers, ["aaa\nbbb\nccc\nddd\n", "ccc\nddd\n", "eee\n"]);
        assert_eq!(booked(&ledger), (29, 2, 0));
    }

    #[test]
    fn of_several_packets_the_last_one_is_in_doubt() {
        let refused_before = Delivery { refused_before: true, ..Delivery::taken(1) };
        let (_, ledger, _) = send_five(vec![Some(Delivery::taken(2)), Some(refused_before)], true);
        // The second by the delivery behind it, the last by the end of the flush.
        assert_eq!(booked(&ledger), (13, 18, 0));
    }

    #[test]
    fn what_is_written_into_a_buffer_is_in_doubt_until_that_is_flushed() {
        let buffered = |packets| Some(Delivery { doubtful: true, ..Delivery::taken(packets) });
        let lost = Some(Delivery { doubtful: true, ..Delivery::lost(1) });
        for (refused, expected) in [(false, (29, 2, 0)), (true, (0, 31, 0))] {
            let (_, ledger, _) = send_five(vec![buffered(1), lost, buffered(2), buffered(1)], refused);
            assert_eq!(booked(&ledger), expected);
        }
    }

    #[test]
    fn packets_that_were_taken_and_lost_with_their_connection_are_moved_from_sent_to_dropped() {
        let broken = |lost_before| Some(Delivery { lost_before, ..Delivery::taken(1) });
        // The first three were taken one by one. Of them the last two are lost, of which one was in doubt.
        let taken = Some(Delivery::taken(1));
        let (mut outbox, ledger, _) = send_five(vec![taken, taken, taken, broken(2)], false);
        assert_eq!(booked(&ledger), (25, 6, 0));
        assert_eq!(ledger.stats(0).last_error.as_deref(), Some("script"));
        // Of an earlier flush, and no more than is remembered.
        put(&mut outbox, "fff\n", 32);
        let script = Script { offers: Arc::default(), deliveries: vec![broken(70)], last_refused: false };
        outbox.transport = Box::new(script);
        outbox.finish();
        assert_eq!(booked(&ledger), (32, 31, 0));
        put(&mut outbox, "ggg\n", 64);
        outbox.finish();
        assert_eq!((booked(&ledger), ledger.stats(0).last_error), ((96, 31, 0), None));
    }

    #[test]
    fn a_packet_that_its_transport_says_nothing_of_is_lost_and_not_offered_for_ever() {
        let (_, ledger, _) = send_five(vec![Some(Delivery::default()); 9], false);
        assert_eq!(booked(&ledger), (0, 31, 0));
        let (_, ledger, _) = send_five(vec![Some(Delivery { lost: 70, ..Delivery::taken(70) })], false);
        assert_eq!(booked(&ledger), (31, 0, 0));
    }

    #[test]
    fn a_transport_that_panics_has_no_packet_sent_twice() {
        let (mut outbox, ledger, offers) = send_five(vec![Some(Delivery::taken(1)), None], false);
        let five = outbox.gathered.open;
        assert_eq!(five, Tally::default(), "the fifth line was in progress");
        put(&mut outbox, "fff\n", 32);
        outbox.finish();
        // The first was taken, the next three were in its hands and the fifth in progress.
        assert_eq!(booked(&ledger), (33, 0, 30));
        let offers = offers.lock().unwrap();
        assert_eq!(offers.last().unwrap().concat(), b"fff\n");
        assert_eq!(offers.len(), 3);
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
